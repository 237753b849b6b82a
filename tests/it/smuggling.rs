//! Requests that two servers on one connection might read as different ones: each is refused, or read in one way and
//! asks its arm once, whatever stands behind it.

use crate::raw;
use crate::setting::Setting;

const BODY: &str = r#"{"model":"echo","prompt":"x"}"#;

/// A host, and the end of the connection after the answer.
const ONCE: &str = "host: x\r\nconnection: close\r\n";

/// What a request is, its bytes, the status of its first answer, and how often the arm is asked.
type Case = (&'static str, String, u16, usize);

fn post(version: &str, headers: &str, body: &str) -> String {
    format!(
        "POST /v1/completions HTTP/{version}\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
    )
}

fn of_length(length: &str, headers: &str) -> String {
    post(
        "1.1",
        &format!("{headers}content-length: {length}\r\n"),
        BODY,
    )
}

fn sound(headers: &str) -> String {
    of_length(&BODY.len().to_string(), headers)
}

/// The body as one chunk, whose line ends in `line_end`.
fn chunk(line_end: &str) -> String {
    format!("{:x}{line_end}{BODY}\r\n0\r\n\r\n", BODY.len())
}

fn in_chunks(headers: &str) -> String {
    post("1.1", &format!("host: x\r\n{headers}"), &chunk("\r\n"))
}

fn lengths_and_codings() -> Vec<Case> {
    let size = BODY.len();
    vec![
        ("a length", sound(ONCE), 200, 1),
        (
            "chunks",
            in_chunks("connection: close\r\ntransfer-encoding: chunked\r\n"),
            200,
            1,
        ),
        // RFC 9112, section 6.3: the chunks count, and the connection ends.
        (
            "a length and chunks",
            in_chunks("content-length: 5\r\ntransfer-encoding: chunked\r\n") + &sound(ONCE),
            200,
            1,
        ),
        (
            "chunks and a length",
            in_chunks("transfer-encoding: chunked\r\ncontent-length: 5\r\n") + &sound(ONCE),
            200,
            1,
        ),
        (
            "two lengths in one",
            of_length(&format!("{size}, {size}"), ONCE),
            400,
            0,
        ),
        (
            "a length with a sign",
            of_length(&format!("+{size}"), ONCE),
            400,
            0,
        ),
        (
            "chunks, then nothing",
            in_chunks("transfer-encoding: chunked, identity\r\n"),
            400,
            0,
        ),
        (
            "compressed chunks",
            in_chunks("transfer-encoding: gzip, chunked\r\n"),
            400,
            0,
        ),
        (
            "two codings",
            in_chunks("transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n"),
            400,
            0,
        ),
        (
            "an unknown coding",
            in_chunks("transfer-encoding: xchunked\r\n"),
            400,
            0,
        ),
        (
            "a space before the colon",
            in_chunks("transfer-encoding : chunked\r\n"),
            400,
            0,
        ),
    ]
}

fn chunks() -> Vec<Case> {
    let chunked = |version: &str, line_end: &str| {
        post(
            version,
            "host: x\r\ntransfer-encoding: chunked\r\n",
            &chunk(line_end),
        )
    };
    let endless = format!(";{}\r\n", "a".repeat(20_000));
    vec![
        ("chunks in HTTP/1.0", chunked("1.0", "\r\n"), 400, 0),
        (
            "a chunk's line that ends in LF",
            chunked("1.1", "\n"),
            400,
            0,
        ),
        (
            "a chunk's extension with a line in it",
            chunked("1.1", ";a\nb\r\n"),
            400,
            0,
        ),
        (
            "a chunk's extension without end",
            chunked("1.1", &endless),
            400,
            0,
        ),
    ]
}

fn hosts() -> Vec<Case> {
    let at = |host: &str| sound(ONCE).replacen(" /v1", &format!(" http://{host}/v1"), 1);
    vec![
        ("no host", sound("connection: close\r\n"), 400, 0),
        ("two hosts", sound("host: x\r\nhost: y\r\n"), 400, 0),
        ("another host in the address", at("y"), 400, 0),
        ("the host in the address", at("X"), 200, 1),
        (
            "a bare CR in a header",
            sound("host: x\r\nx: a\rb\r\n"),
            400,
            0,
        ),
    ]
}

/// Nothing is tunnelled: the answer is one of HTTP/1.1, and what follows is a request like any other.
fn upgrades() -> Vec<Case> {
    let asking = |headers: &str| {
        let page = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        page + &sound(ONCE)
    };
    let h2c = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    vec![
        (
            "an upgrade",
            asking("connection: upgrade\r\nupgrade: websocket\r\n"),
            200,
            1,
        ),
        ("an upgrade to HTTP/2", asking(h2c), 200, 1),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_may_be_read_in_two_ways_is_read_in_one_at_most() {
    let (setting, server) = Setting::new("").await;
    for (what, bytes, status, asked) in
        [lengths_and_codings(), chunks(), hosts(), upgrades()].concat()
    {
        let before = setting.upstream.asked().len();
        let said = raw::exchange(server.address(), bytes.as_bytes()).await;
        assert_eq!(raw::status(&said), status, "{what}: {said}");
        assert!(!said.contains(" 101 "), "{what}: {said}");
        assert_eq!(
            setting.upstream.asked().len() - before,
            asked,
            "{what}: {said}"
        );
    }
    let unasked = raw::exchange(server.address(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(unasked, "", "HTTP/2 without asking");
    let client = server.client();
    setting.expect_unharmed(server, &client).await;
}
