//! The HTTP clients of the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::endpoint::EndpointError;

/// Hands out HTTP clients, one for every connect deadline: reqwest knows that deadline per client
/// only. Arms with the same one share a client and so its pool of connections, and a reload of the
/// configuration keeps them.
///
/// Clients follow no redirect, use no proxy of the environment (upstream addresses come from the
/// configuration alone), speak HTTP/1.1 and send small packets at once.
#[derive(Debug, Default)]
pub struct Clients {
    by_connect_ms: Mutex<BTreeMap<u64, reqwest::Client>>,
}

impl Clients {
    /// None made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client that gives up connecting after `connect_ms`.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Client`] when TLS cannot be set up.
    pub fn with_connect_ms(&self, connect_ms: u64) -> Result<reqwest::Client, EndpointError> {
        let mut made = self
            .by_connect_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&connect_ms) {
            return Ok(client.clone());
        }
        // Another part of the process may have chosen a provider first: then that one stays.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let client = builder(connect_ms)
            .build()
            // A machine without root certificates can still reach plain http.
            .or_else(|_| builder(connect_ms).tls_certs_only([]).build())
            .map_err(|_| EndpointError::Client)?;
        made.insert(connect_ms, client.clone());
        Ok(client)
    }
}

fn builder(connect_ms: u64) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_millis(connect_ms))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(POOL_IDLE_S))
        .pool_max_idle_per_host(POOL_CONNECTIONS)
        .user_agent(concat!("echo-proxy/", env!("CARGO_PKG_VERSION")))
}

/// Python servers and llama.cpp close idle connections after 5 s, others after a minute or more. A
/// connection that was closed is not used again; one that is closed at the very moment is retried by
/// the client as long as nothing was sent.
const POOL_IDLE_S: u64 = 30;
/// Idle connections kept for each upstream.
const POOL_CONNECTIONS: usize = 64;

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
