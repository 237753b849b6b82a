//! The bounds and intervals of a log's writer.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The bounds and intervals of a log's writer.
#[derive(Clone)]
pub struct LogOptions {
    /// Records that may wait for the disk; more are refused.
    pub queue_records: usize,
    /// Encoded bytes that may wait for the disk; more are refused.
    pub queue_bytes: usize,
    /// Encoded bytes that one record may have.
    pub record_bytes: usize,
    /// Records that one commit takes at most.
    pub batch_records: usize,
    /// Encoded bytes after which a commit takes no further record.
    pub batch_bytes: usize,
    /// Bytes that the journal may have on disk before it refuses more.
    pub journal_bytes: u64,
    /// Records in the journal that make a segment.
    pub seal_records: u64,
    /// The time after which the journal's records are sealed, however few.
    pub seal_after: Duration,
    /// How often a dead journal is tried again; never by itself if `None`.
    pub revive_after: Option<Duration>,
    /// A hook for tests: called at each [`Step`], and may delay or fail it.
    #[doc(hidden)]
    pub fail_point: Option<FailPoint>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            queue_records: 65_536,
            queue_bytes: 64 << 20,
            record_bytes: 4 << 20,
            batch_records: 4_096,
            batch_bytes: 4 << 20,
            journal_bytes: 8 << 30,
            seal_records: 50_000,
            seal_after: Duration::from_mins(5),
            revive_after: Some(Duration::from_secs(1)),
            fail_point: None,
        }
    }
}

impl LogOptions {
    /// Runs the test's hook, if there is one.
    pub(crate) fn reach(&self, step: Step) -> io::Result<()> {
        self.fail_point
            .as_ref()
            .map_or(Ok(()), |fail_point| fail_point(step))
    }
}

impl fmt::Debug for LogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogOptions")
            .field("queue_records", &self.queue_records)
            .field("queue_bytes", &self.queue_bytes)
            .field("record_bytes", &self.record_bytes)
            .field("batch_records", &self.batch_records)
            .field("batch_bytes", &self.batch_bytes)
            .field("journal_bytes", &self.journal_bytes)
            .field("seal_records", &self.seal_records)
            .field("seal_after", &self.seal_after)
            .field("revive_after", &self.revive_after)
            .finish_non_exhaustive()
    }
}

/// The places where a test may stop or fail the writer.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Before a batch is committed to the journal.
    Commit,
    /// Before a segment's files are written.
    Segment,
    /// After a segment's files are in place, before the manifest names them.
    Manifest,
    /// Before a dead journal is tried again.
    Revive,
}

/// A test's hook.
#[doc(hidden)]
pub type FailPoint = Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>;
