use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpListener;

use super::behaviour::{Behaviour, MARK};
use super::process::Process;
use crate::error::LoadError;

/// The upstream: a completion server that answers as the prompt's first line says.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    /// Keeps it running.
    pub process: Process,
}

impl Upstream {
    /// Starts it as a process of its own, by this very program.
    ///
    /// # Errors
    ///
    /// [`LoadError::Program`] when it does not start.
    pub fn start() -> Result<Self, LoadError> {
        let program = std::env::current_exe().map_err(|error| LoadError::program(NAME, error))?;
        let mut command = Command::new(program);
        command.arg(super::UPSTREAM_FLAG).stdout(Stdio::piped());
        let mut process = Process::start(NAME, command)?;
        let address = process.listens(LISTENS)?;
        Ok(Self { address, process })
    }
}

const NAME: &str = "upstream";
const LISTENS: &str = "upstream listens on ";

/// Serves until the process is ended, on one thread.
///
/// # Errors
///
/// [`LoadError::Program`] when there is no port to listen on.
pub fn serve() -> Result<(), LoadError> {
    let failed = |error| LoadError::program(NAME, error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        println!("{LISTENS}{}", listener.local_addr().map_err(failed)?);
        accept(listener).await.map_err(failed)
    })
}

/// Serves every connection to `listener`.
pub(super) async fn accept(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let serving =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        // A connection that a proxy breaks off is its own affair.
        tokio::spawn(serving);
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let asked = request.into_body().collect().await?.to_bytes();
    let Some(behaviour) = behaviour(&asked) else {
        let mut refused =
            Response::new(Full::from("the prompt does not say how to answer").boxed());
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    };
    if behaviour.first_us > 0 {
        precisely(Duration::from_micros(behaviour.first_us)).await;
    }
    let streamed = memmem::find(&asked, br#""stream":true"#).is_some();
    let (kind, body) = if streamed {
        (
            "text/event-stream",
            BodyExt::boxed(StreamBody::new(pieces(behaviour))),
        )
    } else {
        ("application/json", Full::from(whole(&behaviour)).boxed())
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

fn behaviour(asked: &[u8]) -> Option<Behaviour> {
    let start = memmem::rfind(asked, MARK.as_bytes())?;
    let line = &asked[start..(start + LINE_BYTES).min(asked.len())];
    let end = line
        .iter()
        .position(|byte| !byte.is_ascii_digit() && !MARK.as_bytes().contains(byte));
    std::str::from_utf8(&line[..end.unwrap_or(line.len())])
        .ok()?
        .parse()
        .ok()
}

/// More than the line that says how to answer can have.
const LINE_BYTES: usize = 120;

/// Waits to within some 0.1 ms. The runtime's own timer counts in whole milliseconds, which would round
/// away what a proxy adds.
async fn precisely(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the upstream's work is to take time"
    )]
    let sleeping = tokio::task::spawn_blocking(move || std::thread::sleep(time));
    drop(sleeping.await);
}

fn whole(behaviour: &Behaviour) -> String {
    let (text, pieces) = (behaviour.answer(), behaviour.pieces);
    let total = PROMPT_TOKENS + pieces;
    format!(
        r#"{{"id":"cmpl-upstream","object":"text_completion","created":1700000000,"model":"bench","choices":[{{"text":"{text}","index":0,"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{PROMPT_TOKENS},"completion_tokens":{pieces},"total_tokens":{total}}}}}"#
    )
}

const PROMPT_TOKENS: usize = 1_100;

/// The pieces of a streamed answer, then `[DONE]`.
fn pieces(behaviour: Behaviour) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    stream::unfold(0, move |number| async move {
        if number > behaviour.pieces {
            return None;
        }
        if number > 0 && number < behaviour.pieces && behaviour.every_ms > 0 {
            tokio::time::sleep(Duration::from_millis(behaviour.every_ms)).await;
        } else if number > 0 && number < behaviour.pieces {
            // The server flushes what it has when the next piece is not there yet.
            tokio::task::yield_now().await;
        }
        Some((Ok(Frame::data(event(&behaviour, number))), number + 1))
    })
}

fn event(behaviour: &Behaviour, number: usize) -> Bytes {
    if number == behaviour.pieces {
        return Bytes::from_static(b"data: [DONE]\n\n");
    }
    let text = behaviour.piece(number);
    let finish = if number + 1 == behaviour.pieces {
        "\"stop\""
    } else {
        "null"
    };
    Bytes::from(format!(
        "data: {{\"id\":\"cmpl-upstream\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"bench\",\"choices\":[{{\"text\":\"{text}\",\"index\":0,\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_how_to_answer_in_the_body() {
        let expected = Behaviour {
            text: 1,
            pieces: 16,
            first_us: 5,
            every_ms: 2,
        };
        let body = serde_json::json!({"model": "m", "prompt": format!("{expected}\nfn main() {{"), "stream": true});
        assert_eq!(behaviour(body.to_string().as_bytes()), Some(expected));
        assert_eq!(behaviour(b"{}"), None);
    }

    #[test]
    fn a_whole_answer_is_json_of_about_500_bytes() {
        let behaviour = Behaviour {
            text: 1,
            pieces: 16,
            first_us: 0,
            every_ms: 0,
        };
        let text = whole(&behaviour);
        assert!((400..800).contains(&text.len()), "{}", text.len());
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["choices"][0]["text"], behaviour.answer());
    }
}
