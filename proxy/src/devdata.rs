//! Continue's development data: `POST /continue/devdata`.
//!
//! Continue tells which text it showed and whether that was taken, under an id of its own. So recent
//! answers to it are kept for a while, and an event is joined to the newest one whose place and text
//! agree; it becomes an event as [`crate::events`] takes them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::caller::Identity;
use crate::dialect::ApiError;
use crate::events;
use crate::ids::DecisionId;
use crate::request::CompletionRequest;
use crate::state::Echo;

/// The kind of client that sends such data, as [`Identity`] knows it.
pub const CLIENT: &str = "continue";

/// One answer that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    id: DecisionId,
    choice: u32,
    tenant: String,
    /// The end of the text before the cursor.
    before: String,
    text: String,
}

impl Sent {
    /// An answer to `request`.
    pub fn new(
        id: DecisionId,
        choice: u32,
        tenant: &str,
        request: &CompletionRequest,
        text: &str,
    ) -> Self {
        Self {
            id,
            choice,
            tenant: tenant.to_owned(),
            before: tail(&request.prefix).to_owned(),
            text: text.to_owned(),
        }
    }

    /// Whether `shown` at a place after `before` may be this: Continue often shows the first line only.
    fn is(&self, tenant: &str, before: &str, shown: &str) -> bool {
        self.tenant == tenant
            && is_same_place(self.before.trim_start(), before.trim_start())
            && self.text.trim().starts_with(shown.trim())
    }
}

/// Whether two texts before a cursor, each cut somewhere at its start, may stand before the same one. A
/// short text ends many others, so it must be whole lines of the other, and no text at all is only like
/// itself.
fn is_same_place(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let Some(more) = long.strip_suffix(short) else {
        return false;
    };
    let is_telling = !short.is_empty() && (short.len() >= PLACE_BYTES || more.ends_with('\n'));
    more.is_empty() || is_telling
}

/// Fewer bytes before the cursor than these occur in many places.
const PLACE_BYTES: usize = 20;

fn tail(prefix: &str) -> &str {
    &prefix[prefix.ceil_char_boundary(prefix.len().saturating_sub(TAIL_BYTES))..]
}

/// Bytes before the cursor that tell one place from another.
const TAIL_BYTES: usize = 200;

/// The newest answers, bounded in number.
#[derive(Debug, Default)]
pub struct SentAnswers(Mutex<VecDeque<Sent>>);

impl SentAnswers {
    /// Keeps one more, and drops the oldest in exchange.
    pub fn add(&self, sent: Sent) {
        if sent.text.trim().is_empty() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == ANSWERS {
            kept.pop_front();
        }
        kept.push_back(sent);
    }

    fn find(&self, tenant: &str, before: &str, shown: &str) -> Option<Sent> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept
            .iter()
            .rev()
            .find(|sent| sent.is(tenant, before, shown));
        found.cloned()
    }
}

/// Answers that are kept: several minutes of some hundred users.
const ANSWERS: usize = 2048;

#[derive(Debug, Deserialize)]
struct Body {
    name: String,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
struct Data {
    accepted: Option<bool>,
    prefix: Option<String>,
    completion: Option<String>,
}

/// Takes one piece of data. What cannot be joined to an answer is let pass: the sink is offered
/// everything that Continue has.
///
/// # Errors
///
/// 400 for a body that is none.
pub async fn take(echo: &Echo, identity: &Identity, bytes: &[u8]) -> Result<Response, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let body: Body =
        serde_path_to_error::deserialize(&mut json).map_err(|e| ApiError::wrong_field(&e))?;
    let recorded = match told(echo, identity.tenant(), &body) {
        None => false,
        Some(event) => events::event(echo, identity, event.as_bytes(), events::decode)
            .await
            .is_ok(),
    };
    Ok(Json(json!({"recorded": recorded})).into_response())
}

/// The event in our own form.
fn told(echo: &Echo, tenant: &str, body: &Body) -> Option<String> {
    let data = &body.data;
    let (accepted, shown) = (data.accepted?, data.completion.as_deref()?);
    if body.name != "autocomplete" || shown.trim().is_empty() {
        return None;
    }
    let before = tail(data.prefix.as_deref()?);
    let sent = echo.sent.find(tenant, before, shown)?;
    // Its text may have been trimmed on either side.
    let from = sent.text.find(shown.trim()).unwrap_or_default();
    let shown_to = sent.text[..from + shown.trim().len()].chars().count();
    let event = json!({
        "decision_id": sent.id.to_string(),
        "choice": sent.choice,
        "type": if accepted { "accepted" } else { "rejected" },
        "shown_length": shown_to,
    });
    Some(event.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(prefix: &str, text: &str) -> Sent {
        let request = CompletionRequest {
            prefix: prefix.to_owned(),
            ..CompletionRequest::default()
        };
        Sent::new(DecisionId::new(), 0, "t", &request, text)
    }

    #[test]
    fn the_newest_answer_whose_place_and_text_agree_is_found() {
        let answers = SentAnswers::default();
        answers.add(sent("def f(", "a, b"));
        let newest = sent("def f(", "a, b):\n    return");
        answers.add(newest.clone());
        answers.add(sent("def f(", " "));
        let found = answers.find("t", "# calc.py\ndef f(", "a, b):").unwrap();
        assert_eq!(found.id, newest.id);
        assert!(answers.find("other", "def f(", "a, b").is_none());
        assert!(answers.find("t", "def g(", "a, b").is_none());
        assert!(answers.find("t", "def f(", "c").is_none());
    }

    #[test]
    fn a_short_text_before_the_cursor_is_not_every_place() {
        assert!(is_same_place("", "") && is_same_place("a = 1\nb = ", "b = "));
        assert!(is_same_place(
            "the_rest_of_a_long_line(",
            "and_the_rest_of_a_long_line("
        ));
        assert!(!is_same_place("", "b = ") && !is_same_place("bb = ", "b = "));
        assert!(!is_same_place("b = ", "c = "));
    }

    #[test]
    fn answers_are_bounded() {
        let answers = SentAnswers::default();
        for _ in 0..=ANSWERS {
            answers.add(sent("x", "y"));
        }
        assert_eq!(answers.0.lock().unwrap().len(), ANSWERS);
    }
}
