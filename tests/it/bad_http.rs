//! Bytes that are too many, too slow or no HTTP at all.

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::raw;
use crate::setting::{CANARY, Setting};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_or_too_slow_is_refused() {
    let (setting, server) = Setting::new("").await;
    let client = server.client();
    let announced = raw::exchange(
        server.address(),
        b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n",
    );
    let announced = announced.await;
    assert_eq!(
        raw::status(&announced),
        413,
        "answered before the body has come: {announced}"
    );
    let head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("5000\r\n{}\r\n", CANARY.repeat(2000).split_at(0x5000).0);
    let chunked = raw::exchange(
        server.address(),
        &[head.as_slice(), chunk.repeat(2).as_bytes()].concat(),
    )
    .await;
    assert_eq!(
        raw::status(&chunked),
        413,
        "answered before the end of the body: {chunked}"
    );
    let slow = [head.as_slice(), b"5\r\n{\"mod\r\n"].concat();
    let slow = raw::exchange(server.address(), &slow).await;
    assert_eq!(raw::status(&slow), 408, "{slow}");
    let cut = [head.as_slice(), b"5\r\n{\"mod\r\nzz\r\n"].concat();
    let cut = raw::exchange(server.address(), &cut).await;
    assert_eq!(
        raw::status(&cut),
        400,
        "a chunk's length that is none: {cut}"
    );
    for (said, code) in [
        (announced, "body_too_large"),
        (chunked, "body_too_large"),
        (slow, "body_timeout"),
    ] {
        let error: Value = serde_json::from_str(raw::body(&said)).unwrap();
        assert_eq!(error["error"]["code"], code, "{said}");
        assert!(
            said.contains("content-type: application/json") && said.contains("x-request-id: "),
            "{said}"
        );
        assert!(!said.contains(CANARY));
    }
    setting.expect_unharmed(server, &client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_none_closes_its_connection_only() {
    let (setting, server) = Setting::new("").await;
    let address = server.address();
    let many: Vec<String> = (0..150).map(|n| format!("x-{n}: {CANARY}\r\n")).collect();
    let many = many.concat();
    let long = format!("x-long: {}\r\n", CANARY.repeat(8000));
    let cases = [
        (
            "150 headers",
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
            431,
        ),
        (
            "a header of 88 KB",
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{long}\r\n"),
            431,
        ),
        (
            "a header's name that is none",
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx y: {CANARY}\r\n\r\n"),
            400,
        ),
        (
            "a folded header",
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\r\n {CANARY}\r\n\r\n"),
            400,
        ),
        (
            "two lengths",
            format!(
                "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{CANARY}"
            ),
            400,
        ),
        ("no HTTP", format!("{CANARY}\r\n\r\n"), 400),
    ];
    for (what, bytes, status) in cases {
        let said = raw::exchange(address, bytes.as_bytes()).await;
        assert_eq!(raw::status(&said), status, "{what}: {said}");
        assert!(!said.contains(CANARY), "{what}: {said}");
    }
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost")
        .await
        .unwrap();
    raw::until_closed(&mut half).await;
    let client = server.client();
    setting.expect_unharmed(server, &client).await;
}
