//! The HTTP clients of the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;

use super::endpoint::EndpointError;

/// Hands out HTTP clients, a pair for every connect deadline: reqwest knows that deadline per client
/// only. Arms with the same one share a pair and so its pool of connections, and a reload of the
/// configuration keeps them.
///
/// Clients follow no redirect, use no proxy of the environment (upstream addresses come from the
/// configuration alone), speak HTTP/1.1 and send small packets at once.
#[derive(Debug, Default)]
pub struct Clients {
    by_connect_ms: Mutex<BTreeMap<u64, Pair>>,
}

/// A client that keeps connections and one that opens a new one for each request.
#[derive(Debug, Clone)]
pub struct Pair {
    pub(super) pooled: Client,
    pub(super) fresh: Client,
}

impl Pair {
    /// The client that keeps connections.
    pub(crate) fn pooled(&self) -> &Client {
        &self.pooled
    }
}

impl Clients {
    /// None made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The clients that give up connecting after `connect_ms`.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Client`] when TLS cannot be set up.
    pub fn with_connect_ms(&self, connect_ms: u64) -> Result<Pair, EndpointError> {
        let mut made = self
            .by_connect_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = made.get(&connect_ms) {
            return Ok(pair.clone());
        }
        // Another part of the process may have chosen a provider first: then that one stays.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let pair = Pair {
            pooled: client(connect_ms, POOL_CONNECTIONS)?,
            fresh: client(connect_ms, 0)?,
        };
        made.insert(connect_ms, pair.clone());
        Ok(pair)
    }
}

fn client(connect_ms: u64, idle: usize) -> Result<Client, EndpointError> {
    let builder = || builder(connect_ms).pool_max_idle_per_host(idle);
    builder()
        .build()
        // A machine without root certificates can still reach plain http.
        .or_else(|_| builder().tls_certs_only([]).build())
        .map_err(|_| EndpointError::Client)
}

fn builder(connect_ms: u64) -> reqwest::ClientBuilder {
    Client::builder()
        .connect_timeout(Duration::from_millis(connect_ms))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(POOL_IDLE_S))
        .user_agent(concat!("echo-proxy/", env!("CARGO_PKG_VERSION")))
}

/// Python servers close idle connections after 5 s, others after a minute or more. A connection that
/// was closed is not used again; [`super::Endpoint`] sees to those that are closed at the very moment.
const POOL_IDLE_S: u64 = 30;
/// Idle connections kept for each upstream.
const POOL_CONNECTIONS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_made_for_each_deadline() {
        let clients = Clients::new();
        clients.with_connect_ms(100).unwrap();
        clients.with_connect_ms(100).unwrap();
        clients.with_connect_ms(200).unwrap();
        assert_eq!(clients.by_connect_ms.lock().unwrap().len(), 2);
    }
}
