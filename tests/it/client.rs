//! An HTTP client of the server.

use std::net::SocketAddr;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::patience::{PATIENCE, soon};

/// Sends requests to one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// A client without a key.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .timeout(PATIENCE);
        Self {
            http: http.build().unwrap(),
            base: format!("http://{address}"),
            headers: Vec::new(),
        }
    }

    /// The same with one more header in every request.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The same for a named user.
    pub(crate) fn user(&self, name: &str) -> Self {
        self.with("x-echo-user", name)
    }

    /// A request, not yet sent.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        self.headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }

    /// Sends any body as JSON.
    pub(crate) async fn post_bytes(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header(CONTENT_TYPE, "application/json");
        Answer::of(request.body(body)).await
    }

    /// Sends JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string()).await
    }

    /// Reads a page.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// Asks for a completion, whatever the answer.
    pub(crate) async fn ask(&self, body: &Value) -> Answer {
        self.post("/v1/completions", body).await
    }

    /// Asks for a completion and gets it.
    pub(crate) async fn complete(&self, body: &Value) -> Answer {
        let answer = self.ask(body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Asks for a streamed completion.
    pub(crate) async fn stream(&self, body: &Value) -> Events {
        let request = self
            .request(Method::POST, "/v1/completions")
            .header(CONTENT_TYPE, "application/json");
        let mut body = body.clone();
        body["stream"] = json!(true);
        let response = soon(
            "the head of a stream",
            request.body(body.to_string()).send(),
        )
        .await
        .unwrap();
        Events {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            response,
            unread: Vec::new(),
        }
    }

    /// Says what became of a proposal.
    pub(crate) async fn event(&self, body: &Value) -> Answer {
        self.post("/v1/echo/events", body).await
    }

    /// What the server says of its health.
    pub(crate) async fn health(&self) -> Value {
        let answer = self.get("/healthz").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// One number of the metrics, by its name and labels; 0 where it is not there yet.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |number| number.parse().unwrap())
    }
}

impl Answer {
    /// The answer to a request.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = soon("an answer", request.send()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = soon("an answer's body", response.bytes()).await.unwrap();
        Self {
            status,
            headers,
            body,
        }
    }

    /// A header, which is there.
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// The text of the first alternative.
    pub(crate) fn completion(&self) -> String {
        self.json()["choices"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The decision's id.
    pub(crate) fn decision(&self) -> String {
        self.header("x-echo-decision").to_owned()
    }

    /// The error, once it is clear that it has the form that `OpenAI` gives it.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
        let mut body = self.json();
        let error = body["error"].take();
        let fields: Vec<&String> = error.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["code", "message", "param", "type"], "{self:?}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{self:?}"
        );
        assert!(error["type"].is_string(), "{self:?}");
        for optional in ["param", "code"] {
            assert!(
                error[optional].is_null() || error[optional].is_string(),
                "{self:?}"
            );
        }
        error
    }
}

#[track_caller]
fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers
        .get(name)
        .unwrap_or_else(|| panic!("no header {name} in {headers:?}"));
    value.to_str().unwrap()
}

/// A streamed answer. Dropped before its end, the client has left.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    response: Response,
    unread: Vec<u8>,
}

/// How a stream went on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// An event.
    Data(Value),
    /// The event `[DONE]`.
    Done,
    /// The body ended as it should.
    End,
    /// The connection broke off in the middle of the body.
    Broken,
}

impl Events {
    /// A header, which is there.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let rest = self.unread.split_off(end + 2);
                let event = std::mem::replace(&mut self.unread, rest);
                return read(&event);
            }
            match soon("the next event", self.response.chunk()).await {
                Ok(Some(bytes)) => self.unread.extend_from_slice(&bytes),
                Ok(None) => {
                    assert!(self.unread.is_empty(), "half an event: {:?}", self.unread);
                    return Next::End;
                }
                Err(_) => return Next::Broken,
            }
        }
    }

    /// The next event, which is one.
    pub(crate) async fn data(&mut self) -> Value {
        match self.next().await {
            Next::Data(data) => data,
            other => panic!("no event but {other:?}"),
        }
    }

    /// Everything that follows, to the end.
    pub(crate) async fn rest(mut self) -> (Vec<Value>, Vec<Next>) {
        let (mut data, mut ending) = (Vec::new(), Vec::new());
        loop {
            match self.next().await {
                Next::Data(event) if ending.is_empty() => data.push(event),
                next => {
                    let last = matches!(next, Next::End | Next::Broken);
                    ending.push(next);
                    if last {
                        return (data, ending);
                    }
                }
            }
        }
    }
}

fn read(event: &[u8]) -> Next {
    let text = std::str::from_utf8(event).unwrap().trim_end_matches('\n');
    let data = text
        .strip_prefix("data: ")
        .unwrap_or_else(|| panic!("no data line: {text:?}"));
    if data == "[DONE]" {
        return Next::Done;
    }
    Next::Data(serde_json::from_str(data).unwrap())
}

/// The texts of a stream's events, joined, of one alternative.
pub(crate) fn joined(events: &[Value], index: u64) -> String {
    let choices = events.iter().filter_map(|event| event["choices"].get(0));
    choices
        .filter(|choice| choice["index"] == index)
        .filter_map(|choice| choice["text"].as_str())
        .collect()
}

/// A request for a completion at a place that the embedded models know.
pub(crate) fn known_place(model: &str) -> Value {
    json!({
        "model": model,
        "prompt": "/// The total of some values.\npub fn total_of_all(values: &[u32]) -> u32 {\n    let mut total = 0;\n    for value in values {\n        total += value;\n    }\n    total\n}\n\n/// The total of some values.\npub fn total_of_most(values: &[u32]) -> u32 {\n    let mut total = 0;\n",
        "suffix": "\n}\n",
    })
}
