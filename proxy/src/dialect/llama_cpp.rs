//! llama.cpp's server: `POST /infill`, as llama.vim and llama.vscode send it, and `POST /completion`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answer::Alternative;
use crate::config::{Config, ROUTED};
use crate::dialect::body::{Stop, alternatives, place_cursor, quoted, read, tokens};
use crate::dialect::openai::Usage;
use crate::dialect::{ApiError, Decoded, Dialect};
use crate::reply::Head;
use crate::request::CompletionRequest;
use crate::upstream::{Ending, Piece};

/// The body for both paths; only `/infill` has the `input_` fields.
#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    input_prefix: String,
    prompt: Option<String>,
    #[serde(default)]
    input_suffix: String,
    #[serde(default)]
    input_extra: Vec<Extra>,
    #[serde(default)]
    model: String,
    id_slot: Option<i64>,
    n_predict: Option<i64>,
    n_cmpl: Option<u32>,
    stop: Option<Stop>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<i64>,
    #[serde(default)]
    stream: bool,
    t_max_predict_ms: Option<f64>,
    #[serde(default)]
    response_fields: Vec<String>,
}

/// A piece of another file.
#[derive(Debug, Deserialize)]
struct Extra {
    #[serde(default)]
    filename: String,
    text: String,
}

/// Decodes a body for `/infill`. The prefix is `input_prefix` and `prompt`, the current line up to the
/// cursor.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode_infill(body: &[u8], config: &Config) -> Result<Decoded, ApiError> {
    let body: Body = read(body)?;
    let extra = body.input_extra.iter();
    let extra = extra.map(|extra| (extra.filename.as_str(), extra.text.as_str()));
    let request = CompletionRequest {
        prefix: [
            body.input_prefix.as_str(),
            body.prompt.as_deref().unwrap_or_default(),
        ]
        .concat(),
        suffix: body.input_suffix.clone(),
        header_context: quoted(extra),
        ..CompletionRequest::default()
    };
    body.decoded(request, config)
}

/// Whether a body for `/completions` is llama.cpp's: it shares the path with `OpenAI`'s.
pub fn is_meant(body: &[u8]) -> bool {
    read::<Body>(body).is_ok_and(|body| body.n_predict.is_some())
}

/// Decodes a body for `/completion`, whose prompt may hold a fill-in template.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode_completion(body: &[u8], config: &Config) -> Result<Decoded, ApiError> {
    let mut body: Body = read(body)?;
    let missing = || ApiError::invalid(Some("prompt"), "`prompt` is missing.");
    let prompt = body.prompt.take().ok_or_else(missing)?;
    let mut request = CompletionRequest::default();
    place_cursor(&mut request, prompt, None);
    body.decoded(request, config)
}

impl Body {
    /// Adds everything but the text to a request.
    ///
    /// llama.vim asks ahead of the user, as if he had taken the proposal that it shows, and gives those
    /// requests a longer time to predict: that is how they are known. Requests for no tokens are made
    /// so that a server reads its prompt ahead of time.
    fn decoded(self, request: CompletionRequest, config: &Config) -> Result<Decoded, ApiError> {
        let named = Some(self.model).filter(|name| !name.is_empty());
        let request = CompletionRequest {
            model: named.unwrap_or_else(|| ROUTED.to_owned()),
            max_tokens: tokens(self.n_predict, config),
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed.and_then(|seed| u64::try_from(seed).ok()),
            stop: Stop::texts(self.stop)?,
            n: alternatives("n_cmpl", self.n_cmpl, config)?,
            stream: self.stream,
            speculative: self.t_max_predict_ms.is_some_and(|ms| ms >= SPECULATIVE_MS),
            ..request
        };
        let dialect = Box::new(LlamaCpp {
            slot: self.id_slot.map_or(0, |slot| slot.max(0)),
            fields: self.response_fields,
        });
        Ok(Decoded { request, dialect })
    }
}

/// llama.vim gives requests that it makes ahead of the user this long to predict, in milliseconds;
/// others a quarter of it.
const SPECULATIVE_MS: f64 = 1000.0;

/// How llama.cpp's server writes answers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LlamaCpp {
    /// The slot that the client named, which its answer names too.
    slot: i64,
    /// The fields that the client wants, with `/` between the levels; all of them if it names none.
    fields: Vec<String>,
}

impl LlamaCpp {
    /// llama.vim looks for `"content":"` on one line before it parses: the JSON must be compact, and
    /// the content is there whatever fields are asked for.
    fn answer(&self, head: &Head, index: usize, alternative: &Alternative, usage: Usage) -> Value {
        let all = self.all(head, index, alternative, usage);
        if self.fields.is_empty() {
            return all;
        }
        let mut wanted = Map::new();
        wanted.insert("content".to_owned(), all["content"].clone());
        for field in &self.fields {
            if let Some(value) = all.pointer(&format!("/{field}")) {
                wanted.insert(field.clone(), value.clone());
            }
        }
        Value::Object(wanted)
    }

    fn all(&self, head: &Head, index: usize, alternative: &Alternative, usage: Usage) -> Value {
        let stop_type = match alternative.ending {
            Some(Ending::Length) => "limit",
            _ => "eos",
        };
        let (read, written) = (usage.prompt_tokens, usage.completion_tokens);
        let ms = head.elapsed().as_secs_f64() * 1000.0;
        let each = |count: u32| {
            if count == 0 {
                0.0
            } else {
                ms / f64::from(count)
            }
        };
        let rate = |count: u32| f64::from(count) * 1000.0 / ms.max(f64::MIN_POSITIVE);
        json!({
            "index": index,
            "content": alternative.text,
            "tokens": [],
            "id_slot": self.slot,
            "stop": true,
            "model": head.model(),
            "tokens_predicted": written,
            "tokens_evaluated": read,
            "has_new_line": alternative.text.contains('\n'),
            "truncated": false,
            "stop_type": stop_type,
            "stopping_word": "",
            "tokens_cached": read.saturating_add(written),
            // Arms do not tell reading from writing: all the time goes to the latter.
            "timings": {
                "prompt_n": read,
                "prompt_ms": 0.0,
                "prompt_per_token_ms": 0.0,
                "prompt_per_second": 0.0,
                "predicted_n": written,
                "predicted_ms": ms,
                "predicted_per_token_ms": each(written),
                "predicted_per_second": rate(written),
            },
        })
    }
}

impl Dialect for LlamaCpp {
    fn whole(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String {
        let mut answers: Vec<Value> = (0..)
            .zip(alternatives)
            .map(|(index, alternative)| self.answer(head, index, alternative, usage))
            .collect();
        match answers.len() {
            1 => answers.remove(0).to_string(),
            _ => Value::Array(answers).to_string(),
        }
    }

    fn piece(&mut self, _: &Head, piece: &Piece) -> Option<String> {
        let Piece::Text { choice, text } = piece else {
            return None;
        };
        let part = json!({
            "index": choice,
            "content": text,
            "tokens": [],
            "stop": false,
            "id_slot": self.slot,
        });
        Some(self.framing().frame(&part.to_string()))
    }

    fn end(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String {
        let last = |(index, alternative): (usize, &Alternative)| {
            let mut silent = alternative.clone();
            silent.text.clear();
            let part = self.answer(head, index, &silent, usage);
            self.framing().frame(&part.to_string())
        };
        alternatives.iter().enumerate().map(last).collect()
    }

    fn error(&self, error: &ApiError) -> Value {
        self::error(error)
    }
}

/// An error as llama.cpp's server writes it: the code is the status, as a number.
pub fn error(error: &ApiError) -> Value {
    json!({"error": {"code": error.status.as_u16(), "message": error.message, "type": error.kind}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DecisionId;

    fn config() -> Config {
        Config::parse("", &|_| None).unwrap()
    }

    fn infill(body: &str) -> Decoded {
        decode_infill(body.as_bytes(), &config()).expect(body)
    }

    fn head() -> Head {
        Head::test(DecisionId::new(), "small@1")
    }

    #[test]
    fn joins_the_current_line_to_the_prefix() {
        let decoded = infill(
            r#"{"id_slot":0,"input_prefix":"a\n","prompt":"b = ","input_suffix":"\nc","model":"","n_predict":128,
                "t_max_predict_ms":250,"samplers":["top_k"],"input_extra":[{"filename":"x","text":"y","time":[1,-2]}]}"#,
        );
        let request = decoded.request;
        assert_eq!(
            (request.prefix.as_str(), request.suffix.as_str()),
            ("a\nb = ", "\nc")
        );
        assert_eq!(
            (
                request.model.as_str(),
                request.max_tokens,
                request.speculative
            ),
            ("echo", 128, false)
        );
        assert_eq!(request.header_context, "<|file_sep|>x\ny\n");
    }

    #[test]
    fn knows_warm_ups_and_requests_made_ahead() {
        let warm_up = infill(r#"{"n_predict":0,"prompt":"","response_fields":[""]}"#);
        assert_eq!(warm_up.request.max_tokens, 0);
        let said = warm_up
            .dialect
            .whole(&head(), &[Alternative::default()], Usage::default());
        assert_eq!(said, r#"{"content":""}"#);
        assert!(infill(r#"{"t_max_predict_ms":1000}"#).request.speculative);
    }

    #[test]
    fn answers_on_one_line_with_the_fields_asked_for() {
        let decoded =
            infill(r#"{"id_slot":3,"response_fields":["timings/prompt_n","truncated","id_slot"]}"#);
        let text =
            decoded
                .dialect
                .whole(&head(), &[Alternative::of_text("x\ny")], Usage::new(7, 2));
        assert_eq!(
            text,
            r#"{"content":"x\ny","id_slot":3,"timings/prompt_n":7,"truncated":false}"#
        );
    }

    #[test]
    fn several_alternatives_are_an_array() {
        let decoded = infill(r#"{"n_cmpl":2}"#);
        assert_eq!(decoded.request.n, 2);
        let two = [Alternative::of_text("x"), Alternative::of_text("y")];
        let text = decoded.dialect.whole(&head(), &two, Usage::default());
        let array: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&array[0]["content"], &array[1]["content"]),
            (&json!("x"), &json!("y"))
        );
        assert_eq!(array[1]["index"], 1);
    }

    #[test]
    fn a_prompt_is_taken_apart_and_streamed_back() {
        let body = br#"{"prompt":"<PRE> def f( <SUF>): <MID>","n_predict":-1,"stream":true,"stop":["\n"]}"#;
        let mut decoded = decode_completion(body, &config()).unwrap();
        assert_eq!(
            (
                decoded.request.prefix.as_str(),
                decoded.request.suffix.as_str()
            ),
            ("def f(", "):")
        );
        assert!(decoded.request.stream && decoded.request.max_tokens > 0);
        let piece = Piece::Text {
            choice: 0,
            text: "x".to_owned(),
        };
        let part = decoded.dialect.piece(&head(), &piece).unwrap();
        let part: Value = serde_json::from_str(part.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(
            (&part["content"], &part["stop"]),
            (&json!("x"), &json!(false))
        );
        let end = decoded
            .dialect
            .end(&head(), &[Alternative::of_text("x")], Usage::default());
        let end: Value = serde_json::from_str(end.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((&end["content"], &end["stop"]), (&json!(""), &json!(true)));
    }

    #[test]
    fn is_told_from_openai_by_its_bound() {
        assert!(is_meant(br#"{"prompt":"x","n_predict":8}"#));
        assert!(!is_meant(
            br#"{"prompt":"x","model":"echo","max_tokens":8}"#
        ));
    }

    #[test]
    fn names_the_field_at_fault() {
        for (body, param) in [
            (r#"{"n_predict":"x"}"#, "n_predict"),
            (r#"{"n_cmpl":0}"#, "n_cmpl"),
            (r#"{"input_prefix":7}"#, "input_prefix"),
        ] {
            let error = decode_infill(body.as_bytes(), &config()).unwrap_err();
            assert!(
                error.status == 400 && error.message.contains(param),
                "{body}: {error:?}"
            );
        }
    }
}
