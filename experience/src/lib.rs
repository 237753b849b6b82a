//! The experience log of Echo: append-only facts about decisions, proposals and their fates.
//!
//! Appended records go through a bounded queue to one thread, which commits them in groups to a
//! journal; a [`Ticket`] resolves once its record is on the disk. From time to time the oldest
//! records are sealed into Parquet files, one for each kind of record, with one column a field.
//! A [`LogReader`] gives both as one sequence, while the log is written or at rest, in this
//! process or another.
//!
//! ```
//! use echo_experience::{ConfigurationChanged, Log, LogOptions, LogReader, Record};
//!
//! # let directory = tempfile::tempdir()?;
//! let (log, recovery) = Log::open(directory.path(), LogOptions::default())?;
//! assert_eq!(recovery.next_seq, 1);
//! let fact = Record::ConfigurationChanged(ConfigurationChanged {
//!     at_ms: 1_700_000_000_000,
//!     sha256: "5feceb66".to_owned(),
//!     accepted: true,
//!     message: "loaded".to_owned(),
//! });
//! let seq = log.append(fact.clone()).wait()?;
//!
//! let mut reader = LogReader::open(directory.path())?;
//! let entries = reader.after(0, 100)?;
//! assert_eq!((entries[0].seq, &entries[0].record), (seq, &fact));
//! assert!(reader.damage().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//! - Sequence numbers start at 1, are dense, and are never used twice. They are the order of
//!   events; clocks are not.
//! - A record whose ticket said so is there after the process or the machine dies. A record whose
//!   ticket failed with [`LogError::Dead`] is not promised, but may be there.
//! - Numbers come back bit for bit; what is not finite never gets in.
//! - After a failed commit the handle is never used again: everything is refused until the journal
//!   was opened afresh and its last acknowledged record read back.
//! - What cannot be read is put aside and told by [`Recovery`] and [`Damage`], never cut silently.
//!
//! # In a log's directory
//! | name | what |
//! |---|---|
//! | `FORMAT` | the number of the directory's format |
//! | `lock` | held by the one writer |
//! | `journal.sqlite` | records not sealed yet, and the manifest of the segments |
//! | `segments/KIND-FIRST-LAST.parquet` | the records of one kind from one number to another |
//! | `quarantine-N.sqlite` | a malformed journal, kept when a new one was made from it |
//!
//! # What it does not do
//! It draws no conclusions: rewards are computed on reading, elsewhere. It knows no retention and
//! no erasure, writes to one machine only, and reads no clock but the one that times its intervals.

mod batch;
mod columns;
mod cursor;
mod damage;
mod error;
mod format;
mod guard;
mod health;
#[cfg(test)]
mod interleavings;
mod journal;
mod lock;
mod log;
mod manifest;
mod options;
mod priority;
mod quarantine;
mod queue;
mod reader;
mod record;
mod recovery;
mod revival;
mod salvage;
pub mod schema;
mod seal;
mod segment;
mod segment_file;
mod source;
mod sync;
pub mod table;
mod ticket;
mod validity;
mod writer;

pub use damage::{Damage, DamagedRange};
pub use error::LogError;
pub use health::{Counts, Health};
pub use log::Log;
pub use options::{FailPoint, LogOptions, Step};
pub use priority::lower_priority;
pub use reader::LogReader;
pub use record::{Entry, Kind, UnknownKind};
pub use recovery::Recovery;
pub use schema::v1::{
    ConfigurationChanged, Decision, Event, Evidence, LOCAL_TENANT, ModelPublished, PolicyPublished,
    Record, Served, Verdict,
};
pub use ticket::Ticket;
pub use validity::PROBABILITY_TOLERANCE;
