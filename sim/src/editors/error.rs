use std::fmt;

/// Why a fleet cannot be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum EditorError {
    /// No document has enough text to be written.
    NoDocuments,
    /// A fleet of no users.
    NoUsers,
    /// The pace is not above 0.
    Pace {
        /// Pace given.
        pace: f64,
    },
    /// The HTTP client could not be set up.
    Client(reqwest::Error),
}

impl fmt::Display for EditorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDocuments => f.write_str(
                "no document to write: give source files with at least one paragraph of text",
            ),
            Self::NoUsers => f.write_str("a fleet needs at least one user"),
            Self::Pace { pace } => write!(f, "pace {pace} is not above 0"),
            Self::Client(error) => write!(f, "the HTTP client cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for EditorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Client(error) => Some(error),
            _ => None,
        }
    }
}
