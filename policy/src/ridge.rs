use std::collections::BTreeMap;

use crate::arm_sums::ArmSums;
use crate::inverse::Inverse;
use crate::reward_state::Inheritance;
use crate::triangle::Cholesky;
use crate::{PolicyError, RewardState};

/// A ridge regression of the reward on the context for each arm.
///
/// With sums over the events of arm a, `A_a` = sum x x' and `b_a` = sum x r, and m the mean reward
/// over all arms, the prediction is `m + x' theta_a` with
/// `theta_a = (A_a + lambda I)^-1 (b_a - m sum x)` (Hoerl and Kennard 1970).
///
/// Rewards are centred so that an arm nobody has tried is expected to earn the mean, neither best
/// nor worst, and exploring policies keep trying it; a prediction of zero would starve a new arm
/// wherever the others do well. m itself is shrunk to [`PRIOR_MEAN`] by [`PRIOR_WEIGHT`] events.
/// Predicting a new arm by a regression over the events of all arms was tried in simulation, and
/// gained nothing.
#[derive(Debug, Clone)]
pub(crate) struct Ridge {
    mean: f64,
    lambda: f64,
    dimension: usize,
    /// The arms known, sorted.
    arms: Vec<String>,
    /// `theta_a` of each known arm as a column; stored by rows, so that one feature meets all arms
    /// at once, and a feature that is zero costs nothing.
    thetas: Vec<f64>,
    /// Of `A_a + lambda I` of each known arm; empty for policies that need no widths.
    factors: Vec<Cholesky>,
    /// Of each known arm, when it learns by itself; else empty.
    inverses: Vec<Inverse>,
}

impl Ridge {
    /// Solves all systems: about d^3 / 6 multiply-adds for each arm.
    pub(crate) fn fit(state: &RewardState, lambda: f64, widths: bool) -> Result<Self, PolicyError> {
        let dimension = state.schema().dimension;
        let mean = mean(state);
        let (mut arms, mut columns, mut factors) = (Vec::new(), Vec::new(), Vec::new());
        for (arm, sums) in effective_sums(state) {
            if !sums.is_finite() {
                return Err(PolicyError::Sums(arm));
            }
            let Some(factor) = Cholesky::new(&sums.xx, lambda, dimension) else {
                return Err(PolicyError::NotPositive(arm));
            };
            let centred = sums.xr.iter().zip(&sums.x).map(|(xr, x)| xr - mean * x);
            let mut theta: Vec<f64> = centred.collect();
            factor.solve(&mut theta);
            arms.push(arm);
            columns.push(theta);
            if widths {
                factors.push(factor);
            }
        }
        let row = |i| columns.iter().map(move |column| column[i]);
        Ok(Self {
            mean,
            lambda,
            dimension,
            arms,
            thetas: (0..dimension).flat_map(row).collect(),
            factors,
            inverses: Vec::new(),
        })
    }

    /// The same regression, made to take one event after the other.
    pub(crate) fn online(state: &RewardState, lambda: f64) -> Result<Self, PolicyError> {
        let mut ridge = Self::fit(state, lambda, false)?;
        for (arm, sums) in effective_sums(state) {
            let inverse = Inverse::new(&sums, lambda, ridge.dimension);
            ridge
                .inverses
                .push(inverse.ok_or(PolicyError::NotPositive(arm))?);
        }
        Ok(ridge)
    }

    /// Takes in the event that `state` has learned last.
    pub(crate) fn learn(
        &mut self,
        state: &RewardState,
        arm: &str,
        x: &[f32],
        reward: f64,
    ) -> Result<(), PolicyError> {
        let is_heir = state.lineage().values().any(|heir| heir.from == arm);
        let is_due = self
            .index(arm)
            .and_then(|index| self.inverses.get(index))
            .is_none_or(Inverse::is_stale);
        if is_due || is_heir {
            *self = Self::online(state, self.lambda)?;
            return Ok(());
        }
        if let Some(index) = self.index(arm) {
            let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            self.inverses[index].add(&wide, reward);
        }
        self.mean = mean(state);
        let arms = self.arms.len();
        for (column, inverse) in self.inverses.iter().enumerate() {
            for (row, theta) in inverse.theta(self.mean).enumerate() {
                self.thetas[row * arms + column] = theta;
            }
        }
        Ok(())
    }

    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// The rewards expected of some arms in context x.
    pub(crate) fn predictions(&self, arms: &[&str], x: &[f32]) -> Vec<f64> {
        let mut all = vec![self.mean; self.arms.len()];
        for (&x, row) in x.iter().zip(self.thetas.chunks_exact(all.len().max(1))) {
            if x == 0.0 {
                continue;
            }
            let x = f64::from(x);
            for (sum, theta) in all.iter_mut().zip(row) {
                *sum += x * theta;
            }
        }
        let column = |arm: &&str| self.index(arm).map_or(self.mean, |index| all[index]);
        arms.iter().map(column).collect()
    }

    /// `sqrt(x' (A_a + lambda I)^-1 x)`, the uncertainty of the prediction in units of the noise
    /// (Abbasi-Yadkori, Pal, Szepesvari 2011, theorem 2).
    pub(crate) fn width(&self, arm: &str, x: &[f32]) -> f64 {
        let index = self.index(arm);
        if let Some(inverse) = index.and_then(|index| self.inverses.get(index)) {
            return inverse.quadratic(x).sqrt();
        }
        let factor = index.and_then(|index| self.factors.get(index));
        let squared = factor.map_or_else(
            || x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / self.lambda,
            |factor| factor.quadratic(x),
        );
        squared.sqrt()
    }

    fn index(&self, arm: &str) -> Option<usize> {
        self.arms
            .binary_search_by(|known| known.as_str().cmp(arm))
            .ok()
    }
}

/// The mean reward over the events of all arms, each event counted for its own arm only.
fn mean(state: &RewardState) -> f64 {
    // Exact sums: their order, which follows the names of the arms, does not matter.
    let rewards: f64 = state.sums().values().map(|sums| sums.reward).sum();
    (rewards + PRIOR_MEAN * PRIOR_WEIGHT) / (state.total() as f64 + PRIOR_WEIGHT)
}

/// Each arm's own sums and what it inherits, in the order of their ids.
fn effective_sums(state: &RewardState) -> BTreeMap<String, ArmSums> {
    let mut effective = state.sums().clone();
    for heir in state.lineage().keys() {
        let mut sums = ArmSums::new(state.schema().dimension);
        let (mut arm, mut widen) = (heir.as_str(), 1.0);
        loop {
            if let Some(own) = state.sums().get(arm) {
                sums.add_share(own, widen);
            }
            let Some(Inheritance { from, widen: more }) = state.lineage().get(arm) else {
                break;
            };
            arm = from;
            widen *= more;
        }
        effective.insert(heir.clone(), sums);
    }
    effective
}

/// The mean reward before any event.
const PRIOR_MEAN: f64 = 0.5;

/// How many events the prior mean counts for.
const PRIOR_WEIGHT: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FeatureSchema, Features};

    const SCHEMA: FeatureSchema = FeatureSchema {
        dimension: 2,
        version: 1,
    };

    fn x(a: f32, b: f32) -> Features {
        Features::from_logged(vec![a, b], &SCHEMA).unwrap()
    }

    fn close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-12, "{actual} {expected}");
    }

    #[test]
    fn a_regression_worked_by_hand() {
        // One event x = (1, 1/2), r = 1: m = (1 + 1/2) / 2 = 3/4; with lambda 1, A + I =
        // [[2, 1/2], [1/2, 5/4]] of determinant 9/4, and theta = (1/4 x) / (1 + x'x) = x / 9.
        let mut state = RewardState::new(&SCHEMA);
        state.update("a", &x(1.0, 0.5), 1.0).unwrap();
        let ridge = Ridge::fit(&state, 1.0, true).unwrap();
        let predictions = ridge.predictions(&["b", "a"], &[1.0, 0.5]);
        close(predictions[0], 0.75);
        close(predictions[1], 0.75 + 1.25 / 9.0);
        // x' (I + x x')^-1 x = x'x / (1 + x'x), by Sherman and Morrison.
        close(ridge.width("a", &[1.0, 0.5]), (1.25_f64 / 2.25).sqrt());
        close(ridge.width("b", &[1.0, 0.5]), 1.25_f64.sqrt());
    }

    #[test]
    fn an_heir_starts_from_its_predecessor_and_is_less_sure() {
        let mut state = RewardState::new(&SCHEMA);
        for _ in 0..100 {
            state.update("a@1", &x(1.0, 0.5), 1.0).unwrap();
            state.update("b@1", &x(1.0, 0.5), 0.0).unwrap();
        }
        state.inherit("a@1", "a@2", 4.0).unwrap();
        state.inherit("a@2", "a@3", 5.0).unwrap();
        let at = [1.0, 0.5];
        let ridge = Ridge::fit(&state, 1.0, true).unwrap();
        let arms = ["a@1", "a@2", "a@3", "new@1"];
        let predictions = ridge.predictions(&arms, &at);
        let widths: Vec<f64> = arms.iter().map(|arm| ridge.width(arm, &at)).collect();
        assert!(predictions.is_sorted_by(|a, b| a > b), "{predictions:?}");
        assert!(widths.is_sorted(), "{widths:?}");
        // 25 events of 1 are left of 100, and 5 of these: x'x n / (1 + x'x n) of the way.
        for (arm, n) in [(1, 25.0), (2, 5.0)] {
            let way = 1.25 * n / (1.0 + 1.25 * n);
            close(predictions[arm], ridge.mean + (1.0 - ridge.mean) * way);
        }
    }
}
