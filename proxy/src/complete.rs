//! The story of one completion, from its bytes to its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use echo_experience::{Decision, Record, Ticket};
use echo_policy::{Facts, Features};
use futures_util::{Stream, StreamExt as _, stream};

use crate::answer::{Answer, window};
use crate::arm::Arm;
use crate::caller::Identity;
use crate::dialect::ApiError;
use crate::dialect::openai::{self, Choice, Completion, DONE, Decoded};
use crate::ids::DecisionId;
use crate::metrics::ArmLabel;
use crate::project;
use crate::request::CompletionRequest;
use crate::route::{self, Cohort, Route};
use crate::state::{Echo, Live};
use crate::upstream::{Piece, PieceStream, UpstreamError};
use crate::watch::UserKey;

/// Answers one completion request.
///
/// # Errors
///
/// [`ApiError`] whatever goes wrong before the first byte; after it, an error event ends the stream
/// and the connection is broken off.
pub async fn complete(
    echo: Arc<Echo>,
    identity: Identity,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let live = echo.live.load_full();
    let Decoded {
        mut request,
        include_usage,
    } = openai::decode(&body, &live.config)?;
    identity.complete(&mut request, headers);
    let user = identity.user(&request);
    echo.projects.show(&user, &request, echo.clock.now_ms());
    request.user = Some(project::name(&user));
    let request = Arc::new(request);

    let (changes, recent) = echo
        .watch
        .request(&user, &window(&request), echo.clock.now_ms());
    echo.record_changes(changes);
    if request.max_tokens == 0 {
        return Ok(warm_up(&request));
    }

    let id = DecisionId::new();
    let cohort = Cohort::of(&user, &live.config.control);
    let facts = route::facts(&echo, &request, &identity.client, recent);
    let features = echo.schema.featurise(&facts);
    let route = route::choose(&echo, &live, cohort, &request.model, &features, id)?;
    let decision = decision(
        &echo, &live, &request, &user, id, cohort, &route, &facts, &features,
    );
    let ticket = echo.log.append(Record::Decision(decision));
    let label = ArmLabel {
        arm: route.drawn().id().to_owned(),
    };
    echo.metrics.decisions.get_or_create(&label).inc();

    let mut answer = Answer::new(&echo, &request, &user, id, started);
    let opened = open(&echo, &route, &request, &mut answer).await;
    answer.logged = is_durable(&echo, ticket, live.config.log.ack_ms).await;
    let (first, pieces) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            answer.fail();
            return Err(ApiError::from(&error));
        }
    };
    let head = Head::of(&answer, route.policy_version);
    let response = if request.stream {
        streamed(answer, first, pieces, head.clone(), include_usage)
    } else {
        whole(answer, first, pieces, &head).await?
    };
    Ok(head.on(response))
}

/// Some editors ask for no tokens at all, so that a server reads its prompt ahead of time.
fn warm_up(request: &CompletionRequest) -> Response {
    let id = DecisionId::new().completion();
    let choices = [Choice {
        text: "",
        index: 0,
        logprobs: (),
        finish_reason: Some("length"),
    }];
    let body = Completion {
        id: &id,
        object: OBJECT,
        created: 0,
        model: &request.model,
        choices: &choices,
        usage: Some(openai::Usage::default()),
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_json()).into_response()
}

#[expect(
    clippy::too_many_arguments,
    reason = "a decision is what all of these come to"
)]
fn decision(
    echo: &Echo,
    live: &Live,
    request: &CompletionRequest,
    user: &UserKey,
    id: DecisionId,
    cohort: Cohort,
    route: &Route,
    facts: &Facts,
    features: &Features,
) -> Decision {
    let log = &live.config.log;
    let tail = request
        .prefix
        .ceil_char_boundary(request.prefix.len().saturating_sub(log.prefix_chars));
    let head = request.suffix.floor_char_boundary(log.suffix_chars);
    let kept = |text: &str, limit: usize| (limit > 0).then(|| text.to_owned());
    Decision {
        id: id.to_string(),
        at_ms: echo.clock.now_ms(),
        tenant: user.tenant.clone(),
        user: user.user.clone(),
        client: facts.client.clone(),
        cohort: cohort.as_str().to_owned(),
        language: request.language.clone(),
        file: request.file.clone(),
        prefix: kept(&request.prefix[tail..], log.prefix_chars),
        suffix: kept(&request.suffix[..head], log.suffix_chars),
        facts: serde_json::to_string(facts).unwrap_or_default(),
        features: features.as_slice().to_vec(),
        schema: echo.schema_hash.clone(),
        arms: route.ids(),
        probabilities: route.probabilities.clone(),
        chosen: u32::try_from(route.chosen).unwrap_or(u32::MAX),
        routed: route.routed,
        degraded: route.degraded,
        policy_version: route.policy_version,
        model: request.model.clone(),
    }
}

/// Gets the first piece from the arm drawn, or from another one if that fails before its first byte.
async fn open(
    echo: &Echo,
    route: &Route,
    request: &Arc<CompletionRequest>,
    answer: &mut Answer,
) -> Result<(Piece, PieceStream), UpstreamError> {
    let mut failure = match first_piece(echo, route.drawn(), request, answer).await {
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    for arm in route.others() {
        if !failure.retryable() {
            break;
        }
        if !arm.eligible() {
            continue;
        }
        answer.fallback = true;
        echo.metrics
            .fallbacks
            .get_or_create(&ArmLabel {
                arm: arm.id().to_owned(),
            })
            .inc();
        match first_piece(echo, &arm, request, answer).await {
            Ok(opened) => return Ok(opened),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn first_piece(
    echo: &Echo,
    arm: &Arc<Arm>,
    request: &Arc<CompletionRequest>,
    answer: &mut Answer,
) -> Result<(Piece, PieceStream), UpstreamError> {
    arm.id().clone_into(&mut answer.arm);
    let opened = async {
        let mut pieces = arm.complete(Arc::clone(request)).await?;
        let first = pieces.next().await.ok_or(UpstreamError::Interrupted)??;
        Ok((first, pieces))
    };
    let opened: Result<_, UpstreamError> = opened.await;
    if let Err(error) = &opened {
        let label = ArmLabel {
            arm: arm.id().to_owned(),
        };
        echo.metrics.failures.get_or_create(&label).inc();
        tracing::warn!(arm = arm.id(), %error, "an arm failed");
    }
    opened
}

/// Waits until the decision is on disk, but no longer than the bound.
async fn is_durable(echo: &Echo, ticket: Ticket, ack_ms: u64) -> bool {
    let durable = tokio::time::timeout(Duration::from_millis(ack_ms), ticket.durable()).await;
    let logged = matches!(durable, Ok(Ok(_)));
    if !logged {
        echo.metrics.unlogged.inc();
    }
    logged
}

/// What is said about an answer beside its text.
#[derive(Debug, Clone)]
struct Head {
    id: DecisionId,
    arm: String,
    logged: bool,
    fallback: bool,
    policy_version: u64,
    created: i64,
}

impl Head {
    fn of(answer: &Answer, policy_version: u64) -> Self {
        Self {
            id: answer.id,
            arm: answer.arm.clone(),
            logged: answer.logged,
            fallback: answer.fallback,
            policy_version,
            created: answer.created_s(),
        }
    }

    fn model(&self) -> &str {
        self.arm.split('@').next().unwrap_or(&self.arm)
    }

    fn on(&self, mut response: Response) -> Response {
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
        response
    }

    fn event(&self, choices: &[Choice<'_>], usage: Option<openai::Usage>) -> Bytes {
        let id = self.id.completion();
        let completion = Completion {
            id: &id,
            object: OBJECT,
            created: self.created,
            model: self.model(),
            choices,
            usage,
        };
        Bytes::from(completion.to_event())
    }
}

const OBJECT: &str = "text_completion";

/// The answer in one piece.
async fn whole(
    mut answer: Answer,
    first: Piece,
    mut pieces: PieceStream,
    head: &Head,
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
    let alternatives = answer.alternatives().iter();
    let choices: Vec<Choice<'_>> = (0..)
        .zip(alternatives)
        .map(|(index, alternative)| Choice {
            text: &alternative.text,
            index,
            logprobs: (),
            finish_reason: Some(alternative.finish_reason()),
        })
        .collect();
    let id = head.id.completion();
    let completion = Completion {
        id: &id,
        object: OBJECT,
        created: head.created,
        model: head.model(),
        choices: &choices,
        usage: Some(answer.usage()),
    };
    let json = completion.to_json();
    answer.finish();
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// The answer as it comes: one event a piece, each flushed by itself.
fn streamed(
    answer: Answer,
    first: Piece,
    pieces: PieceStream,
    head: Head,
    include_usage: bool,
) -> Response {
    let first: PieceStream = Box::pin(stream::once(std::future::ready(Ok(first))));
    let state = Streaming {
        answer: Some(answer),
        pieces: Box::pin(first.chain(pieces)),
        head,
        include_usage,
    };
    let body = Body::from_stream(events(state));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

struct Streaming {
    /// `None` once the stream is at its end.
    answer: Option<Answer>,
    pieces: PieceStream,
    head: Head,
    include_usage: bool,
}

fn events(state: Streaming) -> impl Stream<Item = Result<Bytes, BrokenOff>> {
    stream::unfold((state, false), async |(mut state, broken)| {
        if broken {
            return Some((Err(BrokenOff), (state, false)));
        }
        let mut answer = state.answer.take()?;
        loop {
            match state.pieces.next().await {
                Some(Ok(piece)) => {
                    answer.add(&piece);
                    let Some(event) = piece_event(&state.head, &piece) else {
                        continue;
                    };
                    state.answer = Some(answer);
                    return Some((Ok(event), (state, false)));
                }
                Some(Err(error)) => {
                    tracing::warn!(arm = answer.arm, %error, "an arm broke off its answer");
                    answer.interrupt();
                    let error = ApiError {
                        code: Some("stream_interrupted"),
                        ..ApiError::from(&error)
                    };
                    let event = Bytes::from(format!("data: {}\n\n", error.body()));
                    return Some((Ok(event), (state, true)));
                }
                None => {
                    let mut last = Vec::new();
                    if state.include_usage {
                        last.extend_from_slice(&state.head.event(&[], Some(answer.usage())));
                    }
                    last.extend_from_slice(DONE.as_bytes());
                    answer.finish();
                    return Some((Ok(Bytes::from(last)), (state, false)));
                }
            }
        }
    })
}

fn piece_event(head: &Head, piece: &Piece) -> Option<Bytes> {
    let (text, index, finish_reason) = match piece {
        Piece::Text { choice, text } => (text.as_str(), *choice, None),
        Piece::End { choice, ending } => ("", *choice, Some(ending.as_str())),
        Piece::Usage { .. } => return None,
    };
    let choice = Choice {
        text,
        index,
        logprobs: (),
        finish_reason,
    };
    Some(head.event(&[choice], None))
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
