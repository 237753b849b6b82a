//! Off-policy evaluation over the experience log, and simulated editors.
pub mod estimators;

mod clusters;
mod error;
mod estimate;
mod interval;
mod moments;
mod random;
mod reward_model;
mod row;
mod weights;

pub use clusters::Clusters;
pub use error::{EstimateError, RewardModelError, RowError};
pub use estimate::{ByUser, Estimate, EstimateSettings, Estimator, MINIMUM_CLUSTERS};
pub use interval::{Interval, Level};
pub use moments::PairMoments;
pub use reward_model::{RewardModel, RewardModelFit, RewardModelSettings, SHRINKAGE_ROWS};
pub use row::{Row, RowParts};
pub use weights::{MINIMUM_EFFECTIVE_ROWS, WeightSummary, Weights};
