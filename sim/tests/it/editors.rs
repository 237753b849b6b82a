//! Simulated editors against a server that knows the document.

use axum::Router;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use echo_reward::Fate;
use echo_sim::editors::{EditorEvent, Fleet, FleetSettings, SourceDocument, Truth};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the server proposes.
#[derive(Clone, Copy, PartialEq)]
enum Proposes {
    /// The next two lines, as they are meant.
    Truth,
    /// The next line as meant, then five that are not.
    HalfTruth,
    Garbage,
    Nothing,
    Failure,
    Never,
}

struct Server {
    proposes: Proposes,
    document: String,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    prefixes: Vec<String>,
    headers: Vec<HeaderMap>,
    events: Vec<Value>,
    dropped: usize,
}

/// Notes that a request was dropped before it was answered.
struct Guard(Arc<Server>, bool);

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.1 {
            self.0.seen.lock().unwrap().dropped += 1;
        }
    }
}

async fn complete(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let mut guard = Guard(server.clone(), false);
    let prefix = body["prompt"].as_str().unwrap().to_owned();
    let number = {
        let mut seen = server.seen.lock().unwrap();
        seen.prefixes.push(prefix.clone());
        seen.headers.push(headers);
        seen.prefixes.len()
    };
    match server.proposes {
        Proposes::Failure => {
            guard.1 = true;
            return (StatusCode::INTERNAL_SERVER_ERROR, "{}").into_response();
        }
        Proposes::Never => std::future::pending().await,
        _ => guard.1 = true,
    }
    let text = proposal(&server, &prefix);
    let id = format!("cmpl-{number}");
    let arm = [("x-echo-arm", "oracle@1")];
    if body["stream"] == json!(true) {
        (
            arm,
            [(header::CONTENT_TYPE, "text/event-stream")],
            streamed(&id, &text),
        )
            .into_response()
    } else {
        let choice = json!({"index": 0, "text": text, "finish_reason": "stop"});
        (arm, Json(json!({"id": id, "choices": [choice]}))).into_response()
    }
}

fn streamed(id: &str, text: &str) -> String {
    let mut body = String::new();
    for piece in text.chars() {
        let chunk = json!({"id": id, "choices": [{"index": 0, "text": piece.to_string()}]});
        write!(body, "data: {chunk}\n\n").unwrap();
    }
    body + "data: [DONE]\n\n"
}

fn proposal(server: &Server, prefix: &str) -> String {
    let tail = &prefix[prefix.ceil_char_boundary(prefix.len().saturating_sub(40))..];
    let rest = server
        .document
        .split_once(tail)
        .map_or("", |(_, rest)| rest);
    let lines: Vec<&str> = rest.split_inclusive('\n').collect();
    match server.proposes {
        Proposes::Truth => lines[..lines.len().min(2)].concat(),
        Proposes::HalfTruth => {
            let first = lines.first().copied().unwrap_or_default();
            first.to_owned() + &"        zzz qqq, never meant\n".repeat(5)
        }
        Proposes::Garbage => "zzz qqq, never meant".to_owned(),
        _ => String::new(),
    }
}

async fn take_event(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> StatusCode {
    server.seen.lock().unwrap().events.push(body);
    StatusCode::ACCEPTED
}

/// 120 functions, no two lines alike.
fn document() -> String {
    let mut text = String::new();
    for i in 0..120 {
        write!(
            text,
            "fn function_{i}(first_{i}: u64, second_{i}: u64) -> u64 {{\n    \
             let total_{i} = first_{i} + second_{i} * {i};\n    total_{i}.min({i}000)\n}}\n\n"
        )
        .unwrap();
    }
    text
}

async fn run(proposes: Proposes, settings: FleetSettings) -> (Vec<EditorEvent>, Arc<Server>) {
    let server = Arc::new(Server {
        proposes,
        document: document(),
        seen: Mutex::default(),
    });
    let routes = Router::new()
        .route("/v1/completions", post(complete))
        .route("/v1/echo/events", post(take_event))
        .with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    let documents = vec![SourceDocument {
        path: "src/functions.rs".to_owned(),
        language: "rust".to_owned(),
        text: document(),
    }];
    let events = Mutex::new(Vec::new());
    let stop = CancellationToken::new();
    let fleet = Fleet::new(settings, documents).unwrap();
    fleet
        .run(&base, stop.clone(), |event| {
            let mut events = events.lock().unwrap();
            events.push(event);
            let abandoned = |e: &&EditorEvent| matches!(e, EditorEvent::Abandoned { .. });
            if events.iter().filter(abandoned).count() >= 3 {
                stop.cancel();
            }
        })
        .await;
    serving.abort();
    (events.into_inner().unwrap(), server)
}

/// One seed for every test here; nobody waits for anything but answers.
fn settings(users: usize, answers: u64) -> FleetSettings {
    FleetSettings {
        users,
        seed: 11,
        pace: f64::INFINITY,
        answers_per_user: Some(answers),
        ..FleetSettings::default()
    }
}

fn truths(events: &[EditorEvent]) -> Vec<&Truth> {
    events
        .iter()
        .filter_map(|event| match event {
            EditorEvent::Proposal(truth) => Some(truth),
            _ => None,
        })
        .collect()
}

fn share(truths: &[&Truth], fates: &[Fate]) -> f64 {
    truths
        .iter()
        .filter(|truth| fates.contains(&truth.fate))
        .count() as f64
        / truths.len() as f64
}

#[tokio::test]
async fn the_truth_is_taken_and_stands_in_later_requests() {
    let (events, server) = run(Proposes::Truth, settings(6, 80)).await;
    let truths = truths(&events);
    assert_eq!(truths.len(), 6 * 80);
    // Lines alone, words and typing through are habits; nothing right is ever rejected or corrected.
    let right = [
        Fate::Accepted,
        Fate::Partial,
        Fate::TypedThrough,
        Fate::Censored,
        Fate::NeverShown,
    ];
    assert!((share(&truths, &right) - 1.0).abs() < 1e-12);
    assert!(
        share(&truths, &[Fate::Accepted]) > 0.5,
        "{}",
        share(&truths, &[Fate::Accepted])
    );
    for truth in truths.iter().filter(|truth| truth.fate == Fate::Accepted) {
        assert!(
            (truth.kept_share - 1.0).abs() < 1e-12 && truth.accepted_chars == truth.shown_chars
        );
        assert_eq!(truth.arm.as_deref(), Some("oracle@1"));
        assert!(!truth.decision_id.is_empty() && !truth.decision_id.starts_with("cmpl-"));
    }
    for prefix in &server.seen.lock().unwrap().prefixes {
        assert!(
            server.document.contains(prefix.as_str()),
            "a prefix that was never meant"
        );
    }
}

#[tokio::test]
async fn garbage_is_rejected_and_the_text_typed_by_hand() {
    let (events, _) = run(Proposes::Garbage, settings(4, 60)).await;
    let truths = truths(&events);
    assert!((share(&truths, &[Fate::Rejected, Fate::Censored]) - 1.0).abs() < 1e-12);
    assert!(
        truths
            .iter()
            .all(|truth| truth.kept_share == 0.0 && truth.accepted_chars == 0)
    );
    let typed: u64 = events
        .iter()
        .map(|event| {
            if let EditorEvent::Typed { chars, .. } = event {
                *chars
            } else {
                0
            }
        })
        .sum();
    assert!(typed > 1_000, "{typed}");
}

#[tokio::test]
async fn a_half_truth_is_taken_in_part_corrected_or_undone() {
    let (events, _) = run(Proposes::HalfTruth, settings(8, 80)).await;
    let truths = truths(&events);
    assert_eq!(share(&truths, &[Fate::Accepted]), 0.0);
    assert!(share(&truths, &[Fate::Partial, Fate::Refined]) > 0.4);
    for fate in [Fate::Partial, Fate::Undone, Fate::Rejected] {
        assert!(share(&truths, &[fate]) > 0.0, "no {fate}");
    }
    for truth in truths.iter().filter(|truth| truth.fate == Fate::Partial) {
        assert!(truth.kept_share > 0.0 && truth.kept_share < 1.0);
    }
}

#[tokio::test]
async fn silence_is_never_shown() {
    let (events, _) = run(Proposes::Nothing, settings(2, 30)).await;
    assert!((share(&truths(&events), &[Fate::NeverShown]) - 1.0).abs() < 1e-12);
}

#[tokio::test]
async fn one_seed_and_the_same_answers_give_the_same_run() {
    let timeless = |events: &[EditorEvent]| -> Vec<EditorEvent> {
        let mut events = events.to_vec();
        for event in &mut events {
            if let EditorEvent::Proposal(truth) = event {
                (truth.at_ms, truth.latency_ms) = (0, 0.0);
            }
        }
        events
    };
    let (first, _) = run(Proposes::HalfTruth, settings(1, 120)).await;
    let (second, _) = run(Proposes::HalfTruth, settings(1, 120)).await;
    assert_eq!(timeless(&first), timeless(&second));
    let other = FleetSettings {
        seed: 12,
        ..settings(1, 120)
    };
    let (third, _) = run(Proposes::HalfTruth, other).await;
    assert_ne!(timeless(&first), timeless(&third));
}

#[tokio::test]
async fn some_editors_name_the_file_and_report_what_became_of_proposals() {
    let (events, server) = run(
        Proposes::HalfTruth,
        FleetSettings {
            seed: 12,
            ..settings(12, 60)
        },
    )
    .await;
    let seen = server.seen.lock().unwrap();
    let named = seen
        .headers
        .iter()
        .filter(|h| h.contains_key("x-echo-file"))
        .count();
    assert!(named > 0 && named < seen.headers.len());
    let kinds = |kind: &str| {
        seen.events
            .iter()
            .filter(|event| event["type"] == kind)
            .count()
    };
    for kind in ["shown", "accepted", "partial", "rejected", "edited"] {
        assert!(kinds(kind) > 0, "no {kind} event");
    }
    let known: Vec<&str> = truths(&events)
        .iter()
        .map(|t| t.decision_id.as_str())
        .collect();
    for event in &seen.events {
        assert!(
            known.contains(&event["decision_id"].as_str().unwrap()),
            "{event}"
        );
    }
}

#[tokio::test]
async fn a_failing_server_is_given_up_on() {
    let (events, _) = run(Proposes::Failure, settings(1, 50)).await;
    let failures = events
        .iter()
        .filter(|e| matches!(e, EditorEvent::Failed { reason, .. } if reason == "status 500"))
        .count();
    assert_eq!(failures, 10);
    let last = events.last().unwrap();
    assert!(
        matches!(last, EditorEvent::Finished { answers: 0, .. }),
        "{last:?}"
    );
}

#[tokio::test]
async fn who_gets_no_answer_types_on_and_drops_the_connection() {
    let hurried = FleetSettings {
        pace: 1e9,
        patience_floor: Duration::from_millis(30),
        ..settings(1, 50)
    };
    let (events, server) = run(Proposes::Never, hurried).await;
    let abandoned = events
        .iter()
        .filter(|e| matches!(e, EditorEvent::Abandoned { .. }))
        .count();
    assert_eq!(abandoned, 3);
    assert!(truths(&events).is_empty());
    let seen = server.seen.lock().unwrap();
    assert!(
        seen.prefixes.len() >= 2 && seen.dropped >= 1,
        "{} dropped",
        seen.dropped
    );
}
