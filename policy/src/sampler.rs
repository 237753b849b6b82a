use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Distribution;

/// What the randomness of one decision follows from, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawKey {
    /// The seed of the whole run, logged when a policy is published.
    pub seed: u64,
    /// The decision's id.
    pub decision: u128,
}

impl DrawKey {
    /// A generator for one purpose: seed, decision id and purpose are the key of `ChaCha8`.
    pub(crate) fn generator(self, purpose: Purpose) -> ChaCha8Rng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..24].copy_from_slice(&self.decision.to_le_bytes());
        key[24..].copy_from_slice(purpose.tag());
        ChaCha8Rng::from_seed(key)
    }
}

/// What random numbers are drawn for: each purpose has numbers of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// The draw of an arm.
    Arm,
    /// The draws from a posterior.
    Posterior,
    /// How often the replicates of a bootstrap count an event.
    Bootstrap,
}

impl Purpose {
    fn tag(self) -> &'static [u8; 8] {
        match self {
            Self::Arm => b"draw-arm",
            Self::Posterior => b"thompson",
            Self::Bootstrap => b"bootstrp",
        }
    }
}

impl Distribution {
    /// Draws an arm: the one place in Echo where that happens.
    ///
    /// Returns the index of the drawn arm. An equal key and equal probabilities give an equal
    /// draw; an arm of probability 0 is never drawn. The draw inverts the cumulative distribution
    /// at a uniform number of 53 bits; what rounding leaves over at the end goes to the last arm
    /// of positive probability.
    pub fn sample(&self, key: DrawKey) -> usize {
        let u = unit(key.generator(Purpose::Arm).next_u64());
        let mut cumulative = 0.0;
        let mut last = 0;
        for (index, &p) in self.probabilities().iter().enumerate() {
            if p > 0.0 {
                cumulative += p;
                last = index;
                if u < cumulative {
                    break;
                }
            }
        }
        last
    }
}

/// A number in [0, 1) from the upper 53 of 64 random bits.
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn draws_are_pinned() {
        // Computed by an implementation of ChaCha8 (Bernstein 2008) in another language. A change
        // of these numbers would break the replay of every log ever written.
        let even = Distribution::uniform(10).unwrap();
        let draws: Vec<usize> = (0..12)
            .map(|decision| even.sample(DrawKey { seed: 42, decision }))
            .collect();
        assert_eq!(draws, PINNED);
    }
    const PINNED: [usize; 12] = [9, 9, 3, 8, 9, 7, 9, 9, 0, 1, 6, 7];

    #[test]
    fn frequencies_follow_the_probabilities() {
        // Pearson's chi-square with 4 degrees of freedom: 23.5 is exceeded by a true sampler with
        // probability 1e-4; the seeds are fixed, so the test always gives the same answer.
        let p = [0.05, 0.05, 0.1, 0.3, 0.5];
        let distribution = Distribution::new(p.to_vec()).unwrap();
        for seed in 0..5 {
            let mut counts = [0_u32; 5];
            let draws = 20_000;
            for decision in 0..draws {
                counts[distribution.sample(DrawKey { seed, decision })] += 1;
            }
            let chi_square: f64 = counts
                .iter()
                .zip(p)
                .map(|(&n, p)| {
                    let expected = p * draws as f64;
                    (f64::from(n) - expected).powi(2) / expected
                })
                .sum();
            assert!(chi_square < 23.5, "seed {seed}: {chi_square}");
        }
    }

    proptest! {
        #[test]
        fn an_equal_key_gives_an_equal_draw_and_zero_is_never_drawn(
            weights in prop::collection::vec(0_u32..4, 1..9),
            seed: u64,
            decision: u128,
        ) {
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            let p = weights.iter().map(|&w| f64::from(w) / f64::from(total)).collect();
            let distribution = Distribution::new(p).unwrap();
            let key = DrawKey { seed, decision };
            let drawn = distribution.sample(key);
            prop_assert!(weights[drawn] > 0);
            prop_assert_eq!(drawn, distribution.sample(key));
        }
    }
}
