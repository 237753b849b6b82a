use crate::features::on_grid;
use crate::{FeatureError, Features};

/// Brings numbers of any scale into the range of [`Features`]: each is centred and divided by its standard
/// deviation over what was observed so far, both taken from sums, so that two standardisers merge.
///
/// Of d numbers each is divided by the root of d besides, so that a context has a length of about 1 whatever d is,
/// and the strength of a ridge means the same for ten features as for a thousand; with fewer than 9 numbers, by 3.
/// A value more than [`Standardiser::WIDEST`] deviations from the mean, or outside [-1, 1], is cut off there; one
/// that never varied is 0. The first feature is a constant 1. With few features, their products are features as
/// well: the regression can then follow what is not linear.
///
/// Sums are kept about the first value observed of each feature, so that a large mean costs no digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardiser {
    count: f64,
    origin: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
    has_products: bool,
}

impl Standardiser {
    /// Deviations from the mean that a feature shows.
    pub const WIDEST: f64 = 4.0;

    /// For so many numbers; with their products if `has_products`.
    pub fn new(dimension: usize, has_products: bool) -> Self {
        Self {
            count: 0.0,
            origin: vec![0.0; dimension],
            sum: vec![0.0; dimension],
            squares: vec![0.0; dimension],
            has_products,
        }
    }

    /// How many features it makes.
    pub fn dimension(&self) -> usize {
        let raw = self.sum.len();
        1 + raw
            + if self.has_products {
                raw * (raw + 1) / 2
            } else {
                0
            }
    }

    /// Takes note of the numbers of one context.
    ///
    /// # Errors
    /// If there are more or fewer than it is for, or one is not finite: nothing is changed then.
    pub fn observe(&mut self, raw: &[f64]) -> Result<(), FeatureError> {
        self.check(raw)?;
        if self.count == 0.0 {
            self.origin.copy_from_slice(raw);
        }
        self.count += 1.0;
        for (i, x) in raw.iter().enumerate() {
            let x = x - self.origin[i];
            self.sum[i] += x;
            self.squares[i] += x * x;
        }
        Ok(())
    }

    /// Adds what another one of the same dimension has observed.
    ///
    /// # Errors
    /// If the dimensions differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), FeatureError> {
        if self.sum.len() != other.sum.len() {
            return Err(FeatureError::Dimension {
                expected: self.sum.len(),
                actual: other.sum.len(),
            });
        }
        if self.count == 0.0 {
            self.origin.copy_from_slice(&other.origin);
        }
        for i in 0..self.sum.len() {
            let shift = other.origin[i] - self.origin[i];
            self.sum[i] += other.sum[i] + other.count * shift;
            self.squares[i] +=
                other.squares[i] + shift * (2.0 * other.sum[i] + other.count * shift);
        }
        self.count += other.count;
        Ok(())
    }

    /// The features of one context, [`Standardiser::dimension`] of them.
    ///
    /// # Errors
    /// As [`Standardiser::observe`].
    pub fn features(&self, raw: &[f64]) -> Result<Features, FeatureError> {
        self.check(raw)?;
        let mut values = Vec::with_capacity(self.dimension());
        values.push(1.0);
        let length = (raw.len() as f64).sqrt().max(LENGTH_LEAST);
        for (i, x) in raw.iter().enumerate() {
            values.push(on_grid((self.standard(i, *x) / length).clamp(-1.0, 1.0)));
        }
        if self.has_products {
            for i in 0..raw.len() {
                for j in 0..=i {
                    values.push(on_grid(f64::from(values[1 + i] * values[1 + j])));
                }
            }
        }
        Ok(Features(values))
    }

    /// How many deviations from its mean a value is.
    fn standard(&self, i: usize, x: f64) -> f64 {
        let count = self.count.max(1.0);
        let mean = self.sum[i] / count;
        let variance = self.squares[i] / count - mean * mean;
        let deviation = variance.max(0.0).sqrt();
        let least = f64::EPSILON * 8.0 * self.origin[i].abs();
        if deviation <= least {
            return 0.0;
        }
        let z = (x - self.origin[i] - mean) / deviation;
        z.clamp(-Self::WIDEST, Self::WIDEST)
    }

    fn check(&self, raw: &[f64]) -> Result<(), FeatureError> {
        if raw.len() != self.sum.len() {
            return Err(FeatureError::Dimension {
                expected: self.sum.len(),
                actual: raw.len(),
            });
        }
        match raw.iter().position(|x| !x.is_finite()) {
            #[expect(clippy::cast_possible_truncation, reason = "told in the message")]
            Some(index) => Err(FeatureError::Value {
                index,
                value: raw[index] as f32,
            }),
            None => Ok(()),
        }
    }
}

/// A single value keeps some resolution within this many deviations.
const LENGTH_LEAST: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_counted_in_deviations_and_cut_off() {
        let mut standard = Standardiser::new(2, true);
        for x in [1e9, 1e9 + 2.0] {
            standard.observe(&[x, 7.0]).unwrap();
        }
        // Mean 1e9 + 1, deviation 1; the second never varied.
        let at = |x: f64| standard.features(&[x, 7.0]).unwrap();
        assert_eq!(at(1e9 + 2.5).as_slice(), [1.0, 0.5, 0.0, 0.25, 0.0, 0.0]);
        assert_eq!(at(0.0).as_slice()[1], -1.0);
        let before = standard.clone();
        assert!(standard.observe(&[f64::NAN, 0.0]).is_err());
        assert!(standard.features(&[0.0]).is_err());
        assert_eq!(standard, before);
    }

    proptest! {
        #[test]
        fn two_parts_merge_to_the_whole(
            rows in prop::collection::vec((-1e3_f64..1e3, 0.0_f64..10.0), 2..60),
            cut in any::<prop::sample::Index>(),
        ) {
            let observe = |rows: &[(f64, f64)]| {
                let mut standard = Standardiser::new(2, false);
                for (a, b) in rows {
                    standard.observe(&[*a, *b]).unwrap();
                }
                standard
            };
            let (first, second) = rows.split_at(cut.index(rows.len()));
            let mut merged = observe(first);
            merged.merge(&observe(second)).unwrap();
            let whole = observe(&rows);
            for (a, b) in &rows {
                let (merged, whole) = (merged.features(&[*a, *b]), whole.features(&[*a, *b]));
                for (m, w) in merged.unwrap().as_slice().iter().zip(whole.unwrap().as_slice()) {
                    prop_assert!((m - w).abs() < 2e-3, "{} {}", m, w);
                }
            }
        }
    }
}
