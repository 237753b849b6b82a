//! Continue's development data: what it says of a proposal counts as an event.

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::Home;
use crate::upstream::Upstream;

const PREFIX: &str = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):";

fn data(accepted: bool, completion: &str) -> Value {
    json!({"name": "autocomplete", "schema": "0.2.0", "level": "all", "data": {
        "accepted": accepted, "prefix": PREFIX, "suffix": "\n", "completion": completion,
        "completionId": "c31", "filepath": "file:///calc.py",
    }})
}

async fn recorded(client: &Client, data: &Value) -> bool {
    let answer = client.post("/continue/devdata", data).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["recorded"].as_bool().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_completion_is_found_by_its_text() {
    let upstream = Upstream::saying("\n    result = a - b\n    return result").await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", "")).start().await;
    let client = server.client().with("user-agent", "node-fetch");
    assert!(!recorded(&client, &data(true, "nothing of the kind")).await);
    let body = json!({"model": "codestral-latest", "prompt": PREFIX, "suffix": "\n"});
    let answer = client.post("/v1/fim/completions", &body).await;
    assert!(!recorded(&client, &data(true, "another text")).await);
    assert!(!recorded(&client, &json!({"name": "chatInteraction", "data": {}})).await);
    assert!(
        !recorded(
            &client,
            &json!({"name": "autocomplete", "data": {"accepted": true}})
        )
        .await
    );
    // Continue showed the first line only, and that was taken.
    assert!(recorded(&client, &data(true, "\n    result = a - b")).await);
    server.stop().await;
    let entries = crate::records::entries(&home.data());
    let events: Vec<_> = crate::records::events(&entries).collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, "accepted");
    // The line that was shown was taken, and that is all of it.
    let told = crate::records::evidence(&entries).last().unwrap();
    assert_eq!((told.fate.as_str(), told.kept_share), ("accepted", 1.0));
    assert_eq!(told.shown_chars, 14);
    assert_eq!(events[0].decision, answer.decision());
}
