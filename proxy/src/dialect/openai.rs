//! `POST /v1/completions` as `OpenAI` defines it: decoding, and encoding of answers.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer::Alternative;
use crate::config::Config;
use crate::dialect::body::{Stop, StreamOptions, alternatives, check_sampling, place_cursor, read};
use crate::dialect::{ApiError, Decoded, Dialect};
use crate::reply::Head;
use crate::request::CompletionRequest;
use crate::upstream::Piece;

/// The body of a request, as far as Echo reads it; unknown fields are let pass.
#[derive(Debug, Deserialize)]
struct Body {
    model: String,
    prompt: Prompt,
    suffix: Option<String>,
    max_tokens: Option<u32>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    n: Option<u32>,
    #[serde(default)]
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    stop: Option<Stop>,
    user: Option<String>,
    seed: Option<u64>,
    echo: Option<bool>,
    best_of: Option<u32>,
    #[expect(dead_code, reason = "read to refuse a wrong type")]
    logprobs: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Prompt {
    One(String),
    Many(Vec<String>),
    Other(Box<RawValue>),
}

/// Decodes a body. `file` and `language` are what headers said.
///
/// The prefix is what stands before the cursor: `prompt`, or the fill-in template inside it, where
/// `suffix` is absent and a template of a known family is found.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode(body: &[u8], config: &Config) -> Result<Decoded, ApiError> {
    let body: Body = read(body)?;
    let limits = &config.server;
    let prompt = body.prompt.text()?;
    let n = alternatives("n", body.n, config)?;
    if body.echo == Some(true) {
        return Err(ApiError::invalid(Some("echo"), "`echo` is not supported."));
    }
    if body.best_of.is_some_and(|best_of| best_of < n) {
        return Err(ApiError::invalid(
            Some("best_of"),
            "`best_of` must be at least `n`.",
        ));
    }
    check_sampling(body.temperature, body.top_p)?;
    let max_tokens = body.max_tokens.unwrap_or(limits.max_tokens);
    let mut request = CompletionRequest {
        model: body.model,
        max_tokens: max_tokens.min(limits.max_tokens_limit),
        temperature: body.temperature,
        top_p: body.top_p,
        seed: body.seed,
        stop: Stop::texts(body.stop)?,
        n,
        stream: body.stream.unwrap_or(false),
        user: body.user.filter(|user| !user.is_empty()),
        ..CompletionRequest::default()
    };
    place_cursor(&mut request, prompt, body.suffix);
    let include_usage = StreamOptions::usage(body.stream_options);
    let dialect = Box::new(OpenAi { include_usage });
    Ok(Decoded { request, dialect })
}

impl Prompt {
    fn text(self) -> Result<String, ApiError> {
        let wrong = |message| Err(ApiError::invalid(Some("prompt"), message));
        match self {
            Self::One(text) => Ok(text),
            Self::Many(mut texts) if texts.len() == 1 => Ok(texts.remove(0)),
            Self::Many(_) => {
                wrong("`prompt` must be one text: several at a time are not supported.")
            }
            Self::Other(json) if json.get().starts_with('[') => wrong(
                "`prompt` must be a text: tokens are not supported, since every arm has its own.",
            ),
            Self::Other(_) => wrong("`prompt` must be a text."),
        }
    }
}

/// How `OpenAI` writes answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OpenAi {
    /// Whether a streamed answer ends with its usage.
    include_usage: bool,
}

impl Dialect for OpenAi {
    fn whole(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String {
        let choices: Vec<Choice<'_>> = (0..)
            .zip(alternatives)
            .map(|(index, alternative)| Choice {
                text: &alternative.text,
                index,
                logprobs: (),
                finish_reason: Some(alternative.finish_reason()),
            })
            .collect();
        completion(head, &choices, Some(usage))
    }

    fn piece(&mut self, head: &Head, piece: &Piece) -> Option<String> {
        let (text, index, finish_reason) = match piece {
            Piece::Text { choice, text } => (text.as_str(), *choice, None),
            Piece::End { choice, ending } => ("", *choice, Some(ending.as_str())),
            Piece::Usage { .. } => return None,
        };
        let choice = Choice {
            text,
            index,
            logprobs: (),
            finish_reason,
        };
        Some(self.framing().frame(&completion(head, &[choice], None)))
    }

    fn end(&self, head: &Head, _: &[Alternative], usage: Usage) -> String {
        let counted = completion(head, &[], Some(usage));
        let counted = self.include_usage.then(|| self.framing().frame(&counted));
        counted.unwrap_or_default() + DONE
    }
}

/// The event after the last one.
pub(super) const DONE: &str = "data: [DONE]\n\n";

fn completion(head: &Head, choices: &[Choice<'_>], usage: Option<Usage>) -> String {
    let completion = Completion {
        id: head.id.completion(),
        object: "text_completion",
        created: head.created_s,
        model: head.model(),
        choices,
        usage,
    };
    serde_json::to_string(&completion).expect("a completion holds only texts and numbers")
}

#[derive(Serialize)]
struct Completion<'a> {
    id: String,
    object: &'static str,
    /// Seconds since 1970.
    created: i64,
    /// The arm that answers.
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

/// One alternative of an answer, or the next piece of it.
#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: u32,
    /// Always null: arms do not agree on tokens.
    logprobs: (),
    /// `stop` or `length`; null before the end.
    finish_reason: Option<&'a str>,
}

/// How many tokens an answer took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of all alternatives.
    pub completion_tokens: u32,
    /// Their sum.
    pub total_tokens: u32,
}

impl Usage {
    /// The usage of so many tokens.
    pub fn new(prompt_tokens: u32, completion_tokens: u32) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse("", &|_| None).unwrap()
    }

    fn decoded(body: &str) -> CompletionRequest {
        decode(body.as_bytes(), &config()).expect(body).request
    }

    #[test]
    fn reads_both_sides_of_the_cursor() {
        let plain = decoded(r#"{"model":"echo","prompt":"def f(","suffix":")\n"}"#);
        assert_eq!(
            (plain.prefix.as_str(), plain.suffix.as_str()),
            ("def f(", ")\n")
        );
        let list = decoded(r#"{"model":"echo","prompt":["def f("]}"#);
        assert_eq!((list.prefix.as_str(), list.suffix.as_str()), ("def f(", ""));
        let template = decoded(
            r#"{"model":"echo","prompt":"<fim_prefix>\n# calc.py\ndef f(<fim_suffix>)\n<fim_middle>"}"#,
        );
        assert!(template.prefix.ends_with("def f("), "{template:?}");
        assert_eq!(template.suffix, ")\n");
        assert_eq!(template.file.as_deref(), Some("calc.py"));
        assert_eq!(template.language.as_deref(), Some("python"));
    }

    #[test]
    fn reads_limits() {
        let request = decoded(
            r#"{"model":"m","prompt":"x","max_tokens":4096,"stop":"\n","n":3,"stream":true,"user":"u","unknown":[1]}"#,
        );
        assert_eq!(
            (request.max_tokens, request.n, request.stream),
            (1024, 3, true)
        );
        assert_eq!(request.stop, ["\n"]);
        assert_eq!(request.user.as_deref(), Some("u"));
    }

    #[test]
    fn names_the_field_at_fault() {
        let deep = format!("{{\"model\":\"m\",\"prompt\":{}", "[".repeat(10_000));
        let cases = [
            ("", None),
            ("[]", None),
            ("{\"model\":\"m\",\"prompt\":\"x\"} x", None),
            (deep.as_str(), None),
            (r#"{"prompt":"x"}"#, Some("model")),
            (r#"{"model":"m"}"#, Some("prompt")),
            (r#"{"model":"m","prompt":[1,2]}"#, Some("prompt")),
            (r#"{"model":"m","prompt":["a","b"]}"#, Some("prompt")),
            (r#"{"model":"m","prompt":7}"#, Some("prompt")),
            (r#"{"model":"m","model":"m","prompt":"x"}"#, Some("model")),
            (
                r#"{"model":"m","prompt":"x","max_tokens":-1}"#,
                Some("max_tokens"),
            ),
            (r#"{"model":"m","prompt":"x","n":0}"#, Some("n")),
            (r#"{"model":"m","prompt":"x","n":99}"#, Some("n")),
            (
                r#"{"model":"m","prompt":"x","temperature":"hot"}"#,
                Some("temperature"),
            ),
            (
                r#"{"model":"m","prompt":"x","temperature":3}"#,
                Some("temperature"),
            ),
            (r#"{"model":"m","prompt":"x","temperature":1e999}"#, None),
            (
                r#"{"model":"m","prompt":"x","stream":"yes"}"#,
                Some("stream"),
            ),
            (r#"{"model":"m","prompt":"x","echo":true}"#, Some("echo")),
            (r#"{"model":"m","prompt":"x","stop":5}"#, Some("stop")),
        ];
        for (body, param) in cases {
            let error = decode(body.as_bytes(), &config()).expect_err(body);
            assert_eq!(error.status.as_u16(), 400, "{body}");
            assert_eq!(error.param.as_deref(), param, "{body}: {}", error.message);
        }
        assert!(decode(b"{\"model\":\"m\",\"prompt\":\"\xff\"}", &config()).is_err());
        assert!(decode(br#"{"model":"m","prompt":"\ud800"}"#, &config()).is_err());
    }

    #[test]
    fn an_error_never_repeats_a_text() {
        let error =
            decode(br#"{"model":"m","prompt":"x","n":"my secret"}"#, &config()).unwrap_err();
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
}
