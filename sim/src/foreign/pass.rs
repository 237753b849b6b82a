use super::compared::ComparedSums;
use super::fitted::{Fitted, fold_of};
use super::layout::{Layout, Logged};
use super::probabilities::{logged_probability, target_probabilities};
use super::reader::{Batch, Column};
use crate::drift::DriftSums;
use crate::estimators::{Selection, SplitRow, Suite, SuiteSettings, Terms};
use crate::evaluate::spread;
use crate::weights::Weights;

/// The pass over the rows that feeds the estimators.
pub(super) struct Pass<'a> {
    pub(super) layout: &'a Layout,
    pub(super) fitted: Fitted,
    pub(super) folds: usize,
}

pub(super) struct Sums {
    pub(super) suite: Suite,
    pub(super) weights: Weights,
    pub(super) rewards: f64,
    logged: Vec<f64>,
    target: Vec<f64>,
    predictions: Vec<f64>,
    pub(super) drift: DriftSums,
    pub(super) selection: Option<Selection>,
    /// The target, then those that it is compared with.
    pub(super) compared: Vec<ComparedSums>,
}

impl Sums {
    pub(super) fn new(settings: &SuiteSettings, selects: bool, compared: usize) -> Self {
        Self {
            compared: vec![ComparedSums::default(); compared],
            selection: selects.then(|| Selection::new(settings, settings.seed)),
            suite: Suite::new(settings),
            weights: Weights::default(),
            rewards: 0.0,
            logged: Vec::new(),
            target: Vec::new(),
            predictions: Vec::new(),
            drift: DriftSums::default(),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.suite.merge(&other.suite);
        self.weights.merge(&other.weights);
        self.rewards += other.rewards;
        self.drift.merge(&other.drift);
        for (ours, theirs) in self.compared.iter_mut().zip(&other.compared) {
            ours.merge(theirs);
        }
        if let (Some(ours), Some(theirs)) = (&mut self.selection, &other.selection) {
            ours.merge(theirs);
        }
    }
}

impl Pass<'_> {
    pub(super) fn take(&self, sums: &mut Sums, batch: &Batch) -> Result<(), String> {
        for row in 0..batch.rows {
            if batch.first + row as u64 >= self.layout.from {
                self.row(sums, batch, row)?;
            }
        }
        Ok(())
    }

    fn row(&self, sums: &mut Sums, batch: &Batch, row: usize) -> Result<(), String> {
        let layout = self.layout;
        let served = layout.served(batch, row)?;
        let reward = layout.reward(batch, row)?;
        let position = self.fitted.position(layout, batch, row)?;
        let propensity = logged_probability(layout, batch, row, served, &mut sums.logged)?;
        let (logged, target) = (&sums.logged, &mut sums.target);
        target_probabilities(&layout.target, layout, batch, row, position, logged, target)?;
        self.predict(batch, row, position, &mut sums.predictions)?;
        let target = &sums.target;
        let weight = match &self.fitted.balance {
            Some(balance) => {
                let context = layout.context(batch, row)?;
                balance.weight(batch.first + row as u64, &context, served)
            }
            None => target[served] / propensity,
        };
        let predictions = &sums.predictions;
        let expected: f64 = target.iter().zip(predictions).map(|(p, q)| p * q).sum();
        let predicted = predictions.get(served).copied().unwrap_or(0.0);
        let certain = target.iter().any(|probability| *probability >= 1.0 - 1e-12);
        let terms = Terms {
            weight,
            reward,
            predicted,
            expected,
            spread: matches!(layout.logged, Logged::All(_)).then(|| spread(target, &sums.logged)),
            epoch: layout.epoch(batch, row)?,
            user: layout.user.map(|column| user(&batch.columns[column], row)),
            is_match: certain.then(|| target[served] > 0.5),
        };
        match layout.logged {
            Logged::All(_) => sums.weights.push(weight, target, &sums.logged),
            Logged::Served(_) | Logged::Unknown => sums.weights.push(weight, &[1.0], &[1.0]),
        }
        sums.suite.push(batch.first + row as u64, &terms);
        if !sums.compared.is_empty() {
            let first = expected + weight * (reward - predicted);
            self.compare(
                sums,
                batch,
                row,
                (served, position),
                propensity,
                first,
                &terms,
            )?;
        }
        sums.rewards += reward;
        if let Some(selection) = &mut sums.selection {
            selection.push(&SplitRow {
                number: batch.first + row as u64,
                chosen: served,
                reward,
                logged: &sums.logged,
                target: &sums.target,
                predictions: &sums.predictions,
            });
        }
        let number = batch.first + row as u64;
        match layout.logged {
            Logged::All(_) => {
                let shares = sums.logged.iter().copied().enumerate();
                sums.drift.push(number, reward, shares);
            }
            Logged::Served(_) | Logged::Unknown => {
                sums.drift.push(number, reward, [(served, 1.0)]);
            }
        }
        Ok(())
    }

    /// The terms of the policies that the target is compared with.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that is known of the row"
    )]
    fn compare(
        &self,
        sums: &mut Sums,
        batch: &Batch,
        row: usize,
        (served, position): (usize, usize),
        propensity: f64,
        first: f64,
        terms: &Terms,
    ) -> Result<(), String> {
        let layout = self.layout;
        sums.compared[0].push(first, first, terms.user);
        sums.compared[0].weights.push(terms.weight, &[1.0], &[1.0]);
        let mut target = Vec::new();
        for (other, of) in sums.compared[1..].iter_mut().zip(&layout.others) {
            target_probabilities(of, layout, batch, row, position, &sums.logged, &mut target)?;
            let weight = target[served] / propensity;
            let expected: f64 = target
                .iter()
                .zip(&sums.predictions)
                .map(|(p, q)| p * q)
                .sum();
            let term = expected + weight * (terms.reward - terms.predicted);
            other.push(term, first, terms.user);
            match &layout.logged {
                Logged::All(_) => other.weights.push(weight, &target, &sums.logged),
                Logged::Served(_) | Logged::Unknown => other.weights.push(weight, &[1.0], &[1.0]),
            }
        }
        Ok(())
    }

    /// Predicted reward of every arm; none without a source of predictions.
    fn predict(
        &self,
        batch: &Batch,
        row: usize,
        position: usize,
        into: &mut Vec<f64>,
    ) -> Result<(), String> {
        let (fold, arms) = (fold_of(batch, row, self.folds), self.layout.arms.len());
        if let Some(tabular) = &self.fitted.tabular {
            into.clear();
            into.extend_from_slice(tabular.predict(fold, position));
        } else if let Some(regression) = &self.fitted.regression {
            let context = self.layout.context(batch, row)?;
            regression.predict(fold, position, &context, into, arms);
        } else if let Some(columns) = &self.layout.predictions {
            into.clear();
            for column in columns {
                into.push(self.layout.prediction(batch, row, *column)?);
            }
        }
        Ok(())
    }
}

/// A number for a user's name (Fowler, Noll, Vo 1991, FNV-1a).
fn user(column: &Column, row: usize) -> u64 {
    let bytes = match column {
        Column::Texts(texts) => texts[row].as_bytes(),
        Column::Numbers(numbers) => return numbers[row].to_bits(),
    };
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
