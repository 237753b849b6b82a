//! A scripted upstream: a real HTTP server that answers each request as a test wants it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A request as the upstream saw it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Value,
}

/// What it is answered with.
pub(crate) enum Reply {
    /// A body that comes step by step.
    Steps(&'static str, Vec<Step>),
    /// A whole body of a status.
    Whole(u16, Vec<(&'static str, &'static str)>, String),
    /// Nothing at all, for ever.
    Never,
}

/// One step of a body.
pub(crate) enum Step {
    /// Sends this.
    Send(String),
    /// Waits for a permit, and uses it up.
    Wait(Arc<Semaphore>),
    /// Waits for so long.
    Pause(Duration),
    /// Breaks the connection off.
    BreakOff,
    /// Waits for ever.
    Hang,
}

impl Reply {
    /// A completion of these pieces, as `OpenAI`'s kind of server streams it.
    pub(crate) fn says<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        let mut steps: Vec<Step> = pieces.into_iter().map(Step::piece).collect();
        steps.push(Step::end());
        Self::events(steps)
    }

    /// An event stream.
    pub(crate) fn events(steps: Vec<Step>) -> Self {
        Self::Steps("text/event-stream", steps)
    }

    /// A refusal in `OpenAI`'s form.
    pub(crate) fn refuses(status: u16, message: &str) -> Self {
        let body = json!({"error": {"message": message, "type": "t", "param": null, "code": null}});
        Self::Whole(
            status,
            vec![("content-type", "application/json")],
            body.to_string(),
        )
    }
}

impl Step {
    /// An event with a piece of text.
    pub(crate) fn piece(text: &str) -> Self {
        Self::event(&json!({"choices": [{"text": text, "index": 0, "finish_reason": null}]}))
    }

    /// The events that end a completion.
    pub(crate) fn end() -> Self {
        let last = json!({"choices": [{"text": "", "index": 0, "finish_reason": "stop"}]});
        Self::Send(format!("data: {last}\n\ndata: [DONE]\n\n"))
    }

    /// An event.
    pub(crate) fn event(data: &Value) -> Self {
        Self::Send(format!("data: {data}\n\n"))
    }
}

/// A running upstream; stopped when dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    left: AtomicUsize,
}

impl Upstream {
    /// Starts one that answers by `script`.
    pub(crate) async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Without it a piece would wait for the acknowledgement of the one before.
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
        let seen = Arc::new(Seen::default());
        let (script, keeper) = (Arc::new(script), Arc::clone(&seen));
        let router = Router::new().fallback(async move |request: Request| {
            Ok::<_, Infallible>(answer(script.as_ref(), &keeper, request).await)
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            seen,
            task,
        }
    }

    /// Starts one that says the same text to everybody.
    pub(crate) async fn saying(text: &'static str) -> Self {
        Self::start(move |_| Reply::says([text])).await
    }

    /// Its address with a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// An arm of the kind `openai` that asks it, as TOML; `more` are further lines.
    pub(crate) fn arm(&self, name: &str, more: &str) -> String {
        arm(name, "openai", &self.url("/v1"), more)
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap().clone()
    }

    /// How many of them were left by their client before the answer's end.
    pub(crate) fn left(&self) -> usize {
        self.seen.left.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An arm as TOML.
pub(crate) fn arm(name: &str, kind: &str, url: &str, more: &str) -> String {
    format!(
        "[[arm]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\nmodel = \"m-{name}\"\n{more}\n"
    )
}

/// The address of a server that is not there: nothing listens at its port any more.
pub(crate) async fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/v1", listener.local_addr().unwrap())
}

/// Counts an answer that was dropped before its end.
struct Watch(Option<Arc<Seen>>);

impl Watch {
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(seen) = &self.0 {
            seen.left.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn answer(
    script: &(impl Fn(&Asked) -> Reply + Send + Sync),
    seen: &Arc<Seen>,
    request: Request,
) -> Response {
    let mut watch = Watch(Some(Arc::clone(seen)));
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let reply = script(&asked);
    seen.asked.lock().unwrap().push(asked);
    match reply {
        Reply::Never => std::future::pending().await,
        Reply::Whole(status, headers, body) => {
            watch.ended();
            let response = Response::builder().status(status);
            let response = headers.iter().fold(response, |response, (name, value)| {
                response.header(*name, *value)
            });
            response.body(Body::from(body)).unwrap()
        }
        Reply::Steps(content_type, steps) => {
            let body = Body::from_stream(stream::unfold(
                (steps.into_iter(), watch),
                async |(mut steps, mut watch)| {
                    loop {
                        let Some(step) = steps.next() else {
                            watch.ended();
                            return None;
                        };
                        let sent: Result<Bytes, io::Error> = match step {
                            Step::Send(text) => Ok(Bytes::from(text)),
                            Step::Wait(gate) => {
                                // What was sent goes out, however soon the permit is there.
                                tokio::task::yield_now().await;
                                gate.acquire().await.unwrap().forget();
                                continue;
                            }
                            Step::Pause(time) => {
                                tokio::time::sleep(time).await;
                                continue;
                            }
                            Step::BreakOff => {
                                watch.ended();
                                Err(io::ErrorKind::ConnectionReset.into())
                            }
                            Step::Hang => std::future::pending().await,
                        };
                        return Some((sent, (steps, watch)));
                    }
                },
            ));
            Response::builder()
                .header("content-type", content_type)
                .body(body)
                .unwrap()
        }
    }
}
