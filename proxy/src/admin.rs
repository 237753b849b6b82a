//! What an operator can ask of a running server, on a listener of its own.
//!
//! | path | what |
//! |---|---|
//! | `GET /policy` | the policy in force, and those before it |
//! | `POST /policy/snapshots` | keeps a snapshot, to be named as `sha256:...` afterwards |
//! | `POST /policy/gate` | `{"candidate"}`: may it take over? |
//! | `POST /policy/publish` | `{"candidate", "force"}`: puts it into force, if the gate accepts it |
//! | `POST /policy/rollback` | `{"version"}`: what was in force before, or a version as it was |
//! | `GET /models` | the arms and their standing |
//! | `POST /models` | `{"arm", "share"}`: puts a version of an arm on trial |
//! | `POST /models/{id}/publish` | `{"force"}`: puts it into the place of the versions before it |
//! | `POST /models/{id}/retire` | asks it no more |
//! | `POST /models/{name}/rollback` | takes the last promotion or retirement back |
//! | `POST /reload` | reads the configuration file again |

mod listen;
mod models;
mod policies;

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::state::Echo;

pub use listen::{SOCKET, listen};

/// The routes of the admin listeners.
pub fn router(echo: Arc<Echo>, body_bytes: usize) -> Router {
    Router::new()
        .route("/policy", get(policies::show))
        .route("/policy/snapshots", post(policies::keep))
        .route("/policy/gate", post(policies::gate))
        .route("/policy/publish", post(policies::publish))
        .route("/policy/rollback", post(policies::roll_back))
        .route("/models", get(models::list).post(models::add))
        .route("/models/{id}/publish", post(models::publish))
        .route("/models/{id}/retire", post(models::retire))
        .route("/models/{id}/rollback", post(models::roll_back))
        .route("/reload", post(models::reload))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(body_bytes))
        .with_state(echo)
}

async fn unknown() -> AdminError {
    AdminError::new(StatusCode::NOT_FOUND, "There is nothing at this path.")
}

/// Why an operator does not get his will.
#[derive(Debug)]
pub struct AdminError {
    status: StatusCode,
    message: String,
    /// The gate's verdict, where that is why.
    verdict: Option<Box<echo_sim::Verdict>>,
}

impl AdminError {
    fn new(status: StatusCode, message: impl Display) -> Self {
        Self {
            status,
            message: message.to_string(),
            verdict: None,
        }
    }

    /// A request that makes no sense: 400.
    fn invalid(message: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A state of things in which it cannot be done: 409.
    fn conflict(message: impl Display) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// The gate says no.
    fn refused(verdict: echo_sim::Verdict) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            message: format!("refused by the gate: {}", verdict.reasons.join(" ")),
            verdict: Some(Box::new(verdict)),
        }
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let mut body = json!({"error": {"message": self.message}});
        if let Some(verdict) = self.verdict {
            body["verdict"] = json!(verdict);
        }
        (self.status, axum::Json(body)).into_response()
    }
}
