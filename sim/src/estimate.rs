use crate::clusters::Clusters;
use crate::error::EstimateError;
use crate::interval::{Interval, Level};
use crate::moments::PairMoments;
use crate::row::Row;
use crate::weights::{MINIMUM_EFFECTIVE_ROWS, WeightSummary};
use serde::Serialize;

/// An estimated value of a policy, with what is needed to judge it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Which estimator made it: `ips`, `snips`, `dr` or `dr-difference`.
    pub estimator: &'static str,
    /// The estimate: mean reward per decision.
    pub value: f64,
    /// Its standard error, rows taken as independent.
    pub standard_error: f64,
    /// Normal interval from [`Estimate::standard_error`].
    pub interval: Interval,
    /// The same with whole users as the independent units; `None` with fewer than
    /// [`MINIMUM_CLUSTERS`] users, where such an interval is too narrow.
    pub by_user: Option<ByUser>,
    /// Kish's effective sample size.
    pub effective_sample_size: f64,
    /// Largest importance weight.
    pub largest_weight: f64,
    /// Rows used.
    pub rows: u64,
}

/// Error and interval that allow for rows of one user being alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ByUser {
    /// Users.
    pub users: u64,
    /// Standard error with users as units.
    pub standard_error: f64,
    /// Interval from it, with Student's t quantile for one degree of freedom less than users.
    pub interval: Interval,
}

/// An off-policy estimator: rows in any order, in any number of parts, one estimate out.
///
/// All share these rules. `push` takes a checked row and cannot fail. `merge` of the parts of a log
/// equals one pass over it up to rounding. `finish` returns the mean reward the target policy would
/// have got, in reward units, with a normal interval at the level given, or says why it cannot.
pub trait Estimator {
    /// Short name, as in the output.
    fn name(&self) -> &'static str;

    /// Adds one row.
    fn push(&mut self, row: &Row);

    /// Adds everything `other` has seen.
    fn merge(&mut self, other: &Self)
    where
        Self: Sized;

    /// The estimate.
    ///
    /// # Errors
    /// [`EstimateError`]: no rows, one row, missing support, too few effective rows, or (doubly
    /// robust) rows without predictions.
    fn finish(&self, settings: &EstimateSettings) -> Result<Estimate, EstimateError>;
}

/// What a finished estimate must satisfy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EstimateSettings {
    /// Level of the intervals.
    pub level: Level,
    /// Effective sample size below which there is no estimate.
    pub minimum_effective: f64,
}

impl Default for EstimateSettings {
    fn default() -> Self {
        Self {
            level: Level::default(),
            minimum_effective: MINIMUM_EFFECTIVE_ROWS,
        }
    }
}

/// A ratio of means with its row-wise and user-wise error: the core of every estimator here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ratio {
    moments: PairMoments,
    clusters: Clusters,
}

impl Ratio {
    pub(crate) fn push(&mut self, cluster: u64, x: f64, y: f64) {
        self.moments.push(x, y);
        self.clusters.push(cluster, x, y);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.moments.merge(&other.moments);
        self.clusters.merge(&other.clusters);
    }

    pub(crate) fn finish(
        &self,
        estimator: &'static str,
        weights: &WeightSummary,
        level: Level,
    ) -> Result<Estimate, EstimateError> {
        let rows = self.moments.count();
        let value = self
            .moments
            .ratio()
            .ok_or(EstimateError::NoMatch { rows })?;
        let standard_error = self
            .moments
            .ratio_standard_error()
            .ok_or(EstimateError::OneRow)?;
        Ok(Estimate {
            estimator,
            value,
            standard_error,
            interval: Interval::normal(value, standard_error, level),
            by_user: self.by_user(value, level),
            effective_sample_size: weights.effective_sample_size,
            largest_weight: weights.largest,
            rows,
        })
    }

    fn by_user(&self, value: f64, level: Level) -> Option<ByUser> {
        let users = self.clusters.count();
        if users < MINIMUM_CLUSTERS {
            return None;
        }
        let standard_error = self.clusters.ratio_standard_error()?;
        Some(ByUser {
            users,
            standard_error,
            interval: Interval::student(value, standard_error, users as f64 - 1.0, level),
        })
    }
}

/// Users below which no user-wise interval is given: the linearised error needs some.
///
/// With Student's t quantile for users - 1 degrees of freedom (Cameron and Miller 2015, "A
/// practitioner's guide to cluster-robust inference", section VI) the intervals of ten users hold the
/// truth nearly as often as they say; a test counts.
pub const MINIMUM_CLUSTERS: u64 = 10;
