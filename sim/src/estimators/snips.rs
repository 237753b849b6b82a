use crate::error::EstimateError;
use crate::estimate::{Estimate, EstimateSettings, Estimator, Ratio};
use crate::row::Row;
use crate::weights::Weights;

/// Self-normalised inverse propensity scoring: sum(w r) / sum(w).
///
/// Biased by an amount that vanishes with the rows, usually far less variable than IPS, and bounded
/// by the rewards seen. Interval by the delta method.
///
/// Source: Swaminathan and Joachims (2015), "The self-normalized estimator for counterfactual
/// learning", equation 8; variance as in Owen, "Monte Carlo theory, methods and examples", 9.7.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snips {
    ratio: Ratio,
    weights: Weights,
}

impl Estimator for Snips {
    fn name(&self) -> &'static str {
        "snips"
    }

    fn push(&mut self, row: &Row) {
        let weight = row.weight();
        let parts = row.parts();
        self.ratio
            .push(parts.cluster, weight, weight * row.reward());
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
