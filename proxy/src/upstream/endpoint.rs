//! One address of an upstream, and sending to it.

use std::fmt;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url};
use serde::Serialize;

use super::client::Pair;
use super::error::{Deadline, UpstreamError};
use super::refusal;
use super::secret::Secret;
use crate::request::CompletionRequest;

/// Where to send requests, and with which key.
#[derive(Clone)]
pub struct Endpoint {
    clients: Pair,
    reuse: bool,
    url: Url,
    key: Option<(HeaderValue, Secret)>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The endpoint `path` below the address `base` of a server.
    ///
    /// # Errors
    ///
    /// An address that is no plain http(s) one (with user, query or fragment), a key that cannot
    /// stand in a header.
    pub fn new(
        clients: Pair,
        base: &str,
        path: &str,
        key: Option<&Secret>,
    ) -> Result<Self, EndpointError> {
        let url = Url::parse(&format!("{}{path}", base.trim_end_matches('/')))
            .map_err(|_| EndpointError::Address)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
            return Err(EndpointError::Address);
        }
        let key = key.map(header).transpose()?;
        Ok(Self {
            clients,
            reuse: true,
            url,
            key,
        })
    }

    /// Opens a connection for every request: for servers that say they keep a connection and close
    /// it after an event stream (llama.cpp does).
    #[must_use]
    pub fn without_reuse(self) -> Self {
        Self {
            reuse: false,
            ..self
        }
    }

    /// Posts `body` and gives back the response when it is a success that is no HTML.
    ///
    /// A server may close a kept connection just when a request goes out on it. So a request that
    /// ends before the first byte of an answer is sent once more, on a connection of its own:
    /// completing twice costs time and changes nothing.
    ///
    /// # Errors
    ///
    /// No connection, another status, HTML (a login or error page in between).
    pub(super) async fn post(
        &self,
        body: &impl Serialize,
        request: &CompletionRequest,
    ) -> Result<Response, UpstreamError> {
        let texts = request.prefix.len() + request.suffix.len() + request.header_context.len();
        let mut json = Vec::with_capacity(texts + texts / 8 + REST_BYTES);
        serde_json::to_writer(&mut json, body).expect("texts and numbers can be written as JSON");
        let body = Bytes::from(json);
        let first = if self.reuse {
            self.send(&self.clients.pooled, body.clone()).await
        } else {
            Err(UpstreamError::Interrupted)
        };
        let response = match first {
            Err(UpstreamError::Interrupted) => self.send(&self.clients.fresh, body).await?,
            sent => sent?,
        };
        if !response.status().is_success() {
            return Err(refusal::read(response, &self.private(), request).await);
        }
        if content_type(&response).is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(UpstreamError::Protocol("it is HTML"));
        }
        Ok(response)
    }

    async fn send(&self, client: &Client, body: Bytes) -> Result<Response, UpstreamError> {
        let mut post = client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some((header, _)) = &self.key {
            post = post.header(AUTHORIZATION, header.clone());
        }
        post.send().await.map_err(|error| not_sent(&error))
    }

    /// What no message may hold.
    fn private(&self) -> Vec<&str> {
        let key = self.key.as_ref().map(|(_, key)| key.expose());
        self.url
            .host_str()
            .into_iter()
            .chain(key)
            .filter(|text| !text.is_empty())
            .collect()
    }
}

/// Room for a body beside its texts, each of which may grow by an eighth where quotes and line ends are
/// escaped: a body that has to move as it grows costs more than writing it.
const REST_BYTES: usize = 512;

/// The media type, in lower case.
pub(super) fn content_type(response: &Response) -> Option<String> {
    Some(
        response
            .headers()
            .get(CONTENT_TYPE)?
            .to_str()
            .ok()?
            .trim_start()
            .to_ascii_lowercase(),
    )
}

fn header(key: &Secret) -> Result<(HeaderValue, Secret), EndpointError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
        .map_err(|_| EndpointError::Key)?;
    value.set_sensitive(true);
    Ok((value, key.clone()))
}

fn not_sent(error: &reqwest::Error) -> UpstreamError {
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => UpstreamError::Timeout {
            which: Deadline::Connect,
        },
        (true, false) => UpstreamError::Connect,
        _ => UpstreamError::Interrupted,
    }
}

/// Why an upstream cannot be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointError {
    /// The address is no http or https one, or has a user, a query or a fragment in it.
    Address,
    /// The key has characters that no header can carry.
    Key,
    /// The HTTP client cannot be made.
    Client,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Address => {
                "the address is no http:// or https:// one without user, query and fragment"
            }
            Self::Key => "the key has characters that no header can carry",
            Self::Client => "the HTTP client cannot be set up (TLS)",
        })
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Clients;

    fn endpoint(base: &str, key: Option<&str>) -> Result<Endpoint, EndpointError> {
        let clients = Clients::new().with_connect_ms(1000).unwrap();
        Endpoint::new(
            clients,
            base,
            "/completions",
            key.map(|key| Secret::new(key.to_owned())).as_ref(),
        )
    }

    #[test]
    fn addresses_that_carry_more_than_an_address_are_refused() {
        assert_eq!(
            endpoint("http://[::1]:8080/v1/", None)
                .unwrap()
                .url
                .as_str(),
            "http://[::1]:8080/v1/completions"
        );
        for base in [
            "",
            "localhost:8080",
            "file:///etc",
            "ftp://a",
            "http://user@a",
            "http://a:b@c",
            "http://a?k=v",
            "http://a#f",
        ] {
            assert_eq!(
                endpoint(base, None).unwrap_err(),
                EndpointError::Address,
                "{base}"
            );
        }
        assert_eq!(
            endpoint("http://a", Some("line\nend")).unwrap_err(),
            EndpointError::Key
        );
    }

    #[test]
    fn debug_shows_neither_key_nor_address() {
        let shown = format!(
            "{:?}",
            endpoint("http://secret-host:1", Some("canary-key")).unwrap()
        );
        assert!(
            !shown.contains("secret-host") && !shown.contains("canary"),
            "{shown}"
        );
    }
}
