use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::auth::AuthError;
use crate::upstream::UpstreamError;

/// An error as the `OpenAI` protocol writes it. It never holds a key, an upstream's address, or text
/// of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The protocol's class of error.
    pub kind: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// The field of the request at fault.
    pub param: Option<String>,
    /// What is wrong, for programs.
    pub code: Option<&'static str>,
    /// After how many seconds trying again may help.
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    /// A request that cannot be understood: 400, naming the field at fault.
    pub fn invalid(param: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            param: param.map(str::to_owned),
            ..Self::new(StatusCode::BAD_REQUEST, INVALID, None, message)
        }
    }

    /// An error of the client's of another status.
    pub fn client(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(status, INVALID, Some(code), message)
    }

    /// 400 for a body that does not decode, naming the field at fault and never its value.
    pub fn wrong_field(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        let inner = error.inner();
        if inner.is_syntax() || inner.is_eof() {
            let place = format!("line {} column {}", inner.line(), inner.column());
            return Self::invalid(None, format!("The body is not valid JSON: {place}."));
        }
        let text = inner.to_string();
        let quoted = |before: &str| Some(text.strip_prefix(before)?.split('`').next()?.to_owned());
        if let Some(field) = quoted("missing field `") {
            return Self::invalid(Some(&field), format!("`{field}` is missing."));
        }
        if let Some(field) = quoted("duplicate field `") {
            return Self::invalid(Some(&field), format!("`{field}` stands there twice."));
        }
        if path == "." {
            return Self::invalid(None, "The body must be a JSON object.");
        }
        // serde's message quotes the value, which may be a user's text: name the field alone.
        Self::invalid(Some(&path), format!("`{path}` has the wrong type."))
    }

    /// 404 for a model that is not there.
    pub fn unknown_model(name: &str) -> Self {
        let name: String = name.chars().take(NAME_CHARS).collect();
        Self {
            param: Some("model".to_owned()),
            ..Self::client(
                StatusCode::NOT_FOUND,
                "model_not_found",
                format!("The model `{name}` does not exist: GET /v1/models lists those that do."),
            )
        }
    }

    /// 503 when no arm can take the request.
    pub fn unavailable(retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                UPSTREAM,
                Some("no_arm_available"),
                "No completion model can take a request at the moment.",
            )
        }
    }

    /// 500 for our own mistake.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            Some("internal"),
            "Something went wrong here; the request id finds it in the log.",
        )
    }

    fn new(
        status: StatusCode,
        kind: &'static str,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            param: None,
            code,
            retry_after_s: None,
        }
    }

    /// The error in the midst of a stream, after which the connection is broken off.
    pub fn stream_interrupted(error: &UpstreamError) -> Self {
        Self {
            code: Some("stream_interrupted"),
            ..Self::from(error)
        }
    }

    /// The error's body.
    pub fn body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }})
    }
}

const INVALID: &str = "invalid_request_error";
const UPSTREAM: &str = "upstream_error";

/// Characters of an unknown model's name that an error repeats.
const NAME_CHARS: usize = 64;

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused => Self::client(
                StatusCode::UNAUTHORIZED,
                "invalid_api_key",
                "An API key is needed: send it as `Authorization: Bearer KEY`.",
            ),
            AuthError::Contradiction => Self::invalid(
                Some("x-api-key"),
                "`Authorization` and `x-api-key` name different keys.",
            ),
        }
    }
}

impl From<&UpstreamError> for ApiError {
    fn from(error: &UpstreamError) -> Self {
        let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::BAD_GATEWAY);
        let kind = if status.is_client_error() {
            INVALID
        } else {
            UPSTREAM
        };
        Self {
            retry_after_s: error.retry_after_s(),
            ..Self::new(status, kind, Some(error.code()), error.public_message())
        }
    }
}

/// The response carries the error itself too, so that its body can be put into another dialect's form.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body().to_string()).into_response();
        response.extensions_mut().insert(self.clone());
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
