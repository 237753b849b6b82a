use crate::dot::{LANES, dot};
use crate::widest::{Work, widest};

/// The length of a packed triangle of the given dimension: d (d + 1) / 2.
#[inline]
pub(crate) fn packed_length(dimension: usize) -> usize {
    dimension * (dimension + 1) / 2
}

/// Column `j` of an upper triangle packed by columns, that is entries (0, j) to (j, j).
#[expect(
    clippy::inline_always,
    reason = "to have the instructions of its caller"
)]
#[inline(always)]
pub(crate) fn column(packed: &[f64], j: usize) -> &[f64] {
    let start = packed_length(j);
    &packed[start..=start + j]
}

/// The factor L of a positive definite matrix: L L' = A + lambda I.
///
/// Row `i` of L lies where column `i` of the upper triangle of A lay.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    packed: Vec<f64>,
    dimension: usize,
}

impl Cholesky {
    /// Factors A + lambda I, row by row (Golub and Van Loan, "Matrix Computations", 4th edition,
    /// section 4.2); `None` if it is not positive definite.
    pub(crate) fn new(packed: &[f64], lambda: f64, dimension: usize) -> Option<Self> {
        widest(Factoring {
            packed,
            lambda,
            dimension,
        })
    }

    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    fn factored(packed: &[f64], lambda: f64, dimension: usize) -> Option<Self> {
        let mut factor = packed.to_vec();
        for i in 0..dimension {
            let start = packed_length(i);
            for j in 0..i {
                let (above, row) = factor.split_at_mut(start);
                let other = column(above, j);
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let row = &mut factor[start..=start + i];
            let pivot = row[i] + lambda - dot(&row[..i], &row[..i]);
            // False for NaN, too.
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            row[i] = pivot.sqrt();
        }
        Some(Self {
            packed: factor,
            dimension,
        })
    }

    /// Solves L z = x in place of x, whose first entries are zero, so many.
    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    fn solve_lower(&self, x: &mut [f64], zeros: usize) {
        // The same sums in the same order as from the beginning.
        let start = zeros / LANES * LANES;
        for i in zeros..self.dimension {
            let row = column(&self.packed, i);
            x[i] = (x[i] - dot(&row[start..i], &x[start..i])) / row[i];
        }
    }

    /// Solves L L' y = x in place of x.
    pub(crate) fn solve(&self, x: &mut [f64]) {
        self.solve_from(x, 0);
    }

    /// Solves L z = x in place of x.
    pub(crate) fn solve_half(&self, x: &mut [f64]) {
        self.solve_lower(x, 0);
    }

    /// The inverse of L L', by rows.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        widest(Inversion(self))
    }

    /// Solves L L' y = x in place of x, whose first entries are zero, so many.
    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    fn solve_from(&self, x: &mut [f64], zeros: usize) {
        self.solve_lower(x, zeros);
        for i in (0..self.dimension).rev() {
            let row = column(&self.packed, i);
            let value = x[i] / row[i];
            x[i] = value;
            for (x, l) in x[..i].iter_mut().zip(row) {
                *x -= l * value;
            }
        }
    }

    /// The logarithm of the determinant of A + lambda I.
    pub(crate) fn log_determinant(&self) -> f64 {
        let diagonal = (0..self.dimension).map(|i| column(&self.packed, i)[i]);
        2.0 * diagonal.map(libm::log).sum::<f64>()
    }
}

struct Factoring<'a> {
    packed: &'a [f64],
    lambda: f64,
    dimension: usize,
}

impl Work for Factoring<'_> {
    type Output = Option<Cholesky>;

    #[expect(clippy::inline_always, reason = "as the trait says")]
    #[inline(always)]
    fn run(self) -> Option<Cholesky> {
        Cholesky::factored(self.packed, self.lambda, self.dimension)
    }
}

struct Inversion<'a>(&'a Cholesky);

impl Work for Inversion<'_> {
    type Output = Vec<f64>;

    #[expect(clippy::inline_always, reason = "as the trait says")]
    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let dimension = self.0.dimension;
        let mut rows = vec![0.0; dimension * dimension];
        for (i, row) in rows.chunks_exact_mut(dimension.max(1)).enumerate() {
            row[i] = 1.0;
            self.0.solve_from(row, i);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The product of a symmetric matrix, given by its packed upper triangle, with a vector.
    fn multiply(packed: &[f64], x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        for j in 0..x.len() {
            let column = column(packed, j);
            y[j] += dot(column, &x[..=j]);
            for i in 0..j {
                y[i] += column[i] * x[j];
            }
        }
        y
    }

    fn sums(rows: &[Vec<f64>], dimension: usize) -> Vec<f64> {
        let mut packed = vec![0.0; packed_length(dimension)];
        for row in rows {
            for j in 0..dimension {
                for i in 0..=j {
                    packed[packed_length(j) + i] += row[i] * row[j];
                }
            }
        }
        packed
    }

    #[test]
    fn a_small_system_worked_by_hand() {
        // A = [[4, 2], [2, 2]], lambda 1: [[5, 2], [2, 3]] y = [1, 8] has y = [-13/11, 38/11].
        let factor = Cholesky::new(&[4.0, 2.0, 2.0], 1.0, 2).unwrap();
        let mut y = [1.0, 8.0];
        factor.solve(&mut y);
        assert!((y[0] + 13.0 / 11.0).abs() < 1e-14 && (y[1] - 38.0 / 11.0).abs() < 1e-14);
        assert!((factor.log_determinant() - 11.0_f64.ln()).abs() < 1e-14);
    }

    #[test]
    fn the_widest_instructions_give_the_same_bits() {
        let number = |n: usize| ((n * 7_919) % 1_009) as f64 / 1_009.0 - 0.5;
        let rows: Vec<Vec<f64>> = (0..90)
            .map(|row| (0..37).map(|i| number(row * 37 + i)).collect())
            .collect();
        let packed = sums(&rows, 37);
        let factor = Cholesky::new(&packed, 0.3, 37).unwrap();
        let plain = Cholesky::factored(&packed, 0.3, 37).unwrap();
        let bits = |all: &[f64]| all.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&factor.packed), bits(&plain.packed));
        assert_eq!(bits(&factor.inverse()), bits(&Inversion(&factor).run()));
        // One row after the other, from the beginning of each.
        for (i, row) in factor.inverse().chunks_exact(37).enumerate() {
            let mut unit = vec![0.0; 37];
            unit[i] = 1.0;
            factor.solve(&mut unit);
            assert_eq!(bits(row), bits(&unit));
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::new(&[-4.0], 1.0, 1).is_none());
        assert!(Cholesky::new(&[f64::NAN], 1.0, 1).is_none());
        assert!(Cholesky::new(&[f64::INFINITY], 1.0, 1).is_none());
        assert!(Cholesky::new(&[1.0, 5.0, 1.0], 0.5, 2).is_none());
    }

    proptest! {
        #[test]
        fn solving_undoes_multiplying(
            rows in prop::collection::vec(prop::collection::vec(-1.0_f64..1.0, 7), 0..30),
            x in prop::collection::vec(-1.0_f64..1.0, 7),
            lambda in 0.1_f64..10.0,
        ) {
            let packed = sums(&rows, 7);
            let factor = Cholesky::new(&packed, lambda, 7).unwrap();
            let mut y = multiply(&packed, &x);
            for (y, x) in y.iter_mut().zip(&x) {
                *y += lambda * x;
            }
            factor.solve(&mut y);
            for (y, x) in y.iter().zip(&x) {
                prop_assert!((y - x).abs() < 1e-10, "{y} {x}");
            }
        }
    }
}
