//! What can go wrong with a log.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a log could not be opened, written or read.
///
/// It can be cloned, since one failed commit answers many tickets. It never holds a logged text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogError {
    /// Another process, or another handle in this one, writes this log.
    InUse {
        /// The log's directory.
        directory: PathBuf,
    },
    /// The operating system refused.
    Io {
        /// What was being done, such as `create`.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The path holds something, but not a log.
    NotALog {
        /// The path.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The directory is empty: no log was ever written here.
    Empty {
        /// The directory.
        directory: PathBuf,
    },
    /// The log was written by a newer version of the program.
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format that this program reads.
        supported: u32,
    },
    /// The journal could not be opened, read or written.
    Journal {
        /// The journal's file.
        path: PathBuf,
        /// What the journal's library said.
        reason: String,
    },
    /// A segment could not be written or read.
    Segment {
        /// The segment's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A record states something impossible; nothing was written.
    Invalid {
        /// The offending field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// One record is larger than the log takes.
    TooLarge {
        /// The record's encoded size, bytes.
        bytes: usize,
        /// The largest size taken, bytes.
        limit: usize,
    },
    /// The queue before the disk is full; the record was not taken.
    QueueFull {
        /// Records waiting.
        records: usize,
        /// Bytes waiting.
        bytes: usize,
    },
    /// The journal is dead: a commit failed, or its writer did.
    ///
    /// A record answered by this is not promised to be in the log; if the disk failed after the
    /// bytes had left, it may be there all the same.
    Dead {
        /// What killed it.
        reason: String,
    },
    /// The log was closed.
    Closed,
}

impl LogError {
    pub(crate) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            reason: error.to_string(),
        }
    }

    pub(crate) fn journal(path: &Path, error: &rusqlite::Error) -> Self {
        Self::Journal {
            path: path.to_path_buf(),
            reason: error.to_string(),
        }
    }

    pub(crate) fn segment(path: &Path, error: &dyn fmt::Display) -> Self {
        Self::Segment {
            path: path.to_path_buf(),
            reason: error.to_string(),
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { directory } => {
                write!(
                    f,
                    "the log in {} is being written by another process",
                    directory.display()
                )
            }
            Self::Io {
                action,
                path,
                reason,
            } => {
                write!(f, "cannot {action} {}: {reason}", path.display())
            }
            Self::NotALog { path, reason } => {
                write!(f, "{} is not an experience log: {reason}", path.display())
            }
            Self::Empty { directory } => {
                write!(
                    f,
                    "{} is empty: no log was written here",
                    directory.display()
                )
            }
            Self::Newer {
                path,
                found,
                supported,
            } => write!(
                f,
                "{} has format {found}, but this program reads up to {supported}: use a newer one",
                path.display()
            ),
            Self::Journal { path, reason } => write!(f, "journal {}: {reason}", path.display()),
            Self::Segment { path, reason } => write!(f, "segment {}: {reason}", path.display()),
            Self::Invalid { field, reason } => write!(f, "invalid record: {field} {reason}"),
            Self::TooLarge { bytes, limit } => {
                write!(f, "a record of {bytes} bytes is over the limit of {limit}")
            }
            Self::QueueFull { records, bytes } => {
                write!(
                    f,
                    "the log's queue is full ({records} records, {bytes} bytes)"
                )
            }
            Self::Dead { reason } => write!(f, "the log's journal is dead: {reason}"),
            Self::Closed => f.write_str("the log is closed"),
        }
    }
}

impl std::error::Error for LogError {}
