//! `POST /infill` of llama.cpp's server, as llama.vim and llama.vscode send it.

use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answer::Alternative;
use crate::config::{Config, ROUTED};
use crate::dialect::openai::Usage;
use crate::dialect::{ApiError, Decoded, Dialect};
use crate::reply::Head;
use crate::request::CompletionRequest;
use crate::upstream::Piece;

#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    model: String,
    #[serde(default)]
    input_prefix: String,
    #[serde(default)]
    prompt: String,
    #[serde(default)]
    input_suffix: String,
    n_predict: Option<i64>,
    n_cmpl: Option<u32>,
    #[serde(default)]
    stop: Vec<String>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    #[serde(default)]
    stream: bool,
    t_max_predict_ms: Option<f64>,
    #[serde(default)]
    response_fields: Vec<String>,
}

/// Decodes a body. The prefix is `input_prefix` and `prompt`, the current line up to the cursor.
///
/// llama.vim asks ahead of the user, as if he had taken the proposal that it shows, and gives those
/// requests a longer time to predict: that is how they are known. Requests for no tokens are made so
/// that a server reads its prompt ahead of time.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode(body: &[u8], config: &Config) -> Result<Decoded, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let body: Body =
        serde_path_to_error::deserialize(&mut json).map_err(|e| ApiError::wrong_field(&e))?;
    json.end()
        .map_err(|_| ApiError::invalid(None, "There is something after the JSON object."))?;
    let limits = &config.server;
    let n = body.n_cmpl.unwrap_or(1);
    if n == 0 || n > limits.alternatives_limit {
        let most = limits.alternatives_limit;
        return Err(ApiError::invalid(
            Some("n_cmpl"),
            format!("`n_cmpl` is {n}, and must be from 1 to {most}."),
        ));
    }
    let asked = match body.n_predict {
        None | Some(..0) => limits.max_tokens,
        Some(n) => u32::try_from(n).unwrap_or(u32::MAX),
    };
    let request = CompletionRequest {
        model: if body.model.is_empty() {
            ROUTED.to_owned()
        } else {
            body.model
        },
        prefix: body.input_prefix + &body.prompt,
        suffix: body.input_suffix,
        max_tokens: asked.min(limits.max_tokens_limit),
        temperature: body.temperature,
        top_p: body.top_p,
        stop: body
            .stop
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect(),
        n,
        stream: body.stream,
        speculative: body.t_max_predict_ms.is_some_and(|ms| ms >= SPECULATIVE_MS),
        ..CompletionRequest::default()
    };
    let dialect = Box::new(LlamaCpp {
        fields: body.response_fields,
    });
    Ok(Decoded { request, dialect })
}

/// llama.vim gives requests that it makes ahead of the user this long to predict, in milliseconds;
/// others a quarter of it.
const SPECULATIVE_MS: f64 = 1000.0;

/// How llama.cpp's server writes answers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LlamaCpp {
    /// The fields that the client wants, with `/` between the levels; all of them if it names none.
    fields: Vec<String>,
}

impl LlamaCpp {
    /// llama.vim looks for `"content":"` on one line before it parses: the JSON must be compact.
    fn answer(&self, head: &Head, alternative: &Alternative, usage: Usage) -> Value {
        let mut all = Map::new();
        all.insert("content".to_owned(), json!(alternative.text));
        let facts = [
            ("stop", json!(true)),
            ("model", json!(head.model())),
            ("id_slot", json!(0)),
            ("tokens_predicted", json!(usage.completion_tokens)),
            ("tokens_evaluated", json!(usage.prompt_tokens)),
            ("tokens_cached", json!(0)),
            ("truncated", json!(false)),
            ("timings/prompt_n", json!(usage.prompt_tokens)),
            ("timings/predicted_n", json!(usage.completion_tokens)),
        ];
        let wanted =
            |name: &str| self.fields.is_empty() || self.fields.iter().any(|field| field == name);
        all.extend(
            facts
                .into_iter()
                .filter(|(name, _)| wanted(name))
                .map(|(name, value)| (name.to_owned(), value)),
        );
        let missing = |field: &&String| field.starts_with("timings/") && !all.contains_key(*field);
        let zeros: Vec<String> = self.fields.iter().filter(missing).cloned().collect();
        all.extend(zeros.into_iter().map(|field| (field, json!(0))));
        Value::Object(all)
    }
}

impl Dialect for LlamaCpp {
    fn whole(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String {
        let mut answers: Vec<Value> = alternatives
            .iter()
            .map(|a| self.answer(head, a, usage))
            .collect();
        match answers.len() {
            1 => answers.remove(0).to_string(),
            _ => Value::Array(answers).to_string(),
        }
    }

    fn piece(&self, _: &Head, piece: &Piece) -> Option<String> {
        match piece {
            Piece::Text { choice, text } => Some(event(
                &json!({"index": choice, "content": text, "stop": false}),
            )),
            Piece::End { .. } | Piece::Usage { .. } => None,
        }
    }

    fn end(&self, head: &Head, usage: Usage) -> String {
        event(&self.answer(head, &Alternative::default(), usage))
    }

    fn broken(&self, error: &ApiError) -> String {
        event(&body(error))
    }
}

fn event(json: &Value) -> String {
    format!("data: {json}\n\n")
}

/// An error as llama.cpp's server writes it: the code is the status, as a number.
pub fn error(error: &ApiError) -> Response {
    let mut response = error.clone().into_response();
    *response.body_mut() = body(error).to_string().into();
    response
}

fn body(error: &ApiError) -> Value {
    json!({"error": {"code": error.status.as_u16(), "message": error.message, "type": error.kind}})
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
    fn joins_the_current_line_to_the_prefix() {
        let decoded = decoded(
            r#"{"id_slot":0,"input_prefix":"a\n","prompt":"b = ","input_suffix":"\nc","model":"","n_predict":128,
                "t_max_predict_ms":250,"samplers":["top_k"],"input_extra":[{"filename":"x","text":"y"}]}"#,
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
    }

    #[test]
    fn knows_warm_ups_and_requests_made_ahead() {
        assert_eq!(
            decoded(r#"{"n_predict":0,"prompt":""}"#).request.max_tokens,
            0
        );
        assert!(decoded(r#"{"t_max_predict_ms":1000}"#).request.speculative);
    }

    #[test]
    fn answers_on_one_line_with_the_fields_asked_for() {
        let decoded = decoded(r#"{"response_fields":["content","timings/prompt_ms","truncated"]}"#);
        let head = Head::test(DecisionId::new(), "small@1");
        let alternative = Alternative::of_text("x\ny");
        let text = decoded
            .dialect
            .whole(&head, &[alternative], Usage::default());
        assert_eq!(
            text,
            r#"{"content":"x\ny","timings/prompt_ms":0,"truncated":false}"#
        );
    }
}
