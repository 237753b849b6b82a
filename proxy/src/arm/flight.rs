//! One answer under the arm's deadlines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::Health;
use super::breaker::Admission;
use crate::upstream::{Deadline, Piece, PieceStream, UpstreamError};

/// What a request holds of its arm while it is under way. Dropped without a verdict it counts as
/// cancelled.
pub(super) struct Hold {
    health: Arc<Health>,
    admission: Option<Admission>,
    _permit: OwnedSemaphorePermit,
}

impl Hold {
    pub(super) fn new(
        health: Arc<Health>,
        admission: Admission,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            health,
            admission: Some(admission),
            _permit: permit,
        }
    }

    pub(super) fn success(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.health.success(&admission);
        }
    }

    pub(super) fn failure(&mut self, error: &UpstreamError) {
        if let Some(admission) = self.admission.take() {
            self.health.failure(&admission, error);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.health.cancelled(&admission);
        }
    }
}

/// An answer under way.
pub(super) struct Flight {
    pub hold: Hold,
    pub answer: PieceStream,
    /// Pieces that came while the first text was awaited.
    pub head: VecDeque<Piece>,
    pub idle: Duration,
    pub until: Instant,
    /// Choices that have not ended.
    pub open: u32,
}

impl Flight {
    /// The rest of the answer. Its first error is its last item.
    pub(super) fn into_stream(mut self) -> PieceStream {
        for piece in std::mem::take(&mut self.head) {
            self.count(&piece);
            self.head.push_back(piece);
        }
        Box::pin(stream::unfold(Some(self), |state| async {
            let mut flight = state?;
            match flight.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(flight))),
                Ok(None) => None,
                Err(error) => {
                    flight.hold.failure(&error);
                    Some((Err(error), None))
                }
            }
        }))
    }

    async fn next(&mut self) -> Result<Option<Piece>, UpstreamError> {
        if let Some(piece) = self.head.pop_front() {
            return Ok(Some(piece));
        }
        let ended = self.open == 0;
        let (deadline, which) = self.deadline(ended);
        match timeout_at(deadline, self.answer.next()).await {
            // Nothing that follows the last end can spoil the answer.
            Err(_) | Ok(None | Some(Err(_))) if ended => Ok(None),
            Err(_) => Err(UpstreamError::Timeout { which }),
            Ok(None) => Err(UpstreamError::Interrupted),
            Ok(Some(Err(error))) => Err(error),
            Ok(Some(Ok(piece))) => {
                self.count(&piece);
                Ok(Some(piece))
            }
        }
    }

    fn deadline(&self, ended: bool) -> (Instant, Deadline) {
        let pause = if ended {
            Duration::from_millis(DRAIN_MS)
        } else {
            self.idle
        };
        let idle = Instant::now() + pause;
        if idle < self.until {
            (idle, Deadline::Idle)
        } else {
            (self.until, Deadline::Total)
        }
    }

    fn count(&mut self, piece: &Piece) {
        if let Piece::End { .. } = piece {
            self.open = self.open.saturating_sub(1);
            if self.open == 0 {
                self.hold.success();
            }
        }
    }
}

/// How long the counts and the end of the connection are awaited after the last text, in
/// milliseconds: enough for what a server sends right behind, so that the connection can be used
/// again, and too short to be noticed.
const DRAIN_MS: u64 = 20;
