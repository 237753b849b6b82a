//! `POST /v1/chat/completions` as `OpenAI` defines it. Editors send fill-in requests this way too.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Alternative;
use crate::config::Config;
use crate::dialect::body::{Stop, StreamOptions, alternatives, check_sampling, place_cursor, read};
use crate::dialect::openai::{DONE, Usage};
use crate::dialect::{ApiError, Decoded, Dialect};
use crate::fim::{self, hole};
use crate::reply::Head;
use crate::request::CompletionRequest;
use crate::upstream::Piece;

#[derive(Debug, Deserialize)]
struct Body {
    model: String,
    messages: Vec<Message>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    n: Option<u32>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    stop: Option<Stop>,
    user: Option<String>,
    seed: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

impl Message {
    fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts.iter().map(|part| part.text.as_str()).collect(),
        }
    }
}

/// Decodes a body. What is to be completed is in the user's last message: at the cursor of a fill-in
/// prompt, or else at the message's end, with the messages before it as context.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode(body: &[u8], config: &Config) -> Result<Decoded, ApiError> {
    let body: Body = read(body)?;
    check_sampling(body.temperature, body.top_p)?;
    let asked = body.max_completion_tokens.or(body.max_tokens);
    let max_tokens = asked.unwrap_or(config.server.max_tokens);
    let mut request = CompletionRequest {
        model: body.model,
        max_tokens: max_tokens.min(config.server.max_tokens_limit),
        temperature: body.temperature,
        top_p: body.top_p,
        seed: body.seed,
        stop: Stop::texts(body.stop)?,
        n: alternatives("n", body.n, config)?,
        stream: body.stream.unwrap_or(false),
        user: body.user.filter(|user| !user.is_empty()),
        ..CompletionRequest::default()
    };
    let (last, before) = last_message(&body.messages)?;
    let text = last.text();
    request.parted_by = hole::parted_by(&text);
    if !place_cursor(&mut request, text, None) {
        request.header_context = before.iter().map(|said| said.text() + "\n").collect();
    }
    let include_usage = StreamOptions::usage(body.stream_options);
    let dialect = Box::new(Chat::of_openai(include_usage));
    Ok(Decoded { request, dialect })
}

fn last_message(messages: &[Message]) -> Result<(&Message, &[Message]), ApiError> {
    let last = messages.iter().rposition(|said| said.role == "user");
    let last = last.or_else(|| messages.len().checked_sub(1));
    let last =
        last.ok_or_else(|| ApiError::invalid(Some("messages"), "`messages` must hold a message."))?;
    Ok((&messages[last], &messages[..last]))
}

/// Whether a body asks to fill in code, so that it is for the arms; any other chat may be for an
/// upstream that chats better.
pub fn fills_in(body: &[u8]) -> bool {
    let Ok(body) = read::<Body>(body) else {
        return true;
    };
    last_message(&body.messages).map_or(true, |(last, _)| {
        let text = last.text();
        hole::find(&text).is_some() || fim::parse(&text).is_some()
    })
}

/// How answers in the shape of a chat are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chat {
    usage: Counted,
    /// The alternatives that have begun: the first piece of each names the role.
    begun: Vec<u32>,
}

/// Where a streamed answer tells its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Nowhere,
    /// In a chunk of its own, without a choice: `OpenAI`.
    Apart,
    /// In the chunk that ends the answer: Mistral, whose clients expect a choice in each.
    InLast,
}

impl Chat {
    fn of_openai(include_usage: bool) -> Self {
        let usage = if include_usage {
            Counted::Apart
        } else {
            Counted::Nowhere
        };
        Self {
            usage,
            begun: Vec::new(),
        }
    }

    /// Mistral's way to stream.
    pub(super) fn of_mistral() -> Self {
        Self {
            usage: Counted::InLast,
            begun: Vec::new(),
        }
    }

    fn chunk(&self, head: &Head, choices: &[Value], usage: Option<Usage>) -> String {
        let json = answer("chat.completion.chunk", head, choices, usage);
        self.framing().frame(&json)
    }
}

impl Dialect for Chat {
    fn whole(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String {
        let choice = |(index, alternative): (usize, &Alternative)| {
            json!({
                "index": index,
                "message": {"role": "assistant", "content": alternative.text},
                "logprobs": null,
                "finish_reason": alternative.finish_reason(),
            })
        };
        let choices: Vec<Value> = alternatives.iter().enumerate().map(choice).collect();
        answer("chat.completion", head, &choices, Some(usage))
    }

    fn piece(&mut self, head: &Head, piece: &Piece) -> Option<String> {
        let choice = match piece {
            Piece::Text { choice, text } => {
                let mut delta = json!({"content": text});
                if !self.begun.contains(choice) {
                    self.begun.push(*choice);
                    delta["role"] = json!("assistant");
                }
                part(*choice, &delta, None)
            }
            Piece::End { .. } if self.usage == Counted::InLast => return None,
            Piece::End { choice, ending } => part(*choice, &json!({}), Some(ending.as_str())),
            Piece::Usage { .. } => return None,
        };
        Some(self.chunk(head, &[choice], None))
    }

    fn end(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String {
        let last = match self.usage {
            Counted::Nowhere => String::new(),
            Counted::Apart => self.chunk(head, &[], Some(usage)),
            Counted::InLast => {
                let ended = (0..).zip(alternatives).map(|(choice, alternative)| {
                    let reason = alternative.finish_reason();
                    part(choice, &json!({"content": ""}), Some(reason))
                });
                self.chunk(head, &ended.collect::<Vec<_>>(), Some(usage))
            }
        };
        last + DONE
    }
}

fn part(choice: u32, delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({"index": choice, "delta": delta, "logprobs": null, "finish_reason": finish_reason})
}

fn answer(object: &str, head: &Head, choices: &[Value], usage: Option<Usage>) -> String {
    let mut answer = json!({
        "id": head.id.completion(),
        "object": object,
        "created": head.created_s,
        "model": head.model(),
        "choices": choices,
    });
    if let Some(usage) = usage {
        answer["usage"] = json!(usage);
    }
    answer.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DecisionId;
    use crate::upstream::Ending;

    fn decoded(text: &str) -> CompletionRequest {
        let body = json!({"model": "echo", "messages": [
            {"role": "system", "content": "Fill in."},
            {"role": "user", "content": text},
        ]});
        let config = Config::parse("", &|_| None).unwrap();
        decode(body.to_string().as_bytes(), &config)
            .expect(text)
            .request
    }

    #[test]
    fn minuets_prompt_is_read_in_both_orders() {
        let head = "# language: python\n# indentation: use 4 spaces for a tab\n";
        let before = "<contextBeforeCursor>\ndef f(<cursorPosition>";
        let after = "<contextAfterCursor>\n):\n    pass";
        let prompts = [
            format!("{head}{before}\n{after}"),
            format!("{head}{after}\n{before}"),
        ];
        for text in prompts {
            let request = decoded(&text);
            assert_eq!(
                (request.prefix.as_str(), request.suffix.as_str()),
                ("def f(", "):\n    pass"),
                "{text}"
            );
            assert_eq!(request.language.as_deref(), Some("python"));
        }
    }

    #[test]
    fn a_plain_message_is_completed_at_its_end() {
        let request = decoded("def f(");
        assert_eq!(
            (request.prefix.as_str(), request.header_context.as_str()),
            ("def f(", "Fill in.\n")
        );
        let twinny = decoded("<fim_prefix>a<fim_suffix>b<fim_middle>");
        assert_eq!((twinny.prefix.as_str(), twinny.suffix.as_str()), ("a", "b"));
    }

    #[test]
    fn parts_of_a_message_are_joined_and_wrong_ones_named() {
        let config = Config::parse("", &|_| None).unwrap();
        let parts = br#"{"model":"echo","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#;
        assert_eq!(decode(parts, &config).unwrap().request.prefix, "ab");
        for (body, param) in [
            (r#"{"messages":[]}"#, "model"),
            (r#"{"model":"m","messages":[]}"#, "messages"),
            (r#"{"model":"m","messages":"x"}"#, "messages"),
        ] {
            let error = decode(body.as_bytes(), &config).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn only_prompts_with_a_place_to_fill_are_for_the_arms_alone() {
        let body = |text: &str| {
            let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
            body.to_string()
        };
        assert!(!fills_in(body("What is Rust?").as_bytes()));
        assert!(fills_in(
            body("<fim_prefix>a<fim_suffix>b<fim_middle>").as_bytes()
        ));
    }

    #[test]
    fn a_stream_names_the_role_once_and_mistral_counts_in_its_last_chunk() {
        let head = Head::test(DecisionId::new(), "small@1");
        let text = Piece::Text {
            choice: 0,
            text: "x".to_owned(),
        };
        let end = Piece::End {
            choice: 0,
            ending: Ending::Stop,
        };
        let read = |part: String| -> Value {
            let json = part.strip_prefix("data: ").unwrap().lines().next().unwrap();
            serde_json::from_str(json).unwrap()
        };
        let mut openai = Chat::of_openai(false);
        let first = read(openai.piece(&head, &text).unwrap());
        assert_eq!(
            first["choices"][0]["delta"],
            json!({"role": "assistant", "content": "x"})
        );
        let second = read(openai.piece(&head, &text).unwrap());
        assert_eq!(second["choices"][0]["delta"], json!({"content": "x"}));
        let last = read(openai.piece(&head, &end).unwrap());
        assert_eq!(last["choices"][0]["finish_reason"], "stop");
        assert_eq!(openai.end(&head, &[], Usage::default()), DONE);

        let mut mistral = Chat::of_mistral();
        assert!(mistral.piece(&head, &end).is_none());
        let last = read(mistral.end(&head, &[Alternative::of_text("x")], Usage::new(2, 1)));
        assert_eq!(last["choices"][0]["delta"]["content"], "");
        assert_eq!(last["usage"]["total_tokens"], 3);
    }
}
