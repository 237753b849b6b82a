//! Requests for paths that are none of Echo's: sent on to a configured upstream as they are.

use std::error::Error;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use http_body_util::{LengthLimitError, Limited};
use reqwest::Client;
use tokio_stream::StreamExt as _;

use crate::arm::Secret;
use crate::config::{Config, ConfigError, PassthroughFile};
use crate::dialect::ApiError;
use crate::upstream::Clients;

/// The upstream for unknown paths.
#[derive(Debug)]
pub struct Passthrough {
    client: Client,
    settings: PassthroughFile,
    key: Option<Secret>,
    body_bytes: usize,
}

impl Passthrough {
    /// The one that a configuration names, if any.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when no HTTP client can be made.
    pub fn make(config: &Config, clients: &Clients) -> Result<Option<Self>, ConfigError> {
        let settings = config.passthrough.clone();
        if settings.url.is_empty() {
            return Ok(None);
        }
        let pair = clients
            .with_connect_ms(settings.connect_ms)
            .map_err(|_| ConfigError::NoClient)?;
        Ok(Some(Self {
            client: pair.pooled().clone(),
            settings,
            key: config.passthrough_key.clone(),
            body_bytes: config.server.body_bytes,
        }))
    }

    /// Sends a request on, and gives the answer back as it comes. A client that leaves drops the
    /// answer's stream, and with it the upstream's.
    ///
    /// # Errors
    ///
    /// 413 for a body over the server's bound, 508 for a request that goes in circles, 502 and 504
    /// when the upstream does not answer.
    pub async fn forward(&self, parts: &Parts, body: Body) -> Result<Response, ApiError> {
        self.check(&parts.headers)?;
        let url = self.url(&parts.uri);
        let mut request = self
            .client
            .request(parts.method.clone(), url)
            .headers(self.headers(&parts.headers));
        // An empty stream would be announced as a body of unknown length.
        if !body.is_end_stream() {
            let bounded = Body::new(Limited::new(body, self.body_bytes));
            request = request.body(reqwest::Body::wrap_stream(bounded.into_data_stream()));
        }
        let patience = Duration::from_millis(self.settings.answer_ms);
        let answer = tokio::time::timeout(patience, request.send())
            .await
            .map_err(|_| failed(StatusCode::GATEWAY_TIMEOUT, "the upstream did not answer"))?
            .map_err(|error| self.not_sent(&error))?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        drop_hop_by_hop(&mut headers);
        let mut response = Response::new(Body::from_stream(
            answer
                .bytes_stream()
                .timeout(patience)
                .map(|piece| match piece {
                    Ok(piece) => piece.map_err(|_| BrokenOff),
                    Err(_) => Err(BrokenOff),
                }),
        ));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let hops = headers
            .get_all(VIA)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .count();
        if hops >= self.settings.hops_limit {
            return Err(failed(
                StatusCode::LOOP_DETECTED,
                "the request has passed too many proxies",
            ));
        }
        let length = headers.get(CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|bytes| bytes > self.body_bytes as u64) {
            return Err(self.too_large());
        }
        Ok(())
    }

    fn too_large(&self) -> ApiError {
        let message = format!("The body is larger than {} bytes.", self.body_bytes);
        ApiError::client(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    fn not_sent(&self, error: &reqwest::Error) -> ApiError {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if error.is::<LengthLimitError>() {
                return self.too_large();
            }
            cause = error.source();
        }
        let message = if error.is_connect() {
            "the upstream cannot be reached"
        } else {
            "the upstream broke off"
        };
        failed(StatusCode::BAD_GATEWAY, message)
    }

    fn url(&self, uri: &Uri) -> String {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        [self.settings.url.trim_end_matches('/'), path].concat()
    }

    /// The client's headers, without those of its connection and those that say who it is.
    fn headers(&self, client: &HeaderMap) -> HeaderMap {
        let mut headers = client.clone();
        drop_hop_by_hop(&mut headers);
        headers.remove(HOST);
        let secret = [
            AUTHORIZATION,
            HeaderName::from_static("x-api-key"),
            HeaderName::from_static("api-key"),
            COOKIE,
        ];
        if !self.settings.forward_authorization {
            for name in secret {
                headers.remove(name);
            }
        }
        let key = self.key.as_ref();
        if let Some(Ok(mut key)) =
            key.map(|key| HeaderValue::from_str(&format!("Bearer {}", key.expose())))
        {
            key.set_sensitive(true);
            headers.insert(AUTHORIZATION, key);
        }
        headers.append(VIA, HeaderValue::from_static("1.1 echo-proxy"));
        headers
    }
}

/// Takes out what concerns one connection only (RFC 9110, section 7.6.1).
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let fixed = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in named.into_iter().chain(fixed) {
        headers.remove(name);
    }
}

fn failed(status: StatusCode, message: &str) -> ApiError {
    let message = format!("This path is served by another server: {message}.");
    ApiError {
        kind: "upstream_error",
        ..ApiError::client(status, "passthrough_failed", message)
    }
}

/// Ends a body so that the client sees it broken off.
#[derive(Debug)]
struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the upstream broke off")
    }
}

impl Error for BrokenOff {}

#[cfg(test)]
mod tests {
    use super::*;

    fn passthrough(toml: &str) -> Passthrough {
        let text = format!("[passthrough]\nurl = \"http://127.0.0.1:1/base/\"\n{toml}");
        let config = Config::parse(&text, &|_| Some("theirs".to_owned())).unwrap();
        Passthrough::make(&config, &Clients::new())
            .unwrap()
            .unwrap()
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        lines.collect()
    }

    #[test]
    fn headers_of_the_connection_and_of_the_client_stay_behind() {
        let client = headers(&[
            ("authorization", "Bearer mine"),
            ("x-api-key", "mine"),
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("host", "here"),
            ("accept", "text/html"),
        ]);
        let sent = passthrough("").headers(&client);
        assert_eq!(
            sent,
            headers(&[("accept", "text/html"), ("via", "1.1 echo-proxy")])
        );
        let keyed = passthrough("key_env = \"K\"").headers(&client);
        assert_eq!(keyed[AUTHORIZATION], "Bearer theirs");
        let shared = passthrough("forward_authorization = true").headers(&client);
        assert_eq!(shared[AUTHORIZATION], "Bearer mine");
    }

    #[test]
    fn circles_and_large_bodies_are_refused() {
        let passthrough = passthrough("hops_limit = 2");
        let via = |value| headers(&[("via", value)]);
        assert!(passthrough.check(&via("1.1 a")).is_ok());
        let error = passthrough.check(&via("1.1 a, 1.1 b")).unwrap_err();
        assert_eq!(error.status, 508);
        let large = headers(&[("content-length", "99999999999")]);
        assert_eq!(passthrough.check(&large).unwrap_err().status, 413);
    }

    #[test]
    fn the_path_is_put_behind_the_address() {
        let uri = "/v1/embeddings?x=1".parse().unwrap();
        assert_eq!(
            passthrough("").url(&uri),
            "http://127.0.0.1:1/base/v1/embeddings?x=1"
        );
    }
}
