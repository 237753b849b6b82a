//! Importance weights of a log whose probabilities nobody knows.

use echo_policy::ArmWeights;
use echo_policy::training::{Family, regression};
use ndarray::{Array1, Array2};

use super::fitted::fold_of_row;
use super::regression::{Context, Design, Sample, SampledRow};
use crate::mix::{mix, unit};

/// Weights that balance a log and a target: of a context and an arm, the odds that they are the target's and not the log's
/// (Sondhi, Arbour, Dimmery 2020, "Balanced off-policy evaluation in general action spaces"). A logistic regression tells
/// the log's pairs of context and arm from those of the target in the same contexts, cross-fitted on [`FOLDS`] folds.
///
/// It is right only if the log's arms were chosen by what the contexts show.
#[derive(Debug)]
pub(crate) struct Balance {
    design: Design,
    arms: usize,
    /// Whether each arm's odds depend on the context in a way of their own.
    has_products: bool,
    models: Vec<ArmWeights>,
}

impl Balance {
    /// `served` are rows of the log, `drawn` the same with an arm drawn by the target.
    pub(crate) fn fit(served: Sample, drawn: Sample, arms: usize) -> Result<Self, String> {
        let (served, drawn) = (served.in_order(), drawn.in_order());
        if served.is_empty() {
            return Err("there are no rows to balance".to_owned());
        }
        let design = Design::new(&served.iter().map(|row| &row.context));
        let mut balance = Self {
            has_products: design.dimension() * arms <= PRODUCTS_MOST,
            design,
            arms,
            models: Vec::new(),
        };
        let all: Vec<(&SampledRow, f64)> = served
            .iter()
            .map(|row| (row, 0.0))
            .chain(drawn.iter().map(|row| (row, 1.0)))
            .collect();
        for fold in 0..FOLDS {
            let used = || {
                all.iter()
                    .filter(|(row, _)| fold_of_row(row.number, FOLDS) != fold)
            };
            let dimension = balance.dimension();
            let mut values = Vec::new();
            for (row, _) in used() {
                let at = values.len();
                values.resize(at + dimension, 0.0);
                balance.fill(&row.context, row.arm, &mut values[at..]);
            }
            let rows = values.len() / dimension.max(1);
            let x = Array2::from_shape_vec((rows, dimension), values);
            let x = x.map_err(|error| error.to_string())?;
            let y: Array1<f64> = used().map(|(_, label)| *label).collect();
            let model = regression(Family::Logistic, PENALTY, &x, &y, None);
            balance
                .models
                .push(model.map_err(|error| error.to_string())?);
        }
        Ok(balance)
    }

    /// The weight of an arm in the context of a row.
    pub(crate) fn weight(&self, number: u64, context: &Context, arm: usize) -> f64 {
        let mut x = vec![0.0; self.dimension()];
        self.fill(context, arm, &mut x);
        let model = &self.models[fold_of_row(number, FOLDS)];
        let products = x.iter().zip(&model.weights).map(|(x, w)| x * w);
        // The odds of a logistic model.
        (model.intercept + products.sum::<f64>())
            .exp()
            .min(WEIGHT_MOST)
    }

    fn dimension(&self) -> usize {
        let context = self.design.dimension();
        context
            + self.arms
            + if self.has_products {
                context * self.arms
            } else {
                0
            }
    }

    /// Context, arm, and the one for the other, written into zeros.
    fn fill(&self, context: &Context, arm: usize, into: &mut [f64]) {
        let dimension = self.design.dimension();
        let (own, rest) = into.split_at_mut(dimension);
        self.design.fill(context, own);
        rest[arm] = 1.0;
        if self.has_products {
            rest[self.arms + arm * dimension..][..dimension].copy_from_slice(own);
        }
    }
}

/// An arm that the target draws for a row, which follows from the row's number.
pub(crate) fn drawn(number: u64, target: &[f64]) -> usize {
    let mut left = unit(mix(number.rotate_left(32)));
    let mut last = 0;
    for (arm, probability) in target.iter().enumerate() {
        if *probability > 0.0 {
            last = arm;
            if left < *probability {
                return arm;
            }
            left -= probability;
        }
    }
    last
}

const FOLDS: usize = 3;

/// Stands beside sums over rows.
const PENALTY: f64 = 1.0;

/// With more products of context and arm, arms differ by a constant.
const PRODUCTS_MOST: usize = 400;

/// Odds beyond it say that the target takes what the log hardly ever has.
const WEIGHT_MOST: f64 = 1_000.0;
