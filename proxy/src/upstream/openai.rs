//! `OpenAI`'s `/completions`, as it is and as others speak it.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::exchange::{self, Dialect};
use super::{Ask, Ending, Piece, PieceStream, cut};
use crate::fim::{self, strip_tokens};
use crate::request::CompletionRequest;

pub(super) async fn open(
    endpoint: &Endpoint,
    ask: &Ask,
    request: &Arc<CompletionRequest>,
) -> Result<PieceStream, UpstreamError> {
    let response = endpoint.post(&Body::new(ask, request), request).await?;
    let answer = exchange::read(response, Answer::new(request.n));
    Ok(cut::at_stop_tokens(answer, ask.template, request.n))
}

/// The request. The user's name is not passed on; `n` only when it is not 1, since some servers do
/// not know it.
#[derive(Debug, Serialize)]
struct Body<'a> {
    model: &'a str,
    prompt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suffix: Option<&'a str>,
    max_tokens: u32,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

impl<'a> Body<'a> {
    fn new(ask: &'a Ask, request: &'a CompletionRequest) -> Self {
        let (prompt, suffix) = match ask.template {
            Some(family) => (
                fim::render(
                    family,
                    &request.prefix,
                    &request.suffix,
                    &request.header_context,
                ),
                None,
            ),
            None => (
                with_context(request),
                Some(request.suffix.as_str()).filter(|suffix| !suffix.is_empty()),
            ),
        };
        Self {
            model: &ask.model,
            prompt,
            suffix,
            max_tokens: ask.max_tokens(request),
            stream: request.stream,
            stop: ask.stops(request),
            n: (request.n > 1).then_some(request.n),
            temperature: request.temperature,
            top_p: request.top_p,
            seed: request.seed,
        }
    }
}

/// The prefix after the context, which loses its tokens: the server will not read them as its own.
pub(super) fn with_context(request: &CompletionRequest) -> String {
    let context = strip_tokens(&request.header_context);
    let end = if context.is_empty() || context.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    [&context, end, &request.prefix].concat()
}

/// What has been said of each choice.
#[derive(Debug)]
struct Answer {
    ended: Vec<bool>,
}

impl Answer {
    fn new(n: u32) -> Self {
        Self {
            ended: vec![false; n.max(1) as usize],
        }
    }

    fn end(&mut self, choice: u32, ending: Ending, pieces: &mut VecDeque<Piece>) {
        if !std::mem::replace(&mut self.ended[choice as usize], true) {
            pieces.push_back(Piece::End { choice, ending });
        }
    }

    fn choice(
        &mut self,
        choice: Choice,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<(), UpstreamError> {
        let index = choice.index.unwrap_or(0);
        let Some(ended) = self.ended.get(index as usize) else {
            return Err(UpstreamError::Protocol(
                "it has a choice that nobody asked for",
            ));
        };
        let text = choice
            .text
            .or_else(|| choice.delta.or(choice.message)?.content)
            .unwrap_or_default();
        if !text.is_empty() && !ended {
            pieces.push_back(Piece::Text {
                choice: index,
                text,
            });
        }
        match choice.finish_reason.as_deref() {
            None | Some("") => {}
            Some("length") => self.end(index, Ending::Length, pieces),
            Some(_) => self.end(index, Ending::Stop, pieces),
        }
        Ok(())
    }
}

impl Dialect for Answer {
    const LINES: bool = false;

    fn document(
        &mut self,
        document: &[u8],
        pieces: &mut VecDeque<Piece>,
    ) -> Result<(), UpstreamError> {
        let chunk: Chunk = serde_json::from_slice(document)
            .map_err(|_| UpstreamError::Protocol("an event is no completion"))?;
        if chunk.error.is_some_and(|error| !error.is_null()) {
            return Err(UpstreamError::Reported);
        }
        if chunk.choices.is_none() && chunk.usage.is_none() {
            return Err(UpstreamError::Protocol("an event has no choices"));
        }
        for choice in chunk.choices.unwrap_or_default() {
            self.choice(choice, pieces)?;
        }
        if let Some(Usage {
            prompt_tokens,
            completion_tokens,
        }) = chunk.usage
        {
            pieces.push_back(Piece::Usage {
                prompt_tokens,
                completion_tokens,
            });
        }
        Ok(())
    }

    fn done(&mut self, pieces: &mut VecDeque<Piece>) {
        for choice in 0..u32::try_from(self.ended.len()).unwrap_or(u32::MAX) {
            self.end(choice, Ending::Stop, pieces);
        }
    }

    fn complete(&self) -> bool {
        self.ended.iter().all(|ended| *ended)
    }
}

#[derive(Debug, Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Usage>,
    error: Option<serde_json::Value>,
}

/// A choice in the form of text completions, or of chat (Mistral answers fill-in requests so).
#[derive(Debug, Deserialize)]
struct Choice {
    index: Option<u32>,
    text: Option<String>,
    delta: Option<Message>,
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fim::FimTemplate;
    use serde_json::{Value, json};

    fn request() -> CompletionRequest {
        CompletionRequest {
            prefix: "def f(".into(),
            suffix: ")".into(),
            user: Some("someone".into()),
            max_tokens: 64,
            n: 1,
            stream: true,
            ..Default::default()
        }
    }

    fn body(ask: &Ask, request: &CompletionRequest) -> Value {
        serde_json::to_value(Body::new(ask, request)).unwrap()
    }

    #[test]
    fn a_request_has_the_fields_that_were_asked_for_and_no_others() {
        let ask = Ask {
            model: "m".into(),
            ..Ask::default()
        };
        let plain = json!({"model": "m", "prompt": "def f(", "suffix": ")", "max_tokens": 64, "stream": true});
        assert_eq!(body(&ask, &request()), plain);
        let full = CompletionRequest {
            suffix: String::new(),
            header_context: "<|file_sep|>a.py\nx".into(),
            temperature: Some(0.2),
            top_p: Some(0.9),
            seed: Some(7),
            stop: vec!["\n\n".into()],
            n: 3,
            ..request()
        };
        let expected = json!({"model": "m", "prompt": "a.py\nx\ndef f(", "max_tokens": 64, "stream": true,
            "stop": ["\n\n"], "n": 3, "temperature": 0.2, "top_p": 0.9, "seed": 7});
        assert_eq!(body(&ask, &full), expected);
    }

    #[test]
    fn a_template_renders_the_prompt_and_adds_its_stops_up_to_four() {
        let ask = Ask {
            model: "m".into(),
            template: Some(FimTemplate::StarCoder),
            max_tokens: Some(16),
        };
        let request = CompletionRequest {
            stop: vec!["\n".into(), "}".into()],
            ..request()
        };
        let sent = body(&ask, &request);
        assert_eq!(
            sent["prompt"],
            "<fim_prefix>def f(<fim_suffix>)<fim_middle>"
        );
        assert_eq!(sent.get("suffix"), None);
        assert_eq!(sent["max_tokens"], 16);
        assert_eq!(
            sent["stop"],
            json!(["\n", "}", "<|endoftext|>", "<file_sep>"])
        );
    }

    fn read(n: u32, document: &str) -> Result<Vec<Piece>, UpstreamError> {
        let mut pieces = VecDeque::new();
        Answer::new(n).document(document.as_bytes(), &mut pieces)?;
        Ok(pieces.into())
    }

    #[test]
    fn text_and_chat_shaped_choices_are_read() {
        let text = |choice, text: &str| Piece::Text {
            choice,
            text: text.into(),
        };
        let end = |choice, ending| Piece::End { choice, ending };
        assert_eq!(
            read(1, r#"{"choices":[{"text":"a"}]}"#).unwrap(),
            [text(0, "a")]
        );
        assert_eq!(
            read(
                2,
                r#"{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"length"}]}"#
            )
            .unwrap(),
            [text(1, "b"), end(1, Ending::Length)]
        );
        assert_eq!(
            read(
                1,
                r#"{"choices":[{"message":{"content":"c"},"finish_reason":"stop"}],"error":null}"#
            )
            .unwrap(),
            [text(0, "c"), end(0, Ending::Stop)]
        );
        let usage = Piece::Usage {
            prompt_tokens: Some(3),
            completion_tokens: Some(4),
        };
        assert_eq!(
            read(
                1,
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#
            )
            .unwrap(),
            [usage]
        );
        assert_eq!(
            read(
                1,
                r#"{"choices":[{"text":"","finish_reason":null}],"usage":null}"#
            )
            .unwrap(),
            []
        );
    }

    #[test]
    fn what_is_no_completion_is_refused() {
        for document in [
            "",
            "{",
            "[]",
            "{}",
            "7",
            r#"{"choices":[{"index":5,"text":"x"}]}"#,
            r#"{"choices":[{"index":4000000000}]}"#,
            r#"{"choices":[{"text":7}]}"#,
            "{\"choices\":[{\"text\":\"\u{0}\"}]}",
        ] {
            assert!(
                matches!(read(1, document), Err(UpstreamError::Protocol(_))),
                "{document:?}"
            );
        }
        assert_eq!(
            read(1, r#"{"error":{"message":"no"}}"#),
            Err(UpstreamError::Reported)
        );
    }

    #[test]
    fn a_choice_ends_once_and_has_no_text_after() {
        let (mut answer, mut pieces) = (Answer::new(2), VecDeque::new());
        for document in [
            r#"{"choices":[{"text":"a","finish_reason":"stop"}]}"#,
            r#"{"choices":[{"text":"b","finish_reason":"stop"}]}"#,
        ] {
            answer.document(document.as_bytes(), &mut pieces).unwrap();
        }
        assert_eq!(pieces.len(), 2);
        assert!(!answer.complete());
        answer.done(&mut pieces);
        assert_eq!(
            pieces.back(),
            Some(&Piece::End {
                choice: 1,
                ending: Ending::Stop
            })
        );
        assert!(answer.complete() && pieces.len() == 3);
    }
}
