//! What a request's head must be beyond what hyper sees to.

use axum::http::header::{HOST, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, StatusCode, Version};

use crate::dialect::ApiError;

/// Refuses a head that two servers on one connection might read as two different requests: no host or two of them
/// (RFC 9112, section 3.2), an address that names another host than the header does, and a body in another coding
/// than chunks (section 6.1).
///
/// # Errors
///
/// 400; the connection cannot be used further.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), ApiError> {
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() >= Version::HTTP_11 => {
            return Err(malformed("The header `Host` is missing."));
        }
        (Some(_), Some(_)) => return Err(malformed("The header `Host` stands there twice.")),
        (Some(host), None) if !is_meant(request, host) => {
            return Err(malformed(
                "The address names another host than the header `Host`.",
            ));
        }
        _ => {}
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if is_chunked(coding) => Ok(()),
        _ => Err(malformed(
            "The body's `Transfer-Encoding` is not `chunked` alone.",
        )),
    }
}

fn is_meant<B>(request: &Request<B>, host: &HeaderValue) -> bool {
    let authority = request.uri().authority();
    authority.is_none_or(|authority| {
        authority
            .as_str()
            .as_bytes()
            .eq_ignore_ascii_case(host.as_bytes())
    })
}

fn malformed(message: &str) -> ApiError {
    ApiError::client(StatusCode::BAD_REQUEST, "malformed_request", message)
}
