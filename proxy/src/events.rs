//! What an editor says of a proposal in so many words: `POST /v1/echo/events`, and Tabby's
//! `POST /v1/events`.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use echo_experience::{Event as EventRecord, Record};
use echo_reward::{Event, EventKind};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::caller::Identity;
use crate::dialect::ApiError;
use crate::ids::DecisionId;
use crate::metrics::KindLabel;
use crate::state::Echo;
use crate::watch::EventEffect;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(alias = "completion_id", alias = "request_id")]
    decision_id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, alias = "choice_index")]
    choice: u32,
    #[serde(alias = "accepted_chars")]
    accepted_length: Option<u32>,
    #[serde(alias = "shown_chars")]
    shown_length: Option<u32>,
    text: Option<String>,
}

/// Takes one event. It is answered when it is on disk.
///
/// # Errors
///
/// 400 for a body that is none, 404 for a decision that is not known or of another tenant, 503 when
/// the log does not take it.
pub async fn event(
    echo: &Echo,
    identity: &Identity,
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<Told, ApiError>,
) -> Result<Response, ApiError> {
    let Told { body, id, kind } = decode(bytes)?;
    let event = Event {
        decision: id.as_u128(),
        choice: body.choice,
        kind,
        accepted_chars: body.accepted_length,
        shown_chars: body.shown_length,
        text: body.text.as_deref(),
    };
    let digest = Sha256::digest(bytes);
    let digest = u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default());
    let effect = echo
        .watch
        .event(identity.tenant(), &event, digest, echo.clock.now_ms());
    let (late, change) = match effect {
        EventEffect::Unknown => return Err(unknown()),
        EventEffect::Duplicate => {
            return Ok(Json(json!({"recorded": true, "duplicate": true})).into_response());
        }
        EventEffect::Late => (true, None),
        EventEffect::Taken(change) => (false, change),
    };
    echo.metrics
        .events
        .get_or_create(&KindLabel {
            kind: kind.as_str(),
        })
        .inc();
    let ticket = echo.log.append(Record::Event(EventRecord {
        decision: id.to_string(),
        choice: body.choice,
        at_ms: echo.clock.now_ms(),
        kind: kind.as_str().to_owned(),
        accepted_chars: body.accepted_length,
        text: body.text,
    }));
    echo.record_changes(change.into_iter().collect());
    match tokio::time::timeout(LOG_WAIT, ticket.durable()).await {
        Ok(Ok(_)) => {
            echo.watch.remember(id.as_u128(), digest);
            Ok(Json(json!({"recorded": true, "late": late})).into_response())
        }
        _ => Err(ApiError {
            retry_after_s: Some(1),
            ..ApiError::client(
                StatusCode::SERVICE_UNAVAILABLE,
                "log_unavailable",
                "The event could not be put on record.",
            )
        }),
    }
}

/// How long an event waits to be on disk.
const LOG_WAIT: Duration = Duration::from_secs(2);

/// A decoded event.
pub struct Told {
    body: Body,
    id: DecisionId,
    kind: EventKind,
}

/// Reads an event of our own form.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode(bytes: &[u8]) -> Result<Told, ApiError> {
    let body: Body = read(bytes)?;
    let kind = body.kind.parse().map_err(|_| {
        ApiError::invalid(
            Some("type"),
            "`type` must be shown, accepted, partial, rejected or edited.",
        )
    })?;
    told(body, kind)
}

/// An event as Tabby's plugins send it.
#[derive(Debug, Deserialize)]
struct TabbyBody {
    #[serde(rename = "type")]
    kind: String,
    completion_id: String,
    #[serde(default)]
    choice_index: u32,
}

/// Reads an event of Tabby's form. What a plugin dismissed may have been typed by hand just as it was
/// proposed: later requests overrule it.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode_tabby(bytes: &[u8]) -> Result<Told, ApiError> {
    tabby(bytes, EventKind::Accepted)
}

/// Reads an event of Tabby's form whose query says that a line was selected.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode_tabby_line(bytes: &[u8]) -> Result<Told, ApiError> {
    tabby(bytes, EventKind::Partial)
}

fn tabby(bytes: &[u8], selected: EventKind) -> Result<Told, ApiError> {
    let tabby: TabbyBody = read(bytes)?;
    let kind = match tabby.kind.as_str() {
        "view" => EventKind::Shown,
        "select" => selected,
        "dismiss" => EventKind::Rejected,
        _ => {
            return Err(ApiError::invalid(
                Some("type"),
                "`type` must be view, select or dismiss.",
            ));
        }
    };
    let body = Body {
        decision_id: tabby.completion_id,
        kind: tabby.kind,
        choice: tabby.choice_index,
        accepted_length: None,
        shown_length: None,
        text: None,
    };
    told(body, kind)
}

fn told(body: Body, kind: EventKind) -> Result<Told, ApiError> {
    let id = DecisionId::parse(&body.decision_id).ok_or_else(|| {
        ApiError::invalid(
            Some("decision_id"),
            "`decision_id` is no id of a completion.",
        )
    })?;
    Ok(Told { body, id, kind })
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|e| ApiError::wrong_field(&e))
}

fn unknown() -> ApiError {
    ApiError {
        param: Some("decision_id".to_owned()),
        ..ApiError::client(
            StatusCode::NOT_FOUND,
            "decision_not_found",
            "No such completion is known.",
        )
    }
}
