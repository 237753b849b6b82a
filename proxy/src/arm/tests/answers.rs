//! Answers of every kind of server, whole.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::fake::{Connection, Received};
use super::{
    Arm, ArmKind, Clients, Ending, Piece, arm, fake, request, settings, sized, told, whole,
};
use crate::fim::FimTemplate;
use crate::upstream::Secret;

const STOP: [(u32, Ending); 1] = [(0, Ending::Stop)];

/// A script that tells what it received and answers each request by `answer`.
fn telling(
    answer: impl Fn(&mut Connection, &Value) + Send + Sync + 'static,
) -> (
    impl Fn(Connection) + Send + Sync + 'static,
    mpsc::Receiver<Received>,
) {
    let (sender, received) = mpsc::channel();
    let sender = Mutex::new(sender);
    let script = move |mut connection: Connection| {
        while let Some(request) = connection.request() {
            sender.lock().unwrap().send(request.clone()).unwrap();
            answer(&mut connection, &request.body);
        }
    };
    (script, received)
}

#[tokio::test]
async fn an_openai_server_is_asked_for_a_stream_with_key_and_without_user() {
    let (script, received) = telling(|connection, _| {
        connection.events(&[
            r#"{"choices":[{"index":0,"text":"a, "}]}"#,
            r#"{"choices":[{"index":0,"text":"b","finish_reason":"length"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
            "[DONE]",
        ]);
    });
    let mut settings = settings(ArmKind::OpenAi, &format!("{}/v1/", fake::serve(script)));
    settings.key = Some(Secret::new("k3y".into()));
    let arm = Arm::new(settings, &Clients::new()).unwrap();
    let pieces: Vec<_> = arm.complete(request()).await.unwrap().collect().await;
    let text = |text: &str| {
        Ok(Piece::Text {
            choice: 0,
            text: text.into(),
        })
    };
    let usage = Ok(Piece::Usage {
        prompt_tokens: Some(5),
        completion_tokens: Some(2),
    });
    assert_eq!(
        pieces,
        [
            text("a, "),
            text("b"),
            Ok(Piece::End {
                choice: 0,
                ending: Ending::Length
            }),
            usage
        ]
    );

    let sent = received.recv().unwrap();
    assert!(
        sent.head.starts_with("post /v1/completions http/1.1\r\n"),
        "{}",
        sent.head
    );
    assert!(
        sent.head.contains("authorization: bearer k3y\r\n"),
        "{}",
        sent.head
    );
    assert_eq!(
        sent.body,
        json!({"model": "m", "prompt": "def f(", "suffix": ")\n", "max_tokens": 64, "stream": true})
    );
}

#[tokio::test]
async fn code_points_come_whole_wherever_the_bytes_are_cut() {
    let event = "data: {\"choices\":[{\"text\":\"héllo 漢字 🦀\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    for size in [1, 2, 3, 7, 64, 1024] {
        let arm = arm(ArmKind::OpenAi, move |mut connection| {
            while connection.request().is_some() {
                connection.begin("text/event-stream; charset=utf-8");
                for bytes in event.as_bytes().chunks(size) {
                    connection.chunk(bytes);
                }
                connection.end();
            }
        });
        let answer = whole(arm.complete(request()).await).await;
        assert_eq!(
            answer,
            ("héllo 漢字 🦀".into(), Ok(STOP.into())),
            "in pieces of {size}"
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let arm = arm(ArmKind::OpenAi, |mut connection| {
        while connection.request().is_some() {
            let body = r#"{"object":"text_completion","choices":[{"index":0,"text":"x","finish_reason":"stop"},{"index":1,"text":"y","finish_reason":"length"}]}"#;
            connection.answer("200 OK", "content-type: application/json\r\n", body);
        }
    });
    let answer = whole(arm.complete(Arc::new(sized(2))).await).await;
    assert_eq!(
        answer,
        (
            "xy".into(),
            Ok(vec![(0, Ending::Stop), (1, Ending::Length)])
        )
    );
}

#[tokio::test]
async fn an_end_without_done_is_an_end_once_every_choice_has_ended() {
    let arm = arm(ArmKind::OpenAi, |mut connection| {
        while connection.request().is_some() {
            connection.events(&[r#"{"choices":[{"text":"x","finish_reason":"stop"}]}"#]);
        }
    });
    assert_eq!(
        whole(arm.complete(request()).await).await,
        ("x".into(), Ok(STOP.into()))
    );
}

#[tokio::test]
async fn done_ends_what_no_reason_has_ended() {
    let arm = arm(ArmKind::OpenAi, |mut connection| {
        while connection.request().is_some() {
            connection.events(&[
                r#"{"choices":[{"text":"x"}]}"#,
                "[DONE]",
                r#"{"choices":[{"text":"after"}]}"#,
            ]);
        }
    });
    assert_eq!(
        whole(arm.complete(request()).await).await,
        ("x".into(), Ok(STOP.into()))
    );
}

#[tokio::test]
async fn an_answer_that_is_complete_does_not_wait_for_the_connection_to_end() {
    let arm = arm(ArmKind::OpenAi, |mut connection| {
        while connection.request().is_some() {
            connection.begin("text/event-stream");
            connection
                .chunk("data: {\"choices\":[{\"text\":\"x\",\"finish_reason\":\"stop\"}]}\n\n");
            connection.wait_for_close();
        }
    });
    assert_eq!(
        whole(arm.complete(request()).await).await,
        ("x".into(), Ok(STOP.into()))
    );
}

#[tokio::test]
async fn connections_are_used_again() {
    let (opened, connections) = mpsc::channel();
    let opened = Mutex::new(opened);
    let arm = arm(ArmKind::OpenAi, move |mut connection| {
        opened.lock().unwrap().send(()).unwrap();
        while connection.request().is_some() {
            connection.events(&[
                r#"{"choices":[{"text":"x","finish_reason":"stop"}]}"#,
                "[DONE]",
            ]);
        }
    });
    for _ in 0..5 {
        assert!(whole(arm.complete(request()).await).await.1.is_ok());
    }
    assert_eq!(connections.try_iter().count(), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_not_used_again() {
    let (closed, seen) = mpsc::channel();
    let closed = Mutex::new(closed);
    let arm = arm(ArmKind::OpenAi, move |mut connection| {
        if connection.request().is_some() {
            connection.events(&[
                r#"{"choices":[{"text":"x","finish_reason":"stop"}]}"#,
                "[DONE]",
            ]);
            drop(connection);
            let _ = closed.lock().unwrap().send(());
        }
    });
    assert!(whole(arm.complete(request()).await).await.1.is_ok());
    told(seen).await;
    // The client's own task learns of it.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(whole(arm.complete(request()).await).await.1.is_ok());
}

#[tokio::test]
async fn a_request_that_goes_out_on_a_dying_connection_is_sent_once_more() {
    let (came, requests) = mpsc::channel();
    let came = Mutex::new(came);
    let arm = arm(ArmKind::OpenAi, move |mut connection| {
        let mut answered = false;
        while connection.request().is_some() {
            came.lock().unwrap().send(()).unwrap();
            // The second request of any connection meets its end.
            if std::mem::replace(&mut answered, true) {
                return;
            }
            connection.events(&[
                r#"{"choices":[{"text":"x","finish_reason":"stop"}]}"#,
                "[DONE]",
            ]);
        }
    });
    for _ in 0..2 {
        assert!(whole(arm.complete(request()).await).await.1.is_ok());
    }
    assert_eq!(requests.try_iter().count(), 3);
}

#[tokio::test]
async fn llama_cpp_is_asked_once_for_each_choice() {
    let (script, received) = telling(|connection, body| {
        let seed = &body["seed"];
        connection.events(&[
            r#"{"index":0,"content":"x","stop":false}"#,
            &format!(r#"{{"index":0,"content":"{seed}","stop":true,"stop_type":"limit","tokens_evaluated":3,"tokens_predicted":2}}"#),
        ]);
    });
    let arm = arm(ArmKind::LlamaCpp, script);
    let request = crate::request::CompletionRequest {
        prefix: "a\nb".into(),
        seed: Some(7),
        ..sized(2)
    };
    let mut pieces: Vec<_> = arm
        .complete(Arc::new(request))
        .await
        .unwrap()
        .map(Result::unwrap)
        .collect()
        .await;
    pieces.sort_by_key(|piece| match piece {
        Piece::Text { choice, .. } => (*choice, 0),
        Piece::End { choice, .. } => (*choice, 1),
        Piece::Usage { .. } => (9, 0),
    });
    let text = |choice, text: &str| Piece::Text {
        choice,
        text: text.into(),
    };
    let end = |choice| Piece::End {
        choice,
        ending: Ending::Length,
    };
    assert_eq!(
        pieces[..6],
        [
            text(0, "x"),
            text(0, "7"),
            end(0),
            text(1, "x"),
            text(1, "8"),
            end(1)
        ]
    );
    for _ in 0..2 {
        let sent = received.recv().unwrap();
        assert!(sent.head.starts_with("post /infill "), "{}", sent.head);
        assert_eq!(
            (&sent.body["input_prefix"], &sent.body["prompt"]),
            (&json!("a\n"), &json!("b"))
        );
    }
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn ollama_answers_in_lines() {
    let (script, received) = telling(|connection, _| {
        connection.begin("application/x-ndjson");
        for line in [
            r#"{"response":"x","done":false}"#,
            "",
            r#"{"response":"y","done":false}"#,
        ] {
            connection.chunk(format!("{line}\n"));
        }
        connection.chunk(r#"{"response":"","done":true,"done_reason":"stop","eval_count":2}"#);
        connection.end();
    });
    let arm = arm(ArmKind::Ollama, script);
    assert_eq!(
        whole(arm.complete(request()).await).await,
        ("xy".into(), Ok(STOP.into()))
    );
    let sent = received.recv().unwrap();
    assert!(
        sent.head.starts_with("post /api/generate "),
        "{}",
        sent.head
    );
    assert_eq!(sent.body["suffix"], ")\n");
}

#[tokio::test]
async fn a_templates_tokens_never_get_out_and_end_the_request() {
    let (closed, seen) = mpsc::channel();
    let closed = Mutex::new(closed);
    let script = move |mut connection: Connection| {
        let asked = connection.request().unwrap();
        assert_eq!(
            asked.body["prompt"],
            "<|fim_prefix|>def f(<|fim_suffix|>)\n<|fim_middle|>"
        );
        connection.begin("text/event-stream");
        for text in ["x <", "|endof", "text|>def g", "():"] {
            connection.chunk(format!(
                "data: {{\"choices\":[{{\"text\":\"{text}\"}}]}}\n\n"
            ));
        }
        connection.wait_for_close();
        closed.lock().unwrap().send(()).unwrap();
    };
    let mut settings = settings(ArmKind::OpenAi, &fake::serve(script));
    settings.template = Some(FimTemplate::Qwen);
    let arm = Arm::new(settings, &Clients::new()).unwrap();
    assert_eq!(
        whole(arm.complete(request()).await).await,
        ("x ".into(), Ok(STOP.into()))
    );
    told(seen).await;
}
