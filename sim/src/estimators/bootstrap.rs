use crate::mix::mix;
use crate::{Interval, Level};

/// The Poisson bootstrap (Chamandy, Muralidharan, Najmi, Naidu 2012, "Estimating uncertainty for massive data streams") over
/// random groups of rows.
///
/// Every row goes to one of [`GROUPS`] groups, as evenly as can be, and each replicate counts a group so often as a Poisson
/// number of mean 1 says, which follows from the seed, the group and the replicate. Groups are as independent as rows are,
/// and there are enough of them that their spread errs by 1 / sqrt(2 * 4096) = 1.1 %, half of what a thousand replicates err
/// by themselves. So a row costs the same whatever the replicates. A log of at most 4,096 rows has one in each group, which
/// is the plain bootstrap.
#[derive(Clone, Debug)]
pub(super) struct Bootstrap {
    replicates: usize,
    seed: u64,
    /// Sums of each group; none without replicates.
    groups: Vec<Sums>,
}

/// Sums over rows: of 1, w, w r and v + w (r - q).
pub(super) type Sums = [f64; 4];

impl Bootstrap {
    pub(super) fn new(replicates: usize, seed: u64) -> Self {
        let groups = if replicates > 0 { GROUPS } else { 0 };
        Self {
            replicates,
            seed,
            groups: vec![[0.0; 4]; groups],
        }
    }

    /// Adds the row of this number.
    pub(super) fn push(&mut self, number: u64, weight: f64, weighted: f64, robust: f64) {
        if self.groups.is_empty() {
            return;
        }
        // Of so many rows in a row, each goes to another group.
        let scrambled = number ^ mix(self.seed ^ mix(number / GROUPS as u64));
        let group = usize::try_from(scrambled % GROUPS as u64).unwrap_or(0);
        for (sum, term) in self.groups[group]
            .iter_mut()
            .zip([1.0, weight, weighted, robust])
        {
            *sum += term;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.groups.iter_mut().zip(&other.groups) {
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                *ours += theirs;
            }
        }
    }

    /// The sums of every replicate.
    pub(super) fn finish(&self) -> Vec<Sums> {
        let mut all = vec![[0.0; 4]; self.replicates];
        for (number, group) in (0_u64..).zip(&self.groups) {
            let start = mix(!self.seed ^ mix(number));
            let mut bits = 0;
            for (replicate, sums) in all.iter_mut().enumerate() {
                if replicate % LANES == 0 {
                    bits = mix(start.wrapping_add((replicate / LANES) as u64));
                }
                let [low, high, ..] = bits.to_le_bytes();
                let count = f64::from(POISSON[usize::from(u16::from_le_bytes([low, high]))]);
                bits >>= 16;
                for (sum, term) in sums.iter_mut().zip(group) {
                    *sum += count * term;
                }
            }
        }
        all
    }
}

/// Percentiles of a value over the replicates; `None` with fewer than twenty that have one.
pub(super) fn percentiles(
    replicates: &[Sums],
    level: Level,
    of: impl Fn(&Sums) -> f64,
) -> Option<Interval> {
    let mut values: Vec<f64> = replicates.iter().map(of).collect();
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    if values.len() < 20 {
        return None;
    }
    Some(Interval {
        level,
        lo: percentile(&values, 0.5 * (1.0 - level.value())),
        hi: percentile(&values, 0.5 * (1.0 + level.value())),
    })
}

/// Percentile of sorted values, between neighbours in proportion.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the list"
    )]
    let low = at.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (at - low as f64) * (sorted[high] - sorted[low])
}

/// A power of two.
const GROUPS: usize = 4_096;

/// A random number of 64 bits gives four of 16.
const LANES: usize = 4;

/// For each number of 16 bits, the Poisson number of mean 1 that it stands for.
static POISSON: [u8; 1 << 16] = poisson();

#[expect(clippy::large_stack_arrays, reason = "computed by the compiler")]
const fn poisson() -> [u8; 1 << 16] {
    // 2^16 times the probability of at most 0, 1, ... 7.
    let up_to = [
        24_109, 48_218, 60_273, 64_291, 65_296, 65_497, 65_530, 65_535,
    ];
    let mut counts = [8; 1 << 16];
    let mut from = 0;
    let mut count: u8 = 0;
    while (count as usize) < up_to.len() {
        while from < up_to[count as usize] {
            counts[from] = count;
            from += 1;
        }
        count += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Terms of skewed rows, of mean 1 and variance 1.
    fn term(row: u64) -> f64 {
        -(((mix(row) >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0).ln()
    }

    #[test]
    fn the_spread_of_replicates_is_the_standard_error() {
        // A thousand replicates of 4,096 groups: the deviation errs by 2.2 % and 1.1 %; 10 % is four times as much.
        for rows in [2_000_u64, 50_000] {
            let mut bootstrap = Bootstrap::new(1_000, 7);
            for row in 0..rows {
                bootstrap.push(row, 1.0, term(row), term(row));
            }
            let replicates = bootstrap.finish();
            let means: Vec<f64> = replicates.iter().map(|sums| sums[2] / sums[0]).collect();
            let mean = means.iter().sum::<f64>() / 1_000.0;
            let variance = means.iter().map(|m| (m - mean) * (m - mean)).sum::<f64>() / 999.0;
            let terms: Vec<f64> = (0..rows).map(term).collect();
            let true_mean = terms.iter().sum::<f64>() / rows as f64;
            let spread = terms
                .iter()
                .map(|t| (t - true_mean) * (t - true_mean))
                .sum::<f64>();
            let expected = (spread / rows as f64 / rows as f64).sqrt();
            assert!(
                (variance.sqrt() / expected - 1.0).abs() < 0.1,
                "{rows}: {variance} {expected}"
            );
            assert!((mean - true_mean).abs() < expected, "{rows}");
        }
    }

    #[test]
    fn few_rows_have_a_group_each_and_parts_merge() {
        let mut whole = Bootstrap::new(40, 3);
        let mut parts = [Bootstrap::new(40, 3), Bootstrap::new(40, 3)];
        for row in 0..4_096 {
            whole.push(row, 1.0, 0.5, 0.25);
            parts[usize::from(row % 5 == 0)].push(row, 1.0, 0.5, 0.25);
        }
        assert!(whole.groups.iter().all(|group| group[0] == 1.0));
        let [mut first, second] = parts;
        first.merge(&second);
        assert_eq!(first.finish(), whole.finish());
        assert!(Bootstrap::new(0, 3).finish().is_empty());
    }
}
