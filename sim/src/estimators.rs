//! Off-policy estimators, one file each; the rules they share are on [`Estimator`](crate::Estimator).

mod difference;
mod dr;
mod ips;
mod snips;

pub use difference::DrDifference;
pub use dr::Dr;
pub use ips::Ips;
pub use snips::Snips;
