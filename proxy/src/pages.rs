//! What can be read of the server itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use echo_experience::Health;
use serde_json::{Value, json};

use crate::caller::{Identity, Peer};
use crate::config::ROUTED;
use crate::dialect::ApiError;
use crate::names;
use crate::state::{Echo, Live};

/// `GET /v1/models`: the routed model first, then the arms, then the routed model's other names.
///
/// # Errors
///
/// 401 without a key where keys are asked for.
pub async fn models(
    State(echo): State<Arc<Echo>>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    check_key(&echo, &request)?;
    let live = echo.live.load();
    let list: Vec<Value> = names::all(&live)
        .map(|name| listed(&echo, &live, &name))
        .collect();
    Ok(Json(json!({"object": "list", "data": list})))
}

/// `GET /v1/models/{name}`: one of them.
///
/// # Errors
///
/// 404 for a model that is not there, 401 without a key where keys are asked for.
pub async fn model(
    State(echo): State<Arc<Echo>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    check_key(&echo, &request)?;
    let Path(name) = name.map_err(|_| ApiError::unknown_model(""))?;
    let live = echo.live.load();
    if !names::is_known(&live, &name) {
        return Err(ApiError::unknown_model(&name));
    }
    Ok(Json(listed(&echo, &live, &name)))
}

fn listed(echo: &Echo, live: &Live, name: &str) -> Value {
    json!({
        "id": name,
        "object": "model",
        "created": echo.started_ms / 1000,
        "owned_by": "echo",
        // Which model that is, where several names stand for one.
        "root": if names::is_routed(live, name) { ROUTED } else { name },
    })
}

/// Turns away who has no key, where keys are asked for.
///
/// # Errors
///
/// 401.
pub(crate) fn check_key(echo: &Echo, request: &Request) -> Result<(), ApiError> {
    let peer = request.extensions().get::<Peer>().copied();
    let keys = &echo.live.load().config.keys;
    Identity::of(request.uri(), request.headers(), peer, keys).map(drop)
}

/// `GET /healthz`: 200 as long as the process answers; says whether it is whole.
pub async fn healthz(State(echo): State<Arc<Echo>>) -> Json<Value> {
    let log = match echo.log.health() {
        Health::Writable => json!("writable"),
        Health::Dead { reason } => json!({"dead": reason}),
    };
    let arms = echo.live.load().arms.eligible().len();
    let whole = log == "writable" && arms > 0;
    Json(json!({
        "status": if whole { "ok" } else { "degraded" },
        "log": log,
        "arms_available": arms,
        "policy_version": echo.policies.load().treatment.version(),
    }))
}

/// `GET /readyz`: 200 when requests can be answered, 503 while draining or when no arm is left.
pub async fn readyz(State(echo): State<Arc<Echo>>) -> Response {
    let arms = echo.live.load().arms.eligible().len();
    if arms > 0 && !echo.draining() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

/// `GET /metrics`: for Prometheus.
pub async fn metrics(State(echo): State<Arc<Echo>>) -> Response {
    let writable = echo.log.health() == Health::Writable;
    echo.metrics.log_writable.set(i64::from(writable));
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], echo.metrics.text()).into_response()
}
