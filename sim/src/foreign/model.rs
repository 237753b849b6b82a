use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

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
    /// None: the estimators that need them are left out.
    None,
}

impl FromStr for PredictionSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        match (name, rest) {
            ("columns", "") => return Ok(Self::Columns),
            ("none", "") => return Ok(Self::None),
            ("tabular", _) => {}
            _ => {
                return Err(format!(
                    "{text:?} is none of columns, tabular[:prior=P,folds=F] and none"
                ));
            }
        }
        let (mut prior, mut folds) = (20.0, 5);
        for part in rest.split(',').filter(|part| !part.is_empty()) {
            let known = match part.split_once('=') {
                Some(("prior", value)) => value.parse().map(|value| prior = value).is_ok(),
                Some(("folds", value)) => value.parse().map(|value| folds = value).is_ok(),
                _ => false,
            };
            if !known {
                return Err(format!(
                    "{part:?} is neither prior=NUMBER nor folds=WHOLE NUMBER"
                ));
            }
        }
        if !(prior > 0.0 && f64::is_finite(prior) && (1..=FOLDS_MOST).contains(&folds)) {
            return Err(format!(
                "prior must be above 0, and folds in [1, {FOLDS_MOST}]"
            ));
        }
        Ok(Self::Tabular { prior, folds })
    }
}

impl fmt::Display for PredictionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Columns => f.write_str("columns"),
            Self::None => f.write_str("none"),
            Self::Tabular { prior, folds } => write!(f, "tabular:prior={prior},folds={folds}"),
        }
    }
}

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
        ] {
            assert_eq!(text.parse::<PredictionSource>().unwrap().to_string(), text);
        }
        for text in [
            "ridge",
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
