/// Count, means and centred products of vectors of N numbers, in one pass.
///
/// Source: Chan, Golub and `LeVeque` (1979), "Updating formulae and a pairwise algorithm for computing sample
/// variances", equations 2.1, for both the single push and the merge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Covariances<const N: usize> {
    count: u64,
    means: [f64; N],
    products: [[f64; N]; N],
}

impl<const N: usize> Default for Covariances<N> {
    fn default() -> Self {
        Self {
            count: 0,
            means: [0.0; N],
            products: [[0.0; N]; N],
        }
    }
}

#[expect(clippy::needless_range_loop, reason = "indices of a matrix")]
impl<const N: usize> Covariances<N> {
    pub(crate) fn push(&mut self, x: [f64; N]) {
        self.count += 1;
        let share = 1.0 / self.count as f64;
        let mut before = [0.0; N];
        for i in 0..N {
            before[i] = x[i] - self.means[i];
            self.means[i] += before[i] * share;
        }
        for i in 0..N {
            for j in 0..=i {
                self.products[i][j] += before[i] * (x[j] - self.means[j]);
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let total = ours + theirs;
        let between = ours * theirs / total;
        let mut apart = [0.0; N];
        for i in 0..N {
            apart[i] = other.means[i] - self.means[i];
            self.means[i] += apart[i] * theirs / total;
        }
        for i in 0..N {
            for j in 0..=i {
                self.products[i][j] += other.products[i][j] + apart[i] * apart[j] * between;
            }
        }
        self.count += other.count;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn mean(&self, i: usize) -> f64 {
        self.means[i]
    }

    /// The sample variance, divisor n - 1, of `factors` times the vector; `None` with fewer than two vectors.
    pub(crate) fn variance(&self, factors: [f64; N]) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let mut sum = 0.0;
        for i in 0..N {
            sum += factors[i] * factors[i] * self.products[i][i];
            for j in 0..i {
                sum += 2.0 * factors[i] * factors[j] * self.products[i][j];
            }
        }
        // Rounding may leave a tiny negative sum.
        Some(sum.max(0.0) / (self.count as f64 - 1.0))
    }

    /// The standard error of the mean of `factors` times the vector.
    pub(crate) fn standard_error(&self, factors: [f64; N]) -> Option<f64> {
        Some((self.variance(factors)? / self.count as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_variance_is_that_of_the_definition_in_any_parts(
            rows in prop::collection::vec((-5.0_f64..5.0, 0.0_f64..20.0, -1.0_f64..1.0), 2..50),
            cut in 0_usize..50,
            factors in (-2.0_f64..2.0, -2.0_f64..2.0, -2.0_f64..2.0),
        ) {
            let cut = cut.min(rows.len());
            let (mut first, mut second) = (Covariances::<3>::default(), Covariances::<3>::default());
            for (at, row) in rows.iter().enumerate() {
                let part = if at < cut { &mut first } else { &mut second };
                part.push([row.0, row.1, row.2]);
            }
            first.merge(&second);
            let values: Vec<f64> = rows
                .iter()
                .map(|row| factors.0 * row.0 + factors.1 * row.1 + factors.2 * row.2)
                .collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let expected = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0);
            let got = first.variance([factors.0, factors.1, factors.2]).unwrap();
            prop_assert!((got - expected).abs() < 1e-9 * (1.0 + expected), "{} {}", got, expected);
        }
    }
}
