use std::collections::BTreeMap;

use crate::arm_sums::ArmSums;
use crate::dot::dot_context;
use crate::reward_state::Inheritance;
use crate::triangle::{Cholesky, multiply};
use crate::{PolicyError, RewardState};

/// Ridge regressions of the reward on the context: one for all arms together, and per arm one for
/// how it differs from that.
///
/// With sums A = sum x x', b = sum x r over events, m the mean reward, the prediction is
/// `m + x' (theta_0 + delta_a)`, where
///
/// - `theta_0 = (A + lambda I)^-1 (b - m sum x)` over the events of all arms,
/// - `delta_a = (A_a + lambda I)^-1 (b_a - m sum_a x - A_a theta_0)` over those of arm `a`.
///
/// So an arm nobody has tried is expected to earn in this context what was earned in it at large,
/// neither best nor worst, and `SquareCB` and softmax keep trying it; a prediction from zero would
/// starve a new arm wherever the others do well. An arm with many events is predicted from them
/// alone. m is shrunk to [`PRIOR_MEAN`] by [`PRIOR_WEIGHT`] events.
#[derive(Debug, Clone)]
pub(crate) struct Ridge {
    mean: f64,
    lambda: f64,
    /// For arms without events and without inheritance.
    unseen: Vec<f64>,
    /// Sorted by arm.
    arms: Vec<(String, ArmModel)>,
}

#[derive(Debug, Clone)]
struct ArmModel {
    /// `theta_0 + delta_a`.
    theta: Vec<f64>,
    /// Of `A_a + lambda I`; only for policies that need widths.
    factor: Option<Cholesky>,
}

impl Ridge {
    /// Solves all systems: about d^3 / 6 multiply-adds for each arm.
    pub(crate) fn fit(state: &RewardState, lambda: f64, widths: bool) -> Result<Self, PolicyError> {
        let dimension = state.schema().dimension;
        let mut all = ArmSums::new(dimension);
        for (arm, sums) in state.sums() {
            if !sums.is_finite() {
                return Err(PolicyError::Sums(arm.clone()));
            }
            all.count += sums.count;
            all.add_share(sums, 1.0);
        }
        let mean = (all.reward + PRIOR_MEAN * PRIOR_WEIGHT) / (all.count as f64 + PRIOR_WEIGHT);
        let origin = vec![0.0; dimension];
        let (unseen, _) = solve(&all, lambda, mean, &origin, "")?;
        let mut arms = Vec::new();
        for (arm, sums) in effective_sums(state) {
            let (theta, factor) = solve(&sums, lambda, mean, &unseen, &arm)?;
            let factor = widths.then_some(factor);
            arms.push((arm, ArmModel { theta, factor }));
        }
        Ok(Self {
            mean,
            lambda,
            unseen,
            arms,
        })
    }

    pub(crate) fn dimension(&self) -> usize {
        self.unseen.len()
    }

    /// The reward expected of an arm in context x.
    pub(crate) fn prediction(&self, arm: &str, x: &[f32]) -> f64 {
        let theta = self.model(arm).map_or(&self.unseen, |model| &model.theta);
        self.mean + dot_context(x, theta)
    }

    /// `sqrt(x' (A_a + lambda I)^-1 x)`, the uncertainty of the prediction in units of the noise
    /// (Abbasi-Yadkori, Pal, Szepesvari 2011, theorem 2).
    pub(crate) fn width(&self, arm: &str, x: &[f32]) -> f64 {
        let factor = self.model(arm).and_then(|model| model.factor.as_ref());
        let squared = factor.map_or_else(
            || x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / self.lambda,
            |factor| factor.quadratic(x),
        );
        squared.sqrt()
    }

    fn model(&self, arm: &str) -> Option<&ArmModel> {
        let index = self
            .arms
            .binary_search_by(|(name, _)| name.as_str().cmp(arm))
            .ok()?;
        Some(&self.arms[index].1)
    }
}

/// `theta_0 + (A + lambda I)^-1 (b - m sum x - A theta_0)` and the factor of `A + lambda I`.
fn solve(
    sums: &ArmSums,
    lambda: f64,
    mean: f64,
    prior: &[f64],
    arm: &str,
) -> Result<(Vec<f64>, Cholesky), PolicyError> {
    let factor = Cholesky::new(&sums.xx, lambda, prior.len())
        .ok_or_else(|| PolicyError::NotPositive(arm.to_owned()))?;
    let expected = multiply(&sums.xx, prior);
    let mut theta: Vec<f64> = (0..prior.len())
        .map(|i| sums.xr[i] - mean * sums.x[i] - expected[i])
        .collect();
    factor.solve(&mut theta);
    for (theta, prior) in theta.iter_mut().zip(prior) {
        *theta += prior;
    }
    Ok((theta, factor))
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
