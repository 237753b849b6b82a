//! Counting what may come next, and turning the counts into probabilities.

use crate::symbol::Symbol;

/// How much of the context an occurrence shares, as a step on [`DEPTHS`].
pub(crate) type Level = usize;

/// The number of levels.
pub(crate) const LEVELS: usize = 10;

/// The least number of shared tokens of each level.
pub(crate) const DEPTHS: [usize; LEVELS] = [0, 1, 2, 3, 4, 5, 6, 8, 12, 20];

/// The highest level that `shared` tokens reach.
pub(crate) fn level(shared: usize) -> Level {
    DEPTHS.partition_point(|&depth| depth <= shared) - 1
}

/// A token that may come next.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) symbol: Symbol,
    pub(crate) text: &'a str,
    /// Evidence by level: occurrences that share at least so much of the context.
    counts: [f32; LEVELS],
}

/// Weighted counts of what follows the contexts like the present one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally<'a> {
    candidates: Vec<Candidate<'a>>,
    totals: [f32; LEVELS],
    distinct: [f32; LEVELS],
}

impl<'a> Tally<'a> {
    pub(crate) fn clear(&mut self) {
        self.candidates.clear();
        self.totals = [0.0; LEVELS];
        self.distinct = [0.0; LEVELS];
    }

    /// Adds `weight` occurrences of `symbol` at every level of `levels`.
    pub(crate) fn add(
        &mut self,
        levels: std::ops::RangeInclusive<Level>,
        symbol: Symbol,
        text: &'a str,
        weight: f32,
    ) {
        let known = self
            .candidates
            .iter()
            .position(|candidate| candidate.symbol == symbol);
        let index = match known {
            Some(index) => index,
            None if self.candidates.len() < MAX_CANDIDATES => {
                self.candidates.push(Candidate {
                    symbol,
                    text,
                    counts: [0.0; LEVELS],
                });
                self.candidates.len() - 1
            }
            None => return self.add_other(levels, weight),
        };
        for level in levels {
            let count = &mut self.candidates[index].counts[level];
            if *count == 0.0 {
                self.distinct[level] += 1.0;
            }
            *count += weight;
            self.totals[level] += weight;
        }
    }

    /// Adds occurrences of something that cannot be proposed.
    pub(crate) fn add_other(&mut self, levels: std::ops::RangeInclusive<Level>, weight: f32) {
        for level in levels {
            self.totals[level] += weight;
            self.distinct[level] += 0.5;
        }
    }

    /// The likeliest candidate and its probability; of equals, the first added.
    ///
    /// Each level is interpolated with the ones below by Witten and Bell's rule (1991, method C):
    /// `p = (count + distinct * p_below) / (total + distinct)`, `distinct` scaled by `doubt`.
    pub(crate) fn best(&self, doubt: f32) -> Option<(&Candidate<'a>, f32)> {
        let mut best: Option<(&Candidate, f32)> = None;
        for candidate in &self.candidates {
            let probability = self.probability(candidate, doubt);
            if best.is_none_or(|(_, so_far)| probability > so_far) {
                best = Some((candidate, probability));
            }
        }
        best
    }

    fn probability(&self, candidate: &Candidate, doubt: f32) -> f32 {
        let mut probability = 0.0;
        for level in 0..LEVELS {
            let total = self.totals[level];
            if total > 0.0 {
                let escape = self.distinct[level] * doubt;
                probability = (candidate.counts[level] + escape * probability) / (total + escape);
            }
        }
        probability
    }
}

/// Candidates kept apart; occurrences of further ones only lower the probabilities.
const MAX_CANDIDATES: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for (shared, expected) in [(0, 0), (1, 1), (6, 6), (7, 6), (8, 7), (19, 8), (500, 9)] {
            assert_eq!(level(shared), expected);
        }
    }

    #[test]
    fn longer_contexts_decide() {
        let mut tally = Tally::default();
        let [a, b] = ["a", "b"].map(|text| (Symbol::text(text, false), text));
        tally.add(1..=1, a.0, a.1, 10.0);
        tally.add(1..=4, b.0, b.1, 2.0);
        let (best, probability) = tally.best(1.0).expect("two candidates");
        assert_eq!(best.text, "b");
        assert!(probability > 0.5 && probability < 1.0, "{probability}");
        tally.add_other(1..=4, 20.0);
        assert!(tally.best(1.0).expect("two candidates").1 < 0.3);
        tally.clear();
        assert!(tally.best(1.0).is_none());
    }
}
