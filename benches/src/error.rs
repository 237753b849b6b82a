//! What can keep a run from its end.

use std::fmt;
use std::io;

/// Why a load run cannot go on.
#[derive(Debug)]
pub enum LoadError {
    /// A program cannot be started, or ended when it should not have.
    Program {
        /// The program.
        name: String,
        /// What it came to.
        reason: String,
    },
    /// A connection to a server under load failed.
    Connection {
        /// The server.
        target: String,
        /// Why.
        source: io::Error,
    },
    /// An answer is not what the upstream said.
    Answer {
        /// The server.
        target: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the machine or of the run cannot be read or written.
    File {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { name, reason } => write!(f, "{name}: {reason}"),
            Self::Connection { target, source } => write!(f, "connection to {target}: {source}"),
            Self::Answer { target, reason } => write!(f, "answer of {target}: {reason}"),
            Self::File { path, source } => write!(f, "{path}: {source}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl LoadError {
    /// A program that failed.
    pub(crate) fn program(name: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Program {
            name: name.into(),
            reason: reason.to_string(),
        }
    }

    /// A file that failed.
    pub(crate) fn file(path: &std::path::Path, source: io::Error) -> Self {
        Self::File {
            path: path.display().to_string(),
            source,
        }
    }
}

/// Why data cannot be run over: the file or set, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataError(pub(crate) String);

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DataError {}
