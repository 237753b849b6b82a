//! Deadlines, slots, the breaker, and what happens when nobody waits any more.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, mpsc};

use echo_model::{CompletionModel, Limits, Prompt};
use futures_util::{FutureExt, StreamExt};

use super::super::{ArmError, BreakerSettings, BreakerState};
use super::fake::Connection;
use super::{
    Arm, ArmKind, ArmSettings, Clients, UpstreamError, arm, fake, request, settings, told, whole,
};
use crate::upstream::Deadline;

const TEXT: &str = "data: {\"choices\":[{\"text\":\"x\"}]}\n\n";
const WHOLE: [&str; 2] = [
    r#"{"choices":[{"text":"x","finish_reason":"stop"}]}"#,
    "[DONE]",
];

/// A server that begins an answer with `begins` and then waits.
struct Hanging {
    url: String,
    /// Told when a request has come.
    came: mpsc::Receiver<()>,
    /// Told when a client has left.
    left: mpsc::Receiver<()>,
}

fn hanging(begins: &'static str) -> Hanging {
    let ((send_came, came), (send_left, left)) = (mpsc::channel(), mpsc::channel());
    let senders = Mutex::new((send_came, send_left));
    let url = fake::serve(move |mut connection: Connection| {
        if connection.request().is_some() {
            let _ = senders.lock().unwrap().0.send(());
            if !begins.is_empty() {
                connection.begin("text/event-stream");
                connection.chunk(begins);
            }
            connection.wait_for_close();
            let _ = senders.lock().unwrap().1.send(());
        }
    });
    Hanging { url, came, left }
}

fn over(settings: ArmSettings) -> Arm {
    Arm::new(settings, &Clients::new()).unwrap()
}

async fn timed_out(settings: ArmSettings) -> Deadline {
    match whole(over(settings).complete(request()).await).await.1 {
        Err(UpstreamError::Timeout { which }) => which,
        other => panic!("no deadline passed: {other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_upstreams_connection() {
    // In mid-stream.
    let server = hanging(TEXT);
    let arm = over(settings(ArmKind::OpenAi, &server.url));
    let mut stream = arm.complete(request()).await.unwrap();
    assert!(stream.next().await.is_some());
    drop(stream);
    told(server.left).await;
    // Before the first byte.
    let server = hanging("");
    let arm = over(settings(ArmKind::OpenAi, &server.url));
    tokio::select! {
        answer = arm.complete(request()) => panic!("nothing was said: {:?}", answer.err()),
        () = told(server.came) => {}
    }
    told(server.left).await;
    assert_eq!(
        (arm.in_flight(), arm.breaker_state()),
        (0, BreakerState::Closed)
    );
}

#[tokio::test]
async fn each_deadline_is_kept() {
    let server = hanging("");
    assert_eq!(
        timed_out(ArmSettings {
            first_byte_ms: 30,
            ..settings(ArmKind::OpenAi, &server.url)
        })
        .await,
        Deadline::FirstByte
    );
    // Headers and comments are no text.
    let server = hanging(": ping\n\n");
    assert_eq!(
        timed_out(ArmSettings {
            first_byte_ms: 30,
            ..settings(ArmKind::OpenAi, &server.url)
        })
        .await,
        Deadline::FirstByte
    );
    let server = hanging(TEXT);
    assert_eq!(
        timed_out(ArmSettings {
            idle_ms: 30,
            ..settings(ArmKind::OpenAi, &server.url)
        })
        .await,
        Deadline::Idle
    );
    let server = hanging("");
    assert_eq!(
        timed_out(ArmSettings {
            total_ms: 30,
            ..settings(ArmKind::OpenAi, &server.url)
        })
        .await,
        Deadline::Total
    );
    // An upstream that never pauses and never ends.
    let url = fake::serve(|mut connection: Connection| {
        if connection.request().is_some() {
            connection.begin("text/event-stream");
            while connection.chunk(TEXT) {
                std::thread::yield_now();
            }
        }
    });
    let endless = ArmSettings {
        total_ms: 30,
        ..settings(ArmKind::OpenAi, &url)
    };
    assert_eq!(timed_out(endless).await, Deadline::Total);
}

#[tokio::test]
async fn a_deadline_closes_the_upstreams_connection() {
    let server = hanging(TEXT);
    assert_eq!(
        timed_out(ArmSettings {
            idle_ms: 30,
            ..settings(ArmKind::OpenAi, &server.url)
        })
        .await,
        Deadline::Idle
    );
    told(server.left).await;
}

#[tokio::test]
async fn connecting_has_its_own_deadline() {
    // Once the queue of a listener that accepts nobody is full, nobody gets an answer.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue: Vec<_> = (0..64)
        .map(|_| Box::pin(tokio::net::TcpStream::connect(address)))
        .collect();
    for waiting in &mut queue {
        let _ = waiting.now_or_never();
    }
    let settings = ArmSettings {
        connect_ms: 50,
        ..settings(ArmKind::OpenAi, &format!("http://{address}"))
    };
    assert_eq!(timed_out(settings).await, Deadline::Connect);
}

#[tokio::test]
async fn an_arm_takes_no_more_requests_than_it_may() {
    let server = hanging(TEXT);
    let arm = over(ArmSettings {
        concurrency: 2,
        ..settings(ArmKind::OpenAi, &server.url)
    });
    let first = arm.complete(request()).await.unwrap();
    assert!(arm.eligible());
    let second = arm.complete(request()).await.unwrap();
    assert_eq!((arm.eligible(), arm.in_flight()), (false, 2));
    assert_eq!(
        whole(arm.complete(request()).await).await.1,
        Err(UpstreamError::Busy)
    );
    drop(first);
    assert_eq!((arm.eligible(), arm.in_flight()), (true, 1));
    drop(second);
    assert_eq!(
        (arm.in_flight(), arm.breaker_state()),
        (0, BreakerState::Closed)
    );
}

/// An arm that fails, or not, as it is told; its breaker opens at the second failure.
fn switchable(open_ms: u64) -> (Arm, Arc<Mutex<&'static str>>) {
    let status = Arc::new(Mutex::new("500 Internal Server Error"));
    let told = Arc::clone(&status);
    let url = fake::serve(move |mut connection: Connection| {
        while connection.request().is_some() {
            let status = *told.lock().unwrap();
            if status == "200 OK" {
                connection.events(&WHOLE);
            } else {
                connection.answer(status, "", "");
            }
        }
    });
    let breaker = BreakerSettings {
        failures: 2,
        open_ms,
        longest_ms: open_ms,
        jitter: 0.0,
    };
    (
        over(ArmSettings {
            breaker,
            ..settings(ArmKind::OpenAi, &url)
        }),
        status,
    )
}

#[tokio::test]
async fn an_arm_that_fails_again_and_again_is_left_alone() {
    let (arm, status) = switchable(3_600_000);
    assert!(whole(arm.complete(request()).await).await.1.is_err());
    assert!(arm.eligible());
    assert!(whole(arm.complete(request()).await).await.1.is_err());
    assert_eq!(
        (arm.eligible(), arm.breaker_state()),
        (false, BreakerState::Open)
    );
    *status.lock().unwrap() = "200 OK";
    let error = whole(arm.complete(request()).await).await.1;
    assert!(
        matches!(
            error,
            Err(UpstreamError::CircuitOpen {
                retry_after_s: 3599 | 3600
            })
        ),
        "{error:?}"
    );
    assert_eq!(arm.in_flight(), 0);
}

#[tokio::test]
async fn an_arm_that_comes_back_is_used_again() {
    let (arm, status) = switchable(0);
    for _ in 0..4 {
        assert!(whole(arm.complete(request()).await).await.1.is_err());
    }
    assert_eq!(arm.breaker_state(), BreakerState::HalfOpen);
    *status.lock().unwrap() = "200 OK";
    let probe = arm.complete(request()).await.unwrap();
    assert!(!arm.eligible(), "one request at a time until it is clear");
    drop(probe);
    assert_eq!(
        (arm.eligible(), arm.breaker_state()),
        (true, BreakerState::HalfOpen),
        "nobody waited for it"
    );
    assert!(whole(arm.complete(request()).await).await.1.is_ok());
    assert_eq!(arm.breaker_state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_request_that_is_refused_says_nothing_against_the_arm() {
    let (arm, status) = switchable(3_600_000);
    for refusal in [
        "400 Bad Request",
        "404 Not Found",
        "422 Unprocessable Entity",
    ] {
        *status.lock().unwrap() = refusal;
        for _ in 0..3 {
            assert!(whole(arm.complete(request()).await).await.1.is_err());
        }
        assert!(arm.eligible(), "{refusal}");
    }
    for illness in ["401 Unauthorized", "403 Forbidden", "408 Request Timeout"] {
        let (arm, status) = switchable(3_600_000);
        *status.lock().unwrap() = illness;
        for _ in 0..2 {
            assert!(whole(arm.complete(request()).await).await.1.is_err());
        }
        assert!(!arm.eligible(), "{illness}");
    }
}

#[tokio::test]
async fn deaths_in_mid_stream_open_the_breaker() {
    let breaker = BreakerSettings {
        failures: 2,
        ..BreakerSettings::default()
    };
    let url = fake::serve(|mut connection: Connection| {
        if connection.request().is_some() {
            connection.begin("text/event-stream");
            connection.chunk(TEXT);
        }
    });
    let arm = over(ArmSettings {
        breaker,
        ..settings(ArmKind::OpenAi, &url)
    });
    for _ in 0..2 {
        assert_eq!(
            whole(arm.complete(request()).await).await,
            ("x".into(), Err(UpstreamError::Interrupted))
        );
    }
    assert!(!arm.eligible());
}

#[tokio::test]
async fn what_follows_a_complete_answer_cannot_spoil_it() {
    let arm = arm(ArmKind::OpenAi, |mut connection| {
        if connection.request().is_some() {
            connection.begin("text/event-stream");
            connection.chunk(format!("data: {}\n\n", WHOLE[0]));
            connection.send("garbage");
        }
    });
    assert!(whole(arm.complete(request()).await).await.1.is_ok());
}

/// Panics, or waits for its reader to leave.
struct Broken {
    panics: bool,
}

impl CompletionModel for Broken {
    fn kind(&self) -> &'static str {
        "broken"
    }

    fn complete(
        &self,
        _: &Prompt,
        _: &Limits,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> echo_model::Ending {
        assert!(!self.panics, "a model's mistake");
        while sink("x").is_continue() {}
        echo_model::Ending::Cancelled
    }
}

#[tokio::test]
async fn an_embedded_arm_has_the_same_limits() {
    let breaker = BreakerSettings {
        failures: 1,
        ..BreakerSettings::default()
    };
    let base = ArmSettings {
        breaker,
        ..settings(ArmKind::Embedded, "")
    };
    let panicking = Arm::embedded(base.clone(), Arc::new(Broken { panics: true }));
    assert_eq!(panicking.id(), "a@1");
    assert_eq!(
        whole(panicking.complete(request()).await).await.1,
        Err(UpstreamError::Panicked)
    );
    assert!(!panicking.eligible());
    let endless = Arm::embedded(
        ArmSettings {
            total_ms: 30,
            concurrency: 1,
            ..base
        },
        Arc::new(Broken { panics: false }),
    );
    let stream = endless.complete(request()).await.unwrap();
    assert!(!endless.eligible());
    assert_eq!(
        whole(Ok(stream)).await.1,
        Err(UpstreamError::Timeout {
            which: Deadline::Total
        })
    );
}

#[test]
fn an_arm_that_cannot_work_is_refused_when_made() {
    let clients = Clients::new();
    let embedded = Arm::new(settings(ArmKind::Embedded, ""), &clients).unwrap_err();
    assert_eq!(embedded, ArmError::ModelMissing("a".into()));
    let nowhere = Arm::new(settings(ArmKind::OpenAi, "not a URL"), &clients).unwrap_err();
    assert!(
        nowhere.to_string().contains("arm \"a\"") && !nowhere.to_string().contains("not a URL")
    );
}
