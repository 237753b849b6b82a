//! What would another policy have been worth, and what would users have done?
//!
//! Two rooms. The first reads the experience log: it joins decisions, answers and evidence into rows,
//! estimates from them what a policy would have earned that did not decide at the time, and repeats
//! what was decided and learned, bit for bit. The second lets simulated users type real source files
//! against a server over HTTP; see [`editors`].
//!
//! ```
//! use echo_sim::estimators::{Dr, Ips};
//! use echo_sim::{EstimateSettings, Estimator, Row, RowParts};
//!
//! // 400 draws of a fair coin between two arms; the second earned 1 every other time, the first never.
//! let (mut ips, mut dr) = (Ips::default(), Dr::default());
//! for i in 0..400 {
//!     let chosen = i % 2;
//!     let row = Row::new(RowParts {
//!         chosen,
//!         reward: if i % 4 == 1 { 1.0 } else { 0.0 },
//!         logged: vec![0.5, 0.5],
//!         target: vec![0.0, 1.0],
//!         baseline: None,
//!         q: Some(vec![0.0, 0.5]),
//!         cluster: 0,
//!         sample_weight: 1.0,
//!     })?;
//!     ips.push(&row);
//!     dr.push(&row);
//! }
//! let settings = EstimateSettings::default();
//! let (ips, dr) = (ips.finish(&settings)?, dr.finish(&settings)?);
//! assert!((ips.value - 0.5).abs() < 1e-12 && (dr.value - 0.5).abs() < 1e-12);
//! assert!(ips.interval.holds(0.5) && dr.standard_error < ips.standard_error);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How the parts fit
//!
//! - [`LogRows`] joins a log into [`LoggedRow`]s and counts what is no row, by [`Exclusion`].
//! - [`Target`] names the policy to evaluate; [`evaluate`] does all of it and returns an
//!   [`Evaluation`].
//! - [`Row`] is what an [`Estimator`] takes; every accumulator here has `push`, `merge` and `finish`.
//! - [`foreign`] evaluates logs of other systems, CSV or Parquet, by [`estimators::Suite`]: every standard estimator
//!   at once.
//! - [`train`] makes a candidate of a log, and [`gate`](fn@gate) says whether it may take over.
//! - [`RewardModelFit`] gives the doubly robust estimators predictions that never saw their row.
//! - [`learning::Fold`] is the one piece of code that learns from a log, live or later; [`verify`]
//!   repeats a whole log with it.
//!
//! # What it does not do
//!
//! It does not print tables, serve anything, or decide what to deploy. Estimators whose intervals were
//! found not to hold (direct method, optimistic shrinkage) are values with a warning, and gate nothing. It compares
//! policies on one log; whether the whole loop helps users is a question for a randomised experiment.

pub mod editors;
pub mod estimators;
pub mod fates;
pub mod foreign;
pub mod learning;

mod clusters;
mod compare;
mod contexts;
mod counterfactual;
mod covariances;
mod drift;
mod dsjson;
mod error;
mod estimate;
mod evaluate;
mod exclusion;
mod export;
mod gate;
mod interval;
mod log_rows;
mod mix;
mod moments;
mod policy_process;
mod policy_table;
mod published;
mod random;
mod replay;
mod report;
mod reward_model;
mod rollout;
mod row;
mod target;
mod train;
mod user_ratio;
mod weight_quantiles;
mod weights;

pub use clusters::Clusters;
pub use compare::{Compared, Comparison, compare};
pub use counterfactual::{Counterfactual, CounterfactualRow, MeanValue, counterfactual};
pub use drift::{Drift, Quarter};
pub use dsjson::export_dsjson;
pub use error::{EstimateError, FoldError, ReplayError, RewardModelError, RowError};
pub use estimate::{ByUser, Estimate, EstimateSettings, Estimator, MINIMUM_CLUSTERS};
pub use evaluate::{EvaluationSettings, UNDEFINED_SHARE_MAX, evaluate};
pub use exclusion::{Exclusion, RowCounts};
pub use export::{Export, export};
pub use gate::{GateSettings, Verdict, gate};
pub use interval::{Interval, Level};
pub use log_rows::{LogRows, LoggedRow, Publication, RowOptions, Used};
pub use moments::PairMoments;
pub use policy_process::PolicyProcess;
pub use published::{published_path, published_snapshot};
pub use replay::{Mismatch, Verification, VerifySettings, verify};
pub use report::{ArmShare, Evaluation};
pub use reward_model::{RewardModel, RewardModelFit, RewardModelSettings, SHRINKAGE_ROWS};
pub use rollout::{ACCEPTANCE_LEAST, RolledOut, Rollout, RolloutSettings, rollout};
pub use row::{Row, RowParts};
pub use target::{FittedOn, Target, version_snapshot};
pub use train::{TrainSettings, Trained, train};
pub use user_ratio::{RatioEstimate, UserRatio};
pub use weight_quantiles::WeightQuantile;
pub use weights::{MINIMUM_EFFECTIVE_ROWS, WeightSummary, Weights};
