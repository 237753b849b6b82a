use crate::effective::Events;
use crate::inverse::Inverse;
use crate::triangle::{Cholesky, packed_length};

/// What is believed of the weights before any event: those of every arm are normal about common weights, with a
/// variance of the noise over `lambda`, and the common ones are 0, or normal about 0 with a variance of the noise
/// over `common`.
///
/// With common weights arms lean on one another: what is hard for one is expected to be hard for all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prior {
    pub(crate) lambda: f64,
    pub(crate) common: Option<f64>,
}

/// The strength of the ridge, as a policy's text gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strength {
    /// This lambda, every arm by itself.
    Fixed(f64),
    /// The prior of the greatest evidence among a few.
    Auto,
}

impl Strength {
    /// The priors to choose from; the first is preferred.
    pub(crate) fn priors(self) -> Vec<Prior> {
        let alone = |lambda| Prior {
            lambda,
            common: None,
        };
        let leaning = |lambda: f64| Prior {
            lambda,
            common: Some(lambda * COMMON),
        };
        match self {
            Self::Fixed(lambda) => vec![alone(lambda)],
            Self::Auto => vec![alone(0.5), alone(2.0), leaning(8.0), leaning(30.0)],
        }
    }
}

/// Common weights are believed to be this much wider, in variance, than what sets an arm apart.
const COMMON: f64 = 0.05;

/// Another prior than the first must have an evidence greater by this, in logarithms: early on, evidence is a matter
/// of chance, and to believe in weak effects too soon is to stop exploring.
const PREFERENCE: f64 = 30.0;

/// A prior, and the solutions under it.
#[derive(Debug)]
pub(crate) struct Fit {
    pub(crate) prior: Prior,
    /// One of each arm, in the order given.
    pub(crate) inverses: Vec<Inverse>,
    /// The common weights; empty where there are none.
    pub(crate) common: Vec<f64>,
    /// The variance of the noise, in (0, 1].
    pub(crate) noise: f64,
    /// Logarithm of the evidence, up to what is the same for all priors.
    evidence: f64,
}

/// Fits every prior and takes the one of the greatest evidence (`MacKay` 1992, "Bayesian interpolation"; the variance
/// of the noise is set to the value that makes the evidence greatest). `None` when the sums of the arm at the given
/// index are those of no events.
pub(crate) fn fit(
    strength: Strength,
    arms: &[Events],
    mean: f64,
    dimension: usize,
) -> Result<Fit, usize> {
    let mut best: Option<Fit> = None;
    for prior in strength.priors() {
        let mut fit = Fit::new(prior, arms, mean, dimension)?;
        if best.is_none() {
            fit.evidence += PREFERENCE;
        }
        if best
            .as_ref()
            .is_none_or(|best| fit.evidence > best.evidence)
        {
            best = Some(fit);
        }
    }
    let mut best = best.ok_or(0_usize)?;
    best.inverses.iter_mut().for_each(Inverse::complete);
    Ok(best)
}

impl Fit {
    /// Solves all systems under one prior: about d^3 / 2 multiply-adds an arm.
    pub(crate) fn complete(
        prior: Prior,
        arms: &[Events],
        mean: f64,
        dimension: usize,
    ) -> Result<Self, usize> {
        let mut fit = Self::new(prior, arms, mean, dimension)?;
        fit.inverses.iter_mut().for_each(Inverse::complete);
        Ok(fit)
    }

    /// The evidence of one prior, and the weights under it. Matrices are inverted only where it takes them, for the common
    /// weights; without those it is about d^3 / 6 multiply-adds an arm.
    fn new(prior: Prior, arms: &[Events], mean: f64, dimension: usize) -> Result<Self, usize> {
        let mut inverses = Vec::with_capacity(arms.len());
        let (mut residual, mut log_determinant, mut events) = (0.0, 0.0, 0.0);
        for (index, arm) in arms.iter().enumerate() {
            let factor = Cholesky::new(&arm.sums.xx, prior.lambda, dimension).ok_or(index)?;
            log_determinant +=
                factor.log_determinant() - dimension as f64 * libm::log(prior.lambda);
            let inverse = Inverse::from_factor(factor, &arm.sums, dimension);
            events += arm.weight;
            residual +=
                arm.sums.reward_squared - 2.0 * mean * arm.sums.reward + mean * mean * arm.weight;
            let weights = inverse.theta(mean);
            let centred = arm.sums.xr.iter().zip(&arm.sums.x);
            residual -= centred
                .zip(weights)
                .map(|((xr, x), weight)| (xr - mean * x) * weight)
                .sum::<f64>();
            inverses.push(inverse);
        }
        let mut common = Vec::new();
        if let Some(strength) = prior.common {
            inverses.iter_mut().for_each(Inverse::complete);
            let system = Common::new(prior.lambda, strength, &inverses, mean, dimension);
            let factor = system.factor().ok_or(0_usize)?;
            common.clone_from(&system.right);
            factor.solve(&mut common);
            residual -= common
                .iter()
                .zip(&system.right)
                .map(|(a, b)| a * b)
                .sum::<f64>();
            log_determinant += factor.log_determinant() - dimension as f64 * libm::log(strength);
        }
        // One event of the greatest variance that a reward can have, so that there is noise before any.
        let noise = ((residual.max(0.0) + 0.25) / (events + 1.0)).max(NOISE_LEAST);
        Ok(Self {
            prior,
            inverses,
            common,
            noise,
            evidence: -0.5 * ((events + 1.0) * libm::log(noise) + log_determinant),
        })
    }
}

/// The system of the common weights c: arms that are solved about 0 first (`M_a = (A_a + lambda I)^-1`, with
/// weights `w_a`) leave `(common I + lambda sum (I - lambda M_a)) c = lambda sum w_a`.
struct Common {
    packed: Vec<f64>,
    right: Vec<f64>,
    strength: f64,
    dimension: usize,
}

impl Common {
    fn new(lambda: f64, strength: f64, arms: &[Inverse], mean: f64, dimension: usize) -> Self {
        let mut packed = vec![0.0; packed_length(dimension)];
        let mut right = vec![0.0; dimension];
        for arm in arms {
            arm.subtract_square(lambda, &mut packed);
            for (sum, weight) in right.iter_mut().zip(arm.theta(mean)) {
                *sum += lambda * weight;
            }
        }
        for j in 0..dimension {
            packed[packed_length(j) + j] += lambda * arms.len() as f64;
        }
        Self {
            packed,
            right,
            strength,
            dimension,
        }
    }

    fn factor(&self) -> Option<Cholesky> {
        Cholesky::new(&self.packed, self.strength, self.dimension)
    }
}

/// The common weights that follow from the arms' solutions; empty where the prior has none, or the system cannot be
/// solved.
pub(crate) fn common_weights(
    prior: Prior,
    arms: &[Inverse],
    mean: f64,
    dimension: usize,
) -> Vec<f64> {
    let Some(strength) = prior.common else {
        return Vec::new();
    };
    let system = Common::new(prior.lambda, strength, arms, mean, dimension);
    let Some(factor) = system.factor() else {
        return Vec::new();
    };
    let mut common = system.right;
    factor.solve(&mut common);
    common
}

/// No reward is without any noise.
const NOISE_LEAST: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Changes;
    use crate::effective::Effective;
    use crate::{Event, FeatureSchema, Features, RewardState};
    use proptest::prelude::*;

    const SCHEMA: FeatureSchema = FeatureSchema {
        dimension: 3,
        version: 1,
    };

    fn events(events: &[(usize, Vec<f32>, f64)], arms: usize) -> Vec<Events> {
        let mut state = RewardState::new(&SCHEMA);
        let name = |arm: usize| format!("a{arm}");
        for (arm, x, reward) in events {
            let x = Features::from_logged(x.clone(), &SCHEMA).unwrap();
            let name = name(arm % arms);
            state.update(&Event::new(&name, &x), *reward).unwrap();
        }
        let effective = Effective::new(&state, 0, &Changes::default());
        effective.in_force(&state).into_values().collect()
    }

    /// The evidence in the plain way, from the covariance of all rewards: no sums, no shortcuts.
    fn evidence(events: &[(usize, Vec<f32>, f64)], arms: usize, prior: Prior, mean: f64) -> f64 {
        let count = events.len();
        let mut packed = Vec::new();
        let on_grid: Vec<(usize, Vec<f64>, f64)> = events
            .iter()
            .map(|(arm, x, r)| {
                let x = Features::from_logged(x.clone(), &SCHEMA).unwrap();
                let x = x.as_slice().iter().map(|&x| f64::from(x)).collect();
                (arm % arms, x, RewardState::reward_on_grid(*r).unwrap())
            })
            .collect();
        for j in 0..count {
            for i in 0..=j {
                let (one, other) = (&on_grid[i], &on_grid[j]);
                let product: f64 = one.1.iter().zip(&other.1).map(|(x, y)| x * y).sum();
                let own = if one.0 == other.0 {
                    product / prior.lambda
                } else {
                    0.0
                };
                packed.push(own + prior.common.map_or(0.0, |common| product / common));
            }
        }
        // The covariance in units of the noise is that and the identity.
        let factor = Cholesky::new(&packed, 1.0, count).unwrap();
        let centred: Vec<f64> = on_grid.iter().map(|(_, _, r)| r - mean).collect();
        let mut solved = centred.clone();
        factor.solve(&mut solved);
        let residual: f64 = centred.iter().zip(&solved).map(|(a, b)| a * b).sum();
        let noise = ((residual + 0.25) / (count as f64 + 1.0)).max(NOISE_LEAST);
        -0.5 * ((count as f64 + 1.0) * noise.ln() + factor.log_determinant())
    }

    proptest! {
        #[test]
        fn the_evidence_is_that_of_the_rewards_covariance(
            rows in prop::collection::vec(
                (0_usize..3, prop::collection::vec(-1.0_f32..=1.0, 3), 0.0_f64..=1.0), 1..40),
            lambda in 0.1_f64..10.0,
            common in prop::option::of(0.01_f64..10.0),
            mean in 0.0_f64..1.0,
        ) {
            let prior = Prior { lambda, common };
            let fit = Fit::new(prior, &events(&rows, 3), mean, 3).unwrap();
            let expected = evidence(&rows, 3, prior, mean);
            prop_assert!((fit.evidence - expected).abs() < 1e-6, "{} {}", fit.evidence, expected);
        }
    }

    /// A number in [0, 1) that follows from the row.
    fn chance(row: usize) -> f64 {
        let hash = crate::fnv::fnv1a_exact(&row.to_string());
        (hash >> 40) as f64 / f64::from(1 << 24)
    }

    #[test]
    fn strong_effects_of_each_arm_and_weak_ones_of_all_call_for_different_priors() {
        let context = |row: usize| {
            let z = if row.is_multiple_of(2) { 1.0 } else { -1.0 };
            vec![1.0, z, (row % 5) as f32 / 5.0]
        };
        // Each arm is right for one sign: nothing is common.
        let sharp: Vec<_> = (0..2_000_usize)
            .map(|row| {
                let is_right = (row / 7 % 2 == 0) == row.is_multiple_of(2);
                (row / 7 % 2, context(row), f64::from(u8::from(is_right)))
            })
            .collect();
        let fit = fit(Strength::Auto, &events(&sharp, 2), 0.5, 3).unwrap();
        assert_eq!(fit.prior.common, None);
        assert!(
            fit.prior.lambda < 1.0 && fit.noise < 0.01,
            "{:?}",
            fit.prior
        );
        // Thirty arms, a coin each that is a little better for one sign: what is true of one is true of all.
        let blunt: Vec<_> = (0..6_000_usize)
            .map(|row| {
                let likely = if row.is_multiple_of(2) { 0.7 } else { 0.3 };
                let reward = f64::from(u8::from(chance(row) < likely));
                (row / 3 % 30, context(row), reward)
            })
            .collect();
        let fit = super::fit(Strength::Auto, &events(&blunt, 30), 0.5, 3).unwrap();
        assert!(fit.prior.common.is_some(), "{fit:?}");
        // Before there is any event, the first.
        let none = super::fit(Strength::Auto, &[], 0.5, 3).unwrap();
        assert_eq!(none.prior, Strength::Auto.priors()[0]);
        assert!((none.noise - 0.25).abs() < 1e-15);
    }
}
