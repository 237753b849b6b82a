use super::evaluation::{ForeignCompared, ForeignSettings};
use super::layout::Layout;
use super::pass::Sums;
use crate::clusters::Clusters;
use crate::covariances::Covariances;
use crate::error::EstimateError;
use crate::estimate::MINIMUM_CLUSTERS;
use crate::weights::Weights;
use crate::{Interval, Level, MeanValue};

/// Doubly robust terms of one policy, beside those of the first.
#[derive(Clone, Default)]
pub(super) struct ComparedSums {
    terms: Covariances<2>,
    by_user: [Clusters; 2],
    pub(super) weights: Weights,
}

impl ComparedSums {
    pub(super) fn push(&mut self, term: f64, first: f64, user: Option<u64>) {
        self.terms.push([term, first]);
        if let Some(user) = user {
            self.by_user[0].push(user, 1.0, term);
            self.by_user[1].push(user, 1.0, term - first);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.terms.merge(&other.terms);
        self.weights.merge(&other.weights);
        for (ours, theirs) in self.by_user.iter_mut().zip(&other.by_user) {
            ours.merge(theirs);
        }
    }

    /// The mean of the terms, less that of the first if `is_difference`.
    fn mean(&self, is_difference: bool, level: Level) -> Result<MeanValue, EstimateError> {
        let factor = if is_difference { -1.0 } else { 0.0 };
        let by_row = self.terms.standard_error([1.0, factor]);
        let by_row = by_row.ok_or(EstimateError::OneRow)?;
        let clusters = &self.by_user[usize::from(is_difference)];
        let by_user = clusters
            .ratio_standard_error()
            .filter(|_| clusters.count() >= MINIMUM_CLUSTERS);
        let value = self.terms.mean(0) + factor * self.terms.mean(1);
        let standard_error = by_row.max(by_user.unwrap_or(0.0));
        let interval = match by_user {
            Some(_) => {
                let degrees = clusters.count() as f64 - 1.0;
                Interval::student(value, standard_error, degrees, level)
            }
            None => Interval::normal(value, standard_error, level),
        };
        Ok(MeanValue {
            value,
            standard_error,
            interval,
        })
    }
}

/// The value of every policy compared, and its difference from the first.
pub(super) fn compared(
    settings: &ForeignSettings,
    layout: &Layout,
    sums: &Sums,
) -> Result<Vec<ForeignCompared>, EstimateError> {
    let intervals = (2 * sums.compared.len()).saturating_sub(1).max(1);
    let level = settings.suite.level.value();
    let level = Level::new(1.0 - (1.0 - level) / intervals as f64)?;
    let names = std::iter::once(&settings.target).chain(&settings.compare);
    let unscaled = |mut mean: MeanValue, origin: f64| {
        let scaled = |x: f64| x * layout.span() + origin;
        mean.value = scaled(mean.value);
        mean.standard_error *= layout.span();
        (mean.interval.lo, mean.interval.hi) = (scaled(mean.interval.lo), scaled(mean.interval.hi));
        mean
    };
    let all = names
        .zip(&sums.compared)
        .enumerate()
        .map(|(place, (name, sums))| {
            let weights = sums.weights.checked(settings.minimum_effective)?;
            let difference = if place > 0 {
                Some(unscaled(sums.mean(true, level)?, 0.0))
            } else {
                None
            };
            Ok(ForeignCompared {
                target: name.clone(),
                effective_rows: weights.effective_sample_size,
                value: unscaled(sums.mean(false, level)?, layout.unscaled(0.0)),
                difference,
            })
        });
    all.collect()
}
