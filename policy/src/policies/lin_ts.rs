use rand_chacha::rand_core::Rng;

use crate::DrawKey;
use crate::fnv::fnv1a_exact;
use crate::sampler::{Purpose, unit};

/// Linear Thompson sampling (Agrawal and Goyal 2013, algorithm 1): the probability of an arm is
/// the share of posterior draws in which it is best.
///
/// Under the posterior N(theta, scale^2 (A + lambda I)^-1) the reward expected in context x is
/// N(score, (scale * width)^2), so that one normal number replaces a draw of a whole theta. Each
/// arm has a stream of numbers of its own, keyed by seed, decision and arm, so that probabilities
/// can be computed again, and do not depend on the order of the arms.
///
/// `scores` are predicted rewards, and become probabilities: multiples of 1 / `draws`.
pub(crate) fn probabilities(
    scores: &mut [f64],
    widths: &[f64],
    arms: &[&str],
    scale: f64,
    draws: u32,
    key: DrawKey,
) {
    let mut streams: Vec<Normals> = arms.iter().map(|arm| Normals::new(key, arm)).collect();
    let mut wins = vec![0.0; arms.len()];
    let mut values = vec![0.0; arms.len()];
    for _ in 0..draws {
        for (arm, value) in values.iter_mut().enumerate() {
            *value = scores[arm] + scale * widths[arm] * streams[arm].next();
        }
        let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ties = values.iter().filter(|&&value| value >= best).count();
        for (win, value) in wins.iter_mut().zip(&values) {
            if *value >= best {
                *win += 1.0 / ties as f64;
            }
        }
    }
    for (score, win) in scores.iter_mut().zip(wins) {
        *score = win / f64::from(draws);
    }
}

/// Standard normal numbers by the method of Box and Muller (1958), two at a time.
struct Normals {
    generator: rand_chacha::ChaCha8Rng,
    spare: Option<f64>,
}

impl Normals {
    fn new(key: DrawKey, arm: &str) -> Self {
        let mut generator = key.generator(Purpose::Posterior);
        generator.set_stream(fnv1a_exact(arm));
        Self {
            generator,
            spare: None,
        }
    }

    fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // In (0, 1], so that the logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - unit(self.generator.next_u64()))).sqrt();
        let angle = core::f64::consts::TAU * unit(self.generator.next_u64());
        let (sin, cos) = libm::sincos(angle);
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_near_the_posterior_probabilities() {
        // Two arms, scores 0.2 apart, each with deviation 0.2: the first is best with probability
        // Phi(0.2 / (0.2 sqrt 2)) = 0.7602. With 4,096 draws the share has a deviation of 0.0067;
        // 0.027 is four of them, exceeded by chance once in 16,000.
        let mut p = [0.5, 0.3];
        let key = DrawKey {
            seed: 1,
            decision: 2,
        };
        probabilities(&mut p, &[0.4, 0.4], &["a", "b"], 0.5, 4096, key);
        assert!((p[0] - 0.7602).abs() < 0.027, "{p:?}");
        assert!((p[0] + p[1] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn normals_have_the_moments_of_the_standard_normal() {
        // Means over 100,000 numbers; the bounds are five deviations, exceeded once in a million.
        let key = DrawKey {
            seed: 3,
            decision: 4,
        };
        let mut normals = Normals::new(key, "a");
        let (mut first, mut second, mut fourth) = (0.0, 0.0, 0.0);
        let n = 100_000;
        for _ in 0..n {
            let z = normals.next();
            first += z;
            second += z * z;
            fourth += z * z * z * z;
        }
        let n = f64::from(n);
        assert!((first / n).abs() < 5.0 / n.sqrt());
        assert!((second / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
        assert!((fourth / n - 3.0).abs() < 5.0 * (96.0 / n).sqrt());
    }
}
