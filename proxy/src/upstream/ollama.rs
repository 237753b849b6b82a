//! Ollama's `/api/generate`.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::exchange::{self, Dialect};
use super::openai::with_context;
use super::{Ask, Ending, Piece, PieceStream, choice_seed, cut};
use crate::fim;
use crate::request::CompletionRequest;

/// Asks for one choice; its pieces have the number 0.
pub(super) async fn open(
    endpoint: &Endpoint,
    ask: &Ask,
    request: &Arc<CompletionRequest>,
    choice: u32,
) -> Result<PieceStream, UpstreamError> {
    let response = endpoint
        .post(&Body::new(ask, request, choice), request)
        .await?;
    let answer = exchange::read(response, Answer::default());
    Ok(cut::at_stop_tokens(answer, ask.template, 1))
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    model: &'a str,
    prompt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suffix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<bool>,
    stream: bool,
    options: Options,
}

#[derive(Debug, Serialize)]
struct Options {
    num_predict: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

impl<'a> Body<'a> {
    /// With a template the prompt is sent raw. Without one Ollama fills in its model's template, but
    /// takes an empty suffix for a chat: a line end stands for it.
    fn new(ask: &'a Ask, request: &'a CompletionRequest, choice: u32) -> Self {
        let (prompt, suffix, raw) = match ask.template {
            Some(family) => (
                fim::render(
                    family,
                    &request.prefix,
                    &request.suffix,
                    &request.header_context,
                ),
                None,
                Some(true),
            ),
            None => (
                with_context(request),
                Some(if request.suffix.is_empty() {
                    "\n"
                } else {
                    request.suffix.as_str()
                }),
                None,
            ),
        };
        let options = Options {
            num_predict: ask.max_tokens(request),
            stop: ask.stops(request),
            temperature: request.temperature,
            top_p: request.top_p,
            // The server reads 32 bits with a sign.
            seed: choice_seed(request, choice).map(|seed| seed & u64::from(u32::MAX >> 1)),
        };
        Self {
            model: &ask.model,
            prompt,
            suffix,
            raw,
            stream: request.stream,
            options,
        }
    }
}

#[derive(Debug, Default)]
struct Answer {
    ended: bool,
}

impl Dialect for Answer {
    const LINES: bool = true;

    fn document(
        &mut self,
        document: &[u8],
        pieces: &mut VecDeque<Piece>,
    ) -> Result<(), UpstreamError> {
        let chunk: Chunk = serde_json::from_slice(document)
            .map_err(|_| UpstreamError::Protocol("a line is no answer of Ollama's"))?;
        if chunk.error.is_some_and(|error| !error.is_null()) {
            return Err(UpstreamError::Reported);
        }
        let (text, Some(done)) = (chunk.response.unwrap_or_default(), chunk.done) else {
            return Err(UpstreamError::Protocol("a line says nothing of the answer"));
        };
        if self.ended {
            return Ok(());
        }
        if !text.is_empty() {
            pieces.push_back(Piece::Text { choice: 0, text });
        }
        if done {
            self.ended = true;
            let length = chunk.done_reason.as_deref() == Some("length");
            pieces.push_back(Piece::Usage {
                prompt_tokens: chunk.prompt_eval_count,
                completion_tokens: chunk.eval_count,
            });
            pieces.push_back(Piece::End {
                choice: 0,
                ending: if length { Ending::Length } else { Ending::Stop },
            });
        }
        Ok(())
    }

    fn done(&mut self, pieces: &mut VecDeque<Piece>) {
        if !std::mem::replace(&mut self.ended, true) {
            pieces.push_back(Piece::End {
                choice: 0,
                ending: Ending::Stop,
            });
        }
    }

    fn complete(&self) -> bool {
        self.ended
    }
}

#[derive(Debug, Deserialize)]
struct Chunk {
    response: Option<String>,
    done: Option<bool>,
    done_reason: Option<String>,
    prompt_eval_count: Option<u32>,
    eval_count: Option<u32>,
    error: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fim::FimTemplate;
    use serde_json::json;

    fn sent(ask: &Ask, suffix: &str) -> serde_json::Value {
        let request = CompletionRequest {
            prefix: "p".into(),
            suffix: suffix.into(),
            max_tokens: 8,
            n: 1,
            temperature: Some(0.0),
            ..Default::default()
        };
        serde_json::to_value(Body::new(ask, &request, 0)).unwrap()
    }

    #[test]
    fn the_server_fills_in_its_template_or_gets_the_prompt_raw() {
        let native = Ask {
            model: "m".into(),
            ..Ask::default()
        };
        let options = json!({"num_predict": 8, "temperature": 0.0});
        assert_eq!(
            sent(&native, "s"),
            json!({"model": "m", "prompt": "p", "suffix": "s", "stream": false, "options": options})
        );
        assert_eq!(sent(&native, "")["suffix"], "\n");
        let raw = sent(
            &Ask {
                template: Some(FimTemplate::Codestral),
                ..native
            },
            "s",
        );
        assert_eq!(
            (&raw["prompt"], &raw["raw"], raw.get("suffix")),
            (&json!("[SUFFIX]s[PREFIX]p"), &json!(true), None)
        );
        assert_eq!(raw["options"]["stop"], json!(["[PREFIX]", "[SUFFIX]"]));
    }

    #[test]
    fn lines_are_read() {
        let read = |document: &str| {
            let mut pieces = VecDeque::new();
            Answer::default()
                .document(document.as_bytes(), &mut pieces)
                .map(|()| Vec::from(pieces))
        };
        assert_eq!(
            read(r#"{"model":"m","response":"a","done":false}"#).unwrap(),
            [Piece::Text {
                choice: 0,
                text: "a".into()
            }]
        );
        let last = read(r#"{"response":"","done":true,"done_reason":"length","prompt_eval_count":3,"eval_count":2}"#).unwrap();
        assert_eq!(
            last,
            [
                Piece::Usage {
                    prompt_tokens: Some(3),
                    completion_tokens: Some(2)
                },
                Piece::End {
                    choice: 0,
                    ending: Ending::Length
                }
            ]
        );
        assert_eq!(
            read(r#"{"error":"m does not support insert"}"#),
            Err(UpstreamError::Reported)
        );
        for document in ["{}", "null", "<html>", r#"{"done":"yes"}"#] {
            assert!(
                matches!(read(document), Err(UpstreamError::Protocol(_))),
                "{document}"
            );
        }
    }
}
