//! Whether the log is of one piece: did the policy that wrote it change, or what it earned?

use std::collections::BTreeMap;

use serde::Serialize;

/// A log in four parts of equally many rows, in their order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// The parts.
    pub quarters: Vec<Quarter>,
    /// The greatest total variation between the mean logged probabilities of two parts, in [0, 1]: 0 if every arm was as
    /// likely all the time. Where the probability of the arm served alone is known, the shares served stand in for them.
    pub policy_shift: f64,
    /// Mean reward of the last part less that of the first.
    pub reward_shift: f64,
    /// The same in standard errors; `None` if no reward varies.
    pub reward_z: Option<f64>,
}

/// One part of a log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quarter {
    /// Its rows.
    pub rows: u64,
    /// Their mean reward.
    pub mean_reward: f64,
    /// Mean logged probability of each arm, in the order of the arms.
    pub shares: Vec<f64>,
}

/// Sums over stretches of a log, which merge. There are never more than [`STRETCHES_MOST`]: stretches grow with the log.
#[derive(Clone, Debug)]
pub(crate) struct DriftSums {
    /// A stretch has two to this many numbers.
    width: u32,
    stretches: BTreeMap<u64, Stretch>,
    /// The stretch that rows are being added to.
    current: (u64, Stretch),
}

impl Default for DriftSums {
    fn default() -> Self {
        Self {
            width: WIDTH,
            stretches: BTreeMap::new(),
            current: (0, Stretch::default()),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Stretch {
    rows: u64,
    reward: f64,
    squared: f64,
    shares: Vec<f64>,
}

impl Stretch {
    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.reward += other.reward;
        self.squared += other.squared;
        if self.shares.len() < other.shares.len() {
            self.shares.resize(other.shares.len(), 0.0);
        }
        for (ours, theirs) in self.shares.iter_mut().zip(&other.shares) {
            *ours += theirs;
        }
    }

    fn mean(&self) -> f64 {
        self.reward / self.rows as f64
    }

    fn squared_error(&self) -> f64 {
        let mean = self.mean();
        (self.squared / self.rows as f64 - mean * mean).max(0.0) / self.rows as f64
    }
}

impl DriftSums {
    /// Adds the row of this number, with the share of each arm by its place.
    pub(crate) fn push(
        &mut self,
        number: u64,
        reward: f64,
        shares: impl IntoIterator<Item = (usize, f64)>,
    ) {
        if self.current.0 != number >> self.width {
            self.close();
            self.current.0 = number >> self.width;
        }
        let stretch = &mut self.current.1;
        stretch.rows += 1;
        stretch.reward += reward;
        stretch.squared += reward * reward;
        for (arm, share) in shares {
            if stretch.shares.len() <= arm {
                stretch.shares.resize(arm + 1, 0.0);
            }
            stretch.shares[arm] += share;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.close();
        while self.width < other.width {
            self.widen();
        }
        let theirs = other
            .stretches
            .iter()
            .map(|(place, stretch)| (*place, stretch));
        for (place, stretch) in theirs.chain([(other.current.0, &other.current.1)]) {
            if stretch.rows > 0 {
                let place = place >> (self.width - other.width);
                self.stretches.entry(place).or_default().add(stretch);
            }
        }
        while self.stretches.len() > STRETCHES_MOST {
            self.widen();
        }
    }

    /// Puts the rows of the current stretch where they belong.
    fn close(&mut self) {
        let (place, stretch) = &mut self.current;
        let stretch = std::mem::take(stretch);
        if stretch.rows > 0 {
            self.stretches.entry(*place).or_default().add(&stretch);
        }
        while self.stretches.len() > STRETCHES_MOST {
            self.widen();
        }
    }

    /// Makes one of every two stretches.
    fn widen(&mut self) {
        self.width += 1;
        for (place, stretch) in std::mem::take(&mut self.stretches) {
            self.stretches.entry(place >> 1).or_default().add(&stretch);
        }
        self.current.0 >>= 1;
    }

    /// `None` if there are too few rows to tell parts apart.
    pub(crate) fn finish(mut self) -> Option<Drift> {
        self.close();
        let total: u64 = self.stretches.values().map(|stretch| stretch.rows).sum();
        if self.stretches.len() < 2 * PARTS || total < ROWS_LEAST {
            return None;
        }
        let mut parts = vec![Stretch::default(); PARTS];
        let mut before = 0;
        for stretch in self.stretches.values() {
            // By the middle of the stretch.
            let at = (before + stretch.rows / 2) * PARTS as u64 / total;
            let place = usize::try_from(at).unwrap_or(0).min(PARTS - 1);
            parts[place].add(stretch);
            before += stretch.rows;
        }
        if parts.iter().any(|part| part.rows == 0) {
            return None;
        }
        let arms = parts.iter().map(|part| part.shares.len()).max()?;
        let quarter = |part: &Stretch| {
            let mut shares: Vec<f64> = part.shares.iter().map(|s| s / part.rows as f64).collect();
            shares.resize(arms, 0.0);
            Quarter {
                rows: part.rows,
                mean_reward: part.mean(),
                shares,
            }
        };
        let quarters: Vec<Quarter> = parts.iter().map(quarter).collect();
        let (first, last) = (&parts[0], &parts[PARTS - 1]);
        let reward_shift = last.mean() - first.mean();
        let error = (first.squared_error() + last.squared_error()).sqrt();
        Some(Drift {
            policy_shift: greatest_variation(&quarters),
            reward_shift,
            reward_z: (error > 0.0).then(|| reward_shift / error),
            quarters,
        })
    }
}

fn greatest_variation(quarters: &[Quarter]) -> f64 {
    let mut greatest: f64 = 0.0;
    for (place, one) in quarters.iter().enumerate() {
        for other in &quarters[..place] {
            let pairs = one.shares.iter().zip(&other.shares);
            let variation = pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0;
            greatest = greatest.max(variation);
        }
    }
    greatest
}

impl Drift {
    /// What a reader must know of it, in whole sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.policy_shift > POLICY_SHIFT {
            notes.push(format!(
                "The policy that wrote the log changed: its mean probabilities moved by {:.0} % of all decisions between \
                 two quarters of the log. If it learned from these rows, trust the interval of `aw-aipw`.",
                100.0 * self.policy_shift
            ));
        }
        if let Some(z) = self.reward_z.filter(|z| z.abs() > REWARD_Z) {
            notes.push(format!(
                "What was served earned {:+.4} more in the last quarter than in the first, {:.1} standard errors: the \
                 values are means over a time in which something changed.",
                self.reward_shift,
                z.abs()
            ));
        }
        notes
    }
}

/// A stretch is 64 records at first, of which decisions are a part.
const WIDTH: u32 = 6;

/// Enough to cut a log into four parts almost evenly.
const STRETCHES_MOST: usize = 512;

/// Parts that are told apart.
const PARTS: usize = 4;

/// Fewer rows say nothing.
const ROWS_LEAST: u64 = 400;

/// A policy that moves less is of one piece.
const POLICY_SHIFT: f64 = 0.1;

/// Rewards that move less may do so by chance: once in 16,000 logs.
const REWARD_Z: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_compared_and_merge_in_any_order() {
        let mut parts = [DriftSums::default(), DriftSums::default()];
        for row in 0..400_000_u64 {
            let late = row >= 300_000;
            let share = if late { 0.9 } else { 0.5 };
            let reward = if late {
                (row % 2) as f64
            } else {
                (row % 4 / 3) as f64
            };
            let part = &mut parts[usize::from(row % 3 == 0)];
            part.push(row, reward, [(0, share), (1, 1.0 - share)]);
        }
        let [mut one, other] = parts;
        one.merge(&other);
        let drift = one.finish().unwrap();
        assert!((drift.policy_shift - 0.4).abs() < 0.02, "{drift:?}");
        assert!((drift.reward_shift - 0.25).abs() < 0.02, "{drift:?}");
        assert_eq!(drift.notes().len(), 2);
        assert_eq!(drift.quarters.iter().map(|q| q.rows).sum::<u64>(), 400_000);
    }

    #[test]
    fn a_log_of_one_piece_has_no_notes_and_a_short_one_no_parts() {
        let mut sums = DriftSums::default();
        for row in 0..4_000_u64 {
            sums.push(row, (row % 2) as f64, [(0, 0.5), (1, 0.5)]);
        }
        let drift = sums.finish().unwrap();
        assert!(
            drift.policy_shift < 1e-12 && drift.notes().is_empty(),
            "{drift:?}"
        );
        let mut short = DriftSums::default();
        for row in 0..300 {
            short.push(row, 1.0, [(0, 1.0)]);
        }
        assert_eq!(short.finish(), None);
    }
}
