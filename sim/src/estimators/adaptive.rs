//! The doubly robust value of a log whose policy learned while it was written.

use std::collections::BTreeMap;

use crate::covariances::Covariances;

/// Sums of the doubly robust scores by stretches of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adaptive {
    stretches: BTreeMap<u64, Covariances<2>>,
    /// The stretch at work, so that most rows need no search.
    current: Option<(u64, Covariances<2>)>,
}

/// Numbers of the log that make a stretch.
const STRETCH: u64 = 2_048;

impl Adaptive {
    /// Adds a row: its place in the log, its doubly robust score, and `sum_k p_k^2 / e_k` for target p and logged e.
    pub(crate) fn push(&mut self, number: u64, score: f64, spread: f64) {
        let stretch = number / STRETCH;
        match &mut self.current {
            Some((at, sums)) if *at == stretch => sums.push([score, spread]),
            _ => {
                self.settle();
                let mut sums = Covariances::default();
                sums.push([score, spread]);
                self.current = Some((stretch, sums));
            }
        }
    }

    fn settle(&mut self) {
        if let Some((at, sums)) = self.current.take() {
            self.stretches.entry(at).or_default().merge(&sums);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.settle();
        for (at, sums) in other
            .stretches
            .iter()
            .chain(other.current.iter().map(|(at, sums)| (at, sums)))
        {
            self.stretches.entry(*at).or_default().merge(sums);
        }
    }

    /// Value and standard error; `None` with fewer than two stretches, or where the log could not have served what the
    /// target asks for.
    ///
    /// Each score is weighted by one over the root of the spread of the stretch before, which is about its standard
    /// deviation and known before it is drawn: so weighted, the mean is normal in the limit also if the logging policy
    /// followed from the rewards (Hadad, Hirshberg, Zhan, Wager, Athey 2021, theorem 2; Zhan, Hadad, Hirshberg, Athey
    /// 2021, with weights by context-free variance, "`StableVar`"). Without that, the value is unbiased, but its
    /// distribution need not be normal.
    pub(crate) fn finish(&self) -> Option<(f64, f64)> {
        let mut all = self.clone();
        all.settle();
        if all.stretches.len() < 2 {
            return None;
        }
        let mut before = None;
        let mut weighted = Vec::new();
        for sums in all.stretches.values() {
            let spread = before.replace(sums.mean(1)).unwrap_or(sums.mean(1));
            if !(spread > 0.0 && spread.is_finite()) {
                return None;
            }
            weighted.push((1.0 / spread.sqrt(), sums));
        }
        let total: f64 = weighted
            .iter()
            .map(|(weight, sums)| weight * sums.count() as f64)
            .sum();
        let value = weighted
            .iter()
            .map(|(weight, sums)| weight * sums.count() as f64 * sums.mean(0))
            .sum::<f64>()
            / total;
        let squares = weighted.iter().map(|(weight, sums)| {
            let count = sums.count() as f64;
            let within = sums.variance([1.0, 0.0]).unwrap_or(0.0) * (count - 1.0);
            weight * weight * (within + count * (sums.mean(0) - value) * (sums.mean(0) - value))
        });
        Some((value, squares.sum::<f64>().sqrt() / total))
    }
}
