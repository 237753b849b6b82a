use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::answer::{Answer, Malformed};
use super::typing::Typing;

/// One connection to a server under load, with one request under way at a time.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    answer: Answer,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When the server does not listen.
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request: Vec::new(),
            buffer: vec![0; READ_BYTES],
            answer: Answer::new(),
        })
    }

    /// Sends request `number` and reads its answer to the end.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or what comes is no answer.
    pub(super) async fn ask(&mut self, typing: &Typing, number: usize) -> io::Result<&Answer> {
        self.send(typing, number).await?;
        while !self.read().await? {}
        Ok(&self.answer)
    }

    /// Waits for the first bytes of the body of the answer to what was sent.
    ///
    /// # Errors
    ///
    /// As [`Connection::ask`], and when the status is not 200.
    pub(super) async fn wait_for_the_first_byte(&mut self) -> io::Result<()> {
        while self.answer.body().is_empty() {
            if self.read().await? {
                break;
            }
        }
        match self.answer.status() {
            200 => Ok(()),
            status => Err(io::Error::other(format!("status {status}"))),
        }
    }

    /// Sends request `number`.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub(super) async fn send(&mut self, typing: &Typing, number: usize) -> io::Result<()> {
        typing.write(number, &mut self.request);
        self.answer.restart();
        self.stream.write_all(&self.request).await
    }

    /// Reads what has come. Returns whether the answer is complete.
    async fn read(&mut self) -> io::Result<bool> {
        let read = self.stream.read(&mut self.buffer).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let pushed = self.answer.push(&self.buffer[..read]);
        pushed.map_err(|Malformed| io::Error::other("what came is no HTTP answer"))
    }
}

/// Bytes read at a time.
const READ_BYTES: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::behaviour::Behaviour;
    use crate::load::typing::Crowd;
    use crate::load::upstream;

    async fn body(stream: bool) -> String {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(upstream::accept(listener));
        let behaviour = Behaviour {
            text: 0,
            pieces: 5,
            first_us: 10,
            every_ms: 1,
        };
        let typing = Typing::new("m", behaviour, stream, Crowd::Strangers);
        let mut connection = Connection::open(address).await.unwrap();
        let mut text = String::new();
        for number in 0..3 {
            let answer = connection.ask(&typing, number).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(answer.total() >= answer.first_byte() && answer.is_logged());
            text = String::from_utf8(answer.body().to_vec()).unwrap();
        }
        serving.abort();
        text
    }

    #[tokio::test]
    async fn answers_come_whole_and_streamed() {
        assert!(body(false).await.contains(r#""completion_tokens":5"#));
        let streamed = body(true).await;
        assert_eq!(streamed.matches("\"text\"").count(), 5);
        assert!(streamed.contains("data: [DONE]"));
    }
}
