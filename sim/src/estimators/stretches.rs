use std::collections::BTreeMap;

use crate::covariances::Covariances;

/// Sums of doubly robust scores by stretches of the log: parts of a fixed length, or epochs, in which the policy that wrote
/// the log did not change. There are never more than [`STRETCHES_MOST`]: neighbours are put together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stretches {
    /// A stretch has two to this many numbers.
    width: u32,
    /// Of the scores, and of `sum_k p_k^2 / e_k` for target p and logged e.
    sums: BTreeMap<u64, Covariances<2>>,
    /// The stretch at work, so that most rows need no search.
    current: Option<(u64, Covariances<2>)>,
}

impl Stretches {
    /// Adds a row: the number of its stretch, its doubly robust score, and its `sum_k p_k^2 / e_k`.
    pub(crate) fn push(&mut self, number: u64, score: f64, spread: f64) {
        match &mut self.current {
            Some((at, sums)) if *at == number >> self.width => sums.push([score, spread]),
            _ => {
                // Which may put neighbours together.
                self.settle();
                let mut sums = Covariances::default();
                sums.push([score, spread]);
                self.current = Some((number >> self.width, sums));
            }
        }
    }

    fn settle(&mut self) {
        if let Some((at, sums)) = self.current.take() {
            self.sums.entry(at).or_default().merge(&sums);
            while self.sums.len() > STRETCHES_MOST {
                self.widen(self.width + 1);
            }
        }
    }

    fn widen(&mut self, width: u32) {
        let by = width - self.width;
        self.width = width;
        for (at, sums) in std::mem::take(&mut self.sums) {
            self.sums.entry(at >> by).or_default().merge(&sums);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.settle();
        self.widen(self.width.max(other.width));
        let by = self.width - other.width;
        let current = other.current.iter().map(|(at, sums)| (at, sums));
        for (at, sums) in other.sums.iter().chain(current) {
            self.sums.entry(*at >> by).or_default().merge(sums);
        }
        while self.sums.len() > STRETCHES_MOST {
            self.widen(self.width + 1);
        }
    }

    /// All of them, in their order.
    fn all(&self) -> Vec<Covariances<2>> {
        let mut all = self.clone();
        all.settle();
        all.sums.into_values().collect()
    }

    /// The value by stretches of a log whose policy learned while it was written, and its standard error; `None` with fewer
    /// than two stretches, or where the log could not have served what the target asks for.
    ///
    /// Each score is weighted by one over the root of the spread of the stretch before, which is about its standard
    /// deviation and known before it is drawn: so weighted, the mean is normal in the limit also if the logging policy
    /// followed from the rewards (Hadad, Hirshberg, Zhan, Wager, Athey 2021, theorem 2; Zhan, Hadad, Hirshberg, Athey
    /// 2021, with weights by context-free variance, "`StableVar`"). Without that, the value is unbiased, but its
    /// distribution need not be normal.
    pub(crate) fn adaptive(&self) -> Option<(f64, f64)> {
        let all = self.all();
        let before = all.first().into_iter().chain(&all);
        let spreads = before.map(|sums| sums.mean(1));
        weighted(all.iter().zip(spreads))
    }

    /// The same where stretches are epochs. In each the logging policy stands still, so that its spread hangs on no reward
    /// of its own and may weight it. Neighbours are pooled until they have [`EPOCH_ROWS_LEAST`] rows.
    pub(crate) fn by_epoch(&self) -> Option<(f64, f64)> {
        let mut pooled: Vec<Covariances<2>> = Vec::new();
        for sums in self.all() {
            match pooled.last_mut() {
                Some(last) if last.count() < EPOCH_ROWS_LEAST => last.merge(&sums),
                _ => pooled.push(sums),
            }
        }
        if let [.., before, last] = &mut pooled[..]
            && last.count() < EPOCH_ROWS_LEAST
        {
            before.merge(last);
            pooled.pop();
        }
        weighted(pooled.iter().map(|sums| (sums, sums.mean(1))))
    }
}

/// Mean of the scores weighted by one over the root of a spread, and its standard error.
fn weighted<'a>(stretches: impl Iterator<Item = (&'a Covariances<2>, f64)>) -> Option<(f64, f64)> {
    let mut all = Vec::new();
    for (sums, spread) in stretches {
        if !(spread > 0.0 && spread.is_finite()) {
            return None;
        }
        all.push((1.0 / spread.sqrt(), sums));
    }
    if all.len() < 2 {
        return None;
    }
    let rows = |sums: &Covariances<2>| sums.count() as f64;
    let total: f64 = all.iter().map(|(weight, sums)| weight * rows(sums)).sum();
    let scores = all
        .iter()
        .map(|(weight, sums)| weight * rows(sums) * sums.mean(0));
    let value = scores.sum::<f64>() / total;
    let squares = all.iter().map(|(weight, sums)| {
        let within = sums.variance([1.0, 0.0]).unwrap_or(0.0) * (rows(sums) - 1.0);
        let off = sums.mean(0) - value;
        weight * weight * (within + rows(sums) * off * off)
    });
    Some((value, squares.sum::<f64>().sqrt() / total))
}

/// A power of two.
const STRETCHES_MOST: usize = 16_384;

/// Rows from which an epoch stands by itself.
const EPOCH_ROWS_LEAST: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_stretches_are_put_together_and_parts_merge() {
        let score = |number: u64| ((number * 37) % 101) as f64 / 100.0;
        let rows = 3 * STRETCHES_MOST as u64;
        let mut whole = Stretches::default();
        let mut parts = [Stretches::default(), Stretches::default()];
        for number in 0..rows {
            whole.push(number, score(number), 1.0 + score(number));
            parts[usize::from(number % 3 == 0)].push(number, score(number), 1.0 + score(number));
        }
        let [mut first, second] = parts;
        first.merge(&second);
        assert!(whole.sums.len() <= STRETCHES_MOST && first.width == whole.width);
        for (ours, theirs) in [
            (first.adaptive(), whole.adaptive()),
            (first.by_epoch(), whole.by_epoch()),
        ] {
            let ((value, error), (expected, expected_error)) = (ours.unwrap(), theirs.unwrap());
            assert!((value - expected).abs() < 1e-12, "{value} {expected}");
            assert!((error - expected_error).abs() < 1e-12);
        }
    }

    #[test]
    fn epochs_of_one_spread_are_worth_the_mean() {
        let mut stretches = Stretches::default();
        for row in 0..1_000_u64 {
            stretches.push(row / 30, (row % 7) as f64, 2.0);
        }
        let mean = (0..1_000).map(|row| f64::from(row % 7)).sum::<f64>() / 1_000.0;
        assert!((stretches.by_epoch().unwrap().0 - mean).abs() < 1e-12);
        let mut one = Stretches::default();
        one.push(3, 1.0, 1.0);
        assert!(one.by_epoch().is_none() && one.adaptive().is_none());
    }
}
