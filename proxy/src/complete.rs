//! The story of one completion, from its bytes to its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Response;
use echo_experience::{Decision, Record, Ticket};
use echo_policy::{Facts, Features};
use futures_util::StreamExt as _;

use crate::answer::{Answer, window};
use crate::arm::Arm;
use crate::caller::Identity;
use crate::config::ROUTED;
use crate::dialect::{ApiError, Decode, Decoded};
use crate::ids::DecisionId;
use crate::metrics::ArmLabel;
use crate::names;
use crate::project;
use crate::reply::{self, Head};
use crate::request::CompletionRequest;
use crate::route::{self, Cohort, Route};
use crate::state::{Echo, Live};
use crate::upstream::{Piece, PieceStream, UpstreamError};
use crate::watch::{Sighting, UserKey};

/// Answers one completion request, which `decode` reads.
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
    decode: Decode,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let live = echo.live.load_full();
    let Decoded {
        mut request,
        dialect,
    } = decode(&body, &live.config)?;
    names::resolve(&live, &mut request.model);
    identity.complete(&mut request, headers);
    let user = identity.user(&request);
    echo.projects.show(&user, &request, echo.clock.now_ms());
    request.user = Some(project::name(&user));
    let request = Arc::new(request);

    if request.max_tokens == 0 {
        if request.model != ROUTED && live.arms.named(&request.model).is_none() {
            return Err(ApiError::unknown_model(&request.model));
        }
        let now_s = echo.clock.now_ms() / 1000;
        return Ok(reply::warm_up(dialect.as_ref(), &request, now_s));
    }
    let asked_ms = echo.clock.now_ms();
    let recent = echo.watch.recent(&user, request.file.as_deref());

    let id = DecisionId::new();
    let cohort = Cohort::of(&user, &live.config.control);
    let client = identity.client_of(&request);
    let facts = route::facts(&echo, &request, &user, client, recent);
    let features = echo.schema.featurise(&facts);
    let route = route::choose(&echo, &live, cohort, &user, &request, &features, id)?;
    let label = ArmLabel {
        arm: route.drawn().id().to_owned(),
    };
    echo.metrics.decisions.get_or_create(&label).inc();

    let mut answer = Answer::new(&echo, &request, &user, id, started);
    answer.client = client.to_owned();
    let on_record = answer.logged.clone();
    // The arm works on the answer while its decision goes on record and the request is looked at.
    let meanwhile = async {
        // The task of the connection to the arm comes first, and sends what it was given.
        tokio::task::yield_now().await;
        let decision = decision(
            &echo, &live, &request, &user, id, asked_ms, cohort, &route, &facts, &features,
        );
        on_record.set(true);
        let ticket = echo.log.append(Record::Decision(decision));
        (ticket, look_back(&echo, &user, &request, asked_ms))
    };
    let opening = open(&echo, &route, &request, &mut answer);
    let (opened, (ticket, is_ahead)) = tokio::join!(opening, meanwhile);
    answer.is_ahead = is_ahead;
    let is_durable = is_durable(&echo, ticket, live.config.log.ack_ms).await;
    answer.logged.set(is_durable);
    let (first, pieces) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            answer.fail();
            return Err(ApiError::from(&error));
        }
    };
    let head = Head::of(&answer, route.policy_version);
    Ok(if request.stream {
        reply::streamed(answer, first, pieces, head, dialect)
    } else {
        reply::whole(answer, first, pieces, &head, dialect.as_ref()).await?
    })
}

/// Reads what a request made at `asked_ms` shows of the user's open proposals. Returns whether it was made
/// ahead of the user.
fn look_back(echo: &Echo, user: &UserKey, request: &CompletionRequest, asked_ms: i64) -> bool {
    let said = request.speculative;
    let Sighting { changes, is_ahead } = echo.watch.request(user, &window(request), said, asked_ms);
    echo.record_changes(changes);
    is_ahead
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
    asked_ms: i64,
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
        at_ms: asked_ms,
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
