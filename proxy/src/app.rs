//! The routes, and what is checked of every request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::caller::{Identity, Peer};
use crate::complete::complete;
use crate::cross_origin;
use crate::devdata;
use crate::dialect::{self, ApiError, Decode, chat, llama_cpp, mistral, ollama, openai, tabby};
use crate::events;
use crate::ids::DecisionId;
use crate::metrics::StatusLabel;
use crate::pages;
use crate::request_head;
use crate::state::Echo;

/// All routes of the data port.
pub fn router(echo: Arc<Echo>) -> Router {
    let cors = cross_origin::layer(&echo.live.load().config.server.origins);
    let routes = Router::new()
        .route("/v1/completions", post(completions))
        .route("/completions", post(completions))
        .route("/beta/completions", post(completions))
        .route("/v1/fim/completions", completing(mistral::decode))
        .route("/fim/completions", completing(mistral::decode))
        .route("/v1/chat/completions", post(chat_completions))
        .route("/chat/completions", post(chat_completions))
        .route("/infill", completing(llama_cpp::decode_infill))
        .route("/completion", completing(llama_cpp::decode_completion))
        .route("/api/generate", completing(ollama::decode))
        .route("/api/show", post(ollama_show))
        .route("/api/tags", get(ollama::tags))
        .route("/api/ps", get(ollama::loaded))
        .route("/api/version", get(ollama::version))
        .route("/", get(ollama::running))
        .route("/continue/devdata", post(development_data))
        .route("/v1/health", get(tabby::health).post(tabby::health))
        .route("/v1beta/server_setting", get(tabby::server_setting))
        .route("/v1beta/models", get(tabby::models))
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
        .with_state(echo);
    match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

/// `OpenAI`'s path, which Tabby's plugins use too, and without `/v1` also clients of llama.cpp.
async fn completions(
    State(echo): State<Arc<Echo>>,
    request: Request,
) -> Result<Response, ApiError> {
    let is_short = request.uri().path() == "/completions";
    let (identity, headers, body) = admit(&echo, request).await?;
    let decode = if tabby::is_meant(&body) {
        tabby::decode
    } else if is_short && llama_cpp::is_meant(&body) {
        llama_cpp::decode_completion
    } else {
        openai::decode
    };
    complete(echo, identity, &headers, body, decode).await
}

/// A path whose bodies `decode` reads.
fn completing(decode: Decode) -> MethodRouter<Arc<Echo>> {
    post(
        async move |State(echo): State<Arc<Echo>>, request: Request| {
            let (identity, headers, body) = admit(&echo, request).await?;
            complete(echo, identity, &headers, body, decode).await
        },
    )
}

/// Code is completed here; other chats go to the upstream for them, where there is one.
async fn chat_completions(
    State(echo): State<Arc<Echo>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    let (identity, headers, body) = admit(&echo, request).await?;
    let live = echo.live.load_full();
    match &live.passthrough {
        Some(upstream) if !chat::fills_in(&body) => upstream.forward(&parts, body.into()).await,
        _ => complete(echo, identity, &headers, body, chat::decode).await,
    }
}

async fn ollama_show(
    State(echo): State<Arc<Echo>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (_, _, body) = admit(&echo, request).await?;
    ollama::show(&echo, &body).map(IntoResponse::into_response)
}

async fn development_data(
    State(echo): State<Arc<Echo>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (identity, _, body) = admit(&echo, request).await?;
    devdata::take(&echo, &identity, &body).await
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
    match events::event(&echo, &identity, &body, decode).await {
        // Tabby's server takes any event: its plugins take an error for a server that is down.
        Ok(_) => Ok(StatusCode::OK.into_response()),
        Err(error) if error.status == StatusCode::NOT_FOUND => Ok(StatusCode::OK.into_response()),
        Err(error) => Err(error),
    }
}

/// Sends the request to the upstream for such paths, where there is one.
async fn unknown_path(
    State(echo): State<Arc<Echo>>,
    request: Request,
) -> Result<Response, ApiError> {
    let live = echo.live.load_full();
    let Some(upstream) = &live.passthrough else {
        return Err(ApiError::client(
            StatusCode::NOT_FOUND,
            "unknown_url",
            "There is nothing at this path: see the README for those that are.",
        ));
    };
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied();
    Identity::of(&parts.uri, &parts.headers, peer, &live.config.keys)?;
    upstream.forward(&parts, body).await
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
    let identity = Identity::of(&parts.uri, &parts.headers, peer, &live.config.keys)?;
    check_media_type(&parts)?;
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

/// Ollama's own server takes a body whatever it is said to be, and its manual relies on that. Only a
/// browser, which names the page that it acts for, could be made to send one unasked.
fn check_media_type(parts: &Parts) -> Result<(), ApiError> {
    let headers = &parts.headers;
    let lenient = parts.uri.path().starts_with("/api/") && !headers.contains_key(header::ORIGIN);
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
    if !lenient && !essence.eq_ignore_ascii_case("application/json") {
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

/// Refuses a head that is malformed, catches panics, puts errors into the form of their path, gives every answer a
/// request id, and counts it.
async fn around(State(echo): State<Arc<Echo>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let answered = match request_head::check(&request) {
        Ok(()) => AssertUnwindSafe(next.run(request)).catch_unwind().await,
        Err(error) => Ok(([(header::CONNECTION, "close")], error).into_response()),
    };
    let mut response = answered.unwrap_or_else(|_| {
        tracing::error!("a request panicked");
        ApiError::internal().into_response()
    });
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let body = dialect::error_at(&path, &error).to_string();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = body.into();
    }
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
