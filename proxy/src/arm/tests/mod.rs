//! Arms against servers that do what real ones cannot be made to do on demand.

mod answers;
mod fake;
mod faults;
mod limits;

use std::sync::{Arc, mpsc};

use futures_util::StreamExt;

use super::{Arm, ArmKind, ArmSettings};
use crate::request::CompletionRequest;
use crate::upstream::{Clients, Ending, Piece, PieceStream, UpstreamError};

/// An arm whose server answers each connection by `script`; its deadlines are an hour.
fn arm(kind: ArmKind, script: impl Fn(fake::Connection) + Send + Sync + 'static) -> Arm {
    Arm::new(settings(kind, &fake::serve(script)), &Clients::new()).unwrap()
}

fn settings(kind: ArmKind, url: &str) -> ArmSettings {
    let mut settings = ArmSettings::new("a", kind);
    settings.url = url.to_owned();
    settings.model = "m".to_owned();
    for deadline_ms in [
        &mut settings.connect_ms,
        &mut settings.first_byte_ms,
        &mut settings.idle_ms,
        &mut settings.total_ms,
    ] {
        *deadline_ms = 3_600_000;
    }
    settings
}

fn request() -> Arc<CompletionRequest> {
    Arc::new(sized(1))
}

fn sized(n: u32) -> CompletionRequest {
    CompletionRequest {
        prefix: "def f(".into(),
        suffix: ")\n".into(),
        user: Some("someone".into()),
        max_tokens: 64,
        n,
        stream: true,
        ..Default::default()
    }
}

/// The whole answer: each choice's text and ending, or the error with what came before it.
async fn whole(
    answer: Result<PieceStream, UpstreamError>,
) -> (String, Result<Vec<(u32, Ending)>, UpstreamError>) {
    let mut stream = match answer {
        Ok(stream) => stream,
        Err(error) => return (String::new(), Err(error)),
    };
    let (mut said, mut ended) = (String::new(), Vec::new());
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(Piece::Text { text, .. }) => said += &text,
            Ok(Piece::End { choice, ending }) => ended.push((choice, ending)),
            Ok(Piece::Usage { .. }) => {}
            Err(error) => {
                assert!(stream.next().await.is_none(), "an error is the last item");
                return (said, Err(error));
            }
        }
    }
    (said, Ok(ended))
}

/// Waits for a server's word while this thread goes on serving the client's connections.
async fn told(word: mpsc::Receiver<()>) {
    tokio::task::spawn_blocking(move || word.recv())
        .await
        .unwrap()
        .unwrap();
}
