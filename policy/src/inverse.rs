use crate::arm_sums::ArmSums;
use crate::dot::dot;
use crate::nonzero::nonzero;
use crate::triangle::Cholesky;
#[cfg(test)]
use crate::triangle::column;
use crate::widest::{Work, widest};

/// One arm's ridge regression, kept up with one event at a time.
///
/// With A = sum x x' + lambda I it holds A^-1, u = A^-1 sum x r and v = A^-1 sum x, so that the weights for a mean
/// reward m are u - m v. An event changes A by x x', and A^-1 by the formula of Sherman and Morrison (1950), in
/// about 3 d^2 multiply-adds. Such steps wait until there are [`PENDING`] of them, since the matrix is large and the steps
/// are small. Rounding errors add up, so that after [`STEPS`] of them all is solved anew from the sums.
#[derive(Debug, Clone)]
pub(crate) struct Inverse {
    dimension: usize,
    /// The factor of A, until A^-1 is computed of it.
    factor: Option<Cholesky>,
    /// A^-1 by rows, all of it, but for the steps that wait.
    rows: Vec<f64>,
    /// Vectors w, one after the other, and numbers s: A^-1 is less by the sum of s w w'.
    pending: Vec<f64>,
    scales: Vec<f64>,
    u: Vec<f64>,
    v: Vec<f64>,
    steps: u32,
}

/// Steps that are taken at once.
const PENDING: usize = 8;

/// Events after which the inverse is computed anew.
const STEPS: u32 = 4_096;

impl Inverse {
    /// Solves the systems of some sums, whose A is factored already. Only the weights are known until it is
    /// [completed](Self::complete), which is most of the work.
    pub(crate) fn from_factor(factor: Cholesky, sums: &ArmSums, dimension: usize) -> Self {
        let solve = |sums: &[f64]| {
            let mut solved = sums.to_vec();
            factor.solve(&mut solved);
            solved
        };
        Self {
            dimension,
            u: solve(&sums.xr),
            v: solve(&sums.x),
            factor: Some(factor),
            rows: Vec::new(),
            pending: Vec::with_capacity(PENDING * dimension),
            scales: Vec::with_capacity(PENDING),
            steps: 0,
        }
    }

    /// Computes A^-1, unless that has been done.
    pub(crate) fn complete(&mut self) {
        if let Some(factor) = self.factor.take() {
            self.rows = factor.inverse();
        }
    }

    #[cfg(test)]
    pub(crate) fn new(sums: &ArmSums, lambda: f64, dimension: usize) -> Option<Self> {
        let factor = Cholesky::new(&sums.xx, lambda, dimension)?;
        let mut inverse = Self::from_factor(factor, sums, dimension);
        inverse.complete();
        Some(inverse)
    }

    /// Whether it is time to solve anew.
    pub(crate) fn is_stale(&self) -> bool {
        self.steps >= STEPS
    }

    /// Takes an event in. `leaning` is A^-1 times some vector, and stays so.
    pub(crate) fn add(&mut self, x: &[f64], reward: f64, leaning: &mut [f64]) {
        widest(Addition {
            to: self,
            x,
            reward,
            leaning,
        });
    }

    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    fn add_at_once(&mut self, x: &[f64], reward: f64, leaning: &mut [f64]) {
        let w = self.times(x);
        let scale = 1.0 / (1.0 + dot(x, &w));
        let u = (reward - dot(x, &self.u)) * scale;
        let v = (1.0 - dot(x, &self.v)) * scale;
        for ((w, u_i), v_i) in w.iter().zip(&mut self.u).zip(&mut self.v) {
            *u_i = w.mul_add(u, *u_i);
            *v_i = w.mul_add(v, *v_i);
        }
        let along = dot(x, leaning) * scale;
        for (entry, w_i) in leaning.iter_mut().zip(&w) {
            *entry -= w_i * along;
        }
        self.pending.extend_from_slice(&w);
        self.scales.push(scale);
        if self.scales.len() == PENDING {
            self.settle_at_once();
        }
        self.steps += 1;
    }

    /// Takes the steps that wait.
    pub(crate) fn settle(&mut self) {
        widest(Settlement(self));
    }

    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    fn settle_at_once(&mut self) {
        // Always as many, so that they stay in registers; those that are missing are of no size.
        let d = self.dimension.max(1);
        self.pending.resize(PENDING * d, 0.0);
        self.scales.resize(PENDING, 0.0);
        let w: [&[f64]; PENDING] = std::array::from_fn(|k| &self.pending[k * d..(k + 1) * d]);
        for (i, row) in self.rows.chunks_exact_mut(d).enumerate() {
            let steps: [f64; PENDING] = std::array::from_fn(|k| self.scales[k] * w[k][i]);
            for (j, entry) in row.iter_mut().enumerate() {
                let mut sum = 0.0;
                for k in 0..PENDING {
                    sum = steps[k].mul_add(w[k][j], sum);
                }
                *entry -= sum;
            }
        }
        self.pending.clear();
        self.scales.clear();
    }

    /// How the weights change with the mean reward: each falls by so much for every unit of it.
    pub(crate) fn slopes(&self) -> &[f64] {
        &self.v
    }

    /// The weights for a mean reward.
    pub(crate) fn theta(&self, mean: f64) -> impl Iterator<Item = f64> {
        self.u.iter().zip(&self.v).map(move |(u, v)| u - mean * v)
    }

    /// x' A^-1 x.
    pub(crate) fn quadratic(&self, x: &[f32]) -> f64 {
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        dot(&x, &self.times(&x)).max(0.0)
    }

    /// Entry (i, j) of A^-1, once it is settled.
    pub(crate) fn entry(&self, i: usize, j: usize) -> f64 {
        self.rows[i * self.dimension + j]
    }

    /// Takes lambda^2 A^-1, once it is settled, off an upper triangle packed by columns.
    pub(crate) fn subtract_square(&self, lambda: f64, packed: &mut [f64]) {
        let mut start = 0;
        for (j, row) in self.rows.chunks_exact(self.dimension.max(1)).enumerate() {
            for (sum, entry) in packed[start..=start + j].iter_mut().zip(row) {
                *sum -= lambda * lambda * entry;
            }
            start += j + 1;
        }
    }

    /// A^-1 x, at a cost that goes with the entries of x that are not zero: A^-1 is symmetric, so that its rows are its
    /// columns. Logged decisions hang on its very bits.
    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    pub(crate) fn times(&self, x: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; self.dimension];
        for (place, entry) in nonzero(x) {
            let column = &self.rows[place * self.dimension..(place + 1) * self.dimension];
            for (sum, a) in product.iter_mut().zip(column) {
                *sum += entry * a;
            }
        }
        let pending = self.pending.chunks_exact(self.dimension.max(1));
        for (w, scale) in pending.zip(&self.scales) {
            let along = dot(w, x) * scale;
            for (sum, w) in product.iter_mut().zip(w) {
                *sum -= along * w;
            }
        }
        product
    }

    /// The largest deviation of A A^-1 from the identity.
    #[cfg(test)]
    pub(crate) fn error(&self, sums: &ArmSums, lambda: f64) -> f64 {
        let d = self.dimension;
        let a = |i: usize, j: usize| {
            let (low, high) = (i.min(j), i.max(j));
            column(&sums.xx, high)[low] + if i == j { lambda } else { 0.0 }
        };
        let mut worst = 0.0_f64;
        for i in 0..d {
            for j in 0..d {
                let product: f64 = (0..d).map(|k| a(i, k) * self.rows[k * d + j]).sum();
                worst = worst.max((product - f64::from(u8::from(i == j))).abs());
            }
        }
        worst
    }
}

struct Addition<'a> {
    to: &'a mut Inverse,
    x: &'a [f64],
    reward: f64,
    leaning: &'a mut [f64],
}

impl Work for Addition<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "as the trait says")]
    #[inline(always)]
    fn run(self) {
        self.to.add_at_once(self.x, self.reward, self.leaning);
    }
}

struct Settlement<'a>(&'a mut Inverse);

impl Work for Settlement<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "as the trait says")]
    #[inline(always)]
    fn run(self) {
        self.0.settle_at_once();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_event_at_a_time_is_all_at_once(
            events in prop::collection::vec(
                (prop::collection::vec(-1.0_f32..=1.0, 5), 0.0_f64..=1.0), 1..200),
            lambda in 0.01_f64..2.0,
        ) {
            let mut sums = ArmSums::new(5);
            let mut one_by_one = Inverse::new(&sums, lambda, 5).unwrap();
            for (x, reward) in &events {
                sums.add(x, *reward, 1);
                let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
                one_by_one.add(&wide, *reward, &mut []);
            }
            let at_once = Inverse::new(&sums, lambda, 5).unwrap();
            // What waits counts already.
            let x: Vec<f64> = (0..5).map(|i| f64::from(i) - 1.5).collect();
            let before = one_by_one.times(&x);
            one_by_one.settle();
            for (a, b) in before.iter().zip(one_by_one.times(&x)) {
                prop_assert!((a - b).abs() < 1e-9 * (1.0 + a.abs()), "{} {}", a, b);
            }
            prop_assert!(one_by_one.error(&sums, lambda) < 1e-9);
            for (a, b) in one_by_one.theta(0.5).zip(at_once.theta(0.5)) {
                prop_assert!((a - b).abs() < 1e-9, "{} {}", a, b);
            }
        }
    }
}
