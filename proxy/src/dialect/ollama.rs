//! Ollama: `POST /api/generate`, and the pages by which its clients look for models.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use chrono::{DateTime, SecondsFormat};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Alternative;
use crate::config::Config;
use crate::dialect::body::{Stop, check_sampling, place_cursor, read, tokens};
use crate::dialect::openai::Usage;
use crate::dialect::{ApiError, Decoded, Dialect, Framing};
use crate::names;
use crate::pages;
use crate::reply::Head;
use crate::request::CompletionRequest;
use crate::state::Echo;
use crate::upstream::Piece;

#[derive(Debug, Deserialize)]
struct Body {
    model: String,
    #[serde(default)]
    prompt: String,
    suffix: Option<String>,
    stream: Option<bool>,
    options: Option<Options>,
}

#[derive(Debug, Default, Deserialize)]
struct Options {
    num_predict: Option<i64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<i64>,
    stop: Option<Stop>,
}

/// Decodes a body. Without a suffix the prompt may hold a fill-in template, `raw` or not: the arms
/// know no other template. A request without a prompt is made to load a model.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode(body: &[u8], config: &Config) -> Result<Decoded, ApiError> {
    let body: Body = read(body)?;
    let options = body.options.unwrap_or_default();
    check_sampling(options.temperature, options.top_p)?;
    let suffix = body.suffix.filter(|suffix| !suffix.is_empty());
    let loads = body.prompt.is_empty() && suffix.is_none();
    let mut request = CompletionRequest {
        model: untagged(&body.model).to_owned(),
        max_tokens: if loads {
            0
        } else {
            tokens(options.num_predict, config)
        },
        temperature: options.temperature,
        top_p: options.top_p,
        seed: options.seed.and_then(|seed| u64::try_from(seed).ok()),
        stop: Stop::texts(options.stop)?,
        n: 1,
        stream: body.stream.unwrap_or(true),
        ..CompletionRequest::default()
    };
    place_cursor(&mut request, body.prompt, suffix);
    let dialect = Box::new(Ollama { loads });
    Ok(Decoded { request, dialect })
}

/// A model's name as Echo knows it: Ollama's clients add the tag that stands for none.
fn untagged(name: &str) -> &str {
    name.strip_suffix(LATEST).unwrap_or(name)
}

const LATEST: &str = ":latest";

/// How Ollama writes answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ollama {
    /// Whether the client only wants a model to be loaded.
    loads: bool,
}

impl Ollama {
    fn part(head: &Head, text: &str) -> Value {
        json!({
            "model": head.model(),
            "created_at": time(head.created_s),
            "response": text,
            "done": false,
        })
    }

    fn last(self, head: &Head, text: &str, alternatives: &[Alternative], usage: Usage) -> Value {
        let mut last = Self::part(head, text);
        let reason = alternatives
            .first()
            .map_or("stop", Alternative::finish_reason);
        let duration_ns = u64::try_from(head.elapsed().as_nanos()).unwrap_or(u64::MAX);
        last["done"] = json!(true);
        last["done_reason"] = json!(if self.loads { "load" } else { reason });
        last["total_duration"] = json!(duration_ns);
        last["load_duration"] = json!(0);
        last["prompt_eval_count"] = json!(usage.prompt_tokens);
        last["prompt_eval_duration"] = json!(0);
        last["eval_count"] = json!(usage.completion_tokens);
        last["eval_duration"] = json!(duration_ns);
        last
    }
}

impl Dialect for Ollama {
    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn whole(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String {
        let text = alternatives.first().map_or("", |first| &first.text);
        self.last(head, text, alternatives, usage).to_string()
    }

    fn piece(&mut self, head: &Head, piece: &Piece) -> Option<String> {
        match piece {
            Piece::Text { text, .. } => {
                let part = Self::part(head, text).to_string();
                Some(self.framing().frame(&part))
            }
            Piece::End { .. } | Piece::Usage { .. } => None,
        }
    }

    fn end(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String {
        let last = self.last(head, "", alternatives, usage).to_string();
        self.framing().frame(&last)
    }

    fn error(&self, error: &ApiError) -> Value {
        self::error(error)
    }
}

/// An error as Ollama writes it.
pub fn error(error: &ApiError) -> Value {
    json!({"error": error.message})
}

fn time(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `GET /api/version`: of the Ollama whose protocol this is.
pub async fn version() -> Json<Value> {
    Json(json!({"version": "0.12.0"}))
}

/// `GET /`: how clients find out that an Ollama is there.
pub async fn running() -> &'static str {
    "Ollama is running"
}

/// `GET /api/tags`: the models that `GET /v1/models` lists.
///
/// # Errors
///
/// 401 without a key where keys are asked for.
pub async fn tags(
    State(echo): State<Arc<Echo>>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    pages::check_key(&echo, &request)?;
    let live = echo.live.load();
    let listed = names::all(&live).map(|name| {
        let tagged = name.clone() + LATEST;
        json!({
            "name": tagged,
            "model": tagged,
            "modified_at": time(echo.started_ms / 1000),
            "size": 0,
            "digest": "",
            "details": details(),
        })
    });
    Ok(Json(json!({"models": listed.collect::<Vec<_>>()})))
}

/// `GET /api/ps`: the models are there all the time, and none needs to be told of.
pub async fn loaded() -> Json<Value> {
    Json(json!({"models": []}))
}

#[derive(Debug, Deserialize)]
struct Show {
    #[serde(alias = "name")]
    model: String,
}

/// `POST /api/show`: says above all that a model takes a suffix. Clients look for `.Suffix` in the
/// template, or for `insert` among the capabilities.
///
/// # Errors
///
/// 404 for a model that is not there.
pub fn show(echo: &Echo, body: &Bytes) -> Result<Json<Value>, ApiError> {
    let Show { model } = read(body)?;
    let name = untagged(&model);
    if !names::is_known(&echo.live.load(), name) {
        return Err(ApiError::unknown_model(name));
    }
    Ok(Json(json!({
        "modelfile": "",
        "parameters": "",
        "template": "{{- if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>\
            {{- else }}{{ .Prompt }}{{- end }}",
        "details": details(),
        "model_info": {"general.architecture": "echo", "general.basename": name},
        "capabilities": ["completion", "insert"],
        "modified_at": time(echo.started_ms / 1000),
    })))
}

fn details() -> Value {
    json!({
        "parent_model": "",
        "format": "",
        "family": "echo",
        "families": ["echo"],
        "parameter_size": "",
        "quantization_level": "",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DecisionId;

    fn decoded(body: &str) -> Decoded {
        let config = Config::parse("", &|_| None).unwrap();
        decode(body.as_bytes(), &config).expect(body)
    }

    #[test]
    fn reads_both_sides_of_the_cursor() {
        let plain = decoded(
            r#"{"model":"echo:latest","prompt":"def f(","suffix":"):","options":{"num_predict":32,"temperature":0.2,"stop":["\n"]},"keep_alive":1800}"#,
        );
        let request = plain.request;
        assert_eq!(
            (
                request.prefix.as_str(),
                request.suffix.as_str(),
                request.model.as_str()
            ),
            ("def f(", "):", "echo")
        );
        assert_eq!(
            (request.max_tokens, request.stream, request.stop.len()),
            (32, true, 1)
        );
        let raw = decoded(
            r#"{"model":"echo","prompt":"<fim_prefix>a<fim_suffix>b<fim_middle>","raw":true,"stream":false}"#,
        );
        assert_eq!(
            (
                raw.request.prefix.as_str(),
                raw.request.suffix.as_str(),
                raw.request.stream
            ),
            ("a", "b", false)
        );
    }

    #[test]
    fn a_request_without_prompt_loads() {
        let load = decoded(r#"{"model":"echo"}"#);
        assert_eq!(load.request.max_tokens, 0);
        let head = Head::test(DecisionId::new(), "small@1");
        let said = load.dialect.whole(&head, &[], Usage::default());
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(
            (&said["done_reason"], &said["done"]),
            (&json!("load"), &json!(true))
        );
        assert_eq!(said["created_at"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn streams_a_line_a_piece() {
        let mut ollama = decoded(r#"{"model":"echo","prompt":"x"}"#).dialect;
        let head = Head::test(DecisionId::new(), "small@1");
        let piece = Piece::Text {
            choice: 0,
            text: "a\nb".to_owned(),
        };
        let line = ollama.piece(&head, &piece).unwrap();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["response"], &line["done"]),
            (&json!("a\nb"), &json!(false))
        );
        let broken = ollama.broken(&ApiError::internal());
        assert!(
            broken.starts_with("{\"error\":\"") && broken.ends_with("\"}\n"),
            "{broken}"
        );
    }

    #[test]
    fn names_the_field_at_fault() {
        let config = Config::parse("", &|_| None).unwrap();
        for (body, param) in [
            (r#"{"prompt":"x"}"#, "model"),
            (r#"{"model":"m","prompt":7}"#, "prompt"),
            (
                r#"{"model":"m","options":{"num_predict":"x"}}"#,
                "options.num_predict",
            ),
        ] {
            let error = decode(body.as_bytes(), &config).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
        }
    }
}
