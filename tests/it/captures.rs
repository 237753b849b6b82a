//! Every request that a real client was recorded to send, sent again: each is answered in the shape
//! that the client understands.

use std::path::{Path, PathBuf};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::server::Home;
use crate::upstream::Upstream;

/// The recorded exchanges of one file.
pub(crate) fn exchanges(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let recorded: Vec<Value> = serde_json::from_str(&text).unwrap();
    let exchanges = recorded.into_iter();
    exchanges
        .filter(|step| step.get("path").is_some())
        .collect()
}

/// The files of the recordings.
pub(crate) fn captures() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/captures");
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|name| name == "json"));
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_request_is_answered_in_its_clients_shape() {
    let upstream = Upstream::saying("result = a - b").await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", "")).start().await;
    let mut sent = 0;
    for file in captures() {
        for exchange in exchanges(&file) {
            let what = format!("{} {}", file.display(), exchange["n"]);
            let answer = Answer::of(resend(&server.client(), &exchange)).await;
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
            check(&exchange, &answer, &what);
            sent += 1;
        }
    }
    assert!(sent > 400, "{sent} requests");
    server.stop().await;
}

/// The same request again, with the headers that tell clients and users apart.
pub(crate) fn resend(client: &Client, exchange: &Value) -> RequestBuilder {
    let method: Method = exchange["method"].as_str().unwrap().parse().unwrap();
    let mut request = client.request(method, exchange["path"].as_str().unwrap());
    let theirs = [
        "accept",
        "authorization",
        "content-type",
        "user-agent",
        "x-api-key",
    ];
    for (name, value) in exchange["headers"].as_object().unwrap() {
        if theirs.contains(&name.to_ascii_lowercase().as_str()) {
            request = request.header(name, value.as_str().unwrap());
        }
    }
    if !exchange["body"].is_null() {
        request = request.body(exchange["body"].to_string());
    }
    request
}

fn check(exchange: &Value, answer: &Answer, what: &str) {
    let (path, body) = (exchange["path"].as_str().unwrap(), &exchange["body"]);
    let path = path.split('?').next().unwrap();
    let streamed = body["stream"] == true;
    match path {
        "/infill" => check_infill(body, answer, what),
        "/v1/completions" if body.get("segments").is_some() => {
            let said = answer.json();
            assert!(said["id"].as_str().unwrap().starts_with("cmpl-"), "{what}");
            assert_eq!(said["choices"][0]["text"], "result = a - b", "{what}");
            assert_eq!(
                (&said["choices"][0]["index"], &said["mode"]),
                (&json!(0), &json!("standard")),
                "{what}"
            );
        }
        "/v1/completions" if streamed => check_stream(answer, "/choices/0/text", what),
        "/v1/completions" => {
            let said = answer.json();
            assert_eq!(said["choices"][0]["text"], "result = a - b", "{what}");
            for field in ["id", "object", "created", "model", "usage"] {
                assert!(!said[field].is_null(), "{what}: {field}");
            }
        }
        "/v1/fim/completions" => {
            assert!(streamed, "{what}");
            check_stream(answer, "/choices/0/delta/content", what);
        }
        "/v1/health" | "/v1beta/server_setting" => {
            let (said, recorded) = (answer.json(), &exchange["response"]);
            for field in recorded.as_object().unwrap().keys() {
                assert!(said.get(field).is_some(), "{what}: {field}");
            }
            assert!(path != "/v1/health" || said["model"].is_string(), "{what}");
        }
        "/v1/events" => assert!(answer.body.is_empty(), "{what}"),
        "/continue/devdata" => assert!(answer.json().is_object(), "{what}"),
        other => panic!("{what}: no client was known to use {other}"),
    }
}

/// One line of compact JSON, with the fields asked for and no others.
fn check_infill(body: &Value, answer: &Answer, what: &str) {
    let text = answer.text();
    assert!(
        text.contains("\"content\":\"") && !text.trim_end().contains('\n'),
        "{what}: {text}"
    );
    let said = answer.json();
    let warm_up = body["n_predict"] == 0;
    let expected = if warm_up { "" } else { "result = a - b" };
    assert_eq!(said["content"], expected, "{what}");
    let asked = body["response_fields"].as_array().unwrap().iter();
    let mut asked: Vec<&str> = asked.map(|field| field.as_str().unwrap()).collect();
    asked.retain(|field| !field.is_empty());
    asked.push("content");
    asked.sort_unstable();
    asked.dedup();
    let mut fields: Vec<&String> = said.as_object().unwrap().keys().collect();
    fields.sort_unstable();
    assert_eq!(fields, asked, "{what}");
}

/// Server-sent events whose text is at `place`, and the event that ends them.
fn check_stream(answer: &Answer, place: &str, what: &str) {
    assert_eq!(answer.header("content-type"), "text/event-stream", "{what}");
    let text = answer.text();
    let mut events: Vec<&str> = text.trim_end().split("\n\n").collect();
    assert_eq!(events.pop(), Some("data: [DONE]"), "{what}");
    let mut said = String::new();
    for event in events {
        let event: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(event["choices"].as_array().unwrap().len(), 1, "{what}");
        for field in ["id", "object", "created", "model"] {
            assert!(!event[field].is_null(), "{what}: {field}");
        }
        said += event
            .pointer(place)
            .and_then(Value::as_str)
            .unwrap_or_default();
    }
    assert_eq!(said, "result = a - b", "{what}");
}
