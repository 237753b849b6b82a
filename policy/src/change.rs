//! Whether an arm now earns other rewards than it did.

use std::collections::BTreeMap;

use crate::RewardState;
use crate::ages::Ages;
use crate::arm_sums::ArmSums;
use crate::memory::Memory;
use crate::triangle::Cholesky;

/// A change that was found in the rewards of an arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The arm.
    pub arm: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// Mean reward since then, less what the events before led to expect in the same contexts.
    pub shift: f64,
    /// How likely a shift of this size or more would be without any change, by the normal distribution.
    pub p_value: f64,
    /// The first epoch since the change.
    epoch: i64,
    /// How much the events before it still count.
    weight: f64,
}

/// The changes found in a state, one an arm at most.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Changes(BTreeMap<String, Change>);

impl Changes {
    /// Looks for a change in each arm's rewards, at a level of significance.
    ///
    /// As ADWIN does (Bifet and Gavalda 2007, "Learning from time-changing data with adaptive windowing"), the events are
    /// cut at several ages, and the parts before and after each cut are compared; but by what the part before predicts
    /// for the contexts of the part after, so that other requests are not taken for other rewards. With n events after the
    /// cut, of mean context x, and A the sums before it, a mean residual has the variance
    /// `s^2 (1/n + x' (A + I)^-1 x)`; s^2 is the variance of all rewards of the arm, which is on the safe side. The level
    /// is shared by the cuts. The cuts follow from the half-life, and everything from the sums: a reward that is revised
    /// changes the finding as if it had been so from the start.
    pub(crate) fn detect(state: &RewardState, level: Option<f64>) -> Self {
        let Some(level) = level else {
            return Self::default();
        };
        let mut changes = BTreeMap::new();
        for (arm, ages) in state.ages() {
            if let Some(change) = detect(state, arm, ages, level) {
                changes.insert(arm.clone(), change);
            }
        }
        Self(changes)
    }

    pub(crate) fn found(&self) -> Vec<Change> {
        self.0.values().cloned().collect()
    }

    /// How much an arm's events of an epoch count: those before a change, together, a tenth of those since. So what was
    /// true before is where the arm starts from, the arm is uncertain again, and little is left to outweigh what is true
    /// now.
    pub(crate) fn weight(&self, arm: &str, epoch: i64) -> f64 {
        let change = self.0.get(arm).filter(|change| epoch < change.epoch);
        change.map_or(1.0, |change| change.weight)
    }
}

fn detect(state: &RewardState, arm: &str, ages: &Ages, level: f64) -> Option<Change> {
    let memory = state.memory();
    let half_life = memory.half_life_ms(arm)?;
    let now = state.epoch(arm);
    let dimension = state.schema().dimension;
    let mut before = ArmSums::new(dimension);
    for kept in ages.parts().values() {
        before.count += kept.sums[0].count;
        before.add_share(&kept.sums[0], 1.0);
    }
    let variance = variance(&before);
    if variance <= 0.0 {
        return None;
    }
    let mut after = ArmSums::new(dimension);
    let mut parts = ages.parts().iter().rev().peekable();
    let mut found: Option<Change> = None;
    for cut in CUTS {
        let epoch = now - cut + 1;
        while let Some((_, kept)) = parts.next_if(|(part, _)| part.epoch >= epoch) {
            let sums = &kept.sums[0];
            after.count += sums.count;
            after.add_share(sums, 1.0);
            before.count -= sums.count;
            before.add_share(sums, -1.0);
        }
        if before.count < EVENTS_LEAST || after.count < EVENTS_LEAST {
            continue;
        }
        let Some((shift, deviation)) = shift(&before, &after, variance, dimension) else {
            continue;
        };
        let p_value = libm::erfc((shift / deviation).abs() / core::f64::consts::SQRT_2);
        let is_likeliest = found.as_ref().is_none_or(|known| p_value < known.p_value);
        if p_value < level / CUTS.len() as f64 && is_likeliest {
            let weigh = |is_after: bool| -> f64 {
                let parts = ages.parts().iter();
                parts
                    .filter(|(part, _)| (part.epoch >= epoch) == is_after)
                    .map(|(part, kept)| Memory::weight(part.epoch, now) * kept.sums[0].count as f64)
                    .sum()
            };
            let (old, new) = (weigh(false), weigh(true));
            found = Some(Change {
                arm: arm.to_owned(),
                since_ms: epoch.saturating_mul((half_life / 4).max(1)),
                shift,
                p_value,
                epoch,
                weight: (REMEMBERED * new / old.max(f64::MIN_POSITIVE)).min(1.0),
            });
        }
    }
    found
}

/// The mean residual of the later events under what the earlier ones predict, and its deviation if nothing changed.
fn shift(before: &ArmSums, after: &ArmSums, variance: f64, dimension: usize) -> Option<(f64, f64)> {
    let mean = before.reward / before.count as f64;
    let factor = Cholesky::new(&before.xx, 1.0, dimension)?;
    let mut theta: Vec<f64> = before
        .xr
        .iter()
        .zip(&before.x)
        .map(|(xr, x)| xr - mean * x)
        .collect();
    factor.solve(&mut theta);
    let n = after.count as f64;
    let x: Vec<f64> = after.x.iter().map(|x| x / n).collect();
    let predicted: f64 = mean + x.iter().zip(&theta).map(|(x, t)| x * t).sum::<f64>();
    let mut solved = x.clone();
    factor.solve(&mut solved);
    let leverage: f64 = x.iter().zip(&solved).map(|(x, s)| x * s).sum();
    let deviation = (variance * (1.0 / n + leverage)).sqrt();
    Some((after.reward / n - predicted, deviation))
}

fn variance(sums: &ArmSums) -> f64 {
    let n = sums.count as f64;
    if n < 2.0 {
        return 0.0;
    }
    let mean = sums.reward / n;
    (sums.reward_squared / n - mean * mean).max(0.0)
}

/// Epochs after each cut, the latest one among them.
const CUTS: [i64; 5] = [1, 2, 4, 8, 16];

/// What the events before a change count together, for each that came since.
const REMEMBERED: f64 = 0.1;

/// Fewer events before or after a cut say nothing.
const EVENTS_LEAST: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, FeatureSchema, Features};

    const SCHEMA: FeatureSchema = FeatureSchema {
        dimension: 4,
        version: 1,
    };

    /// A number in [0, 1) that follows from seed and step.
    fn chance(seed: u64, step: i64) -> f64 {
        let hash = crate::fnv::fnv1a_exact(&format!("{seed} {step}"));
        let mixed = (hash ^ (hash >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// 3,200 events, one a millisecond, of an arm whose reward depends on the context; it falls by `fall` at a step.
    /// From half-way on another kind of context is twice as frequent.
    fn world(seed: u64, fall: f64, at: i64) -> RewardState {
        let memory = Memory {
            half_life_ms: Some(1_600),
            ..Memory::default()
        };
        let mut state = RewardState::remembering(&SCHEMA, memory);
        for step in 0..3_200 {
            let share = if step < 1_600 { 0.3 } else { 0.6 };
            let is_easy = chance(seed, 2 * step) < share;
            let z = if is_easy { 1.0 } else { -1.0 };
            let x = Features::from_logged(vec![1.0, z, 0.5 * z, 0.0], &SCHEMA).unwrap();
            let likely = if is_easy { 0.8 } else { 0.3 } - if step >= at { fall } else { 0.0 };
            let reward = f64::from(u8::from(chance(seed, 2 * step + 1) < likely));
            state
                .update(&Event::new("a@1", &x).at(step), reward)
                .unwrap();
        }
        state
    }

    #[test]
    fn a_fall_of_the_reward_is_found_and_other_requests_are_not_taken_for_one() {
        // At a level of 0.01, 200 worlds without a change have 2 false alarms if the level is kept; more than 8 would
        // come by chance once in 4,000. The true variance being less than the one assumed, there are fewer.
        let alarms = (0..200).filter(|&seed| {
            let state = world(seed, 0.0, 0);
            !Changes::detect(&state, Some(0.01)).found().is_empty()
        });
        assert!(alarms.count() <= 8);
        for seed in 0..50 {
            let state = world(seed, 0.25, 2_900);
            let changes = Changes::detect(&state, Some(0.01));
            let found = changes.found();
            assert_eq!(found.len(), 1, "seed {seed}");
            assert!(found[0].shift < -0.1, "{found:?}");
            assert!(found[0].since_ms >= 2_400, "{found:?}");
            let (old, new) = (changes.weight("a@1", 0), changes.weight("a@1", 1_000_000));
            assert!(old < 0.05 && new == 1.0, "{old} {new}");
        }
        assert!(
            Changes::detect(&world(1, 0.25, 2_900), None)
                .found()
                .is_empty()
        );
    }

    #[test]
    fn a_state_that_forgets_nothing_has_no_changes() {
        let mut state = RewardState::new(&SCHEMA);
        let x = Features::from_logged(vec![1.0; 4], &SCHEMA).unwrap();
        for step in 0..200 {
            let reward = f64::from(u8::from(step < 100));
            state
                .update(&Event::new("a@1", &x).at(step), reward)
                .unwrap();
        }
        assert!(Changes::detect(&state, Some(0.5)).found().is_empty());
    }
}
