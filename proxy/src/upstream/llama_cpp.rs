//! llama.cpp's `/infill`: the server knows its model's template.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::exchange::{self, Dialect};
use super::{Ask, Ending, Piece, PieceStream, choice_seed};
use crate::fim;
use crate::request::CompletionRequest;

/// Asks for one choice; its pieces have the number 0. A template of the arm is not used: the server
/// has its own.
pub(super) async fn open(
    endpoint: &Endpoint,
    ask: &Ask,
    request: &Arc<CompletionRequest>,
    choice: u32,
) -> Result<PieceStream, UpstreamError> {
    let response = endpoint
        .post(&Body::new(ask, request, choice), request)
        .await?;
    Ok(exchange::read(response, Answer::default()))
}

/// The request. The server puts `prompt` after the middle token, so it is the cursor's line up to
/// the cursor, as the editors' plugins send it.
#[derive(Debug, Serialize)]
struct Body<'a> {
    input_prefix: &'a str,
    input_suffix: &'a str,
    prompt: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    input_extra: Vec<Extra>,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    n_predict: u32,
    stream: bool,
    cache_prompt: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Extra {
    filename: String,
    text: String,
}

impl<'a> Body<'a> {
    fn new(ask: &'a Ask, request: &'a CompletionRequest, choice: u32) -> Self {
        let line = request.prefix.rfind('\n').map_or(0, |at| at + 1);
        let (input_prefix, prompt) = request.prefix.split_at(line);
        let extra = fim::sections(&request.header_context);
        Self {
            input_prefix,
            input_suffix: &request.suffix,
            prompt,
            input_extra: extra
                .into_iter()
                .map(|(filename, text)| Extra { filename, text })
                .collect(),
            model: &ask.model,
            n_predict: ask.max_tokens(request),
            stream: request.stream,
            cache_prompt: true,
            stop: &request.stop,
            temperature: request.temperature,
            top_p: request.top_p,
            // The server reads 32 bits.
            seed: choice_seed(request, choice).map(|seed| seed & u64::from(u32::MAX)),
        }
    }
}

#[derive(Debug, Default)]
struct Answer {
    ended: bool,
}

impl Dialect for Answer {
    const LINES: bool = false;

    fn document(
        &mut self,
        document: &[u8],
        pieces: &mut VecDeque<Piece>,
    ) -> Result<(), UpstreamError> {
        let chunk: Chunk = serde_json::from_slice(document)
            .map_err(|_| UpstreamError::Protocol("an event is no infill"))?;
        if chunk.error.is_some_and(|error| !error.is_null()) {
            return Err(UpstreamError::Reported);
        }
        let Some(text) = chunk.content else {
            return Err(UpstreamError::Protocol("an event has no content"));
        };
        if self.ended {
            return Ok(());
        }
        if !text.is_empty() {
            pieces.push_back(Piece::Text { choice: 0, text });
        }
        if chunk.stop.unwrap_or(false) {
            self.ended = true;
            let length =
                chunk.stopped_limit.unwrap_or(false) || chunk.stop_type.as_deref() == Some("limit");
            pieces.push_back(Piece::Usage {
                prompt_tokens: chunk.tokens_evaluated,
                completion_tokens: chunk.tokens_predicted,
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
    content: Option<String>,
    stop: Option<bool>,
    stop_type: Option<String>,
    stopped_limit: Option<bool>,
    tokens_evaluated: Option<u32>,
    tokens_predicted: Option<u32>,
    error: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_prefix_is_cut_at_the_cursors_line() {
        let request = CompletionRequest {
            prefix: "def f():\n    ret".into(),
            suffix: "\n\nx = 1\n".into(),
            header_context: "<|file_sep|>a.py\nA = 1\n".into(),
            max_tokens: 32,
            seed: Some(u64::from(u32::MAX)),
            n: 2,
            stream: true,
            ..Default::default()
        };
        let sent = serde_json::to_value(Body::new(&Ask::default(), &request, 1)).unwrap();
        let expected = json!({"input_prefix": "def f():\n", "prompt": "    ret", "input_suffix": "\n\nx = 1\n",
            "input_extra": [{"filename": "a.py", "text": "A = 1\n"}], "n_predict": 32, "stream": true,
            "cache_prompt": true, "seed": 0});
        assert_eq!(sent, expected);
    }

    #[test]
    fn old_and_new_servers_ends_are_read() {
        let read = |document: &str| {
            let mut pieces = VecDeque::new();
            Answer::default()
                .document(document.as_bytes(), &mut pieces)
                .map(|()| Vec::from(pieces))
        };
        let end = |ending| Piece::End { choice: 0, ending };
        let usage = Piece::Usage {
            prompt_tokens: Some(9),
            completion_tokens: Some(4),
        };
        let no_usage = Piece::Usage {
            prompt_tokens: None,
            completion_tokens: None,
        };
        let text = Piece::Text {
            choice: 0,
            text: "a".into(),
        };
        assert_eq!(
            read(r#"{"content":"a","stop":false,"id_slot":0}"#).unwrap(),
            std::slice::from_ref(&text)
        );
        assert_eq!(read(r#"{"content":"","stop":true,"stop_type":"limit","tokens_evaluated":9,"tokens_predicted":4}"#).unwrap(), [usage, end(Ending::Length)]);
        assert_eq!(
            read(r#"{"content":"a","stop":true,"stopped_limit":false,"stopped_eos":true}"#)
                .unwrap(),
            [text, no_usage, end(Ending::Stop)]
        );
        assert_eq!(
            read(r#"{"error":{"code":500,"message":"x"}}"#),
            Err(UpstreamError::Reported)
        );
        for document in ["{}", "[]", "x", r#"{"content":7}"#] {
            assert!(
                matches!(read(document), Err(UpstreamError::Protocol(_))),
                "{document}"
            );
        }
    }
}
