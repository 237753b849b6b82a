//! Bytes on a socket, for what no HTTP library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::patience::soon;

/// Sends `bytes` and reads until the server closes the connection; what it said, as text.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have heard enough before everything is sent.
    let _refused = stream.write_all(bytes).await;
    until_closed(&mut stream).await
}

/// Reads until the server closes the connection.
pub(crate) async fn until_closed(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        match soon("the end of the connection", stream.read(&mut bytes)).await {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&said).into_owned(),
            Ok(count) => said.extend_from_slice(&bytes[..count]),
        }
    }
}

/// The status of an answer as it came.
pub(crate) fn status(said: &str) -> u16 {
    let status = said
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {said:?}"))
}

/// The body of an answer as it came.
pub(crate) fn body(said: &str) -> &str {
    said.split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {said:?}"))
        .1
}
