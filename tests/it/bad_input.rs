//! Bad requests: each is answered by an error in the form of `OpenAI`, says nothing of prompts, and harms
//! nobody else.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::client::{Answer, Next, joined};
use crate::raw;
use crate::setting::{CANARY, Setting, check};

/// Values that their fields may not have; `$` stands for the canary.
const WRONG_VALUES: [(&str, &str); 26] = [
    ("model", "7"),
    ("model", "null"),
    ("prompt", "7"),
    ("prompt", "{\"$\":1}"),
    ("prompt", "[1,2]"),
    ("prompt", "[\"a\",\"$\"]"),
    ("suffix", "{}"),
    ("max_tokens", "-1"),
    ("max_tokens", "99999999999"),
    ("max_tokens", "1.5"),
    ("max_tokens", "\"$\""),
    ("n", "0"),
    ("n", "1000"),
    ("best_of", "0"),
    ("temperature", "\"$\""),
    ("temperature", "2.5"),
    ("top_p", "-0.1"),
    ("seed", "-1"),
    ("stream", "\"$\""),
    ("stream_options", "\"$\""),
    ("stop", "5"),
    ("stop", "[\"$\",5]"),
    ("user", "[\"$\"]"),
    ("logprobs", "\"$\""),
    ("echo", "true"),
    ("echo", "\"$\""),
];

/// A request with one more field; those that it must have stand there once.
fn with(field: &str, value: &str) -> String {
    let needed = [("model", "\"echo\""), ("prompt", "\"$\"")];
    let needed = needed.into_iter().filter(|(name, _)| *name != field);
    let fields = needed.chain([(field, value)]);
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(",")).replace('$', CANARY)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_value_is_refused_and_its_field_named() {
    let (setting, server) = Setting::new("").await;
    let client = server.client();
    for (field, value) in WRONG_VALUES {
        let what = format!("{field} = {value}");
        let answer = client
            .post_bytes("/v1/completions", with(field, value))
            .await;
        let error = check(&answer, 400, &what);
        assert_eq!(error["type"], "invalid_request_error", "{what}: {error}");
        assert_eq!(error["param"].as_str(), Some(field), "{what}: {error}");
    }
    let lacking = [
        ("model", json!({"prompt": CANARY})),
        ("prompt", json!({"model": "echo"})),
    ];
    for (field, body) in lacking {
        assert_eq!(check(&client.ask(&body).await, 400, field)["param"], field);
    }
    for streamed in [false, true] {
        let body = json!({"model": "nobody", "prompt": CANARY, "stream": streamed});
        let error = check(&client.ask(&body).await, 404, "an unknown model");
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!("model_not_found"), &json!("model"))
        );
    }
    setting.expect_unharmed(server, &client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_request_is_refused() {
    let (setting, server) = Setting::new("").await;
    let client = server.client();
    let whole = with("n", "1").into_bytes();
    let prompt = |value: &[u8]| [b"{\"model\":\"echo\",\"prompt\":", value, b"}"].concat();
    let cases: [(&str, Vec<u8>); 14] = [
        ("nothing", Vec::new()),
        ("no JSON", CANARY.into()),
        ("a broken object", whole[..whole.len() - 1].to_vec()),
        ("something after it", [&whole, CANARY.as_bytes()].concat()),
        ("an array", b"[]".into()),
        ("a text", format!("\"{CANARY}\"").into()),
        ("arrays without end", prompt("[".repeat(10_000).as_bytes())),
        (
            "objects without end",
            prompt("{\"a\":".repeat(5_000).as_bytes()),
        ),
        ("invalid UTF-8", prompt(b"\"\xff\"")),
        ("a lone surrogate", prompt(b"\"\\ud800\"")),
        ("a bare NUL", prompt(b"\"\0\"")),
        ("a number beyond all", with("temperature", "1e999").into()),
        ("no number", with("temperature", "NaN").into()),
        ("a field twice", prompt(b"\"x\",\"prompt\":\"x\"")),
    ];
    for (what, body) in cases {
        let error = check(&client.post_bytes("/v1/completions", body).await, 400, what);
        assert_eq!(error["type"], "invalid_request_error", "{what}: {error}");
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let unknown = client
        .post_bytes("/v1/completions", with("unknown", &deep))
        .await;
    assert_eq!(unknown.status, 200, "unknown fields are let pass");
    setting.expect_unharmed(server, &client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_is_refused() {
    let (setting, server) = Setting::new("").await;
    let client = server.client();
    let id = client
        .complete(&json!({"model": "echo", "prompt": "x"}))
        .await
        .decision();
    let with = |more: &str| format!("{{\"decision_id\":\"{id}\"{more}}}");
    let cases = [
        ("no JSON", CANARY.to_owned(), None),
        ("no kind", with(""), Some("type")),
        (
            "an unknown kind",
            with(&format!(",\"type\":\"{CANARY}\"")),
            Some("type"),
        ),
        (
            "no id",
            "{\"type\":\"shown\"}".to_owned(),
            Some("decision_id"),
        ),
        (
            "an id that is none",
            format!("{{\"decision_id\":\"{CANARY}\",\"type\":\"shown\"}}"),
            Some("decision_id"),
        ),
        (
            "a negative choice",
            with(",\"type\":\"shown\",\"choice\":-1"),
            Some("choice"),
        ),
        (
            "a negative length",
            with(",\"type\":\"accepted\",\"accepted_length\":-3"),
            Some("accepted_length"),
        ),
        (
            "a length that is no number",
            with(",\"type\":\"accepted\",\"accepted_length\":NaN"),
            None,
        ),
        (
            "a text that is a number",
            with(",\"type\":\"edited\",\"text\":1"),
            Some("text"),
        ),
        (
            "a field twice",
            with(",\"type\":\"shown\",\"type\":\"shown\""),
            Some("type"),
        ),
    ];
    for (what, body, param) in cases {
        let error = check(&client.post_bytes("/v1/echo/events", body).await, 400, what);
        assert_eq!(error["param"].as_str(), param, "{what}: {error}");
    }
    let unknown = with(&format!(",\"type\":\"shown\",\"{CANARY}\":1"));
    assert_eq!(
        client.post_bytes("/v1/echo/events", unknown).await.status,
        400,
        "an unknown field"
    );
    setting.expect_unharmed(server, &client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path_method_or_media_type_is_refused() {
    let (setting, server) = Setting::new("").await;
    let client = server.client();
    let paths = [
        "/v1",
        "/v1/chat",
        "/v1/completions/",
        "/v1/completions%00",
        "/admin",
        "/../etc/passwd",
    ];
    for path in paths {
        assert_eq!(
            check(&client.get(path).await, 404, path)["code"],
            "unknown_url"
        );
    }
    let methods = [
        (Method::GET, "/v1/completions", "POST"),
        (Method::DELETE, "/v1/completions", "POST"),
        (Method::PUT, "/v1/echo/events", "POST"),
        (Method::POST, "/v1/models", "GET"),
        (Method::POST, "/healthz", "GET"),
        (Method::GET, "/v1/chat/completions", "POST"),
    ];
    for (method, path, allowed) in methods {
        let answer = Answer::of(client.request(method, path)).await;
        check(&answer, 405, path);
        assert!(answer.header("allow").contains(allowed), "{answer:?}");
    }
    let body = json!({"model": "echo", "prompt": CANARY}).to_string();
    let post = || {
        client
            .request(Method::POST, "/v1/completions")
            .body(body.clone())
    };
    let refused = [
        ("no media type", post()),
        ("text", post().header(CONTENT_TYPE, "text/plain")),
        (
            "a form",
            post().header(CONTENT_TYPE, "application/x-www-form-urlencoded"),
        ),
        (
            "a media type that is none",
            post().header(CONTENT_TYPE, "application/jsonp"),
        ),
        (
            "gzip",
            post()
                .header(CONTENT_TYPE, "application/json")
                .header("content-encoding", "gzip"),
        ),
    ];
    for (what, request) in refused {
        check(&Answer::of(request).await, 415, what);
    }
    let charset = post()
        .header(CONTENT_TYPE, "Application/JSON; charset=utf-8")
        .header("content-encoding", "identity");
    assert_eq!(Answer::of(charset).await.status, 200);
    setting.expect_unharmed(server, &client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_asked_for_no_tokens_must_be_there() {
    let (setting, server) = Setting::new("").await;
    let client = server.client();
    let body = json!({"model": "nobody", "prompt": CANARY, "max_tokens": 0});
    assert_eq!(
        check(&client.ask(&body).await, 404, "a warm-up")["code"],
        "model_not_found"
    );
    let (events, ending) = client
        .stream(&json!({"model": "arm", "prompt": CANARY, "max_tokens": 0}))
        .await
        .rest()
        .await;
    assert_eq!(
        (joined(&events, 0).as_str(), ending),
        ("", vec![Next::Done, Next::End])
    );
    setting.expect_unharmed(server, &client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_no_text_is_refused() {
    let (setting, server) = Setting::new("").await;
    let said = raw::exchange(
        server.address(),
        b"GET /v1/models/%FF HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!([400, 404].contains(&raw::status(&said)), "{said}");
    assert!(
        said.contains("content-type: application/json") && said.contains("x-request-id: "),
        "{said}"
    );
    let error: Value = serde_json::from_str(raw::body(&said)).unwrap();
    assert!(error["error"]["message"].is_string(), "{said}");
    let client = server.client();
    setting.expect_unharmed(server, &client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_text_is_refused_whatever_the_field() {
    let (setting, server) = Setting::new("").await;
    let client = server.client();
    let bodies: [&[u8]; 2] = [
        b"{\"model\":\"echo\",\"prompt\":\"x\",\"unknown\":\"\xff\"}",
        b"{\"model\":\"echo\",\"prompt\":\"x\",\"\xff\":1}",
    ];
    for body in bodies {
        let what = String::from_utf8_lossy(body).into_owned();
        check(
            &client.post_bytes("/v1/completions", body).await,
            400,
            &what,
        );
    }
    setting.expect_unharmed(server, &client).await;
}
