//! Logs of which the value of every policy is known, to see what the estimators make of them.

mod record;
mod routing;
mod world;

pub use record::Record;
pub use routing::{Case, Reference, Routing};
pub use world::{ARMS, Row, World, study};
