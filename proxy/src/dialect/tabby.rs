//! Tabby's protocol, as its editor plugins speak it: completions by segments, health, and events.

use axum::Json;
use memchr::memmem;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Alternative;
use crate::config::{Config, ROUTED};
use crate::dialect::body::{quoted, read};
use crate::dialect::openai::Usage;
use crate::dialect::{ApiError, Decoded, Dialect};
use crate::language;
use crate::reply::Head;
use crate::request::CompletionRequest;
use crate::upstream::Piece;

#[derive(Debug, Deserialize)]
struct Body {
    language: Option<String>,
    segments: Segments,
    user: Option<String>,
    temperature: Option<f64>,
    seed: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Segments {
    prefix: String,
    suffix: Option<String>,
    filepath: Option<String>,
    git_url: Option<String>,
    #[serde(default)]
    declarations: Vec<Snippet>,
    #[serde(default)]
    relevant_snippets_from_changed_files: Vec<Snippet>,
    #[serde(default)]
    relevant_snippets_from_recently_opened_files: Vec<Snippet>,
}

/// A piece of another file.
#[derive(Debug, Deserialize)]
struct Snippet {
    filepath: String,
    body: String,
}

impl Segments {
    fn context(&self) -> String {
        let snippets = [
            &self.declarations,
            &self.relevant_snippets_from_changed_files,
            &self.relevant_snippets_from_recently_opened_files,
        ];
        let snippets = snippets.into_iter().flatten();
        quoted(snippets.map(|snippet| (snippet.filepath.as_str(), snippet.body.as_str())))
    }
}

/// Whether a body for `/v1/completions` is Tabby's: it shares the path with `OpenAI`'s.
pub fn is_meant(body: &[u8]) -> bool {
    const MARK: &[u8] = b"\"segments\"";
    memmem::find(body, MARK).is_some() && serde_json::from_slice::<Body>(body).is_ok()
}

/// Decodes a body.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode(body: &[u8], config: &Config) -> Result<Decoded, ApiError> {
    let body: Body = read(body)?;
    let segments = body.segments;
    let header_context = segments.context();
    let file = segments.filepath.map(|path| match segments.git_url {
        Some(url) => format!("{url}#{path}"),
        None => path,
    });
    let mut request = CompletionRequest {
        model: ROUTED.to_owned(),
        prefix: segments.prefix,
        suffix: segments.suffix.unwrap_or_default(),
        header_context,
        language: body
            .language
            .map(|name| name.to_lowercase())
            .filter(|name| !name.is_empty()),
        file,
        user: body.user.filter(|user| !user.is_empty()),
        max_tokens: config.server.max_tokens,
        temperature: body.temperature,
        seed: body.seed,
        n: 1,
        ..CompletionRequest::default()
    };
    language::by_file(&mut request);
    Ok(Decoded {
        request,
        dialect: Box::new(Tabby),
    })
}

/// How Tabby's server writes answers; it never streams them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tabby;

impl Dialect for Tabby {
    fn whole(&self, head: &Head, alternatives: &[Alternative], _: Usage) -> String {
        let spoken = (0..)
            .zip(alternatives)
            .filter(|(_, alternative)| !alternative.text.is_empty());
        let choices: Vec<Value> = spoken
            .map(|(index, alternative): (u32, _)| json!({"index": index, "text": alternative.text}))
            .collect();
        json!({"id": head.id.completion(), "choices": choices, "mode": "standard"}).to_string()
    }

    fn piece(&mut self, _: &Head, _: &Piece) -> Option<String> {
        None
    }

    fn end(&self, _: &Head, _: &[Alternative], _: Usage) -> String {
        String::new()
    }
}

/// `GET` and `POST /v1/health`: a plugin completes only when `model` is not null.
pub async fn health() -> Json<Value> {
    Json(json!({
        "model": ROUTED,
        "chat_model": null,
        "chat_device": null,
        "device": "cpu",
        "arch": std::env::consts::ARCH,
        "cpu_info": "",
        "cpu_count": std::thread::available_parallelism().map_or(1, usize::from),
        "cuda_devices": [],
        "models": {"completion": {"remote": {"kind": "echo", "model_name": ROUTED, "api_endpoint": ""}}},
        "version": {"build_date": "", "build_timestamp": "", "git_sha": "", "git_describe": "v0.30.0"},
        "webserver": true,
    }))
}

/// `GET /v1beta/models`: what a plugin may show.
pub async fn models() -> Json<Value> {
    Json(json!({"completion": [ROUTED], "chat": []}))
}

/// `GET /v1beta/server_setting`: events are welcome.
pub async fn server_setting() -> Json<Value> {
    Json(json!({"disable_client_side_telemetry": false}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DecisionId;

    const BODY: &str = r#"{"language":"python","segments":{"prefix":"def f(","suffix":")","filepath":"calc.py",
        "git_url":"https://git.example.org/a.git","declarations":[{"filepath":"a.py","body":"def g(): ..."}]}}"#;

    #[test]
    fn reads_segments() {
        let config = Config::parse("", &|_| None).unwrap();
        assert!(is_meant(BODY.as_bytes()));
        assert!(!is_meant(br#"{"model":"echo","prompt":"\"segments\""}"#));
        let request = decode(BODY.as_bytes(), &config).unwrap().request;
        assert_eq!(
            (request.prefix.as_str(), request.suffix.as_str()),
            ("def f(", ")")
        );
        assert_eq!(
            request.file.as_deref(),
            Some("https://git.example.org/a.git#calc.py")
        );
        assert_eq!(request.language.as_deref(), Some("python"));
        assert_eq!(request.header_context, "<|file_sep|>a.py\ndef g(): ...\n");
        let wrong = decode(br#"{"segments":{"prefix":7}}"#, &config).unwrap_err();
        assert_eq!(wrong.param.as_deref(), Some("segments.prefix"));
    }

    #[test]
    fn leaves_a_silent_answer_without_choices() {
        let head = Head::test(DecisionId::new(), "small@1");
        let answer = |text| -> Value {
            let whole = Tabby.whole(&head, &[Alternative::of_text(text)], Usage::default());
            serde_json::from_str(&whole).unwrap()
        };
        assert_eq!(answer("x")["choices"][0]["text"], "x");
        assert_eq!(answer("")["choices"], json!([]));
    }
}
