//! Requests for paths that are none of Echo's.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::client::Answer;
use crate::patience::{eventually, soon};
use crate::raw;
use crate::server::{Home, Server};
use crate::upstream::{Reply, Step, Upstream, dead_url};

async fn start(upstream: &Upstream, url: &str, more: &str) -> (Home, Server) {
    let home = Home::new();
    let toml = format!("[passthrough]\nurl = \"{url}\"\n{more}\n");
    let server = home.configured(&(toml + &upstream.arm("arm", "")));
    let server = server.start().await;
    (home, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_sent_on_as_it_is_without_the_clients_key() {
    let upstream = Upstream::start(|asked| match asked.path.as_str() {
        "/else/v1/embeddings" => Reply::Whole(
            201,
            vec![
                ("content-type", "text/plain"),
                ("x-theirs", "1"),
                ("keep-alive", "timeout=5"),
            ],
            "embedded".to_owned(),
        ),
        _ => Reply::Whole(418, Vec::new(), String::new()),
    })
    .await;
    let (_home, server) = start(&upstream, &upstream.url("/else"), "").await;
    let client = server.client().with("authorization", "Bearer mine");
    let answer = client
        .with("x-mine", "1")
        .post("/v1/embeddings?a=b", &json!({"input": "x"}))
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (201, "embedded"));
    assert_eq!(answer.header("x-theirs"), "1");
    assert!(!answer.headers.contains_key("keep-alive"), "{answer:?}");
    assert!(!answer.header("x-request-id").is_empty());
    let asked = upstream.asked().pop().unwrap();
    assert_eq!(asked.body, json!({"input": "x"}));
    assert_eq!(asked.headers["x-mine"], "1");
    assert_eq!(asked.headers["via"], "1.1 echo-proxy");
    assert!(!asked.headers.contains_key("authorization"), "{asked:?}");
    assert_eq!(client.get("/api/blobs").await.status, 418);
    let chat = json!({"model": "gpt", "messages": [{"role": "user", "content": "What is Rust?"}]});
    let chat = client.post("/v1/chat/completions", &chat).await;
    assert_eq!(chat.status, 418, "plain chat is for the upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_is_not_sent_on_and_the_upstream_gets_its_own() {
    let upstream = Upstream::start(|_| Reply::Whole(200, Vec::new(), String::new())).await;
    let home = Home::new();
    // The digest of "friend-key".
    let digest = "c3f39b05cd8145b99d7d26a9633ff6527dc2c635fabc25c738e31f2fe64a7834";
    let toml = format!(
        "[passthrough]\nurl = \"{}\"\nkey_env = \"THEIR_KEY\"\n[[key]]\nname = \"friend\"\ntenant = \"t\"\nsha256 = \"{digest}\"\n{}",
        upstream.url(""),
        upstream.arm("arm", "")
    );
    let server = home
        .configured(&toml)
        .env("THEIR_KEY", "theirs")
        .start()
        .await;
    let client = server.client();
    client.get("/props").await.error(401);
    assert!(upstream.asked().is_empty());
    let friend = client.with("authorization", "Bearer friend-key");
    assert_eq!(friend.get("/props").await.status, 200);
    let asked = upstream.asked().pop().unwrap();
    assert_eq!(asked.headers["authorization"], "Bearer theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_streamed_and_a_client_that_leaves_ends_it() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let upstream = Upstream::start(move |_| {
        let steps = [Step::Send("one".to_owned()), Step::Wait(Arc::clone(&wait))];
        let more = [Step::Send("two".to_owned()), Step::Hang];
        Reply::Steps("text/plain", steps.into_iter().chain(more).collect())
    })
    .await;
    let (_home, server) = start(&upstream, &upstream.url(""), "").await;
    let request = server.client().request(Method::GET, "/slots");
    let mut answer = soon("the head", request.send()).await.unwrap();
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/plain");
    assert_eq!(
        soon("a piece", answer.chunk()).await.unwrap().unwrap(),
        "one"
    );
    gate.add_permits(1);
    assert_eq!(
        soon("a piece", answer.chunk()).await.unwrap().unwrap(),
        "two"
    );
    drop(answer);
    eventually("the upstream's loss", async || {
        (upstream.left() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_unknown_length_is_bounded_too() {
    let upstream = Upstream::start(|_| Reply::Whole(200, Vec::new(), String::new())).await;
    let (_home, server) = start(&upstream, &upstream.url(""), "").await;
    let client = server.client();
    let send = |pieces: usize| {
        let piece = bytes::Bytes::from(vec![b' '; 100_000]);
        let pieces = std::iter::repeat_n(piece, pieces).map(Ok::<_, std::io::Error>);
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        Answer::of(client.request(Method::POST, "/tokenize").body(body))
    };
    assert_eq!(send(3).await.status, 200);
    assert_eq!(send(30).await.error(413)["code"], "body_too_large");
    assert_eq!(client.get("/props").await.status, 200);
    // The refused request may reach the upstream's list later than this one.
    let asked = upstream.asked();
    let bare = &asked
        .iter()
        .find(|asked| asked.path == "/props")
        .unwrap()
        .headers;
    assert!(!bare.contains_key("transfer-encoding"), "{bare:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_on_is_refused() {
    let upstream = Upstream::saying("x").await;
    let (_home, server) = start(&upstream, &dead_url().await, "hops_limit = 2").await;
    let client = server.client();
    assert_eq!(
        client.get("/props").await.error(502)["code"],
        "passthrough_failed"
    );
    let circling = client.with("via", "1.1 echo-proxy, 1.1 echo-proxy");
    circling.get("/props").await.error(508);
    // Only announced: a client that is still sending may not hear the answer.
    let large = "POST /tokenize HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n";
    let said = raw::exchange(server.address(), large.as_bytes()).await;
    assert_eq!(raw::status(&said), 413);
    let ollama = client.get("/api/blobs").await;
    assert!(
        ollama.status == 502 && ollama.json()["error"].is_string(),
        "{ollama:?}"
    );
}
