use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Event;
use crate::pattern::matches;

/// What a [`RewardState`](crate::RewardState) tells apart of the events of an arm.
///
/// The default keeps one sum an arm. A policy that forgets needs the events by age, a bootstrap needs sums of its
/// own for each replicate, weights against censoring need the events by kind of client. Each policy says by
/// [`PolicySpec::memory`](crate::PolicySpec::memory) what it needs, and takes no other state: so its probabilities
/// follow from its text and the log, and from nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Milliseconds after which an event counts half; `None` if nothing is forgotten.
    pub half_life_ms: Option<i64>,
    /// The same for some arms, by name or id, in place of the one for all.
    pub arms: BTreeMap<String, i64>,
    /// Replicates of a bootstrap beside the sums of all events.
    pub replicates: u32,
    /// Whether kinds of clients are told apart.
    pub by_stratum: bool,
    /// Whether decisions are counted that have no reward, or none yet.
    pub counts_decisions: bool,
    /// How many of the latest decisions are kept one by one, beside the sums: each needs an id or a time of its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(window: &u32) -> bool {
    *window == 0
}

/// Which part of an arm's events an event belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    /// Quarters of the half-life since 1970; 0 if nothing is forgotten.
    pub(crate) epoch: i64,
    /// 0 if kinds of clients are not told apart.
    pub(crate) stratum: u32,
}

impl Memory {
    /// Whether it keeps one sum an arm and no more.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The half-life of an arm, in milliseconds: by its id before its name before that of all.
    pub(crate) fn half_life_ms(&self, arm: &str) -> Option<i64> {
        let own = self.arms.get(arm).copied();
        let by_name = || {
            let named = self.arms.iter().find(|(pattern, _)| matches(pattern, arm));
            named.map(|(_, half_life)| *half_life)
        };
        own.or_else(by_name).or(self.half_life_ms)
    }

    /// Whether events are told apart by age.
    pub(crate) fn forgets(&self) -> bool {
        self.half_life_ms.is_some() || !self.arms.is_empty()
    }

    /// The epoch of a time, as an arm counts them.
    pub(crate) fn epoch(&self, arm: &str, at_ms: i64) -> i64 {
        if !self.forgets() {
            return 0;
        }
        self.half_life_ms(arm).map_or(0, |half_life| {
            at_ms.div_euclid((half_life / EPOCHS_A_HALF_LIFE).max(1))
        })
    }

    /// Which unit of the shortest epoch of all a time is in.
    pub(crate) fn tick(&self, at_ms: i64) -> i64 {
        let all = self.arms.values().copied().chain(self.half_life_ms);
        all.min().map_or(0, |shortest| {
            at_ms.div_euclid((shortest / EPOCHS_A_HALF_LIFE).max(1))
        })
    }

    pub(crate) fn part(&self, event: &Event<'_>) -> Part {
        Part {
            epoch: self.epoch(event.arm, event.at_ms),
            stratum: if self.by_stratum {
                event.stratum % STRATA
            } else {
                0
            },
        }
    }

    /// How much an event of this epoch counts, in (0, 1], in epoch `now`; 0 once it is forgotten.
    pub(crate) fn weight(epoch: i64, now: i64) -> f64 {
        let age = (now - epoch).max(0);
        if age == 0 {
            return 1.0;
        }
        if age > EPOCHS_KEPT {
            return 0.0;
        }
        let halvings = age as f64 / EPOCHS_A_HALF_LIFE as f64;
        libm::exp2(-halvings)
    }
}

/// Ages are told apart by this part of a half-life.
const EPOCHS_A_HALF_LIFE: i64 = 4;

/// Eight half-lives: what is older counts less than 1/256 and is dropped.
pub(crate) const EPOCHS_KEPT: i64 = 8 * EPOCHS_A_HALF_LIFE;

/// Kinds of clients that are told apart at most; more share numbers.
pub(crate) const STRATA: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arms_own_half_life_stands_above_that_of_all() {
        let memory = Memory {
            half_life_ms: Some(400),
            arms: BTreeMap::from([("a".to_owned(), 40), ("a@2".to_owned(), 4_000)]),
            ..Memory::default()
        };
        assert_eq!(memory.half_life_ms("b@1"), Some(400));
        assert_eq!(memory.half_life_ms("a@1"), Some(40));
        assert_eq!(memory.half_life_ms("a@2"), Some(4_000));
        assert_eq!(memory.epoch("b@1", 1_050), 10);
        assert_eq!(memory.epoch("b@1", -1), -1);
        assert_eq!(Memory::default().epoch("b@1", 1_050), 0);
    }

    #[test]
    fn an_event_counts_half_after_a_half_life_and_nothing_after_eight() {
        assert_eq!(Memory::weight(7, 7), 1.0);
        assert_eq!(Memory::weight(3, 7), 0.5);
        assert_eq!(Memory::weight(9, 7), 1.0);
        assert_eq!(Memory::weight(0, 32), 1.0 / 256.0);
        assert_eq!(Memory::weight(0, 33), 0.0);
    }
}
