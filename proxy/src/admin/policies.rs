//! Policies: shown, judged, published, rolled back.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use echo_policy::PolicySpec;
use echo_sim::{RowOptions, Target, version_snapshot};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminError;
use crate::gatekeeper::{AskedBy, Question, record_refusal};
use crate::in_force::Mode;
use crate::learner::{Change, LearnerError};
use crate::registry::RegistryError;
use crate::state::Echo;

pub(super) type Answer = Result<Json<Value>, AdminError>;

/// A candidate, and whether the gate is passed by.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    candidate: String,
    #[serde(default)]
    force: bool,
}

/// The version to go back to; without one, to what was in force before.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RollBack {
    version: Option<u64>,
}

pub(super) async fn show(State(echo): State<Arc<Echo>>) -> Json<Value> {
    let policies = echo.policies.load();
    let in_force = &policies.in_force;
    let before: Vec<String> = in_force
        .before
        .iter()
        .rev()
        .map(ToString::to_string)
        .collect();
    let changes: Vec<Value> = policies
        .treatment
        .changes()
        .into_iter()
        .map(|change| {
            json!({
                "arm": change.arm,
                "since_ms": change.since_ms,
                "shift": change.shift,
                "p_value": change.p_value,
            })
        })
        .collect();
    Json(json!({
        "price": policies.treatment.spec().budget().map(|_| policies.treatment.price()),
        "changes": changes,
        "version": policies.treatment.version(),
        "policy": policies.treatment.spec().to_string(),
        "learning": matches!(in_force.mode, Mode::Learning(_)),
        "in_force": in_force.mode,
        "reason": in_force.reason,
        "configured": in_force.configured.to_string(),
        "learned": policies.treatment.learned(),
        "scheduled_looks": in_force.looks,
        "before": before,
    }))
}

/// Takes a snapshot's bytes. What is wrong with a refused one is on record.
pub(super) async fn keep(State(echo): State<Arc<Echo>>, body: Bytes) -> Answer {
    let kept = on_disk(&echo, move |echo| echo.registry.keep_bytes(&body)).await?;
    match kept {
        Ok(sha256) => Ok(Json(json!({"sha256": sha256}))),
        Err(error @ RegistryError::File { .. }) => {
            Err(AdminError::new(StatusCode::INSUFFICIENT_STORAGE, error))
        }
        Err(error) => {
            record_refusal(&echo, "snapshot", &error.to_string());
            Err(AdminError::invalid(error))
        }
    }
}

pub(super) async fn gate(State(echo): State<Arc<Echo>>, body: Bytes) -> Answer {
    let asked: Publish = read(&body)?;
    let (_, target) = candidate(&echo, &asked.candidate)?;
    let verdict = Question::policy(&echo, &target, AskedBy::Command)
        .ask(&echo)
        .await;
    verdict
        .map(|verdict| Json(json!(verdict)))
        .map_err(AdminError::conflict)
}

pub(super) async fn publish(State(echo): State<Arc<Echo>>, body: Bytes) -> Answer {
    let asked: Publish = read(&body)?;
    let (mode, target) = candidate(&echo, &asked.candidate)?;
    let (reason, verdict) = if asked.force {
        ("published by command, without the gate", None)
    } else {
        let verdict = Question::policy(&echo, &target, AskedBy::Command)
            .ask(&echo)
            .await;
        let verdict = verdict.map_err(|error| AdminError::conflict(format!("refused: {error}")))?;
        if !verdict.accepted {
            return Err(AdminError::refused(verdict));
        }
        ("published by command, accepted by the gate", Some(verdict))
    };
    let version = echo
        .orders
        .give(Change::To(mode, reason.to_owned()))
        .await
        .map_err(failed)?;
    Ok(Json(
        json!({"version": version, "reason": reason, "verdict": verdict}),
    ))
}

pub(super) async fn roll_back(State(echo): State<Arc<Echo>>, body: Bytes) -> Answer {
    let asked: RollBack = if body.is_empty() {
        RollBack::default()
    } else {
        read(&body)?
    };
    let change = match asked.version {
        None => Change::Back,
        Some(version) => {
            let kept = on_disk(&echo, move |echo| as_it_was(echo, version)).await?;
            let reason = format!("rolled back to version {version}");
            Change::To(Mode::Frozen(kept.map_err(AdminError::conflict)?), reason)
        }
    };
    let version = echo.orders.give(change).await.map_err(failed)?;
    let reason = echo.policies.load().in_force.reason.clone();
    Ok(Json(json!({"version": version, "reason": reason})))
}

/// Keeps what an earlier version had learned; returns its SHA-256.
fn as_it_was(echo: &Echo, version: u64) -> Result<String, String> {
    let config = &echo.live.load().config;
    let rows = RowOptions {
        scoring: config.scoring,
        schema: echo.schema,
        ..RowOptions::default()
    };
    let data_dir = &echo.roster.data_dir;
    let snapshot = version_snapshot(data_dir, version, &rows, config.learning.pending);
    let mut snapshot = snapshot.map_err(|error| error.to_string())?;
    // Waiting decisions and bounds of that time are no part of the policy.
    snapshot.pending.clear();
    snapshot.spec = snapshot.spec.unbounded();
    echo.registry
        .keep(snapshot)
        .map_err(|error| error.to_string())
}

/// What a candidate's text means, for the learner and for the gate.
fn candidate(echo: &Echo, text: &str) -> Result<(Mode, Target), AdminError> {
    if let Some(sha256) = text.strip_prefix("sha256:") {
        let is_name = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_name {
            return Err(AdminError::invalid(
                "a snapshot is named by `sha256:` and 64 hexadecimal digits",
            ));
        }
        echo.registry
            .published(sha256)
            .map_err(AdminError::conflict)?;
        let target = Target::Snapshot(echo.registry.path_of(sha256));
        return Ok((Mode::Frozen(sha256.to_owned()), target));
    }
    let spec: PolicySpec = text.parse().map_err(AdminError::invalid)?;
    spec.check_live().map_err(AdminError::invalid)?;
    Ok((Mode::Learning(spec.clone()), Target::Spec(spec)))
}

fn failed(error: LearnerError) -> AdminError {
    match error {
        LearnerError::NothingBefore | LearnerError::Registry(_) => AdminError::conflict(error),
        _ => AdminError::new(StatusCode::SERVICE_UNAVAILABLE, error),
    }
}

/// Runs what reads or writes files where it holds nobody up.
pub(super) async fn on_disk<T: Send + 'static>(
    echo: &Arc<Echo>,
    work: impl FnOnce(&Echo) -> T + Send + 'static,
) -> Result<T, AdminError> {
    let echo = Arc::clone(echo);
    let done = tokio::task::spawn_blocking(move || work(&echo)).await;
    done.map_err(|_| AdminError::new(StatusCode::INTERNAL_SERVER_ERROR, "the work failed"))
}

pub(super) fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, AdminError> {
    serde_json::from_slice(body).map_err(AdminError::invalid)
}
