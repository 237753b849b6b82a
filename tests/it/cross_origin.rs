//! Web pages that use the server from a browser.

use reqwest::Method;
use serde_json::json;

use crate::client::{Answer, Client};
use crate::keys::Key;
use crate::setting::Setting;

const PAGE: &str = "https://editor.example";

/// What a browser asks before it lets a page of `origin` send a completion's request.
async fn preflight(client: &Client, origin: &str) -> Answer {
    let request = client
        .request(Method::OPTIONS, "/v1/completions")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .header("access-control-request-private-network", "true");
    Answer::of(request).await
}

/// The origin that may read `answer`, as it says itself.
fn may_read(answer: &Answer) -> Option<&str> {
    let allowed = answer.headers.get("access-control-allow-origin")?;
    Some(allowed.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_may_ask_and_read() {
    let key = Key::new("team").await;
    let more = format!("origins = [\"{PAGE}\"]\n{}", key.toml);
    let (setting, server) = Setting::new(&more).await;
    let client = key.on(&server.client());
    let asked = preflight(&server.client(), PAGE).await;
    assert_eq!(
        (asked.status, may_read(&asked)),
        (200, Some(PAGE)),
        "a preflight has no key: {asked:?}"
    );
    assert!(
        asked
            .header("access-control-allow-methods")
            .contains("POST")
    );
    assert_eq!(
        asked.header("access-control-allow-headers"),
        "authorization,content-type"
    );
    assert_eq!(asked.header("access-control-allow-private-network"), "true");
    let page = client.with("origin", PAGE);
    let answer = page
        .complete(&json!({"model": "echo", "prompt": "x"}))
        .await;
    assert_eq!(may_read(&answer), Some(PAGE));
    assert!(
        answer
            .header("access-control-expose-headers")
            .contains("x-echo-decision")
    );
    let stream = page.stream(&json!({"model": "echo", "prompt": "x"})).await;
    assert_eq!(stream.headers["access-control-allow-origin"], PAGE);
    let refused = server.client().with("origin", PAGE).get("/v1/models").await;
    assert_eq!(
        (refused.status, may_read(&refused)),
        (401, Some(PAGE)),
        "an error can be read, too"
    );
    let stranger = preflight(&client, "https://evil.example").await;
    assert_eq!(may_read(&stranger), None, "{stranger:?}");
    drop(stream);
    setting.expect_unharmed(server, &client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_may_where_none_is_named_and_every_page_where_all_are() {
    let (setting, server) = Setting::new("").await;
    let client = server.client();
    let asked = preflight(&client, PAGE).await;
    assert_eq!((asked.status, may_read(&asked)), (405, None));
    let answer = client.with("origin", PAGE).get("/v1/models").await;
    assert_eq!((answer.status, may_read(&answer)), (200, None));
    setting.expect_unharmed(server, &client).await;
    let (setting, server) = Setting::new("origins = [\"*\"]\n").await;
    let client = server.client();
    assert_eq!(may_read(&preflight(&client, PAGE).await), Some("*"));
    setting.expect_unharmed(server, &client).await;
}
