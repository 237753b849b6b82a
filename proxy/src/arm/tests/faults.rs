//! Servers that fail, lie or are not what they should be.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;

use super::fake::Connection;
use super::{
    Arm, ArmKind, Clients, Piece, UpstreamError, arm, fake, request, settings, sized, whole,
};
use crate::upstream::Secret;

const TEXT: &str = "data: {\"choices\":[{\"text\":\"x\"}]}\n\n";

/// What an `OpenAI` arm makes of `script`, which runs after the request was read.
async fn check(
    script: impl Fn(&mut Connection) + Send + Sync + 'static,
) -> (String, UpstreamError) {
    let arm = arm(ArmKind::OpenAi, move |mut connection| {
        if connection.request().is_some() {
            script(&mut connection);
        }
    });
    let (said, ended) = whole(arm.complete(request()).await).await;
    (said, ended.expect_err("no answer can be made of this"))
}

fn is_protocol(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Protocol(_))
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_interrupted() {
    // Cleanly, without [DONE] and without a reason.
    let clean = check(|connection| connection.events(&[r#"{"choices":[{"text":"x"}]}"#])).await;
    assert_eq!(clean, ("x".into(), UpstreamError::Interrupted));
    // In the middle of a chunk.
    let chunk = check(|connection| {
        connection.begin("text/event-stream");
        connection.chunk(TEXT);
        connection.send("ff\r\ndata: {\"cho");
    });
    assert_eq!(chunk.await, ("x".into(), UpstreamError::Interrupted));
    // Shorter than announced, in the middle of an event.
    let short = check(|connection| {
        connection.send(format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 900\r\n\r\n{TEXT}data: {{\"ch"));
    });
    assert_eq!(short.await, ("x".into(), UpstreamError::Interrupted));
    // In the middle of an event, at the end of a body without length.
    let event = check(|connection| {
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{TEXT}data: {{\"ch"
        ));
    });
    assert_eq!(event.await, ("x".into(), UpstreamError::Interrupted));
    // Before any answer, again and again: it is sent twice, no more.
    let (came, requests) = mpsc::channel();
    let came = Mutex::new(came);
    let silent = check(move |_| came.lock().unwrap().send(()).unwrap()).await;
    assert_eq!(silent, (String::new(), UpstreamError::Interrupted));
    assert_eq!(requests.try_iter().count(), 2);
    // Half a JSON document.
    let json = check(|connection| {
        connection.answer(
            "200 OK",
            "content-type: application/json\r\n",
            r#"{"choices":[{"text":"x""#,
        );
    });
    assert_eq!(json.await, (String::new(), UpstreamError::Interrupted));
}

#[tokio::test]
async fn a_reset_in_mid_stream_is_an_interruption() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let arm = arm(ArmKind::OpenAi, move |mut connection| {
        // The body is left unread, so that closing resets the connection.
        connection.head();
        connection.begin("text/event-stream");
        connection.chunk(TEXT);
        let _ = told.lock().unwrap().recv();
    });
    let mut stream = arm.complete(request()).await.unwrap();
    assert_eq!(
        stream.next().await,
        Some(Ok(Piece::Text {
            choice: 0,
            text: "x".into()
        }))
    );
    go.send(()).unwrap();
    assert_eq!(stream.next().await, Some(Err(UpstreamError::Interrupted)));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn what_is_no_completion_is_a_breach_of_protocol() {
    let html = check(|connection| {
        connection.answer(
            "200 OK",
            "content-type: text/html; charset=utf-8\r\n",
            "<html>login</html>",
        );
    });
    assert!(is_protocol(&html.await.1));
    let garbage = check(|connection| {
        connection.answer(
            "200 OK",
            "content-type: text/event-stream\r\n",
            "\u{1}\u{2}garbage\n\n",
        );
    });
    assert!(is_protocol(&garbage.await.1));
    let not_utf8 = check(|connection| {
        connection.begin("text/event-stream");
        connection.chunk(b"data: {\"choices\":[{\"text\":\"\xff\xfe\"}]}\n\n");
        connection.end();
    });
    assert!(is_protocol(&not_utf8.await.1));
    let other = check(|connection| connection.events(&[r#"{"object":"list","data":[]}"#]));
    assert!(is_protocol(&other.await.1));
    let uninvited =
        check(|connection| connection.events(&[r#"{"choices":[{"index":1,"text":"x"}]}"#]));
    assert!(is_protocol(&uninvited.await.1));
    let deep =
        check(|connection| connection.events(&[&format!("{{\"choices\":{}", "[".repeat(100_000))]));
    assert!(is_protocol(&deep.await.1));
}

#[tokio::test]
async fn events_lines_and_bodies_are_bounded() {
    let line = check(|connection| {
        connection.begin("text/event-stream");
        connection.chunk("data: ");
        while connection.chunk("x".repeat(65_536)) {}
    });
    assert!(is_protocol(&line.await.1));
    let lines = check(|connection| {
        connection.begin("text/event-stream");
        while connection.chunk(format!("data: {}\n", "x".repeat(65_536))) {}
    });
    assert!(is_protocol(&lines.await.1));
    let body = check(|connection| {
        connection.begin("application/json");
        while connection.chunk(" ".repeat(65_536)) {}
    });
    assert!(is_protocol(&body.await.1));
    let comments = check(|connection| {
        connection.begin("text/event-stream");
        while connection.chunk(format!(": {}\n\n", "x".repeat(65_536))) {}
    });
    assert!(is_protocol(&comments.await.1));
}

#[tokio::test]
async fn an_error_inside_the_stream_ends_it() {
    let reported = check(|connection| {
        connection.begin("text/event-stream");
        connection.chunk(TEXT);
        connection.chunk("data: {\"error\":{\"message\":\"out of memory at 0x1\"}}\n\n");
        connection.end();
    });
    let (said, error) = reported.await;
    assert_eq!((said.as_str(), &error), ("x", &UpstreamError::Reported));
    assert!(!error.public_message().contains("0x1"));
}

#[tokio::test]
async fn a_status_is_passed_on_without_keys_and_addresses() {
    let (sender, url) = mpsc::channel();
    let mut settings = settings(
        ArmKind::OpenAi,
        &fake::serve(move |mut connection: Connection| {
            if let Some(asked) = connection.request() {
                sender.send(asked).unwrap();
                let body = r#"{"error":{"message":"n of 3 is too much; key canary-k3y at http://127.0.0.1/x refused"}}"#;
                connection.answer(
                    "400 Bad Request",
                    "content-type: application/json\r\nset-cookie: s=1\r\n",
                    body,
                );
            }
        }),
    );
    settings.key = Some(Secret::new("canary-k3y".into()));
    let arm = Arm::new(settings, &Clients::new()).unwrap();
    let error = whole(arm.complete(request()).await)
        .await
        .1
        .expect_err("a refusal");
    assert!(url.recv().unwrap().head.contains("canary-k3y"));
    let message = "n of 3 is too much; key [hidden] at [hidden] refused".to_owned();
    assert_eq!(
        error,
        UpstreamError::Status {
            status: 400,
            retry_after_s: None,
            should_retry: None,
            message
        }
    );
    assert!(!format!("{error:?} {error} {}", error.public_message()).contains("canary"));

    let auth = check(|connection| {
        connection.answer(
            "401 Unauthorized",
            "",
            r#"{"error":{"message":"key sk-abc is wrong"}}"#,
        );
    })
    .await
    .1;
    assert_eq!((auth.http_status(), auth.code()), (502, "upstream_auth"));
    assert!(!auth.public_message().contains("sk-"));

    let limit = check(|connection| {
        connection.answer(
            "429 Too Many Requests",
            "retry-after-ms: 1200\r\nx-should-retry: false\r\n",
            "",
        );
    })
    .await
    .1;
    assert_eq!(
        limit,
        UpstreamError::Status {
            status: 429,
            retry_after_s: Some(2),
            should_retry: Some(false),
            message: String::new()
        }
    );
    let overload = check(|connection| {
        connection.answer("503 Service Unavailable", "retry-after: 9\r\n", "<html>");
    })
    .await
    .1;
    assert_eq!(
        (overload.http_status(), overload.retry_after_s()),
        (503, Some(9))
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (visited, visits) = mpsc::channel();
    let visited = Mutex::new(visited);
    let elsewhere = fake::serve(move |_| visited.lock().unwrap().send(()).unwrap());
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let location = format!("location: {elsewhere}/v1/completions\r\n");
        let error = check(move |connection| connection.answer(status, &location, ""))
            .await
            .1;
        assert_eq!(error.http_status(), 502, "{status}");
    }
    assert!(visits.try_recv().is_err());
}

#[tokio::test]
async fn a_server_that_is_not_there_cannot_be_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for url in [
        url.as_str(),
        "http://no-such-host.invalid",
        &url.replace("http", "https"),
    ] {
        let arm = Arm::new(settings(ArmKind::OpenAi, url), &Clients::new()).unwrap();
        assert_eq!(
            whole(arm.complete(request()).await).await.1,
            Err(UpstreamError::Connect),
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_server_without_tls_cannot_be_reached_by_https() {
    let plain = fake::serve(|mut connection| connection.answer("400 Bad Request", "", ""));
    let arm = Arm::new(
        settings(ArmKind::OpenAi, &plain.replace("http", "https")),
        &Clients::new(),
    )
    .unwrap();
    assert_eq!(
        whole(arm.complete(request()).await).await.1,
        Err(UpstreamError::Connect)
    );
}

#[tokio::test]
async fn one_failure_of_several_choices_ends_all() {
    let turn = Mutex::new(0);
    let arm = arm(ArmKind::Ollama, move |mut connection| {
        if connection.request().is_some() {
            let mut turn = turn.lock().unwrap();
            *turn += 1;
            let broken = *turn == 2;
            drop(turn);
            connection.begin("application/x-ndjson");
            connection.chunk("{\"response\":\"x\",\"done\":false}\n");
            if broken {
                connection.chunk("{\"error\":\"gone\"}\n");
            }
            connection.wait_for_close();
        }
    });
    let ended = whole(arm.complete(Arc::new(sized(3))).await).await.1;
    assert_eq!(ended, Err(UpstreamError::Reported));
}
