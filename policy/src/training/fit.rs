use linfa::prelude::{Fit as _, Predict as _};
use linfa::{Dataset, ParamGuard as _};
use linfa_elasticnet::ElasticNet;
use linfa_ftrl::Ftrl;
use linfa_linalg::cholesky::SolveC as _;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2, Axis};

use super::Family;
use crate::{ArmWeights, TrainingError};

/// Fits one regression of `y`, rewards or labels, on the rows of `x`. `weights` say how much each row counts, which linear
/// regression alone can take into account.
///
/// # Errors
/// [`TrainingError::Solver`]: the library's solver fails, weights are given to another family, or lengths differ.
pub fn regression(
    family: Family,
    penalty: f64,
    x: &Array2<f64>,
    y: &Array1<f64>,
    weights: Option<&Array1<f64>>,
) -> Result<ArmWeights, TrainingError> {
    let rows = x.nrows();
    if rows == 0 || y.len() != rows || weights.is_some_and(|weights| weights.len() != rows) {
        let lengths = "rows, rewards and weights differ in number, or there are none";
        return Err(TrainingError::Solver(lengths.to_owned()));
    }
    match (family, weights) {
        (_, None) => fit(family, penalty, x, y),
        (Family::Linear, Some(weights)) => weighted_ridge(penalty, x, y, weights),
        (other, Some(_)) => Err(TrainingError::Solver(format!(
            "{other} regression cannot weigh its rows"
        ))),
    }
}

/// Fits one arm: `x` has a row an event, `y` its reward or label.
pub(super) fn fit(
    family: Family,
    penalty: f64,
    x: &Array2<f64>,
    y: &Array1<f64>,
) -> Result<ArmWeights, TrainingError> {
    let weights = match family {
        Family::Linear => ridge(penalty, x, y)?,
        Family::ElasticNet => elastic_net(penalty, x, y)?,
        Family::Logistic => logistic(penalty, x, y)?,
        Family::Ftrl => ftrl(penalty, x, y)?,
    };
    if weights.intercept.is_finite() && weights.weights.iter().all(|weight| weight.is_finite()) {
        Ok(weights)
    } else {
        Err(TrainingError::Solver(format!(
            "{family} came to weights that are no numbers"
        )))
    }
}

/// linfa's linear regression fails on features that depend on one another, as indicators do; its Cholesky factor
/// solves the penalised system.
fn ridge(penalty: f64, x: &Array2<f64>, y: &Array1<f64>) -> Result<ArmWeights, TrainingError> {
    let (centred, means, mean) = centre(x, y);
    let mut system = centred.t().dot(&centred);
    for place in 0..system.nrows() {
        system[[place, place]] += penalty;
    }
    let right = centred.t().dot(&(y - mean)).insert_axis(Axis(1));
    let solved = system.solvec(&right).map_err(solver)?;
    Ok(with_intercept(solved.column(0).to_vec(), &means, mean))
}

/// The same with every row counting as much as its weight; the weights' mean is brought to 1, so that the penalty means
/// the same.
fn weighted_ridge(
    penalty: f64,
    x: &Array2<f64>,
    y: &Array1<f64>,
    weights: &Array1<f64>,
) -> Result<ArmWeights, TrainingError> {
    let total = weights.sum();
    if !(total.is_finite() && total > 0.0) {
        return Err(TrainingError::Solver("no row counts".to_owned()));
    }
    let column = weights.clone().insert_axis(Axis(1));
    let means = (x * &column).sum_axis(Axis(0)) / total;
    let mean = (y * weights).sum() / total;
    let centred = x - &means;
    let weighed = &centred * &(column * (y.len() as f64 / total));
    let mut system = weighed.t().dot(&centred);
    for place in 0..system.nrows() {
        system[[place, place]] += penalty;
    }
    let right = weighed.t().dot(&(y - mean)).insert_axis(Axis(1));
    let solved = system.solvec(&right).map_err(solver)?;
    Ok(with_intercept(solved.column(0).to_vec(), &means, mean))
}

/// linfa's elastic net has no intercept that allows for the features' means, so that these are taken away first.
fn elastic_net(
    penalty: f64,
    x: &Array2<f64>,
    y: &Array1<f64>,
) -> Result<ArmWeights, TrainingError> {
    let (centred, means, mean) = centre(x, y);
    let net = ElasticNet::params()
        .penalty(penalty)
        .l1_ratio(0.5)
        .with_intercept(false)
        .max_iterations(SWEEPS)
        .tolerance(1e-5)
        .fit(&Dataset::new(centred, y - mean))
        .map_err(solver)?;
    Ok(with_intercept(net.hyperplane().to_vec(), &means, mean))
}

fn logistic(penalty: f64, x: &Array2<f64>, y: &Array1<f64>) -> Result<ArmWeights, TrainingError> {
    let Some(labels) = labels(y) else {
        return Ok(constant(x, y));
    };
    let fitted = LogisticRegression::default()
        .alpha(penalty)
        .with_intercept(true)
        .max_iterations(SWEEPS.into())
        .gradient_tolerance(1e-4 * y.len() as f64)
        .fit(&Dataset::new(x.clone(), labels))
        .map_err(solver)?;
    // The library models the chance of the label that is more frequent, whichever that is.
    let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
    Ok(ArmWeights {
        intercept: sign * fitted.intercept(),
        weights: fitted.params().iter().map(|weight| sign * weight).collect(),
    })
}

/// One pass, as the method is meant; rows come in the order of their decisions.
fn ftrl(penalty: f64, x: &Array2<f64>, y: &Array1<f64>) -> Result<ArmWeights, TrainingError> {
    let Some(labels) = labels(y) else {
        return Ok(constant(x, y));
    };
    // The library bounds its penalties by one; dividing the learning rate is a penalty without a bound.
    let params = Ftrl::params()
        .alpha(1.0 / penalty)
        .beta(1.0)
        .l1_ratio(0.0)
        .l2_ratio(0.0)
        .check()
        .map_err(solver)?;
    // Without an intercept of its own, one is put beside the features.
    let ones = Array2::ones((x.nrows(), 1));
    let x = ndarray::concatenate(Axis(1), &[ones.view(), x.view()]).map_err(solver)?;
    let mut model = Ftrl::new(params, x.ncols());
    for (row, label) in x.axis_iter(Axis(0)).zip(&labels) {
        let row = row.insert_axis(Axis(0)).to_owned();
        let predicted = model.predict(&row);
        model.update(
            &Dataset::new(row, Array1::from_elem(1, *label)),
            predicted.view(),
        );
    }
    let weights = model.get_weights();
    Ok(ArmWeights {
        intercept: weights[0],
        weights: weights.iter().skip(1).copied().collect(),
    })
}

/// Features and rewards about their means.
fn centre(x: &Array2<f64>, y: &Array1<f64>) -> (Array2<f64>, Array1<f64>, f64) {
    let means = x
        .mean_axis(Axis(0))
        .unwrap_or_else(|| Array1::zeros(x.ncols()));
    (x - &means, means, y.mean().unwrap_or(0.0))
}

fn with_intercept(weights: Vec<f64>, means: &Array1<f64>, mean: f64) -> ArmWeights {
    let shift: f64 = weights
        .iter()
        .zip(means)
        .map(|(weight, mean)| weight * mean)
        .sum();
    ArmWeights {
        intercept: mean - shift,
        weights,
    }
}

/// Labels, unless all are the same, which no logistic regression can be fitted to.
fn labels(y: &Array1<f64>) -> Option<Array1<bool>> {
    let labels = y.mapv(|y| y > 0.5);
    let ones = labels.iter().filter(|label| **label).count();
    (ones > 0 && ones < labels.len()).then_some(labels)
}

/// The same chance whatever the context, with one label of each kind added.
fn constant(x: &Array2<f64>, y: &Array1<f64>) -> ArmWeights {
    let share = (y.sum() + 1.0) / (y.len() as f64 + 2.0);
    ArmWeights {
        intercept: libm::log(share / (1.0 - share)),
        weights: vec![0.0; x.ncols()],
    }
}

fn solver(error: impl std::fmt::Display) -> TrainingError {
    TrainingError::Solver(error.to_string())
}

const SWEEPS: u32 = 1_000;
