/// Count, means and centred second moments of pairs (x, y), in one pass.
///
/// Every estimator here is a ratio of means, mean(y) / mean(x): the plain mean has x = 1.
/// Centred sums are kept (not raw squares), so nothing cancels on long logs.
///
/// Source: Chan, Golub and `LeVeque` (1979), "Updating formulae and a pairwise algorithm for
/// computing sample variances", equations 2.1, for both the single push and the merge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairMoments {
    count: u64,
    mean_x: f64,
    mean_y: f64,
    sum_xx: f64,
    sum_xy: f64,
    sum_yy: f64,
}

impl PairMoments {
    /// Adds one pair.
    pub fn push(&mut self, x: f64, y: f64) {
        self.merge(&Self {
            count: 1,
            mean_x: x,
            mean_y: y,
            ..Self::default()
        });
    }

    /// Adds all pairs that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let total = ours + theirs;
        let (dx, dy) = (other.mean_x - self.mean_x, other.mean_y - self.mean_y);
        let between = ours * theirs / total;
        self.count += other.count;
        self.mean_x += dx * theirs / total;
        self.mean_y += dy * theirs / total;
        self.sum_xx += other.sum_xx + dx * dx * between;
        self.sum_xy += other.sum_xy + dx * dy * between;
        self.sum_yy += other.sum_yy + dy * dy * between;
    }

    /// Pairs seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean of x; 0 before the first pair.
    pub fn mean_x(&self) -> f64 {
        self.mean_x
    }

    /// mean(y) / mean(x); `None` before the first pair or when mean(x) is 0.
    pub fn ratio(&self) -> Option<f64> {
        (self.count > 0 && self.mean_x != 0.0).then(|| self.mean_y / self.mean_x)
    }

    /// Standard error of the ratio by the delta method; with x = 1, of the mean.
    ///
    /// The sample variance (divisor n - 1) of y - V x, over n, the root over mean(x).
    /// `None` with fewer than two pairs or when mean(x) is 0.
    pub fn ratio_standard_error(&self) -> Option<f64> {
        let ratio = self.ratio()?;
        if self.count < 2 {
            return None;
        }
        let n = self.count as f64;
        let sum = self.sum_yy - 2.0 * ratio * self.sum_xy + ratio * ratio * self.sum_xx;
        // Rounding may leave a tiny negative sum when y is exactly proportional to x.
        Some((sum.max(0.0) / (n - 1.0) / n).sqrt() / self.mean_x.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(pairs: &[(f64, f64)]) -> PairMoments {
        let mut moments = PairMoments::default();
        for &(x, y) in pairs {
            moments.push(x, y);
        }
        moments
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-10 * (1.0 + a.abs().max(b.abs()))
    }

    proptest! {
        #[test]
        fn merging_parts_equals_pushing_all(
            pairs in prop::collection::vec((0.0..20.0f64, -1.0..1.0f64), 0..60),
            cut in 0usize..60,
        ) {
            let cut = cut.min(pairs.len());
            let mut parts = of(&pairs[..cut]);
            parts.merge(&of(&pairs[cut..]));
            let whole = of(&pairs);
            prop_assert_eq!(parts.count(), whole.count());
            for (a, b) in [
                (parts.mean_x, whole.mean_x), (parts.mean_y, whole.mean_y),
                (parts.sum_xx, whole.sum_xx), (parts.sum_xy, whole.sum_xy), (parts.sum_yy, whole.sum_yy),
            ] {
                prop_assert!(close(a, b), "{a} {b}");
            }
        }

        #[test]
        fn the_error_is_that_of_the_definition(
            pairs in prop::collection::vec((0.1..20.0f64, -1.0..1.0f64), 2..60),
        ) {
            let moments = of(&pairs);
            let n = pairs.len() as f64;
            let mean_x = pairs.iter().map(|p| p.0).sum::<f64>() / n;
            let ratio = pairs.iter().map(|p| p.1).sum::<f64>() / n / mean_x;
            let variance = pairs.iter().map(|p| (p.1 - ratio * p.0).powi(2)).sum::<f64>() / (n - 1.0);
            let expected = (variance / n).sqrt() / mean_x;
            let got = moments.ratio_standard_error();
            prop_assert!(got.is_some_and(|got| (got - expected).abs() < 1e-7 * (1.0 + expected)), "{got:?} {expected}");
        }
    }

    #[test]
    fn nothing_has_no_ratio() {
        assert_eq!(PairMoments::default().ratio(), None);
        assert_eq!(of(&[(1.0, 0.5)]).ratio_standard_error(), None);
        assert_eq!(of(&[(0.0, 0.5), (0.0, 0.1)]).ratio(), None);
    }
}
