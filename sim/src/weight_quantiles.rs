use serde::Serialize;

/// How far down the sorted weights of a log a weight stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WeightQuantile {
    /// The share of the rows whose weight is at most this, in (0, 1).
    pub share: f64,
    /// The weight, to 3 % of itself.
    pub weight: f64,
}

/// Counts of weights by size, sixteen sizes an octave, which merge.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WeightQuantiles {
    /// Weights of 0, or below the smallest size.
    zeros: u64,
    /// By size; empty before the first.
    counts: Vec<u64>,
}

impl WeightQuantiles {
    pub(crate) fn push(&mut self, weight: f64) {
        // The exponent and the first four binary places of a positive number, as one number.
        let size = weight.to_bits() >> 48;
        if weight <= 0.0 || size < LEAST {
            self.zeros += 1;
            return;
        }
        if self.counts.is_empty() {
            self.counts = vec![0; SIZES];
        }
        let place = usize::try_from(size - LEAST).unwrap_or(usize::MAX);
        self.counts[place.min(SIZES - 1)] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        if self.counts.is_empty() {
            self.counts.clone_from(&other.counts);
            return;
        }
        for (ours, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *ours += theirs;
        }
    }

    /// The weights at [`WeightQuantile::SHARES`], none above `largest`.
    pub(crate) fn finish(&self, largest: f64) -> [WeightQuantile; 4] {
        let all = self.zeros + self.counts.iter().sum::<u64>();
        WeightQuantile::SHARES.map(|share| WeightQuantile {
            share,
            weight: self.weight(share * all as f64).min(largest),
        })
    }

    /// The weight of which so many rows are at most as large.
    fn weight(&self, rows: f64) -> f64 {
        let mut below = self.zeros as f64;
        if below >= rows {
            return 0.0;
        }
        for (size, count) in (LEAST..).zip(&self.counts) {
            below += *count as f64;
            if below >= rows {
                // The middle of a size.
                return f64::from_bits((size << 48) | (1 << 47));
            }
        }
        f64::INFINITY
    }
}

impl WeightQuantile {
    /// The median, and how heavy the tail is.
    pub const SHARES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
}

/// The smallest size is 2^-20, the largest below 2^28.
const LEAST: u64 = (1_023 - 20) << 4;
const SIZES: usize = 48 << 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantiles_are_near_those_of_the_definition_in_any_parts(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 1e-3_f64..1e4], 1..200),
            cut in 0_usize..200,
        ) {
            let cut = cut.min(weights.len());
            let mut parts = [WeightQuantiles::default(), WeightQuantiles::default()];
            for (at, weight) in weights.iter().enumerate() {
                parts[usize::from(at < cut)].push(*weight);
            }
            let [mut all, other] = parts;
            all.merge(&other);
            let mut sorted = weights.clone();
            sorted.sort_by(f64::total_cmp);
            let largest = sorted[sorted.len() - 1];
            for quantile in all.finish(largest) {
                let rank = (quantile.share * sorted.len() as f64).ceil();
                let exact = sorted.iter().enumerate().find(|(at, _)| *at as f64 + 1.0 >= rank);
                let exact = *exact.unwrap().1;
                prop_assert!((quantile.weight - exact).abs() <= 0.032 * exact, "{quantile:?} {exact}");
            }
        }
    }

    #[test]
    fn no_weights_and_huge_ones_are_kept_apart() {
        let mut weights = WeightQuantiles::default();
        assert!(weights.finish(0.0).iter().all(|q| q.weight == 0.0));
        weights.push(1e300);
        assert!(weights.finish(1e300)[0].weight > 1e8);
    }
}
