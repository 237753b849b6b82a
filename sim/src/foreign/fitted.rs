use std::collections::BTreeMap;

use super::Progress;
use super::balance::{Balance, drawn};
use super::layout::{Layout, Logged};
use super::model::{Counts, PredictionSource, Tabular};
use super::probabilities::{logged_probability, target_probabilities};
use super::reader::{Batch, Source};
use super::regression::{Regression, RegressionSettings, Sample, SampledRow};

/// What must be known of the whole log before a row can be judged.
pub(super) struct Fitted {
    /// Positions in their order.
    pub(super) positions: BTreeMap<i64, usize>,
    pub(super) tabular: Option<Tabular>,
    pub(super) regression: Option<Regression>,
    pub(super) balance: Option<Balance>,
}

impl Fitted {
    /// Reads the log once for its positions and a table, if either is needed, and once for a regression.
    pub(super) fn new(
        source: &Source<'_>,
        layout: &Layout,
        predictions: PredictionSource,
        progress: Progress<'_>,
    ) -> Result<Self, String> {
        let mut fitted = Self {
            positions: BTreeMap::from([(0, 0)]),
            tabular: None,
            regression: None,
            balance: None,
        };
        let is_tabular = matches!(predictions, PredictionSource::Tabular { .. });
        if is_tabular || layout.position.is_some() {
            let counts = counted(source, layout, predictions.folds(), progress)?;
            fitted.positions = counts.positions();
            if let PredictionSource::Tabular { prior, folds } = predictions {
                fitted.tabular = Some(counts.tabular(prior, folds, layout.arms.len()));
            }
        }
        if matches!(layout.logged, Logged::Unknown) {
            let (served, drawn) = paired(source, layout, &fitted.positions, progress)?;
            fitted.balance = Some(Balance::fit(served, drawn, layout.arms.len())?);
        }
        if let PredictionSource::Regression {
            family,
            penalty,
            folds,
            by_arm,
            is_more_robust,
        } = predictions
        {
            let sample = sampled(source, layout, &fitted.positions, is_more_robust, progress)?;
            let settings = RegressionSettings {
                family,
                penalty,
                folds,
                by_arm,
            };
            let arms = layout.arms.len();
            let regression = Regression::fit(sample, settings, arms, &fitted.positions)?;
            fitted.regression = Some(regression);
        }
        Ok(fitted)
    }

    pub(super) fn position(
        &self,
        layout: &Layout,
        batch: &Batch,
        row: usize,
    ) -> Result<usize, String> {
        let position = layout.position(batch, row)?;
        Ok(self.positions.get(&position).copied().unwrap_or(0))
    }
}

fn counted(
    source: &Source<'_>,
    layout: &Layout,
    folds: usize,
    progress: Progress<'_>,
) -> Result<Counts, String> {
    source.fold(
        &layout.wanted.names,
        &layout.wanted.texts,
        Counts::default,
        |counts, batch| {
            progress(batch.rows as u64);
            for row in 0..batch.rows {
                let arm = layout.served(batch, row)?;
                let reward = layout.reward(batch, row)?;
                let position = layout.position(batch, row)?;
                counts.push(fold_of(batch, row, folds), position, arm, reward)?;
            }
            Ok(())
        },
        Counts::merge,
    )
}

/// The rows that a regression is fitted to.
fn sampled(
    source: &Source<'_>,
    layout: &Layout,
    positions: &BTreeMap<i64, usize>,
    is_more_robust: bool,
    progress: Progress<'_>,
) -> Result<Sample, String> {
    source.fold(
        &layout.wanted.names,
        &layout.wanted.texts,
        Sample::default,
        |sample, batch| {
            progress(batch.rows as u64);
            let (mut logged, mut target) = (Vec::new(), Vec::new());
            for row in 0..batch.rows {
                let arm = layout.served(batch, row)?;
                let position = layout.position(batch, row)?;
                let mut weight = 1.0;
                if is_more_robust && batch.first + (row as u64) < layout.from {
                    continue;
                }
                if is_more_robust {
                    let propensity = logged_probability(layout, batch, row, arm, &mut logged)?;
                    let place = positions.get(&position).copied().unwrap_or(0);
                    target_probabilities(
                        &layout.target,
                        layout,
                        batch,
                        row,
                        place,
                        &logged,
                        &mut target,
                    )?;
                    weight = target[arm] * (1.0 - propensity) / (propensity * propensity);
                }
                if weight > 0.0 {
                    sample.push(SampledRow {
                        number: batch.first + row as u64,
                        position,
                        arm,
                        reward: layout.reward(batch, row)?,
                        weight,
                        context: layout.context(batch, row)?,
                    });
                }
            }
            Ok(())
        },
        Sample::merge,
    )
}

/// Rows of the log, and the same with an arm that the target draws.
fn paired(
    source: &Source<'_>,
    layout: &Layout,
    positions: &BTreeMap<i64, usize>,
    progress: Progress<'_>,
) -> Result<(Sample, Sample), String> {
    source.fold(
        &layout.wanted.names,
        &layout.wanted.texts,
        || (Sample::of(BALANCED_ROWS), Sample::of(BALANCED_ROWS)),
        |(served, by_target), batch| {
            progress(batch.rows as u64);
            let mut target = Vec::new();
            for row in 0..batch.rows {
                let number = batch.first + row as u64;
                let position = layout.position(batch, row)?;
                let place = positions.get(&position).copied().unwrap_or(0);
                target_probabilities(&layout.target, layout, batch, row, place, &[], &mut target)?;
                let sampled = SampledRow {
                    number,
                    position,
                    arm: layout.served(batch, row)?,
                    reward: layout.reward(batch, row)?,
                    weight: 1.0,
                    context: layout.context(batch, row)?,
                };
                by_target.push(SampledRow {
                    arm: drawn(number, &target),
                    ..sampled.clone()
                });
                served.push(sampled);
            }
            Ok(())
        },
        |(served, by_target), (more, more_by_target)| {
            served.merge(more);
            by_target.merge(more_by_target);
        },
    )
}

/// Rows that weights are estimated from.
const BALANCED_ROWS: usize = 20_000;

/// Rows go to the folds in turn.
pub(super) fn fold_of(batch: &Batch, row: usize, folds: usize) -> usize {
    fold_of_row(batch.first + row as u64, folds)
}

pub(super) fn fold_of_row(number: u64, folds: usize) -> usize {
    usize::try_from(number % folds as u64).unwrap_or(0)
}
