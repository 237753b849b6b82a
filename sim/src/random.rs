use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded generator with the few draws that simulations need.
///
/// `ChaCha8` keyed by (seed, stream): the algorithm is part of the contract, so a seed means the same
/// run in every version.
#[derive(Clone, Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// Generator number `stream` of the family `seed`; streams are independent.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Uniform in [0, 1), with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform among 0..count; 0 when there is nothing to choose from.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        if count == 0 {
            return 0;
        }
        // Bias below count / 2^64: no simulation here can show it.
        let product = u128::from(self.0.next_u64()) * count as u128;
        usize::try_from(product >> 64).expect("the product's upper half is below count")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_in_range_and_streams_differ() {
        let (mut a, mut b) = (Random::new(1, 0), Random::new(1, 1));
        let mut same = 0;
        for _ in 0..1000 {
            let (x, y) = (a.unit(), b.unit());
            assert!((0.0..1.0).contains(&x));
            assert!(a.below(3) < 3 && b.below(1) == 0);
            same += i32::from(x.to_bits() == y.to_bits());
        }
        assert_eq!(same, 0);
        assert_eq!(a.below(0), 0);
    }
}
