use std::collections::BTreeMap;

use serde::Serialize;

use super::suite::{Suite, SuiteSettings, Terms};
use crate::error::EstimateError;
use crate::mix;

/// Chooses an estimator for a log and a target, by "policy-adaptive estimator selection via importance fitting" (Udagawa,
/// Kiyohara, Narita, Saito, Tateno 2023).
///
/// The log is split at random into what might be a log of the target, whose mean reward is known, and what might be the
/// log that it is to be estimated from; the estimator that comes nearest over several splits is chosen. A row goes to the
/// first part with probability s, such that the importance weights between the parts are those between target and log.
/// The paper fits s by gradient descent; here it is solved: with the weight w(a) of each arm, s(a) = l w(a) / (1 + l w(a))
/// makes the weights between the parts proportional to w within every context, and l is found so that each context has
/// the same chance [`SHARE`] of the first part, which leaves the contexts of both parts alike.
///
/// Exploratory: what is best for the split may not be best for the log, and nothing here says how sure that is.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    seed: u64,
    splits: Vec<Split>,
}

#[derive(Clone, Debug)]
struct Split {
    /// Rows that stand for a log of the target, and what they earned.
    rows: f64,
    reward: f64,
    suite: Suite,
}

/// How an estimator did in the splits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Selected {
    /// The estimator.
    pub estimator: String,
    /// Root of its mean squared error over the splits, in units of the reward.
    pub rmse: f64,
}

/// A row with all that a split needs of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SplitRow<'a> {
    pub(crate) number: u64,
    pub(crate) chosen: usize,
    pub(crate) reward: f64,
    /// Probability of each arm, as logged and under the target.
    pub(crate) logged: &'a [f64],
    pub(crate) target: &'a [f64],
    /// Predicted reward of each arm; empty without predictions.
    pub(crate) predictions: &'a [f64],
}

impl Selection {
    pub(crate) fn new(settings: &SuiteSettings, seed: u64) -> Self {
        let settings = SuiteSettings {
            replicates: 0,
            ..settings.clone()
        };
        let split = Split {
            rows: 0.0,
            reward: 0.0,
            suite: Suite::new(&settings),
        };
        Self {
            seed,
            splits: vec![split; SPLITS],
        }
    }

    pub(crate) fn push(&mut self, row: &SplitRow<'_>) {
        let weights = row.target.iter().zip(row.logged);
        let weights: Vec<f64> = weights
            .map(|(p, e)| if *e > 0.0 { p / e } else { 0.0 })
            .collect();
        let Some(odds) = odds(&weights, row.logged) else {
            return;
        };
        let chance = |arm: usize| odds * weights[arm] / (1.0 + odds * weights[arm]);
        let share: f64 = (0..weights.len())
            .map(|arm| row.logged[arm] * chance(arm))
            .sum();
        let own = chance(row.chosen);
        for (number, split) in (0_u64..).zip(&mut self.splits) {
            let random = unit(self.seed, row.number, number);
            if random < own {
                split.rows += 1.0;
                split.reward += row.reward;
                continue;
            }
            let pseudo = |arm: usize| row.logged[arm] * chance(arm) / share;
            let predictions = row.predictions.iter().enumerate();
            split.suite.push(
                row.number,
                &Terms {
                    weight: own / (1.0 - own) * (1.0 - share) / share,
                    reward: row.reward,
                    predicted: row.predictions.get(row.chosen).copied().unwrap_or(0.0),
                    expected: predictions.map(|(arm, q)| pseudo(arm) * q).sum(),
                    spread: None,
                    epoch: None,
                    user: None,
                    is_match: None,
                },
            );
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.splits.iter_mut().zip(&other.splits) {
            ours.rows += theirs.rows;
            ours.reward += theirs.reward;
            ours.suite.merge(&theirs.suite);
        }
    }

    /// The estimators, the best first.
    ///
    /// # Errors
    /// [`EstimateError`] where a split has too few rows for an estimate.
    pub(crate) fn finish(&self) -> Result<Vec<Selected>, EstimateError> {
        let mut squares: BTreeMap<String, (f64, usize)> = BTreeMap::new();
        for split in &self.splits {
            if split.rows < 2.0 {
                return Err(EstimateError::NoRows);
            }
            let truth = split.reward / split.rows;
            for value in split.suite.finish()? {
                let (sum, count) = squares.entry(value.estimator).or_default();
                *sum += (value.value - truth) * (value.value - truth);
                *count += 1;
            }
        }
        // Only those that every split has; the value of `ips-eb` is that of `ips`.
        squares
            .retain(|estimator, (_, count)| *count == self.splits.len() && estimator != "ips-eb");
        let mut all: Vec<Selected> = squares
            .into_iter()
            .map(|(estimator, (sum, count))| Selected {
                estimator,
                rmse: (sum / count as f64).sqrt(),
            })
            .collect();
        all.sort_by(|a, b| a.rmse.total_cmp(&b.rmse));
        Ok(all)
    }
}

/// The factor of the odds with which a context has the chance [`SHARE`] of the first part; `None` if no arm of it has.
fn odds(weights: &[f64], logged: &[f64]) -> Option<f64> {
    let share = |odds: f64| -> f64 {
        let arms = weights.iter().zip(logged);
        arms.map(|(w, e)| e * odds * w / (1.0 + odds * w)).sum()
    };
    let (mut low, mut high) = (0.0, 1.0);
    while share(high) < SHARE {
        high *= 4.0;
        if high > ODDS_MOST {
            return None;
        }
    }
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if share(middle) < SHARE {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

/// A number in [0, 1) that follows from seed, row and split.
fn unit(seed: u64, row: u64, split: u64) -> f64 {
    mix::unit(mix::mix(mix::mix(seed ^ mix::mix(row)).wrapping_add(split)))
}

/// The part of the rows that stand for a log of the target, as in the paper.
const SHARE: f64 = 0.2;

/// Splits, as in the paper.
const SPLITS: usize = 10;

const HALVINGS: u32 = 40;

/// A context in which the target takes what the log hardly ever served cannot be split.
const ODDS_MOST: f64 = 1e12;

#[cfg(test)]
mod tests {
    use super::*;

    const LOGGED: [f64; 3] = [0.6, 0.3, 0.1];
    const TARGET: [f64; 3] = [0.1, 0.1, 0.8];

    /// Arm a earns 0.3 + 0.2 a; predictions are right, or wrong by `off` for the last arm.
    fn selected(off: f64, rows: u64) -> Vec<Selected> {
        let mut parts = vec![Selection::new(&SuiteSettings::default(), 5); 2];
        let predictions = [0.3, 0.5, 0.7 + off];
        for number in 0..rows {
            let random = unit(1, number, 7);
            let chosen = usize::from(random >= 0.6) + usize::from(random >= 0.9);
            let reward = f64::from(u8::from(unit(2, number, 7) < 0.3 + 0.2 * chosen as f64));
            parts[usize::from(number % 3 == 0)].push(&SplitRow {
                number,
                chosen,
                reward,
                logged: &LOGGED,
                target: &TARGET,
                predictions: &predictions,
            });
        }
        let other = parts.pop().unwrap();
        parts[0].merge(&other);
        parts[0].finish().unwrap()
    }

    fn rank(all: &[Selected], estimator: &str) -> usize {
        all.iter()
            .position(|selected| selected.estimator == estimator)
            .unwrap()
    }

    #[test]
    fn good_predictions_are_trusted_and_bad_ones_are_not() {
        let good = selected(0.0, 3_000);
        assert!(rank(&good, "dm") < rank(&good, "ips"), "{good:?}");
        let bad = selected(-0.4, 3_000);
        assert!(rank(&bad, "dm") > rank(&bad, "dr"), "{bad:?}");
        assert!(bad[rank(&bad, "dm")].rmse > 0.1, "{bad:?}");
    }

    #[test]
    fn every_context_has_the_same_share_and_weights_keep_their_ratios() {
        let weights: Vec<f64> = TARGET.iter().zip(LOGGED).map(|(p, e)| p / e).collect();
        let odds = odds(&weights, &LOGGED).unwrap();
        let chance: Vec<f64> = weights
            .iter()
            .map(|w| odds * w / (1.0 + odds * w))
            .collect();
        let share: f64 = chance.iter().zip(LOGGED).map(|(s, e)| s * e).sum();
        assert!((share - SHARE).abs() < 1e-9);
        let between = |arm: usize| chance[arm] / (1.0 - chance[arm]);
        assert!((between(2) / between(0) - weights[2] / weights[0]).abs() < 1e-9);
        assert_eq!(super::odds(&[0.0, 0.0], &[0.5, 0.5]), None);
        assert!(matches!(
            Selection::new(&SuiteSettings::default(), 1).finish(),
            Err(EstimateError::NoRows)
        ));
    }
}
