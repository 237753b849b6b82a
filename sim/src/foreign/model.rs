use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use echo_policy::training::Family;

/// Where predicted rewards come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PredictionSource {
    /// The log's own columns.
    Columns,
    /// The mean reward of an arm at a position, shrunk to the mean of all: (sum + prior m) / (rows + prior).
    Tabular {
        /// How many rows the mean of all counts for, above 0.
        prior: f64,
        /// Each row is predicted from the other folds; with 1, from all rows, itself included.
        folds: usize,
    },
    /// A regression of the reward on the columns that the map names as features and categories, and on the arm.
    Regression {
        /// The kind of regression.
        family: Family,
        /// Its penalty, above 0.
        penalty: f64,
        /// Each row is predicted from the other folds; with 1, from all rows, itself included.
        folds: usize,
        /// Whether each arm has a regression of its own; else arms differ by a constant.
        by_arm: bool,
        /// Whether rows count as the more robust doubly robust estimator has it (Farajtabar, Chow, Ghavamzadeh 2018):
        /// target (1 - logged) / logged^2, so that `dr` is that estimator. Linear regression alone can do so.
        is_more_robust: bool,
    },
    /// None: the estimators that need them are left out.
    None,
}

impl PredictionSource {
    /// Folds of the cross-fitting; 1 without any.
    pub(crate) fn folds(self) -> usize {
        match self {
            Self::Tabular { folds, .. } | Self::Regression { folds, .. } => folds,
            Self::Columns | Self::None => 1,
        }
    }
}

impl FromStr for PredictionSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let family = Family::ALL
            .into_iter()
            .find(|family| family.as_str() == name)
            .or_else(|| (name == MORE_ROBUST).then_some(Family::Linear));
        let mut keys = Keys {
            number: if name == "tabular" {
                "prior"
            } else {
                "penalty"
            },
            value: if name == "tabular" {
                20.0
            } else {
                family.map_or(1.0, default_penalty)
            },
            folds: 5,
            by_arm: family.map(|_| false),
        };
        match (name, family) {
            ("columns", _) if rest.is_empty() => return Ok(Self::Columns),
            ("none", _) if rest.is_empty() => return Ok(Self::None),
            ("tabular", _) | (_, Some(_)) => keys.read(rest)?,
            _ => {
                return Err(format!(
                    "{text:?} is none of columns, tabular[:prior=P,folds=F], \
                     {{linear|elastic-net|logistic|ftrl|mrdr}}[:penalty=P,folds=F,by=arm] and none"
                ));
            }
        }
        let Keys {
            value,
            folds,
            by_arm,
            ..
        } = keys;
        Ok(match family {
            None => Self::Tabular {
                prior: value,
                folds,
            },
            Some(family) => Self::Regression {
                family,
                penalty: value,
                folds,
                by_arm: by_arm == Some(true),
                is_more_robust: name == MORE_ROBUST,
            },
        })
    }
}

/// What stands behind the colon.
struct Keys {
    /// The name of the number, and its value.
    number: &'static str,
    value: f64,
    folds: usize,
    /// `None` where there is no such key.
    by_arm: Option<bool>,
}

impl Keys {
    fn read(&mut self, text: &str) -> Result<(), String> {
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let known = match part.split_once('=') {
                Some((key, value)) if key == self.number => {
                    value.parse().map(|value| self.value = value).is_ok()
                }
                Some(("folds", value)) => value.parse().map(|value| self.folds = value).is_ok(),
                Some(("by", "arm")) if self.by_arm.is_some() => {
                    self.by_arm = Some(true);
                    true
                }
                _ => false,
            };
            if !known {
                let by_arm = self.by_arm.map_or("", |_| " nor by=arm");
                return Err(format!(
                    "{part:?} is neither {}=NUMBER nor folds=WHOLE NUMBER{by_arm}",
                    self.number
                ));
            }
        }
        let is_positive = self.value > 0.0 && self.value.is_finite();
        if !(is_positive && (1..=FOLDS_MOST).contains(&self.folds)) {
            return Err(format!(
                "{} must be above 0, and folds in [1, {FOLDS_MOST}]",
                self.number
            ));
        }
        Ok(())
    }
}

/// Stands beside sums over rows, but for the elastic net, where it stands beside a mean, and FTRL, where it is one over
/// the learning rate.
fn default_penalty(family: Family) -> f64 {
    match family {
        Family::Linear | Family::Logistic => 1.0,
        Family::ElasticNet => 0.000_3,
        Family::Ftrl => 10.0,
    }
}

impl fmt::Display for PredictionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Columns => f.write_str("columns"),
            Self::None => f.write_str("none"),
            Self::Tabular { prior, folds } => write!(f, "tabular:prior={prior},folds={folds}"),
            Self::Regression {
                family,
                penalty,
                folds,
                by_arm,
                is_more_robust,
            } => {
                let name = if *is_more_robust {
                    MORE_ROBUST
                } else {
                    family.as_str()
                };
                write!(f, "{name}:penalty={penalty},folds={folds}")?;
                f.write_str(if *by_arm { ",by=arm" } else { "" })
            }
        }
    }
}

/// The name of a linear regression whose rows count for a smaller variance of `dr`.
const MORE_ROBUST: &str = "mrdr";

const FOLDS_MOST: usize = 1_000;

/// Rows and their rewards by fold, position and arm: what a first pass over the log collects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    positions: BTreeSet<i64>,
    cells: BTreeMap<(usize, i64, usize), (f64, f64)>,
}

impl Counts {
    /// Adds a row; more positions than a slate has are refused.
    pub(crate) fn push(
        &mut self,
        fold: usize,
        position: i64,
        arm: usize,
        reward: f64,
    ) -> Result<(), String> {
        if self.positions.insert(position) && self.positions.len() > POSITIONS_MOST {
            return Err(format!("there are more than {POSITIONS_MOST} positions"));
        }
        let cell = self.cells.entry((fold, position, arm)).or_default();
        cell.0 += 1.0;
        cell.1 += reward;
        Ok(())
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.positions.extend(&other.positions);
        for (cell, (rows, rewards)) in &other.cells {
            let ours = self.cells.entry(*cell).or_default();
            ours.0 += rows;
            ours.1 += rewards;
        }
    }

    /// The positions, the first of them 0.
    pub(crate) fn positions(&self) -> BTreeMap<i64, usize> {
        self.positions
            .iter()
            .enumerate()
            .map(|(place, position)| (*position, place))
            .collect()
    }

    /// Predictions by fold, then by position, then by arm.
    pub(crate) fn tabular(&self, prior: f64, folds: usize, arms: usize) -> Tabular {
        let places = self.positions();
        let size = places.len().max(1) * arms;
        let mut rows = vec![vec![0.0; size]; folds];
        let mut sums = rows.clone();
        for ((fold, position, arm), (count, rewards)) in &self.cells {
            let at = places[position] * arms + arm;
            // With one fold, a row is predicted by all; else by all folds but its own.
            for other in (0..folds).filter(|other| folds == 1 || other != fold) {
                rows[other][at] += count;
                sums[other][at] += rewards;
            }
        }
        let predict = |(rows, sums): (&Vec<f64>, &Vec<f64>)| {
            let (all, rewards): (f64, f64) = (rows.iter().sum(), sums.iter().sum());
            let mean = if all > 0.0 { rewards / all } else { 0.0 };
            let cell = |(rows, sum): (&f64, &f64)| (sum + prior * mean) / (rows + prior);
            rows.iter().zip(sums).map(cell).collect()
        };
        Tabular {
            arms,
            cells: rows.iter().zip(&sums).map(predict).collect(),
        }
    }
}

/// The predictions of a [`PredictionSource::Tabular`].
#[derive(Clone, Debug)]
pub(crate) struct Tabular {
    arms: usize,
    cells: Vec<Vec<f64>>,
}

impl Tabular {
    /// Predicted reward of every arm.
    pub(crate) fn predict(&self, fold: usize, position: usize) -> &[f64] {
        &self.cells[fold][position * self.arms..(position + 1) * self.arms]
    }
}

/// No slate is longer.
const POSITIONS_MOST: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_read_back_and_faults_are_named() {
        for text in [
            "columns",
            "none",
            "tabular:prior=20,folds=5",
            "tabular:prior=0.5,folds=1",
            "logistic:penalty=0.5,folds=3",
            "elastic-net:penalty=0.001,folds=5,by=arm",
            "mrdr:penalty=1,folds=5",
        ] {
            assert_eq!(text.parse::<PredictionSource>().unwrap().to_string(), text);
        }
        for text in [
            "ridge",
            "tabular:by=arm",
            "logistic:prior=1",
            "tabular:folds=0",
            "tabular:prior=-1",
            "tabular:x=1",
            "columns:1",
        ] {
            assert!(text.parse::<PredictionSource>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_row_is_predicted_without_its_fold() {
        let mut counts = Counts::default();
        counts.push(0, 7, 0, 1.0).unwrap();
        counts.push(1, 7, 0, 0.0).unwrap();
        counts.push(1, 9, 1, 1.0).unwrap();
        let folded = counts.tabular(1.0, 2, 2);
        // Of the second fold the mean is 1/2: (0 + 1/2) / 2 for the first arm at the first position.
        assert_eq!(folded.predict(0, 0), [0.25, 0.5]);
        assert_eq!(folded.predict(1, 0), [1.0, 1.0]);
        let all = counts.tabular(2.0, 1, 2);
        let mean = 2.0 / 3.0;
        assert_eq!(all.predict(0, 0), [(1.0 + 2.0 * mean) / 4.0, mean]);
        assert_eq!(all.predict(0, 1), [mean, (1.0 + 2.0 * mean) / 3.0]);
    }
}
