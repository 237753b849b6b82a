//! Off-policy estimators, one file each; the rules they share are on [`Estimator`](crate::Estimator).

mod bootstrap;
mod cressie_read;
mod difference;
mod dr;
mod ips;
mod selection;
mod slope;
mod snips;
mod stretches;
mod suite;

pub use difference::DrDifference;
pub use dr::Dr;
pub use ips::Ips;
pub use selection::Selected;
pub(crate) use selection::{Selection, SplitRow};
pub use snips::Snips;
pub(crate) use suite::anytime;
pub use suite::{Breadth, Suite, SuiteSettings, Terms, Value};
