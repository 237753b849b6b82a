use std::collections::BTreeMap;

/// Sums of pairs (x, y) per cluster: rows of one user are not independent draws.
///
/// Memory: one small entry per cluster, however many rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clusters(BTreeMap<u64, (f64, f64)>);

impl Clusters {
    /// Adds one pair to `cluster`.
    pub fn push(&mut self, cluster: u64, x: f64, y: f64) {
        let sums = self.0.entry(cluster).or_default();
        sums.0 += x;
        sums.1 += y;
    }

    /// Adds all sums of `other`; a cluster in both becomes one.
    pub fn merge(&mut self, other: &Self) {
        for (&cluster, &(x, y)) in &other.0 {
            self.push(cluster, x, y);
        }
    }

    /// Clusters seen.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Standard error of sum(y) / sum(x) with whole clusters as the independent units.
    ///
    /// sqrt(G / (G - 1) * sum over clusters of (y - V x)^2) / |sum(x)|: linearised, with the
    /// small-sample factor "CR1". `None` with fewer than two clusters or when sum(x) is 0.
    ///
    /// Source: Deng, Knoblich and Lu (2018), "Applying the delta method in metric analytics",
    /// section 3.1; Liang and Zeger (1986) for the sandwich form.
    pub fn ratio_standard_error(&self) -> Option<f64> {
        let sum_x: f64 = self.0.values().map(|sums| sums.0).sum();
        let sum_y: f64 = self.0.values().map(|sums| sums.1).sum();
        if self.0.len() < 2 || sum_x == 0.0 {
            return None;
        }
        let ratio = sum_y / sum_x;
        let squares: f64 = self
            .0
            .values()
            .map(|(x, y)| (y - ratio * x) * (y - ratio * x))
            .sum();
        let clusters = self.0.len() as f64;
        Some((squares * clusters / (clusters - 1.0)).sqrt() / sum_x.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moments::PairMoments;

    #[test]
    fn one_row_a_cluster_is_the_plain_error() {
        let mut clusters = Clusters::default();
        let mut moments = PairMoments::default();
        for i in 0..50u32 {
            let (x, y) = (1.0 + f64::from(i % 3), f64::from(i % 7) / 7.0);
            clusters.push(u64::from(i), x, y);
            moments.push(x, y);
        }
        let (a, b) = (
            clusters.ratio_standard_error(),
            moments.ratio_standard_error(),
        );
        assert!(
            a.zip(b).is_some_and(|(a, b)| (a - b).abs() < 1e-12),
            "{a:?} {b:?}"
        );
    }

    #[test]
    fn repeating_every_row_inside_its_cluster_changes_nothing() {
        let (mut once, mut thrice) = (Clusters::default(), Clusters::default());
        for i in 0..20u64 {
            let y = (i % 5) as f64;
            once.push(i, 1.0, y);
            for _ in 0..3 {
                thrice.push(i, 1.0, y);
            }
        }
        let (a, b) = (once.ratio_standard_error(), thrice.ratio_standard_error());
        assert!(
            a.zip(b).is_some_and(|(a, b)| (a - b).abs() < 1e-12),
            "{a:?} {b:?}"
        );
    }

    #[test]
    fn one_cluster_has_no_error() {
        let mut clusters = Clusters::default();
        clusters.push(1, 1.0, 0.5);
        clusters.push(1, 1.0, 0.7);
        assert_eq!(clusters.ratio_standard_error(), None);
    }
}
