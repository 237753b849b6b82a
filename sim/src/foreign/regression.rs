//! Predicted rewards by regression on the columns of a log.

use std::collections::{BTreeMap, BTreeSet};

use echo_policy::training::{Family, regression};
use echo_policy::{ArmWeights, Link};
use ndarray::{Array1, Array2};

use super::fitted::fold_of_row;
use crate::mix::{mix, unit};

/// What predicts a row's reward.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Context {
    pub(crate) numbers: Vec<f64>,
    pub(crate) categories: Vec<String>,
}

/// A row that a regression may be fitted to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SampledRow {
    pub(crate) number: u64,
    pub(crate) position: i64,
    pub(crate) arm: usize,
    pub(crate) reward: f64,
    /// How much the row counts.
    pub(crate) weight: f64,
    pub(crate) context: Context,
}

/// The rows of a log, or so many of them, which follow from their numbers and from nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    rows_most: usize,
    rows: BTreeMap<(u64, u64), SampledRow>,
}

impl Default for Sample {
    fn default() -> Self {
        Self::of(ROWS_MOST)
    }
}

impl Sample {
    /// Room for so many rows.
    pub(crate) fn of(rows_most: usize) -> Self {
        Self {
            rows_most,
            rows: BTreeMap::new(),
        }
    }

    pub(crate) fn push(&mut self, row: SampledRow) {
        self.rows.insert((mix(row.number), row.number), row);
        self.shorten();
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let theirs = other.rows.iter().map(|(key, row)| (*key, row.clone()));
        self.rows.extend(theirs);
        self.shorten();
    }

    fn shorten(&mut self) {
        while self.rows.len() > self.rows_most {
            self.rows.pop_last();
        }
    }

    /// The rows in the order of the log.
    pub(crate) fn in_order(self) -> Vec<SampledRow> {
        let mut rows: Vec<SampledRow> = self.rows.into_values().collect();
        rows.sort_by_key(|row| row.number);
        rows
    }
}

/// Regressions of the reward on the context and the arm, one for each fold and position.
#[derive(Clone, Debug)]
pub(crate) struct Regression {
    design: Design,
    link: Link,
    /// By fold, then by position.
    models: Vec<Vec<Model>>,
}

/// What is regressed on what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RegressionSettings {
    pub(crate) family: Family,
    pub(crate) penalty: f64,
    pub(crate) folds: usize,
    /// A regression of its own for each arm, in place of one in which arms differ by a constant.
    pub(crate) by_arm: bool,
}

#[derive(Clone, Debug)]
enum Model {
    /// One regression, on the context and on which arm it is.
    Shared(ArmWeights),
    /// One for each arm; the mean reward where an arm has no rows.
    ByArm(Vec<ArmWeights>),
}

/// How a context becomes numbers: standardised, and an indicator for each frequent category.
#[derive(Clone, Debug)]
pub(crate) struct Design {
    /// Mean and deviation of each number.
    scales: Vec<(f64, f64)>,
    /// The place of each category that is told apart, by column.
    categories: Vec<BTreeMap<String, usize>>,
    dimension: usize,
}

impl Design {
    pub(crate) fn new<'a>(contexts: &(impl Iterator<Item = &'a Context> + Clone)) -> Self {
        let first = contexts.clone().next();
        let numbers = first.map_or(0, |context| context.numbers.len());
        let columns = first.map_or(0, |context| context.categories.len());
        let n = contexts.clone().count().max(1) as f64;
        let scale = |column: usize| {
            let values = || contexts.clone().map(|context| context.numbers[column]);
            let mean = values().sum::<f64>() / n;
            let variance = values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
            (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
        };
        let mut dimension = numbers;
        let mut places = |column: usize| {
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            for context in contexts.clone() {
                *counts.entry(&context.categories[column]).or_default() += 1;
            }
            let mut frequent: Vec<(&str, u64)> = counts.into_iter().collect();
            frequent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
            frequent.truncate(CATEGORIES_MOST);
            let place = |(category, _): &(&str, u64)| {
                dimension += 1;
                ((*category).to_owned(), dimension - 1)
            };
            frequent.iter().map(place).collect()
        };
        let categories = (0..columns).map(&mut places).collect();
        Self {
            scales: (0..numbers).map(scale).collect(),
            categories,
            dimension,
        }
    }

    /// Numbers of a context.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// Writes a context into zeros.
    pub(crate) fn fill(&self, context: &Context, into: &mut [f64]) {
        for ((x, number), (mean, deviation)) in
            into.iter_mut().zip(&context.numbers).zip(&self.scales)
        {
            *x = (number - mean) / deviation;
        }
        for (category, places) in context.categories.iter().zip(&self.categories) {
            if let Some(place) = places.get(category) {
                into[*place] = 1.0;
            }
        }
    }
}

impl Regression {
    /// Fits the regressions: with one fold, of all rows; else each of the folds but one.
    ///
    /// Logistic families need labels: a reward r in (0, 1) becomes 1 with probability r, by one draw that follows from
    /// the row's number.
    pub(crate) fn fit(
        sample: Sample,
        settings: RegressionSettings,
        arms: usize,
        positions: &BTreeMap<i64, usize>,
    ) -> Result<Self, String> {
        let rows = sample.in_order();
        if rows.is_empty() {
            return Err("there are no rows to fit a regression to".to_owned());
        }
        let design = Design::new(&rows.iter().map(|row| &row.context));
        let mut models = Vec::new();
        for fold in 0..settings.folds {
            let mut of_fold = Vec::new();
            for position in positions.keys() {
                let is_used = |row: &&SampledRow| {
                    let is_other = fold_of_row(row.number, settings.folds) != fold;
                    row.position == *position && (settings.folds == 1 || is_other)
                };
                let used: Vec<&SampledRow> = rows.iter().filter(is_used).collect();
                if used.is_empty() {
                    return Err(format!(
                        "position {position} has no rows outside of fold {}",
                        fold + 1
                    ));
                }
                of_fold.push(Model::fit(&used, &design, settings, arms)?);
            }
            models.push(of_fold);
        }
        Ok(Self {
            design,
            link: settings.family.link(),
            models,
        })
    }

    /// Predicted reward of every arm, in [0, 1].
    pub(crate) fn predict(
        &self,
        fold: usize,
        position: usize,
        context: &Context,
        into: &mut Vec<f64>,
        arms: usize,
    ) {
        let mut x = vec![0.0; self.design.dimension];
        self.design.fill(context, &mut x);
        let of = |weights: &ArmWeights| {
            let products = x.iter().zip(&weights.weights).map(|(x, w)| x * w);
            weights.intercept + products.sum::<f64>()
        };
        into.clear();
        match &self.models[fold][position] {
            Model::Shared(weights) => {
                let common = of(weights);
                let own = &weights.weights[self.design.dimension..];
                let each = own.iter().take(arms).map(|own| common + own);
                into.extend(each.map(|sum| self.link.reward(sum).clamp(0.0, 1.0)));
            }
            Model::ByArm(all) => {
                let each = all.iter().map(of);
                into.extend(each.map(|sum| self.link.reward(sum).clamp(0.0, 1.0)));
            }
        }
    }
}

impl Model {
    fn fit(
        rows: &[&SampledRow],
        design: &Design,
        settings: RegressionSettings,
        arms: usize,
    ) -> Result<Self, String> {
        if !settings.by_arm {
            let weights = fitted(rows, design, settings, arms)?;
            return Ok(Self::Shared(weights));
        }
        let total: f64 = rows.iter().map(|row| row.reward).sum();
        let mean = total / rows.len() as f64;
        let mut all = Vec::with_capacity(arms);
        for arm in 0..arms {
            let own: Vec<&SampledRow> = rows.iter().filter(|row| row.arm == arm).copied().collect();
            let weights = if own.len() < ROWS_LEAST {
                ArmWeights {
                    intercept: settings.family.link().sum(mean),
                    weights: vec![0.0; design.dimension],
                }
            } else {
                fitted(&own, design, settings, 0)?
            };
            all.push(weights);
        }
        Ok(Self::ByArm(all))
    }
}

/// Fits one regression; with `arms`, indicators of these stand behind the context.
fn fitted(
    rows: &[&SampledRow],
    design: &Design,
    settings: RegressionSettings,
    arms: usize,
) -> Result<ArmWeights, String> {
    let dimension = design.dimension + arms;
    let mut values = vec![0.0; rows.len() * dimension];
    for (row, x) in rows.iter().zip(values.chunks_exact_mut(dimension.max(1))) {
        design.fill(&row.context, x);
        if arms > 0 {
            x[design.dimension + row.arm] = 1.0;
        }
    }
    let x = Array2::from_shape_vec((rows.len(), dimension), values);
    let x = x.map_err(|error| error.to_string())?;
    let is_logistic = settings.family.is_logistic();
    let y: Array1<f64> = rows
        .iter()
        .map(|row| {
            if is_logistic {
                f64::from(u8::from(unit(mix(!row.number)) < row.reward))
            } else {
                row.reward
            }
        })
        .collect();
    let weights: BTreeSet<u64> = rows.iter().map(|row| row.weight.to_bits()).collect();
    let weights =
        (weights.len() > 1).then(|| rows.iter().map(|row| row.weight).collect::<Array1<f64>>());
    regression(settings.family, settings.penalty, &x, &y, weights.as_ref())
        .map_err(|error| error.to_string())
}

/// Rows that are kept to fit to.
const ROWS_MOST: usize = 100_000;

/// An arm with fewer rows is expected to earn the mean.
const ROWS_LEAST: usize = 20;

/// Categories of a column that are told apart.
const CATEGORIES_MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64, arm: usize, x: f64, category: &str, reward: f64) -> SampledRow {
        SampledRow {
            number,
            position: 0,
            arm,
            reward,
            weight: 1.0,
            context: Context {
                numbers: vec![x],
                categories: vec![category.to_owned()],
            },
        }
    }

    fn settings(family: Family, by_arm: bool) -> RegressionSettings {
        RegressionSettings {
            family,
            penalty: 0.01,
            folds: 2,
            by_arm,
        }
    }

    #[test]
    fn what_the_reward_depends_on_is_found() {
        // Arm 1 earns 0.2 more; category b 0.3 more; x adds 0.1 for each unit. By arm, x works the other way for arm 1.
        for (family, by_arm) in [
            (Family::Linear, false),
            (Family::Linear, true),
            (Family::ElasticNet, false),
        ] {
            let mut sample = Sample::default();
            let truth = |arm: usize, x: f64, category: &str| {
                let slope = if by_arm && arm == 1 { -0.1 } else { 0.1 };
                let (of_arm, of_category) = ([0.0, 0.2][arm], f64::from(u8::from(category == "b")));
                0.3 + of_arm + 0.3 * of_category + slope * x
            };
            for number in 0..400 {
                let arm = (number % 7 % 2) as usize;
                let (x, category) = (
                    (number % 5) as f64 / 2.0 - 1.0,
                    if number % 3 == 2 { "b" } else { "a" },
                );
                sample.push(row(number, arm, x, category, truth(arm, x, category)));
            }
            let mut settings = settings(family, by_arm);
            if family == Family::ElasticNet {
                settings.penalty = 1e-5;
            }
            let positions = BTreeMap::from([(0, 0)]);
            let fitted = Regression::fit(sample, settings, 2, &positions).unwrap();
            let mut predicted = Vec::new();
            for (x, category) in [(0.5, "a"), (-1.0, "b")] {
                let context = row(0, 0, x, category, 0.0).context;
                fitted.predict(1, 0, &context, &mut predicted, 2);
                for (arm, predicted) in predicted.iter().enumerate() {
                    let expected = truth(arm, x, category);
                    assert!(
                        (predicted - expected).abs() < 0.01,
                        "{family}: {predicted} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_sample_depends_on_the_rows_alone() {
        let rows: Vec<SampledRow> = (0..50).map(|n| row(n, 0, 0.0, "", 0.5)).collect();
        let mut forward = Sample::default();
        let mut parts = [Sample::default(), Sample::default()];
        for row in &rows {
            forward.push(row.clone());
            parts[usize::from(row.number % 2 == 1)].push(row.clone());
        }
        let [mut first, second] = parts;
        first.merge(&second);
        assert_eq!(first.in_order(), forward.in_order());
    }
}
