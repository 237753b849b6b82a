//! The promise given for an appended record.

use tokio::sync::oneshot;

use crate::error::LogError;

/// The promise given for an appended record; resolves once the record is durable, or refused.
#[derive(Debug)]
#[must_use = "a record is durable only once its ticket says so"]
pub struct Ticket(Answer);

#[derive(Debug)]
enum Answer {
    Refused(LogError),
    Coming(oneshot::Receiver<Result<u64, LogError>>),
}

impl Ticket {
    pub(crate) fn refused(error: LogError) -> Self {
        Self(Answer::Refused(error))
    }

    pub(crate) fn coming(answer: oneshot::Receiver<Result<u64, LogError>>) -> Self {
        Self(Answer::Coming(answer))
    }

    /// Waits until the record is on the disk; gives its sequence number.
    ///
    /// Dropping the future gives up the waiting, not the record.
    ///
    /// # Errors
    /// [`LogError::Invalid`], [`LogError::TooLarge`], [`LogError::QueueFull`] and
    /// [`LogError::Closed`] say that the record was not taken; [`LogError::Dead`] that it is not
    /// promised to be in the log.
    pub async fn durable(self) -> Result<u64, LogError> {
        match self.0 {
            Answer::Refused(error) => Err(error),
            Answer::Coming(answer) => answer.await.unwrap_or_else(|_| Err(writer_gone())),
        }
    }

    /// As [`durable`](Self::durable), but blocks the thread; not for use within a runtime.
    ///
    /// # Errors
    /// As [`durable`](Self::durable).
    pub fn wait(self) -> Result<u64, LogError> {
        match self.0 {
            Answer::Refused(error) => Err(error),
            Answer::Coming(answer) => answer
                .blocking_recv()
                .unwrap_or_else(|_| Err(writer_gone())),
        }
    }
}

fn writer_gone() -> LogError {
    LogError::Dead {
        reason: "the writer stopped".to_owned(),
    }
}
