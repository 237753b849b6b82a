//! The routes, and what is checked of every request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::caller::{Identity, Peer};
use crate::complete::complete;
use crate::dialect::{ApiError, llama_cpp, openai, tabby};
use crate::events;
use crate::ids::DecisionId;
use crate::metrics::StatusLabel;
use crate::pages;
use crate::state::Echo;

/// All routes of the data port.
pub fn router(echo: Arc<Echo>) -> Router {
    Router::new()
        .route("/v1/completions", post(completions))
        .route("/completions", post(completions))
        .route("/infill", post(infill))
        .route("/v1/health", get(tabby::health).post(tabby::health))
        .route("/v1beta/server_setting", get(tabby::server_setting))
        .route("/v1/events", post(tabby_events))
        .route("/health", get(pages::healthz))
        .route("/v1/models", get(pages::models))
        .route("/v1/models/{name}", get(pages::model))
        .route("/v1/echo/events", post(events))
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .route("/metrics", get(pages::metrics))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .layer(middleware::from_fn_with_state(Arc::clone(&echo), around))
        .with_state(echo)
}

/// `OpenAI`'s path, which Tabby's plugins use too.
async fn completions(
    State(echo): State<Arc<Echo>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (identity, headers, body) = admit(&echo, request).await?;
    let decode = if tabby::is_meant(&body) {
        tabby::decode
    } else {
        openai::decode
    };
    complete(echo, identity, &headers, body, decode).await
}

async fn infill(State(echo): State<Arc<Echo>>, request: Request) -> Response {
    let answered = async {
        let (identity, headers, body) = admit(&echo, request).await?;
        complete(
            Arc::clone(&echo),
            identity,
            &headers,
            body,
            llama_cpp::decode,
        )
        .await
    };
    answered
        .await
        .unwrap_or_else(|error| llama_cpp::error(&error))
}

async fn events(State(echo): State<Arc<Echo>>, request: Request) -> Result<Response, ApiError> {
    let (identity, _, body) = admit(&echo, request).await?;
    events::event(&echo, &identity, &body, events::decode).await
}

async fn tabby_events(
    State(echo): State<Arc<Echo>>,
    request: Request,
) -> Result<Response, ApiError> {
    let line = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("select_kind=line"));
    let decode = if line {
        events::decode_tabby_line
    } else {
        events::decode_tabby
    };
    let (identity, _, body) = admit(&echo, request).await?;
    events::event(&echo, &identity, &body, decode).await
}

async fn unknown_path() -> ApiError {
    ApiError::client(
        StatusCode::NOT_FOUND,
        "unknown_url",
        "There is nothing at this path: see the README for those that are.",
    )
}

async fn wrong_method(method: Method) -> ApiError {
    let message = format!("This path does not take {method}.");
    ApiError::client(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}

/// Checks who asks and that the body is JSON of bounded size, and reads it in bounded time.
async fn admit(echo: &Echo, request: Request) -> Result<(Identity, HeaderMap, Bytes), ApiError> {
    let live = echo.live.load_full();
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied();
    let identity = Identity::of(&parts.headers, peer, &live.config.keys)?;
    check_media_type(&parts.headers)?;
    let limits = &live.config.server;
    let reading = read(
        body,
        limits.body_bytes,
        parts.headers.get(header::CONTENT_LENGTH),
    );
    let body = tokio::time::timeout(Duration::from_millis(limits.body_ms), reading)
        .await
        .map_err(|_| {
            ApiError::client(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                "The body came too slowly.",
            )
        })??;
    if std::str::from_utf8(&body).is_err() {
        return Err(ApiError::invalid(None, "The body is not UTF-8."));
    }
    Ok((identity, parts.headers, body))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let unsupported = |message| {
        ApiError::client(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            message,
        )
    };
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = media_type
        .and_then(|text| text.split(';').next())
        .unwrap_or_default()
        .trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(unsupported("Send `Content-Type: application/json`."));
    }
    match headers
        .get(header::CONTENT_ENCODING)
        .map(HeaderValue::as_bytes)
    {
        None | Some(b"identity") => Ok(()),
        Some(_) => Err(unsupported("Send the body without a content encoding.")),
    }
}

async fn read(
    body: Body,
    limit: usize,
    announced: Option<&HeaderValue>,
) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("The body is larger than {limit} bytes.");
        ApiError::client(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    };
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit as u64) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(ApiError::invalid(None, "The body broke off.")),
    }
}

/// Catches panics, gives every answer a request id, and counts it.
async fn around(State(echo): State<Arc<Echo>>, request: Request, next: Next) -> Response {
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| {
        tracing::error!("a request panicked");
        ApiError::internal().into_response()
    });
    let status = StatusLabel {
        status: response.status().as_u16(),
    };
    echo.metrics.requests.get_or_create(&status).inc();
    let id = HeaderName::from_static("x-request-id");
    if !response.headers().contains_key(&id)
        && let Ok(value) = HeaderValue::from_str(&DecisionId::new().to_string())
    {
        response.headers_mut().insert(id, value);
    }
    response
}
