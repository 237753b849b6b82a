//! Clients that leave: their upstream requests go with them.

use echo_experience::Served;

use crate::patience::eventually;
use crate::records;
use crate::server::{Home, Server};
use crate::upstream::{Reply, Step, Upstream};
use crate::upstreams::{request, single};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_upstream_request_along() {
    for streamed in [true, false] {
        let (home, upstream, server) =
            single("", |_| Reply::events(vec![Step::piece("a"), Step::Hang])).await;
        if streamed {
            let mut stream = server.client().stream(&request("arm")).await;
            assert_eq!(stream.data().await["choices"][0]["text"], "a");
            assert_eq!(upstream.left(), 0);
            drop(stream);
        } else {
            leave_unanswered(&server, &upstream).await;
        }
        eventually("the upstream is told", async || {
            (upstream.left() == 1).then_some(())
        })
        .await;
        let record = on_record(&home).await;
        assert_eq!(record.ending, "cancelled", "streamed: {streamed}");
        assert!(record.text == "a" || !streamed, "{record:?}");
        assert_eq!(server.client().metric("echo_in_flight").await, 0.0);
        assert_eq!(
            server.client().health().await["status"],
            "ok",
            "nobody's fault"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_first_byte_takes_its_upstream_request_along() {
    let (home, upstream, server) =
        single("first_byte_ms = 60000\ntotal_ms = 60000", |_| Reply::Never).await;
    leave_unanswered(&server, &upstream).await;
    eventually("the upstream is told", async || {
        (upstream.left() == 1).then_some(())
    })
    .await;
    let record = on_record(&home).await;
    assert_eq!(
        (record.ending.as_str(), record.first_byte_ms),
        ("cancelled", None)
    );
}

/// Asks for a plain completion, and leaves once the upstream has been asked.
async fn leave_unanswered(server: &Server, upstream: &Upstream) {
    let client = server.client();
    let asking = tokio::spawn(async move { client.ask(&request("arm")).await });
    eventually("the upstream is asked", async || {
        (upstream.asked().len() == 1).then_some(())
    })
    .await;
    asking.abort();
}

/// What is on record of the only answer, once it is.
async fn on_record(home: &Home) -> Served {
    eventually("an answer on record", async || {
        records::served(&records::entries(&home.data()))
            .next()
            .cloned()
    })
    .await
}
