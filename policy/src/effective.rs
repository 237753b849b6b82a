//! How much each event counts when a policy is built.

use std::collections::BTreeMap;

use crate::RewardState;
use crate::ages::Ages;
use crate::arm_sums::ArmSums;
use crate::change::Changes;
use crate::memory::{Memory, STRATA};
use crate::reward_state::Inheritance;

/// Sums of an arm, and how many events they stand for.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    pub(crate) sums: ArmSums,
    pub(crate) weight: f64,
}

/// The events of all arms, each with the weight that its age, a change since then, and its kind of client give it.
#[derive(Debug)]
pub(crate) struct Effective {
    own: BTreeMap<String, Events>,
    pub(crate) totals: Totals,
}

/// What all arms have earned together, each event counted for its own arm only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Totals {
    /// How many events there are.
    pub(crate) weight: f64,
    /// What they earned.
    reward: f64,
    /// How many events all replicates see together, each counted once.
    pub(crate) count: u64,
}

impl Totals {
    pub(crate) fn new(state: &RewardState, replicate: usize, changes: &Changes) -> Self {
        let (mut weight, mut reward, mut count) = (0.0, 0.0, 0);
        let forgets = state.memory().forgets();
        for (arm, ages) in state.ages() {
            let (mut of_arm, mut earned) = (0.0, 0.0);
            for (part, kept) in ages.parts() {
                count += kept.sums[0].count;
                if let Some(sums) = kept.sums.get(replicate) {
                    let counts = if forgets {
                        Memory::weight(part.epoch, state.epoch(arm))
                            * changes.weight(arm, part.epoch)
                    } else {
                        1.0
                    };
                    of_arm += sums.count as f64 * counts;
                    earned += sums.reward * counts;
                }
            }
            // Exact where all events count alike: the order, which follows the names of the arms, does not matter then.
            weight += of_arm;
            reward += earned;
        }
        Self {
            weight,
            reward,
            count,
        }
    }

    /// The mean reward, shrunk to [`PRIOR_MEAN`] by [`PRIOR_WEIGHT`] events.
    pub(crate) fn mean(self) -> f64 {
        (self.reward + PRIOR_MEAN * PRIOR_WEIGHT) / (self.weight + PRIOR_WEIGHT)
    }
}

impl Effective {
    /// The events as one replicate counts them; 0 is the sum over all.
    pub(crate) fn new(state: &RewardState, replicate: usize, changes: &Changes) -> Self {
        let own = |(arm, ages): (&String, &Ages)| {
            let events = own_events(state, arm, ages, replicate, changes);
            (arm.clone(), events)
        };
        Self {
            own: state.ages().iter().map(own).collect(),
            totals: Totals::new(state, replicate, changes),
        }
    }

    /// The events of each arm in force and what it inherits, in the order of their ids.
    pub(crate) fn in_force(&self, state: &RewardState) -> BTreeMap<String, Events> {
        let is_in_force = |arm: &String| !state.is_retired(arm);
        let known = self.own.iter().filter(|(arm, _)| is_in_force(arm));
        let known = known.filter(|(_, events)| events.weight > 0.0);
        let mut effective: BTreeMap<String, Events> = known
            .map(|(arm, events)| (arm.clone(), events.clone()))
            .collect();
        for heir in state.lineage().keys().filter(|arm| is_in_force(arm)) {
            let mut sums = ArmSums::new(state.schema().dimension);
            let (mut arm, mut widen, mut weight) = (heir.as_str(), 1.0, 0.0);
            loop {
                if let Some(own) = self.own.get(arm) {
                    sums.add_share(&own.sums, widen);
                    weight += own.weight / widen;
                }
                let Some(Inheritance { from, widen: more }) = state.lineage().get(arm) else {
                    break;
                };
                arm = from;
                widen *= more;
            }
            effective.insert(heir.clone(), Events { sums, weight });
        }
        effective
    }
}

/// The sums of an arm's own events.
fn own_events(
    state: &RewardState,
    arm: &str,
    ages: &Ages,
    replicate: usize,
    changes: &Changes,
) -> Events {
    let now = state.epoch(arm);
    let observed = observed(state.memory(), ages);
    let mut all: Option<Events> = None;
    for (part, kept) in ages.parts() {
        let Some(sums) = kept.sums.get(replicate) else {
            continue;
        };
        let weight = Memory::weight(part.epoch, now)
            * changes.weight(arm, part.epoch)
            * observed.get(part.stratum as usize).unwrap_or(&1.0);
        let widen = 1.0 / weight;
        if let Some(all) = &mut all {
            all.sums.add_share(sums, widen);
            all.weight += sums.count as f64 * weight;
        } else if weight.to_bits() != 1.0_f64.to_bits() {
            let mut first = ArmSums::new(state.schema().dimension);
            first.add_share(sums, widen);
            let weight = sums.count as f64 * weight;
            all = Some(Events {
                sums: first,
                weight,
            });
        } else {
            let (sums, weight) = (sums.clone(), sums.count as f64);
            all = Some(Events { sums, weight });
        }
    }
    all.unwrap_or_else(|| Events {
        sums: ArmSums::new(state.schema().dimension),
        weight: 0.0,
    })
}

/// How much an observed reward of each stratum counts: one over the share of the arm's decisions in this stratum whose
/// reward was observed (inverse probability of censoring weights, Robins, Rotnitzky, Zhao 1994), in units that make
/// the mean weight of an arm's rewards 1.
fn observed(memory: &Memory, ages: &Ages) -> Vec<f64> {
    if !memory.by_stratum {
        return Vec::new();
    }
    let mut counts = vec![(0.0, 0.0); STRATA as usize];
    for (part, kept) in ages.parts() {
        let (decisions, observed) = &mut counts[part.stratum as usize % STRATA as usize];
        *decisions += kept.decisions as f64;
        *observed += kept.sums[0].count as f64;
    }
    // A decision that was noted late may have its reward already.
    let inverse = |&(decisions, observed): &(f64, f64)| {
        if observed > 0.0 {
            (decisions / observed).clamp(1.0, INVERSE_MOST)
        } else {
            1.0
        }
    };
    let weights: Vec<f64> = counts.iter().map(inverse).collect();
    let all: f64 = counts.iter().map(|(_, observed)| observed).sum();
    let weighed: f64 = counts.iter().zip(&weights).map(|((_, n), w)| n * w).sum();
    let scale = if weighed > 0.0 { all / weighed } else { 1.0 };
    weights.iter().map(|weight| weight * scale).collect()
}

/// A stratum whose rewards are hardly ever seen counts no more than this.
const INVERSE_MOST: f64 = 20.0;

/// The mean reward before any event.
const PRIOR_MEAN: f64 = 0.5;

/// How many events the prior mean counts for.
const PRIOR_WEIGHT: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, FeatureSchema, Features};
    use std::collections::BTreeMap;

    const SCHEMA: FeatureSchema = FeatureSchema {
        dimension: 2,
        version: 1,
    };

    fn x() -> Features {
        Features::from_logged(vec![1.0, 0.5], &SCHEMA).unwrap()
    }

    fn of(state: &RewardState) -> Effective {
        Effective::new(state, 0, &Changes::default())
    }

    #[test]
    fn an_event_counts_half_for_each_half_life_of_its_arm() {
        let memory = Memory {
            half_life_ms: Some(4_000),
            arms: BTreeMap::from([("slow".to_owned(), 8_000)]),
            ..Memory::default()
        };
        let mut state = RewardState::remembering(&SCHEMA, memory);
        let x = x();
        for arm in ["quick@1", "slow@1"] {
            state.update(&Event::new(arm, &x).at(0), 1.0).unwrap();
            state.update(&Event::new(arm, &x).at(8_000), 0.0).unwrap();
        }
        let effective = of(&state);
        let events = effective.in_force(&state);
        assert_eq!(events["quick@1"].weight, 1.25);
        assert_eq!(events["quick@1"].sums.reward, 0.25);
        assert_eq!(events["slow@1"].weight, 1.5);
        assert_eq!(events["slow@1"].sums.xr, [0.5, 0.25]);
        assert_eq!(effective.totals.mean(), (0.75 + 0.5) / (2.75 + 1.0));
    }

    #[test]
    fn what_is_seen_less_often_counts_for_more() {
        let memory = Memory {
            by_stratum: true,
            counts_decisions: true,
            ..Memory::default()
        };
        let mut state = RewardState::remembering(&SCHEMA, memory);
        let x = x();
        // Of client 1 every second reward is seen, of client 2 all are.
        for id in 0..8 {
            let event = Event::new("a@1", &x)
                .with_id(id)
                .of_stratum(1 + u32::from(id >= 4));
            state.decided(&event).unwrap();
            if id >= 4 || id % 2 == 0 {
                state.update(&event, f64::from(u8::from(id < 4))).unwrap();
            }
        }
        let events = &of(&state).in_force(&state)["a@1"];
        assert!((events.weight - 6.0).abs() < 1e-12);
        // Half of the decisions are client 1's, which earn 1.
        assert!((events.sums.reward / events.weight - 0.5).abs() < 1e-12);
        assert_eq!(state.mean("a@1"), Some(1.0 / 3.0));
    }
}
