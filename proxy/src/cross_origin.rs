//! Web pages of other origins that may use this server from a browser.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, Uri};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

/// Any page: see [`layer`].
const ANY: &str = "*";

/// Whether `text` is an origin as a browser sends it (RFC 6454, section 7), such as `https://vscode.dev`, or `*`.
pub(crate) fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else {
        return text == ANY;
    };
    let is_plain = !host.is_empty() && !host.contains(['/', '?', '#', '@', '*']);
    let is_lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    is_plain && scheme.chars().all(is_lower) && text.parse::<Uri>().is_ok()
}

/// Lets pages of these origins, checked by [`is_origin`], send requests and read the answers (Fetch standard,
/// CORS protocol), also where a page of the internet reaches a machine's own address. `None` if there are none: a
/// browser then keeps every page away.
pub(crate) fn layer(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let allowed = if origins.iter().any(|origin| origin == ANY) {
        AllowOrigin::from(Any)
    } else {
        AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok()),
        )
    };
    let cors = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .allow_private_network(true)
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_secs(PREFLIGHT_S));
    Some(cors)
}

/// The headers of an answer that a page may read beside those that every page may.
const EXPOSED: [&str; 7] = [
    "x-request-id",
    "x-echo-decision",
    "x-echo-arm",
    "x-echo-policy",
    "x-echo-logged",
    "x-echo-fallback",
    "retry-after",
];

/// For so long a browser need not ask again whether it may.
const PREFLIGHT_S: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_told_from_addresses() {
        for origin in [
            "*",
            "https://vscode.dev",
            "http://localhost:8888",
            "vscode-webview://1a2b",
            "http://[::1]:80",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in [
            "",
            "localhost",
            "https://",
            "https://a/",
            "https://a/b",
            "https://u@a",
            "https://*.dev",
            "HTTPS://a",
            "https://a b",
        ] {
            assert!(!is_origin(other), "{other}");
        }
    }
}
