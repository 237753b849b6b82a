//! Sending an answer: whole, or as it comes.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};

use crate::answer::{Alternative, Answer};
use crate::dialect::openai::Usage;
use crate::dialect::{ApiError, Dialect, Framing};
use crate::ids::DecisionId;
use crate::request::CompletionRequest;
use crate::upstream::{Piece, PieceStream};

/// What is said about an answer beside its text.
#[derive(Debug, Clone)]
pub struct Head {
    /// The decision that it answers.
    pub id: DecisionId,
    /// When it was begun, in seconds since 1970.
    pub created_s: i64,
    /// The arm that answers, as `name@version`.
    pub arm: String,
    /// When its request came in.
    started: Instant,
    logged: bool,
    fallback: bool,
    policy_version: u64,
}

impl Head {
    /// The head of an answer that a policy of this version decided on.
    pub fn of(answer: &Answer, policy_version: u64) -> Self {
        Self {
            id: answer.id,
            created_s: answer.created_s(),
            arm: answer.arm.clone(),
            started: answer.started(),
            logged: answer.logged.get(),
            fallback: answer.fallback,
            policy_version,
        }
    }

    /// The arm's name without its version.
    pub fn model(&self) -> &str {
        self.arm.split('@').next().unwrap_or(&self.arm)
    }

    /// The time since its request came in.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    #[cfg(test)]
    pub(crate) fn test(id: DecisionId, arm: &str) -> Self {
        Self {
            id,
            created_s: 0,
            arm: arm.to_owned(),
            started: Instant::now(),
            logged: true,
            fallback: false,
            policy_version: 1,
        }
    }

    fn put_on(&self, response: &mut Response) {
        let flag = |is: bool| (if is { "1" } else { "0" }).to_owned();
        let said = [
            ("x-echo-decision", self.id.to_string()),
            ("x-request-id", self.id.to_string()),
            ("x-echo-arm", self.arm.clone()),
            ("x-echo-policy", self.policy_version.to_string()),
            ("x-echo-logged", flag(self.logged)),
            ("x-echo-fallback", flag(self.fallback)),
        ];
        for (name, value) in said {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// The answer to a request for no tokens at all: some editors make one so that a server reads its
/// prompt ahead of time. Nothing is decided and nothing is learned.
pub fn warm_up(dialect: &dyn Dialect, request: &CompletionRequest, now_s: i64) -> Response {
    let head = Head {
        id: DecisionId::new(),
        created_s: now_s,
        arm: request.model.clone(),
        started: Instant::now(),
        logged: false,
        fallback: false,
        policy_version: 0,
    };
    if request.stream {
        let end = dialect.end(&head, &[Alternative::default()], Usage::default());
        return (stream_headers(dialect.framing()), end).into_response();
    }
    json(dialect.whole(&head, &[Alternative::default()], Usage::default()))
}

fn stream_headers(framing: Framing) -> [(HeaderName, &'static str); 3] {
    [
        (header::CONTENT_TYPE, framing.media_type()),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ]
}

/// The answer in one piece.
///
/// # Errors
///
/// [`ApiError`] when the upstream breaks off: nothing has been sent yet.
pub async fn whole(
    mut answer: Answer,
    first: Piece,
    mut pieces: PieceStream,
    head: &Head,
    dialect: &dyn Dialect,
) -> Result<Response, ApiError> {
    answer.add(&first);
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => answer.add(&piece),
            Err(error) => {
                answer.interrupt();
                return Err(ApiError::from(&error));
            }
        }
    }
    let mut response = json(dialect.whole(head, answer.alternatives(), answer.usage()));
    answer.finish();
    head.put_on(&mut response);
    Ok(response)
}

/// The answer as it comes: one part a piece, each flushed by itself.
pub fn streamed(
    answer: Answer,
    first: Piece,
    pieces: PieceStream,
    head: Head,
    dialect: Box<dyn Dialect>,
) -> Response {
    let mut response = stream_headers(dialect.framing()).into_response();
    head.put_on(&mut response);
    let first: PieceStream = Box::pin(stream::once(std::future::ready(Ok(first))));
    let streaming = Streaming {
        answer: Some(answer),
        pieces: Box::pin(first.chain(pieces)),
        head,
        dialect,
        broken: false,
    };
    *response.body_mut() = Body::from_stream(events(streaming));
    response
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// A streamed answer on its way.
struct Streaming {
    /// `None` once the last event is sent.
    answer: Option<Answer>,
    pieces: PieceStream,
    head: Head,
    dialect: Box<dyn Dialect>,
    /// Whether the connection is to be broken off after the last event.
    broken: bool,
}

fn events(streaming: Streaming) -> impl Stream<Item = Result<Bytes, BrokenOff>> {
    stream::unfold(streaming, async |mut streaming| {
        let event = streaming.next().await?;
        Some((event, streaming))
    })
}

impl Streaming {
    async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        if std::mem::take(&mut self.broken) {
            // A body that fails at once takes what is not sent yet with it: let the event go first.
            tokio::task::yield_now().await;
            return Some(Err(BrokenOff));
        }
        let mut answer = self.answer.take()?;
        loop {
            match self.pieces.next().await {
                Some(Ok(piece)) => {
                    answer.add(&piece);
                    let Some(event) = self.dialect.piece(&self.head, &piece) else {
                        continue;
                    };
                    self.answer = Some(answer);
                    return Some(Ok(Bytes::from(event)));
                }
                Some(Err(error)) => {
                    tracing::warn!(arm = answer.arm, %error, "an arm broke off its answer");
                    answer.interrupt();
                    self.broken = true;
                    let error = ApiError::stream_interrupted(&error);
                    return Some(Ok(Bytes::from(self.dialect.broken(&error))));
                }
                None => {
                    let (alternatives, usage) = (answer.alternatives(), answer.usage());
                    let last = self.dialect.end(&self.head, alternatives, usage);
                    answer.finish();
                    return Some(Ok(Bytes::from(last)));
                }
            }
        }
    }
}

/// Ends a body so that the client sees it broken off, and not complete.
#[derive(Debug)]
struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the upstream broke off")
    }
}

impl std::error::Error for BrokenOff {}
