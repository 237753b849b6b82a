//! A server that bad input is thrown at, and the watch over what it must not tell.

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::server::{Home, Server};
use crate::upstream::Upstream;

/// Stands in prompts and keys, and must come out nowhere.
pub(crate) const CANARY: &str = "canary-5d1f";

const LIMITS: &str = "[server]\nbody_bytes = 32768\nbody_ms = 300\nheader_ms = 300\n";

pub(crate) struct Setting {
    home: Home,
    /// The only arm: it says "fine".
    pub(crate) upstream: Upstream,
}

impl Setting {
    pub(crate) async fn new(more: &str) -> (Self, Server) {
        let upstream = Upstream::saying("fine").await;
        let home = Home::new();
        let server = home
            .configured(&format!("{LIMITS}{more}{}", upstream.arm("arm", "")))
            .args(["--log-level", "debug"]);
        (Self { home, upstream }, server.start().await)
    }

    /// Whether the server still serves, and has kept to itself what is nobody's business.
    pub(crate) async fn expect_unharmed(self, server: Server, client: &Client) {
        let answer = client
            .complete(&json!({"model": "echo", "prompt": CANARY}))
            .await;
        assert_eq!(answer.completion(), "fine");
        let metrics = client.get("/metrics").await.text();
        assert!(!metrics.contains(CANARY), "{metrics}");
        let said = server.stop().await;
        assert!(
            !said.contains(CANARY) && !said.contains("panicked"),
            "{said}"
        );
        drop(self.home);
    }
}

/// An error, which must not hold the canary.
#[track_caller]
pub(crate) fn check(answer: &Answer, status: u16, what: &str) -> Value {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert!(
        !format!("{answer:?}").contains(CANARY),
        "{what}: {answer:?}"
    );
    answer.error(status)
}
