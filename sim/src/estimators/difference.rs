use super::dr::corrected;
use crate::error::EstimateError;
use crate::estimate::{Estimate, EstimateSettings, Estimator, Ratio};
use crate::row::Row;
use crate::weights::Weights;

/// Doubly robust value of the target policy minus that of the baseline policy, paired by row.
///
/// Both values come from the same rows and so err together: the interval of the difference is
/// far narrower than two separate intervals suggest. The effective sample size given is the smaller
/// of the two, the largest weight the larger.
///
/// Source: the doubly robust estimator is linear in the policy, so the difference is the mean of
/// the row-wise differences of [`Dr`](super::Dr).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrDifference {
    ratio: Ratio,
    target: Weights,
    baseline: Weights,
    rows_without_predictions: u64,
    rows_without_baseline: u64,
}

impl Estimator for DrDifference {
    fn name(&self) -> &'static str {
        "dr-difference"
    }

    fn push(&mut self, row: &Row) {
        let parts = row.parts();
        let Some(q) = &parts.q else {
            self.rows_without_predictions += 1;
            return;
        };
        let Some((baseline, weight)) = parts.baseline.as_ref().zip(row.baseline_weight()) else {
            self.rows_without_baseline += 1;
            return;
        };
        let ours = corrected(&parts.target, row.weight(), q, row);
        let theirs = corrected(baseline, weight, q, row);
        self.ratio.push(parts.cluster, 1.0, ours - theirs);
        self.target.push(row.weight(), &parts.target, &parts.logged);
        self.baseline.push(weight, baseline, &parts.logged);
    }

    fn merge(&mut self, other: &Self) {
        self.ratio.merge(&other.ratio);
        self.target.merge(&other.target);
        self.baseline.merge(&other.baseline);
        self.rows_without_predictions += other.rows_without_predictions;
        self.rows_without_baseline += other.rows_without_baseline;
    }

    fn finish(&self, settings: &EstimateSettings) -> Result<Estimate, EstimateError> {
        if self.rows_without_predictions > 0 {
            return Err(EstimateError::NoPredictions {
                rows: self.rows_without_predictions,
            });
        }
        if self.rows_without_baseline > 0 {
            return Err(EstimateError::NoBaseline {
                rows: self.rows_without_baseline,
            });
        }
        let mut weights = self.target.checked(settings.minimum_effective)?;
        let baseline = self.baseline.checked(settings.minimum_effective)?;
        weights.effective_sample_size = weights
            .effective_sample_size
            .min(baseline.effective_sample_size);
        weights.largest = weights.largest.max(baseline.largest);
        self.ratio.finish(self.name(), &weights, settings.level)
    }
}
