//! What can go wrong when saved models are written or read.

use std::{error, fmt, io};

/// Why a saved file was refused, or could not be written.
#[derive(Debug)]
pub enum ModelError {
    /// The reader or writer failed.
    Io(io::Error),
    /// The file does not start with the magic bytes of saved models.
    Foreign {
        /// The first bytes found.
        found: [u8; 8],
    },
    /// The file was written by a newer (or unknown) format.
    Version {
        /// The version found.
        found: u32,
        /// The version this program reads.
        supported: u32,
    },
    /// The file ends before its contents do.
    Truncated {
        /// What was being read.
        reading: &'static str,
    },
    /// A length in the file is larger than this program accepts.
    TooLong {
        /// What was being read.
        reading: &'static str,
        /// The length found.
        found: u64,
        /// The largest length accepted.
        limit: u64,
    },
    /// The contents do not match their SHA-256, or contradict themselves.
    Corrupted {
        /// What does not hold.
        reason: &'static str,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(formatter, "saved models cannot be read or written: {error}"),
            Self::Foreign { found } => {
                write!(
                    formatter,
                    "not a file of saved models: it starts with {found:02x?}"
                )
            }
            Self::Version { found, supported } => write!(
                formatter,
                "saved models have format {found}, this program reads format {supported}"
            ),
            Self::Truncated { reading } => {
                write!(formatter, "saved models end in the middle of the {reading}")
            }
            Self::TooLong {
                reading,
                found,
                limit,
            } => write!(
                formatter,
                "saved models claim {found} as the length of the {reading}, at most {limit} is accepted"
            ),
            Self::Corrupted { reason } => write!(formatter, "saved models are corrupted: {reason}"),
        }
    }
}

impl error::Error for ModelError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ModelError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
