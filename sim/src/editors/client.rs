use crate::editors::error::EditorError;
use crate::editors::wire::{self, ANSWER_BYTES_MAX, Ask, EventStream, WireError};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::fmt;

/// The HTTP side of an editor.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    bearer: Option<String>,
    model: String,
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) decision: String,
    pub(crate) arm: Option<String>,
    pub(crate) text: String,
}

/// Why a request failed. Its text holds nothing of the document.
#[derive(Debug)]
pub(crate) enum Failure {
    Connection(reqwest::Error),
    Status(u16),
    Answer(WireError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "{error}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Answer(error) => write!(f, "{error}"),
        }
    }
}

/// An HTTP client for simulated editors, which never use a proxy and never give up by themselves.
pub(crate) fn http_client() -> Result<reqwest::Client, EditorError> {
    // Someone else may have installed a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(EditorError::Client)
}

impl Client {
    pub(crate) fn new(
        http: reqwest::Client,
        base_url: &str,
        bearer: Option<String>,
        model: String,
    ) -> Self {
        Self {
            http,
            base: base_url.trim_end_matches('/').to_owned(),
            bearer,
            model,
        }
    }

    /// Asks for a completion. Dropping the future closes the connection, as an editor does.
    pub(crate) async fn complete(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        let mut request = self.post("/v1/completions", &ask.body(&self.model));
        if let Some((language, path)) = ask.file {
            request = request
                .header("x-echo-language", language)
                .header("x-echo-file", path);
        }
        let response = request.send().await.map_err(Failure::Connection)?;
        if !response.status().is_success() {
            return Err(Failure::Status(response.status().as_u16()));
        }
        let named = |name| header(response.headers(), name);
        let (decision, arm) = (named("x-echo-decision"), named("x-echo-arm"));
        let answer = read(response).await?;
        let id = answer.id.strip_prefix("cmpl-").unwrap_or(&answer.id);
        Ok(Reply {
            decision: decision.unwrap_or_else(|| id.to_owned()),
            arm,
            text: answer.text,
        })
    }

    /// Tells the server what became of a proposal.
    pub(crate) async fn report(&self, report: &Report<'_>) -> Result<(), Failure> {
        let mut body = json!({"decision_id": report.decision, "type": report.kind});
        if let Some(chars) = report.accepted_chars {
            body["accepted_length"] = json!(chars);
        }
        if let Some(text) = report.text {
            body["text"] = json!(text);
        }
        let request = self.post("/v1/echo/events", &body);
        let response = request.send().await.map_err(Failure::Connection)?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(Failure::Status(response.status().as_u16()))
        }
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        match &self.bearer {
            Some(bearer) => request.header(AUTHORIZATION, format!("Bearer {bearer}")),
            None => request,
        }
    }
}

/// What an editor that reports says of a proposal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) decision: &'a str,
    pub(crate) kind: &'static str,
    /// Characters taken, from the start of the proposal.
    pub(crate) accepted_chars: Option<usize>,
    pub(crate) text: Option<&'a str>,
}

async fn read(mut response: Response) -> Result<wire::Answer, Failure> {
    let streamed = header(response.headers(), CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    let mut stream = EventStream::default();
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(Failure::Connection)? {
        if streamed {
            stream.push(&bytes).map_err(Failure::Answer)?;
            if stream.is_done() {
                break;
            }
        } else if body.len() + bytes.len() > ANSWER_BYTES_MAX {
            return Err(Failure::Answer(WireError::TooLong));
        } else {
            body.extend_from_slice(&bytes);
        }
    }
    let answer = if streamed {
        stream.finish()
    } else {
        wire::from_json(&body)
    };
    answer.map_err(Failure::Answer)
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}
