//! A server that does as it is told, byte for byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde_json::Value;

/// Starts a server on a free port that runs `script` for every connection, each on a thread of its
/// own; returns its address.
pub(super) fn serve(script: impl Fn(Connection) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let script = Arc::new(script);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let script = Arc::clone(&script);
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || script(Connection { stream }));
        }
    });
    address
}

/// One connection of a client.
pub(super) struct Connection {
    stream: TcpStream,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// The request line and the headers, in lower case.
    pub head: String,
    pub body: Value,
}

impl Connection {
    /// The next request; `None` once the client has closed the connection.
    pub(super) fn request(&mut self) -> Option<Received> {
        let head = self.head()?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).ok()?;
        Some(Received {
            head,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        })
    }

    /// A request's head, leaving its body unread.
    pub(super) fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if self.stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        Some(String::from_utf8(head).unwrap().to_lowercase())
    }

    /// Sends bytes as they are; nothing happens when the client is gone.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Answers with a body of known length.
    pub(super) fn answer(&mut self, status: &str, headers: &str, body: &str) {
        self.send(format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    /// Begins a chunked answer.
    pub(super) fn begin(&mut self, content_type: &str) {
        self.send(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        ));
    }

    /// Sends one chunk; `false` when the client is gone.
    pub(super) fn chunk(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.stream.write_all(&framed).is_ok()
    }

    /// Ends a chunked answer.
    pub(super) fn end(&mut self) {
        self.send("0\r\n\r\n");
    }

    /// A whole event stream.
    pub(super) fn events(&mut self, events: &[&str]) {
        self.begin("text/event-stream");
        for event in events {
            self.chunk(format!("data: {event}\n\n"));
        }
        self.end();
    }

    /// Waits until the client closes the connection.
    pub(super) fn wait_for_close(&mut self) {
        while self.stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
    }
}
