//! Reading an answer: bytes to documents to pieces.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use reqwest::Response;

use super::endpoint::content_type;
use super::error::UpstreamError;
use super::lines::{EVENT_BYTES, Lines, TOO_LONG};
use super::sse::Events;
use super::{Piece, PieceStream};

/// What one kind of server says, document by document.
pub(super) trait Dialect: Send + 'static {
    /// Whether an answer that is no event stream has one document in each line.
    const LINES: bool;

    /// Reads one JSON document of the answer and appends what it says to `pieces`.
    fn document(
        &mut self,
        document: &[u8],
        pieces: &mut VecDeque<Piece>,
    ) -> Result<(), UpstreamError>;

    /// The server said that nothing more comes; ends what has not ended.
    fn done(&mut self, pieces: &mut VecDeque<Piece>);

    /// Whether every choice has ended.
    fn complete(&self) -> bool;
}

/// The pieces of `response`. An answer that breaks off before it is complete yields
/// [`UpstreamError::Interrupted`]; what follows a complete one is read, so that the connection can be
/// used again, and ignored.
pub(super) fn read<D: Dialect>(response: Response, dialect: D) -> PieceStream {
    let framing = Framing::of::<D>(&response);
    let exchange = Exchange {
        response,
        framing,
        dialect,
        pieces: VecDeque::new(),
        read: 0,
        done: false,
    };
    Box::pin(stream::unfold(Some(exchange), |state| async {
        let mut exchange = state?;
        match exchange.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(exchange))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Exchange<D> {
    response: Response,
    framing: Framing,
    dialect: D,
    pieces: VecDeque<Piece>,
    read: usize,
    done: bool,
}

impl<D: Dialect> Exchange<D> {
    async fn next(&mut self) -> Result<Option<Piece>, UpstreamError> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(Some(piece));
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.take(&bytes)?,
                Ok(None) => {
                    self.finish()?;
                    return Ok(self.pieces.pop_front());
                }
                Err(_) if self.done || self.dialect.complete() => return Ok(None),
                Err(_) => return Err(UpstreamError::Interrupted),
            }
        }
    }

    fn take(&mut self, bytes: &Bytes) -> Result<(), UpstreamError> {
        self.read += bytes.len();
        if self.read > BODY_BYTES {
            return Err(UpstreamError::Protocol("it is longer than 16 MiB"));
        }
        if self.done {
            return Ok(());
        }
        self.framing.push(bytes)?;
        while let Some(document) = self.framing.next_document()? {
            self.document(&document)?;
        }
        Ok(())
    }

    fn document(&mut self, document: &Document) -> Result<(), UpstreamError> {
        match document {
            _ if self.done => Ok(()),
            Document::Done => {
                self.done = true;
                self.dialect.done(&mut self.pieces);
                Ok(())
            }
            Document::Error => Err(UpstreamError::Reported),
            Document::Json(json) => self.dialect.document(json, &mut self.pieces),
        }
    }

    fn finish(&mut self) -> Result<(), UpstreamError> {
        if self.done {
            return Ok(());
        }
        // What stands there when the connection ends may be half of something.
        if let Some(document) = self.framing.last_document()? {
            self.document(&document).map_err(|error| match error {
                UpstreamError::Protocol(_) => UpstreamError::Interrupted,
                other => other,
            })?;
        }
        if self.done || self.dialect.complete() {
            self.done = true;
            return Ok(());
        }
        Err(UpstreamError::Interrupted)
    }
}

/// Bytes of one answer that are read at most.
const BODY_BYTES: usize = 16 << 20;

enum Document {
    Json(Bytes),
    Done,
    Error,
}

/// How documents stand in the body.
enum Framing {
    Events(Events),
    Lines(Lines),
    Whole(BytesMut),
}

impl Framing {
    fn of<D: Dialect>(response: &Response) -> Self {
        let kind = content_type(response).unwrap_or_default();
        if D::LINES && !kind.starts_with("text/event-stream") {
            Self::Lines(Lines::default())
        } else if kind.starts_with("application/json") {
            Self::Whole(BytesMut::new())
        } else {
            Self::Events(Events::default())
        }
    }

    fn push(&mut self, bytes: &Bytes) -> Result<(), UpstreamError> {
        match self {
            Self::Events(events) => events.push(bytes),
            Self::Lines(lines) => lines.push(bytes),
            Self::Whole(whole) if whole.len() + bytes.len() > EVENT_BYTES => return Err(TOO_LONG),
            Self::Whole(whole) => whole.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn next_document(&mut self) -> Result<Option<Document>, UpstreamError> {
        match self {
            Self::Events(events) => Ok(events
                .next_event()?
                .map(|event| event_document(event.data, event.error))),
            Self::Lines(lines) => loop {
                match lines.next_line()? {
                    Some(line) if line.trim_ascii().is_empty() => {}
                    line => return Ok(line.map(Document::Json)),
                }
            },
            Self::Whole(_) => Ok(None),
        }
    }

    fn last_document(&mut self) -> Result<Option<Document>, UpstreamError> {
        let rest = match self {
            Self::Events(events) => {
                return Ok(events
                    .last_event()?
                    .map(|event| event_document(event.data, event.error)));
            }
            Self::Lines(lines) => lines.rest(),
            Self::Whole(whole) => whole.split().freeze(),
        };
        Ok((!rest.trim_ascii().is_empty()).then_some(Document::Json(rest)))
    }
}

fn event_document(data: Bytes, error: bool) -> Document {
    if error {
        Document::Error
    } else if data.trim_ascii() == b"[DONE]" {
        Document::Done
    } else {
        Document::Json(data)
    }
}
