//! Whether the log takes records, and what it has taken and refused.

/// Whether the log takes records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It takes records.
    Writable,
    /// A commit failed, or the log was closed; every record is refused. A failed journal takes them
    /// again once it was opened afresh.
    Dead {
        /// What ended it.
        reason: String,
    },
}

/// What a log's writer has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records made durable.
    pub records: u64,
    /// Commits that made them durable.
    pub commits: u64,
    /// Records refused for what they state.
    pub refused_invalid: u64,
    /// Records refused because the queue was full.
    pub refused_full: u64,
    /// Records refused or failed because the journal was dead or closed.
    pub refused_dead: u64,
    /// Segments sealed.
    pub segments: u64,
    /// Segments that could not be sealed; their records stay in the journal.
    pub seal_failures: u64,
    /// Times that a dead journal came back.
    pub revivals: u64,
}
