/// Count, means and centred products of vectors of N numbers, in one pass.
///
/// Source: Chan, Golub and `LeVeque` (1979), "Updating formulae and a pairwise algorithm for computing sample variances",
/// equations 2.1, for a block of vectors at a time and for the merge. Within a block stand plain sums of differences from
/// the mean so far, which cost no division and lose no digits, for they are small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Covariances<const N: usize> {
    count: u64,
    means: [f64; N],
    products: [[f64; N]; N],
    block: Block<N>,
}

/// Vectors that are not in the means yet: sums of their differences from `from`, and of the products of these.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block<const N: usize> {
    count: u64,
    from: [f64; N],
    sums: [f64; N],
    products: [[f64; N]; N],
}

impl<const N: usize> Block<N> {
    fn at(from: [f64; N]) -> Self {
        Self {
            count: 0,
            from,
            sums: [0.0; N],
            products: [[0.0; N]; N],
        }
    }
}

/// Vectors of a block.
const BLOCK: u64 = 512;

/// The first vectors each are a block, until the mean is known well enough to count from.
const SINGLE: u64 = 16;

impl<const N: usize> Default for Covariances<N> {
    fn default() -> Self {
        Self {
            count: 0,
            means: [0.0; N],
            products: [[0.0; N]; N],
            block: Block::at([0.0; N]),
        }
    }
}

#[expect(clippy::needless_range_loop, reason = "indices of a matrix")]
impl<const N: usize> Covariances<N> {
    #[inline]
    pub(crate) fn push(&mut self, x: [f64; N]) {
        let block = &mut self.block;
        let mut apart = [0.0; N];
        for i in 0..N {
            apart[i] = x[i] - block.from[i];
            block.sums[i] += apart[i];
        }
        for i in 0..N {
            for j in 0..=i {
                block.products[i][j] += apart[i] * apart[j];
            }
        }
        block.count += 1;
        if block.count == BLOCK || self.count < SINGLE {
            self.settle();
        }
    }

    /// Takes the block into the means.
    fn settle(&mut self) {
        let block = self.block;
        if block.count > 0 {
            let count = block.count as f64;
            let (mut means, mut products) = (block.from, block.products);
            for i in 0..N {
                means[i] += block.sums[i] / count;
                for j in 0..=i {
                    products[i][j] -= block.sums[i] * block.sums[j] / count;
                }
            }
            self.add(block.count, &means, &products);
        }
        self.block = Block::at(self.means);
    }

    fn settled(&self) -> Self {
        let mut settled = *self;
        settled.settle();
        settled
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let other = other.settled();
        self.settle();
        self.add(other.count, &other.means, &other.products);
        self.block = Block::at(self.means);
    }

    fn add(&mut self, count: u64, means: &[f64; N], products: &[[f64; N]; N]) {
        if count == 0 {
            return;
        }
        let (ours, theirs) = (self.count as f64, count as f64);
        let total = ours + theirs;
        let between = ours * theirs / total;
        let mut apart = [0.0; N];
        for i in 0..N {
            apart[i] = means[i] - self.means[i];
            self.means[i] += apart[i] * theirs / total;
        }
        for i in 0..N {
            for j in 0..=i {
                self.products[i][j] += products[i][j] + apart[i] * apart[j] * between;
            }
        }
        self.count += count;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count + self.block.count
    }

    pub(crate) fn mean(&self, i: usize) -> f64 {
        self.settled().means[i]
    }

    /// The sample variance, divisor n - 1, of `factors` times the vector; `None` with fewer than two vectors.
    pub(crate) fn variance(&self, factors: [f64; N]) -> Option<f64> {
        let Self {
            count, products, ..
        } = self.settled();
        if count < 2 {
            return None;
        }
        let mut sum = 0.0;
        for i in 0..N {
            sum += factors[i] * factors[i] * products[i][i];
            for j in 0..i {
                sum += 2.0 * factors[i] * factors[j] * products[i][j];
            }
        }
        // Rounding may leave a tiny negative sum.
        Some(sum.max(0.0) / (count as f64 - 1.0))
    }

    /// The standard error of the mean of `factors` times the vector.
    pub(crate) fn standard_error(&self, factors: [f64; N]) -> Option<f64> {
        Some((self.variance(factors)? / self.count() as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_variance_is_that_of_the_definition_in_any_parts(
            rows in prop::collection::vec((-5.0_f64..5.0, 0.0_f64..20.0, -1.0_f64..1.0), 2..2_000),
            far in 0.0_f64..1e6,
            cut in 0_usize..2_000,
            factors in (-2.0_f64..2.0, -2.0_f64..2.0, -2.0_f64..2.0),
        ) {
            let cut = cut.min(rows.len());
            let rows: Vec<_> = rows.into_iter().map(|(a, b, c)| (a + far, b, c)).collect();
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
            // The values themselves are known to 1e-16 of their size only.
            prop_assert!((got - expected).abs() < 1e-9 * (1.0 + expected) + 1e-14 * far * far.sqrt(), "{} {}", got, expected);
        }
    }
}
