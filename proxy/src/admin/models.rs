//! Arms: listed, added, promoted, retired, rolled back.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminError;
use super::policies::{Answer, on_disk, read};
use crate::config::ArmFile;
use crate::gatekeeper::{AskedBy, Question};
use crate::roster::{Added, Book, BookError, RosterError, Stage};
use crate::state::Echo;

/// A version of an arm to put on trial.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    arm: Value,
    share: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Force {
    force: bool,
}

pub(super) async fn list(State(echo): State<Arc<Echo>>) -> Json<Value> {
    let live = echo.live.load_full();
    let book = echo.roster.book();
    let mut all: Vec<Value> = Vec::new();
    for arm in live.arms.iter() {
        let added = book.added.iter().find(|added| added.id() == arm.id());
        let settings = arm.settings();
        all.push(json!({
            "arm": arm.id(),
            "kind": settings.kind.as_str(),
            "model": settings.model,
            "standing": standing(added),
            "share_most": added.filter(|added| added.stage == Stage::Trial).map(|added| added.share),
            "available": arm.eligible(),
        }));
    }
    let retired = book
        .added
        .iter()
        .filter(|added| added.stage == Stage::Retired);
    let retired = retired.map(Added::id).chain(book.retired.iter().cloned());
    all.extend(retired.map(|id| json!({"arm": id, "standing": "retired", "available": false})));
    Json(json!({"models": all}))
}

fn standing(added: Option<&Added>) -> &'static str {
    match added.map(|added| added.stage) {
        None => "configured",
        Some(Stage::Trial) => "trial",
        Some(Stage::Promoted) => "promoted",
        Some(Stage::Retired) => "retired",
    }
}

/// Puts an arm on trial: without a version, under the next one of its name.
pub(super) async fn add(State(echo): State<Arc<Echo>>, body: Bytes) -> Answer {
    let Add { mut arm, share } = read(&body)?;
    let id = on_disk(&echo, move |echo| {
        let share = share.unwrap_or(echo.live.load().config.gate.file.trial_share);
        echo.roster.change(echo, "added", |book, known| {
            let name = arm["name"].as_str().unwrap_or_default().to_owned();
            if let Some(fields) = arm.as_object_mut() {
                fields
                    .entry("version")
                    .or_insert(book.next_version(&name, known).into());
            }
            let arm: ArmFile = serde_json::from_value(arm).map_err(|error| {
                RosterError::Config(crate::config::ConfigError::Syntax(error.to_string()))
            })?;
            let added = Added {
                arm,
                stage: Stage::Trial,
                share,
                after_seq: *echo.log.durable().borrow(),
                at_ms: echo.clock.now_ms(),
            };
            let id = added.id();
            book.add(added, known)?;
            Ok(id)
        })
    });
    let id = id.await?.map_err(refused)?;
    bounded(&echo).await?;
    Ok(Json(json!({"arm": id, "standing": "trial"})))
}

pub(super) async fn publish(
    State(echo): State<Arc<Echo>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let Force { force } = if body.is_empty() {
        Force::default()
    } else {
        read(&body)?
    };
    let book = echo.roster.book();
    let added = book.trials().find(|added| added.id() == id).cloned();
    let Some(added) = added else {
        return Err(AdminError::conflict(BookError::Stage {
            arm: id,
            needed: "is not on trial",
        }));
    };
    let question = Question::arm(&echo, &added, AskedBy::Command);
    let verdict = match question {
        Some(question) if !force => {
            let verdict = question.ask(&echo).await;
            let verdict =
                verdict.map_err(|error| AdminError::conflict(format!("refused: {error}")))?;
            if !verdict.accepted {
                return Err(AdminError::refused(verdict));
            }
            Some(verdict)
        }
        None if !force => {
            let message = "no version is there before it to compare it with: say force";
            return Err(AdminError::conflict(message));
        }
        _ => None,
    };
    let reason = if force {
        "by command, without the gate"
    } else {
        "by command, accepted by the gate"
    };
    let promoted = id.clone();
    change(&echo, reason, move |book, _| book.promote(&promoted)).await?;
    bounded(&echo).await?;
    Ok(Json(
        json!({"arm": id, "standing": "promoted", "verdict": verdict}),
    ))
}

pub(super) async fn retire(State(echo): State<Arc<Echo>>, Path(id): Path<String>) -> Answer {
    let retired = id.clone();
    change(&echo, "by command", move |book, known| {
        book.retire(&retired, known)
    })
    .await?;
    Ok(Json(json!({"arm": id, "standing": "retired"})))
}

pub(super) async fn roll_back(State(echo): State<Arc<Echo>>, Path(name): Path<String>) -> Answer {
    let reason = format!("rolled back {name}");
    let id = change(&echo, &reason, move |book, _| book.roll_back(&name)).await?;
    Ok(Json(
        json!({"arm": id, "arms": echo.live.load().arms.ids()}),
    ))
}

pub(super) async fn reload(State(echo): State<Arc<Echo>>) -> Answer {
    let read = on_disk(&echo, |echo| echo.roster.reload(echo)).await?;
    read.map_err(AdminError::invalid)?;
    Ok(Json(json!({"arms": echo.live.load().arms.ids()})))
}

async fn change<T: Send + 'static>(
    echo: &Arc<Echo>,
    reason: &str,
    change: impl FnOnce(&mut Book, &[String]) -> Result<T, BookError> + Send + 'static,
) -> Result<T, AdminError> {
    let reason = reason.to_owned();
    let work = move |echo: &Echo| {
        let change = |book: &mut Book, known: &[String]| Ok(change(book, known)?);
        echo.roster.change(echo, &reason, change)
    };
    on_disk(echo, work).await?.map_err(refused)
}

/// Waits until the policy in force knows the bounds: until then, an arm on trial is not drawn.
async fn bounded(echo: &Echo) -> Result<(), AdminError> {
    echo.orders
        .refresh()
        .await
        .map(drop)
        .map_err(AdminError::conflict)
}

fn refused(error: RosterError) -> AdminError {
    match error {
        RosterError::Config(_) => AdminError::invalid(error),
        _ => AdminError::conflict(error),
    }
}
