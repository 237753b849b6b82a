use crate::error::EstimateError;
use crate::estimate::{Estimate, EstimateSettings, Estimator, Ratio};
use crate::row::Row;
use crate::weights::Weights;

/// Doubly robust: the mean of `sum_k p_k q_k + w (r - q_chosen)`.
///
/// Unbiased when either the logged probabilities or the predictions `q` are right. The predictions
/// of a row must not have been learned from that row (see
/// [`RewardModel`](crate::RewardModel)).
///
/// Source: Dudik, Langford and Li (2011), "Doubly robust policy evaluation and learning", equation 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dr {
    ratio: Ratio,
    weights: Weights,
    rows_without_predictions: u64,
}

impl Estimator for Dr {
    fn name(&self) -> &'static str {
        "dr"
    }

    fn push(&mut self, row: &Row) {
        let parts = row.parts();
        let Some(q) = &parts.q else {
            self.rows_without_predictions += 1;
            return;
        };
        let value = corrected(&parts.target, row.weight(), q, row);
        self.ratio.push(parts.cluster, 1.0, value);
        self.weights
            .push(row.weight(), &parts.target, &parts.logged);
    }

    fn merge(&mut self, other: &Self) {
        self.ratio.merge(&other.ratio);
        self.weights.merge(&other.weights);
        self.rows_without_predictions += other.rows_without_predictions;
    }

    fn finish(&self, settings: &EstimateSettings) -> Result<Estimate, EstimateError> {
        if self.rows_without_predictions > 0 {
            return Err(EstimateError::NoPredictions {
                rows: self.rows_without_predictions,
            });
        }
        let weights = self.weights.checked(settings.minimum_effective)?;
        self.ratio.finish(self.name(), &weights, settings.level)
    }
}

/// The doubly robust value of `policy` on one row.
pub(super) fn corrected(policy: &[f64], weight: f64, q: &[f64], row: &Row) -> f64 {
    let expected: f64 = policy.iter().zip(q).map(|(p, q)| p * q).sum();
    expected * row.parts().sample_weight + weight * (row.reward() - q[row.parts().chosen])
}
