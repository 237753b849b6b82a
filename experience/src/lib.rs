//! The experience log of Echo: append-only facts about decisions, proposals and their fates.

mod batch;
mod columns;
mod cursor;
mod damage;
mod error;
mod format;
mod guard;
mod health;
mod journal;
mod lock;
mod log;
mod options;
mod quarantine;
mod queue;
mod reader;
mod record;
mod recovery;
mod salvage;
pub mod schema;
mod seal;
mod segment;
mod ticket;
mod validity;
mod writer;

pub use damage::{Damage, DamagedRange};
pub use error::LogError;
pub use health::{Counts, Health};
pub use log::Log;
pub use options::{FailPoint, LogOptions, Step};
pub use reader::LogReader;
pub use record::{Entry, Kind, UnknownKind};
pub use recovery::Recovery;
pub use schema::v1::{
    ConfigurationChanged, Decision, Event, Evidence, ModelPublished, PolicyPublished, Record,
    Served,
};
pub use ticket::Ticket;
pub use validity::PROBABILITY_TOLERANCE;
