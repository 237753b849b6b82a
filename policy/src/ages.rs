use std::collections::BTreeMap;

use rand_chacha::rand_core::Rng;

use crate::arm_sums::ArmSums;
use crate::memory::{EPOCHS_KEPT, Part};
use crate::sampler::{DrawKey, Purpose, unit};

/// The events of one arm, in the parts that its [`Memory`](crate::Memory) tells apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ages {
    parts: BTreeMap<Part, Kept>,
}

/// What is kept of the events of one part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    /// Decisions, with and without a reward, where these are counted.
    pub(crate) decisions: u64,
    /// Sums over all events, then those of each replicate.
    pub(crate) sums: Vec<ArmSums>,
}

impl Kept {
    pub(crate) fn new(dimension: usize, replicates: u32) -> Self {
        let sums = (0..=replicates).map(|_| ArmSums::new(dimension));
        Self {
            decisions: 0,
            sums: sums.collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.decisions == 0 && self.sums[0].count == 0
    }

    /// Does something with the sums of every replicate that counts the event, and with how often it does.
    pub(crate) fn each(&mut self, id: u128, mut on: impl FnMut(&mut ArmSums, u32)) {
        let (all, replicates) = self.sums.split_at_mut(1);
        on(&mut all[0], 1);
        if replicates.is_empty() {
            return;
        }
        let mut times = counts(id);
        for sums in replicates {
            match times.next() {
                Some(times) if times > 0 => on(sums, times),
                _ => {}
            }
        }
    }
}

impl Ages {
    /// Plain sums, of which nothing is told apart.
    pub(crate) fn plain(sums: ArmSums) -> Self {
        let (part, decisions) = (Part::default(), 0);
        let sums = vec![sums];
        Self {
            parts: BTreeMap::from([(part, Kept { decisions, sums })]),
        }
    }

    pub(crate) fn parts(&self) -> &BTreeMap<Part, Kept> {
        &self.parts
    }

    pub(crate) fn part_mut(&mut self, part: Part) -> Option<&mut Kept> {
        self.parts.get_mut(&part)
    }

    pub(crate) fn part_or_new(
        &mut self,
        part: Part,
        dimension: usize,
        replicates: u32,
    ) -> &mut Kept {
        self.parts
            .entry(part)
            .or_insert_with(|| Kept::new(dimension, replicates))
    }

    /// Whether there was no part there before.
    pub(crate) fn insert(&mut self, part: Part, kept: Kept) -> bool {
        self.parts.insert(part, kept).is_none()
    }

    /// Drops a part that holds nothing any more.
    pub(crate) fn tidy(&mut self, part: Part) {
        if self.parts.get(&part).is_some_and(Kept::is_empty) {
            self.parts.remove(&part);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Drops what is forgotten by this epoch.
    pub(crate) fn forget(&mut self, now: i64) {
        let from = Part {
            epoch: now.saturating_sub(EPOCHS_KEPT),
            stratum: 0,
        };
        if self
            .parts
            .first_key_value()
            .is_some_and(|(part, _)| *part < from)
        {
            self.parts = self.parts.split_off(&from);
        }
    }

    /// How many events there are.
    pub(crate) fn count(&self) -> u64 {
        self.parts.values().map(|kept| kept.sums[0].count).sum()
    }

    /// The sum over all parts of one number of the sums of all events.
    pub(crate) fn total(&self, of: impl Fn(&ArmSums) -> f64) -> f64 {
        let mut parts = self.parts.values().map(|kept| of(&kept.sums[0]));
        let first = parts.next().unwrap_or(0.0);
        parts.fold(first, |sum, part| sum + part)
    }

    /// Adds the events of another arm's ages, which have as many replicates.
    pub(crate) fn merge(&mut self, other: &Self, dimension: usize) {
        for (part, theirs) in &other.parts {
            let replicates = u32::try_from(theirs.sums.len() - 1).unwrap_or(u32::MAX);
            let mine = self.part_or_new(*part, dimension, replicates);
            mine.decisions += theirs.decisions;
            for (mine, theirs) in mine.sums.iter_mut().zip(&theirs.sums) {
                mine.count += theirs.count;
                mine.add_share(theirs, 1.0);
            }
        }
    }
}

/// How often each replicate counts the event of this decision: Poisson numbers of mean 1 (Oza and Russell 2001,
/// "Online bagging and boosting"), which follow from the id alone.
pub(crate) fn counts(id: u128) -> impl Iterator<Item = u32> {
    let key = DrawKey {
        seed: 0,
        decision: id,
    };
    let mut generator = key.generator(Purpose::Bootstrap);
    std::iter::repeat_with(move || poisson(unit(generator.next_u64())))
}

/// The quantile of the Poisson distribution of mean 1.
fn poisson(u: f64) -> u32 {
    let mut probability = libm::exp(-1.0);
    let mut cumulative = probability;
    let mut count = 0;
    while u >= cumulative && count < COUNT_MOST {
        count += 1;
        probability /= f64::from(count);
        cumulative += probability;
    }
    count
}

/// Beyond it lies one event in a hundred million.
const COUNT_MOST: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_poisson_numbers_of_mean_one() {
        // Of 40,000 numbers the mean has a deviation of 0.005, and the share of zeros, e^-1 = 0.3679, one of 0.0024;
        // five deviations are exceeded by chance once in a million.
        let all: Vec<u32> = (0..5_000).flat_map(|id| counts(id).take(8)).collect();
        let n = all.len() as f64;
        let mean = all.iter().map(|&k| f64::from(k)).sum::<f64>() / n;
        let zeros = all.iter().filter(|&&k| k == 0).count() as f64 / n;
        assert!((mean - 1.0).abs() < 0.025, "{mean}");
        assert!((zeros - 0.3679).abs() < 0.0121, "{zeros}");
        assert_eq!(poisson(0.0), 0);
        assert_eq!(poisson(0.9), 2);
        assert_eq!(poisson(1.0), COUNT_MOST);
        assert!(counts(9).take(8).eq(counts(9).take(8)));
    }
}
