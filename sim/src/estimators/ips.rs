use crate::error::EstimateError;
use crate::estimate::{Estimate, EstimateSettings, Estimator, Ratio};
use crate::row::Row;
use crate::weights::Weights;

/// Inverse propensity scoring: the mean of w r, where w is the importance weight.
///
/// Unbiased when the logged probabilities are right and support is full; its variance grows with
/// the weights.
///
/// Source: Horvitz and Thompson (1952); for logs, Strehl et al. (2010), equation 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ips {
    ratio: Ratio,
    weights: Weights,
}

impl Estimator for Ips {
    fn name(&self) -> &'static str {
        "ips"
    }

    fn push(&mut self, row: &Row) {
        let weight = row.weight();
        let parts = row.parts();
        self.ratio.push(parts.cluster, 1.0, weight * row.reward());
        self.weights.push(weight, &parts.target, &parts.logged);
    }

    fn merge(&mut self, other: &Self) {
        self.ratio.merge(&other.ratio);
        self.weights.merge(&other.weights);
    }

    fn finish(&self, settings: &EstimateSettings) -> Result<Estimate, EstimateError> {
        let weights = self.weights.checked(settings.minimum_effective)?;
        self.ratio.finish(self.name(), &weights, settings.level)
    }
}
