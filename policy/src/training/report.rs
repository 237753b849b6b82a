use std::collections::BTreeMap;

use serde::Serialize;

use super::Table;
use crate::{FeatureSchema, LinearModel};

/// How well a reward model foretells rewards that it has not seen: every figure is out of fold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingReport {
    /// What was fitted, with the penalty that was given or chosen.
    pub recipe: String,
    /// Rewards that it was fitted on.
    pub rows: u64,
    /// The penalties compared.
    pub penalties: Vec<PenaltyReport>,
    /// Each arm, in the order of their ids.
    pub arms: Vec<ArmReport>,
    /// Rows by what was foretold, in tenths.
    pub calibration: Vec<CalibrationBin>,
}

/// A penalty, and how well the model did with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PenaltyReport {
    /// The penalty.
    pub penalty: f64,
    /// Mean squared error over all arms' rows.
    pub squared_error: f64,
}

/// How well the rewards of one arm are foretold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmReport {
    /// The arm.
    pub arm: String,
    /// Its rows.
    pub rows: u64,
    /// Their mean reward.
    pub mean_reward: f64,
    /// Mean squared error.
    pub squared_error: f64,
    /// That of always foretelling the mean reward.
    pub squared_error_of_mean: f64,
    /// The chance that of two rows, one with a reward of at least 1/2 and one with less, the first is foretold the
    /// greater one (ties count half); `None` without both kinds.
    pub auc: Option<f64>,
    /// Features by the size of their effect, the largest first: weight times the feature's deviation.
    pub weights: Vec<(String, f64)>,
}

/// The rows that were foretold about the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Least prediction of the bin.
    pub from: f64,
    /// Rows in it.
    pub rows: u64,
    /// Mean prediction.
    pub predicted: f64,
    /// Mean reward.
    pub reward: f64,
}

impl TrainingReport {
    pub(super) fn new(
        model: &LinearModel,
        penalties: Vec<PenaltyReport>,
        arms: &BTreeMap<String, Table>,
        predicted: &[Vec<f64>],
    ) -> Self {
        let both = || arms.iter().zip(predicted);
        let pairs = both().flat_map(|((_, table), predicted)| {
            predicted.iter().copied().zip(table.y.iter().copied())
        });
        Self {
            recipe: model.recipe.clone(),
            rows: model.rows,
            penalties,
            arms: both()
                .map(|((arm, table), predicted)| arm_report(model, arm, table, predicted))
                .collect(),
            calibration: calibration(pairs),
        }
    }
}

fn arm_report(model: &LinearModel, arm: &str, table: &Table, predicted: &[f64]) -> ArmReport {
    let count = table.y.len() as f64;
    let mean_reward = table.y.sum() / count;
    let squares = |of: &dyn Fn(usize) -> f64| {
        let errors = table
            .y
            .iter()
            .enumerate()
            .map(|(row, y)| (y - of(row)) * (y - of(row)));
        errors.sum::<f64>() / count
    };
    let weights = model.arms.get(arm).map_or(&[][..], |arm| &arm.weights);
    let mut effects: Vec<(String, f64)> = weights
        .iter()
        .enumerate()
        .map(|(place, weight)| {
            (
                FeatureSchema::name(place),
                weight * table.x.column(place).std(0.0),
            )
        })
        .filter(|(_, effect)| *effect != 0.0)
        .collect();
    effects.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    ArmReport {
        arm: arm.to_owned(),
        rows: table.y.len() as u64,
        mean_reward,
        squared_error: squares(&|row| predicted[row]),
        squared_error_of_mean: squares(&|_| mean_reward),
        auc: auc(table.y.iter().copied().zip(predicted.iter().copied())),
        weights: effects,
    }
}

/// By ranks (Mann and Whitney 1947).
fn auc(rows: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let mut rows: Vec<(f64, bool)> = rows
        .map(|(reward, predicted)| (predicted, reward >= 0.5))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ones, mut start) = (0.0, 0.0, 0);
    while start < rows.len() {
        let ties = rows[start..]
            .iter()
            .take_while(|row| row.0 == rows[start].0)
            .count();
        let rank = start as f64 + f64::midpoint(ties as f64, 1.0);
        let positive = rows[start..start + ties].iter().filter(|row| row.1).count() as f64;
        ranks += rank * positive;
        ones += positive;
        start += ties;
    }
    let zeros = rows.len() as f64 - ones;
    (ones > 0.0 && zeros > 0.0).then(|| (ranks - ones * (ones + 1.0) / 2.0) / (ones * zeros))
}

fn calibration(rows: impl Iterator<Item = (f64, f64)>) -> Vec<CalibrationBin> {
    let mut bins = [(0_u64, 0.0, 0.0); BINS];
    for (predicted, reward) in rows {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in [0, BINS]"
        )]
        let place = ((predicted * BINS as f64) as usize).min(BINS - 1);
        let bin = &mut bins[place];
        *bin = (bin.0 + 1, bin.1 + predicted, bin.2 + reward);
    }
    let filled = bins.into_iter().enumerate().filter(|(_, bin)| bin.0 > 0);
    let bin = |(place, (rows, predicted, reward)): (usize, (u64, f64, f64))| CalibrationBin {
        from: place as f64 / BINS as f64,
        rows,
        predicted: predicted / rows as f64,
        reward: reward / rows as f64,
    };
    filled.map(bin).collect()
}

const BINS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_by_hand() {
        let auc = |rows: &[(f64, f64)]| auc(rows.iter().copied());
        assert_eq!(auc(&[(1.0, 0.9), (0.0, 0.1)]), Some(1.0));
        assert_eq!(auc(&[(1.0, 0.5), (0.0, 0.5)]), Some(0.5));
        // Of four pairs three are in order.
        assert_eq!(
            auc(&[(1.0, 0.9), (0.0, 0.8), (1.0, 0.7), (0.0, 0.1)]),
            Some(0.75)
        );
        assert_eq!(auc(&[(1.0, 0.9)]), None);
    }
}
