//! What one dialect does unlike the others: framing, shape, errors, leaving.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::patience::{eventually, soon};
use crate::server::{Home, Server};
use crate::upstream::{Reply, Step, Upstream};

async fn saying(text: &'static str) -> (Home, Upstream, Server) {
    let upstream = Upstream::saying(text).await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", "")).start().await;
    (home, upstream, server)
}

/// The parts of a stream of JSON lines, or of events without the one that ends them.
fn parts(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let lines = text.lines().filter(|line| !line.is_empty());
    let json = lines.map(|line| line.strip_prefix("data: ").unwrap_or(line));
    json.filter(|json| *json != "[DONE]")
        .map(|json| serde_json::from_str(json).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_the_cursor_arrive_by_every_path() {
    let (_home, upstream, server) = saying("a, b").await;
    let client = server.client();
    let (p, s) = ("def f(", "):\n    pass\n");
    let template = format!("<fim_prefix>{p}<fim_suffix>{s}<fim_middle>");
    let minuet = format!("<contextAfterCursor>\n{s}\n<contextBeforeCursor>\n{p}<cursorPosition>");
    let filler = format!(
        "You are a HOLE FILLER.\n\n<QUERY>\n{p}{{{{FILL_HERE}}}}{s}\n</QUERY>\nTASK: Fill the {{{{FILL_HERE}}}} hole.\n<COMPLETION>"
    );
    let chat =
        |text: &str| json!({"model": "echo", "messages": [{"role": "user", "content": text}]});
    let fields = json!({"model": "echo", "prompt": p, "suffix": s});
    let rendered = json!({"model": "echo", "prompt": template});
    let whole = |mut body: Value| {
        body["stream"] = json!(false);
        body
    };
    let infill = json!({"input_prefix": "", "prompt": p, "input_suffix": s});
    let asked = [
        ("/beta/completions", fields.clone(), "/choices/0/text"),
        (
            "/v1/fim/completions",
            fields.clone(),
            "/choices/0/message/content",
        ),
        (
            "/fim/completions",
            fields.clone(),
            "/choices/0/message/content",
        ),
        ("/completion", rendered.clone(), "/content"),
        (
            "/completions",
            json!({"prompt": template, "n_predict": 16}),
            "/content",
        ),
        (
            "/v1/completions",
            json!({"model": "echo", "prompt": filler}),
            "/choices/0/text",
        ),
        ("/infill", infill, "/content"),
        ("/api/generate", whole(fields), "/response"),
        ("/api/generate", whole(rendered.clone()), "/response"),
        (
            "/v1/chat/completions",
            chat(&template),
            "/choices/0/message/content",
        ),
        (
            "/v1/chat/completions",
            chat(&minuet),
            "/choices/0/message/content",
        ),
        (
            "/chat/completions",
            chat(&filler),
            "/choices/0/message/content",
        ),
    ];
    for (number, (path, body, place)) in asked.into_iter().enumerate() {
        let answer = client
            .user(&format!("user-{number}"))
            .post(path, &body)
            .await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.json().pointer(place), Some(&json!("a, b")), "{path}");
        assert_eq!(answer.header("x-echo-logged"), "1", "{path}");
        let seen = upstream.asked().pop().unwrap().body;
        let both = (&seen["prompt"], &seen["suffix"]);
        assert_eq!(both, (&json!(p), &json!(s)), "{path} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dialect_streams_in_its_own_frames() {
    let (_home, _upstream, server) = saying("a, b").await;
    let client = server.client();
    let body = json!({"model": "echo", "prompt": "def f(", "suffix": ")", "stream": true});
    let mut chat = body.clone();
    chat["messages"] = json!([{"role": "user", "content": "def f("}]);
    let cases = [
        ("/api/generate", &body, "application/x-ndjson", "/response"),
        ("/completion", &body, "text/event-stream", "/content"),
        ("/infill", &body, "text/event-stream", "/content"),
        (
            "/v1/fim/completions",
            &body,
            "text/event-stream",
            "/choices/0/delta/content",
        ),
        (
            "/v1/chat/completions",
            &chat,
            "text/event-stream",
            "/choices/0/delta/content",
        ),
        (
            "/beta/completions",
            &body,
            "text/event-stream",
            "/choices/0/text",
        ),
    ];
    for (path, body, media_type, place) in cases {
        let answer = client.post(path, body).await;
        assert_eq!(answer.header("content-type"), media_type, "{path}");
        let parts = parts(&answer);
        let said: String = parts
            .iter()
            .filter_map(|part| part.pointer(place)?.as_str())
            .collect();
        assert_eq!(said, "a, b", "{path}");
        let last = parts.last().unwrap();
        match path {
            "/api/generate" => assert_eq!(
                (&last["done"], &last["done_reason"]),
                (&json!(true), &json!("stop"))
            ),
            "/completion" | "/infill" => assert_eq!(last["stop"], true, "{path}"),
            _ => assert_eq!(last["choices"][0]["finish_reason"], "stop", "{path}"),
        }
    }
    let mut first = body.clone();
    first.as_object_mut().unwrap().remove("stream");
    let streamed = client.post("/api/generate", &first).await;
    assert_eq!(
        parts(&streamed).len(),
        2,
        "Ollama streams unless told not to"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_form_of_their_dialect() {
    let (_home, _upstream, server) = saying("x").await;
    let client = server.client();
    let bodies = [
        "{",
        "7",
        r#"{"model":7}"#,
        r#"{"model":"nobody","prompt":"x"}"#,
    ];
    for body in bodies {
        for path in ["/api/generate", "/api/show"] {
            let said = client.post_bytes(path, body).await;
            assert!(said.status == 400 || said.status == 404, "{path} {body}");
            assert!(said.json()["error"].is_string(), "{path} {body}: {said:?}");
        }
        for path in ["/infill", "/completion"] {
            let said = client.post_bytes(path, body).await;
            assert_eq!(said.json()["error"]["code"], said.status, "{path} {body}");
        }
        for path in [
            "/v1/fim/completions",
            "/v1/chat/completions",
            "/continue/devdata",
        ] {
            let said = client.post_bytes(path, body).await;
            said.error(if path.starts_with("/v1/fim") {
                said.status
            } else {
                400
            });
        }
    }
    let nowhere = client.post("/api/embed", &json!({})).await;
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.json()["error"].is_string(), "{nowhere:?}");
    let method = Answer::of(client.request(Method::GET, "/api/generate")).await;
    assert_eq!((method.status, method.header("allow")), (405, "POST"));
    assert!(method.json()["error"].is_string(), "{method:?}");
    client.get("/v1/embeddings").await.error(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn ollamas_pages_and_tabbys_are_there() {
    let (_home, _upstream, server) = saying("x").await;
    let client = server.client();
    assert_eq!(client.get("/").await.text(), "Ollama is running");
    let head = Answer::of(client.request(Method::HEAD, "/")).await;
    assert_eq!(head.status, 200);
    assert!(client.get("/api/version").await.json()["version"].is_string());
    let tags = client.get("/api/tags").await.json();
    assert_eq!(tags["models"][0]["name"], "echo:latest");
    let shown = client
        .post("/api/show", &json!({"name": "echo:latest"}))
        .await;
    assert!(
        shown.json()["template"]
            .as_str()
            .unwrap()
            .contains(".Suffix")
    );
    let models = client.get("/v1beta/models").await.json();
    assert_eq!(models["completion"], json!(["echo"]));
    for method in [Method::GET, Method::POST] {
        let health = Answer::of(client.request(method, "/v1/health")).await;
        assert_eq!(health.json()["model"], "echo");
    }
    // As Ollama's manual has it: no media type, which a page in a browser could send too.
    let bare = |client: &Client| {
        let body = json!({"model": "echo", "prompt": "x", "stream": false}).to_string();
        let request = client.request(Method::POST, "/api/generate");
        Answer::of(
            request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body),
        )
    };
    assert_eq!(bare(&client).await.status, 200);
    let page = client.with("origin", "http://elsewhere.example");
    assert_eq!(bare(&page).await.status, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_upstream_along_in_every_dialect() {
    let upstream = Upstream::start(|_| Reply::events(vec![Step::piece("x"), Step::Hang])).await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", "")).start().await;
    let paths = ["/api/generate", "/completion", "/v1/fim/completions"];
    for (before, path) in paths.into_iter().enumerate() {
        let body = json!({"model": "echo", "prompt": "x", "stream": true}).to_string();
        let request = server.client().request(Method::POST, path);
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let mut answer = soon("the head", request.send()).await.unwrap();
        let first = soon("the first part", answer.chunk()).await.unwrap();
        assert!(first.is_some(), "{path}");
        drop(answer);
        eventually("the upstream's loss", async || {
            (upstream.left() == before + 1).then_some(())
        })
        .await;
    }
}
