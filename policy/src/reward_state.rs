use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::arm_sums::ArmSums;
use crate::{FeatureSchema, Features, StateError};

/// All that was learned: per arm, sums over the events that carried a reward.
///
/// The state is nothing but sums, and the sums are exact: features lie on a grid, rewards are
/// rounded to multiples of 1/[`RewardState::REWARD_GRID`], and up to 33 million events an arm no
/// addition rounds. So any order of the same events gives the same state, states of disjoint
/// events merge to the state of all, and replacing or withdrawing a reward gives the state that
/// would have been without it, all of it bit for bit. What a policy needs beyond the sums is
/// computed when a [`Policy`](crate::Policy) is built.
///
/// An arm that inherits is recorded as a heir; its own sums stay its own, and its predecessor's
/// are added when a policy is built. A reward that is revised later still reaches the heir.
///
/// An arm that is asked no more is retired: its sums are kept, for its heirs and for the mean reward of all, but a policy
/// solves nothing for it. So what a policy costs goes with the arms in force, not with all that ever were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct RewardState {
    schema: FeatureSchema,
    arms: BTreeMap<String, ArmSums>,
    lineage: BTreeMap<String, Inheritance>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    retired: BTreeSet<String>,
}

/// From whom an arm inherits, and how much the inheritance is thinned out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inheritance {
    pub(crate) from: String,
    pub(crate) widen: f64,
}

impl RewardState {
    /// Rewards are multiples of one over this.
    pub const REWARD_GRID: u32 = 16_384;

    /// The state before any event.
    pub fn new(schema: &FeatureSchema) -> Self {
        Self {
            schema: *schema,
            arms: BTreeMap::new(),
            lineage: BTreeMap::new(),
            retired: BTreeSet::new(),
        }
    }

    /// The schema of the contexts learned from.
    pub fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// Adds an event: the arm was chosen in this context and earned this reward.
    ///
    /// Cost: at most d (d + 1) / 2 multiply-adds for d features.
    ///
    /// # Errors
    /// If the reward is not in [0, 1], or the context has another dimension.
    pub fn update(
        &mut self,
        arm: &str,
        features: &Features,
        reward: f64,
    ) -> Result<(), StateError> {
        let reward = Self::reward_on_grid(reward)?;
        self.check(features)?;
        self.sums_mut(arm).add(features.as_slice(), reward);
        Ok(())
    }

    /// Replaces the reward of an event that was added before.
    ///
    /// # Errors
    /// As [`RewardState::update`], and if the arm has no event.
    pub fn correct(
        &mut self,
        arm: &str,
        features: &Features,
        old: f64,
        new: f64,
    ) -> Result<(), StateError> {
        let (old, new) = (Self::reward_on_grid(old)?, Self::reward_on_grid(new)?);
        self.check(features)?;
        self.learned(arm)?.replace(features.as_slice(), old, new);
        Ok(())
    }

    /// Takes back an event that was added before.
    ///
    /// An arm whose last event is taken back is forgotten: the state is as if it had never been.
    ///
    /// # Errors
    /// As [`RewardState::update`], and if the arm has no event.
    pub fn retract(
        &mut self,
        arm: &str,
        features: &Features,
        reward: f64,
    ) -> Result<(), StateError> {
        let reward = Self::reward_on_grid(reward)?;
        self.check(features)?;
        let sums = self.learned(arm)?;
        sums.subtract(features.as_slice(), reward);
        if sums.count == 0 {
            self.arms.remove(arm);
        }
        Ok(())
    }

    /// Adds the events of another state, which must be others than those of this one.
    ///
    /// # Errors
    /// If the schemas differ, or an arm inherits otherwise there. The state is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), StateError> {
        if self.schema != other.schema {
            return Err(StateError::Schema {
                expected: self.schema.hash(),
                actual: other.schema.hash(),
            });
        }
        let mut both = Self {
            schema: self.schema,
            arms: BTreeMap::new(),
            lineage: self.lineage.clone(),
            retired: BTreeSet::new(),
        };
        for (arm, Inheritance { from, widen }) in &other.lineage {
            both.inherit(from, arm, *widen)?;
        }
        self.lineage = both.lineage;
        self.retired.extend(other.retired.iter().cloned());
        for (arm, sums) in &other.arms {
            let mine = self.sums_mut(arm);
            mine.count += sums.count;
            mine.add_share(sums, 1.0);
        }
        Ok(())
    }

    /// Lets the arm `to`, a new version, start from what the arm `from` has learned and will
    /// learn, each event of `from` counting `1 / widen`: the expected rewards are nearly those of
    /// `from`, their uncertainty is up to sqrt(`widen`) times larger.
    ///
    /// # Errors
    /// If `widen` is not a finite number from 1 up, if an arm would inherit from itself, or if
    /// `to` already inherits otherwise. Repeating the same call changes nothing.
    pub fn inherit(&mut self, from: &str, to: &str, widen: f64) -> Result<(), StateError> {
        if !(widen.is_finite() && widen >= 1.0) {
            return Err(StateError::Widen(widen));
        }
        if let Some(known) = self.lineage.get(to) {
            if known.from == from && known.widen.to_bits() == widen.to_bits() {
                return Ok(());
            }
            return Err(StateError::InheritsOther {
                arm: to.to_owned(),
                from: known.from.clone(),
            });
        }
        let mut ancestor = Some(from);
        while let Some(arm) = ancestor {
            if arm == to {
                return Err(StateError::InheritsItself(to.to_owned()));
            }
            ancestor = self.lineage.get(arm).map(|next| next.from.as_str());
        }
        let from = from.to_owned();
        self.lineage
            .insert(to.to_owned(), Inheritance { from, widen });
        Ok(())
    }

    /// Notes that an arm is asked no more, until [`RewardState::reinstate`]; a policy built from then on knows it as little
    /// as an arm without events.
    pub fn retire(&mut self, arm: &str) {
        self.retired.insert(arm.to_owned());
    }

    /// Notes that an arm is asked again.
    pub fn reinstate(&mut self, arm: &str) {
        self.retired.remove(arm);
    }

    /// Whether an arm is retired.
    pub fn is_retired(&self, arm: &str) -> bool {
        self.retired.contains(arm)
    }

    /// How many events the arm has, inherited ones not counted.
    pub fn count(&self, arm: &str) -> u64 {
        self.arms.get(arm).map_or(0, |sums| sums.count)
    }

    /// How many events all arms have together.
    pub fn total(&self) -> u64 {
        self.arms.values().map(|sums| sums.count).sum()
    }

    /// The mean reward of an arm's own events, in [0, 1]; `None` before the first.
    pub fn mean(&self, arm: &str) -> Option<f64> {
        let sums = self.arms.get(arm)?;
        Some(sums.reward / sums.count as f64)
    }

    /// The variance of the rewards of an arm's own events, in [0, 1/4]; `None` before the second.
    pub fn variance(&self, arm: &str) -> Option<f64> {
        let sums = self.arms.get(arm).filter(|sums| sums.count > 1)?;
        let n = sums.count as f64;
        let mean = sums.reward / n;
        Some((sums.reward_squared / n - mean * mean).max(0.0))
    }

    /// The arms with events, in the order of their ids.
    pub fn arms(&self) -> impl Iterator<Item = &str> {
        self.arms.keys().map(String::as_str)
    }

    /// The reward as it is learned: rounded to a multiple of 1/[`RewardState::REWARD_GRID`].
    pub(crate) fn reward_on_grid(reward: f64) -> Result<f64, StateError> {
        if !(0.0..=1.0).contains(&reward) {
            return Err(StateError::Reward(reward));
        }
        let grid = f64::from(Self::REWARD_GRID);
        Ok((reward * grid).round() / grid)
    }

    pub(crate) fn sums(&self) -> &BTreeMap<String, ArmSums> {
        &self.arms
    }

    pub(crate) fn retired(&self) -> &BTreeSet<String> {
        &self.retired
    }

    pub(crate) fn lineage(&self) -> &BTreeMap<String, Inheritance> {
        &self.lineage
    }

    /// Puts a state together from parts that were read from somewhere.
    pub(crate) fn from_parts(
        schema: FeatureSchema,
        arms: BTreeMap<String, ArmSums>,
        lineage: &BTreeMap<String, Inheritance>,
    ) -> Result<Self, StateError> {
        for (arm, sums) in &arms {
            if sums.count == 0 || !sums.fits(schema.dimension) || !sums.is_finite() {
                return Err(StateError::Malformed(arm.clone()));
            }
        }
        let mut state = Self {
            schema,
            arms,
            lineage: BTreeMap::new(),
            retired: BTreeSet::new(),
        };
        for (to, Inheritance { from, widen }) in lineage {
            state.inherit(from, to, *widen)?;
        }
        Ok(state)
    }

    pub(crate) fn check(&self, features: &Features) -> Result<(), StateError> {
        let (expected, actual) = (self.schema.dimension, features.dimension());
        if expected == actual {
            Ok(())
        } else {
            Err(StateError::Dimension { expected, actual })
        }
    }

    fn sums_mut(&mut self, arm: &str) -> &mut ArmSums {
        if !self.arms.contains_key(arm) {
            let sums = ArmSums::new(self.schema.dimension);
            self.arms.insert(arm.to_owned(), sums);
        }
        self.arms
            .get_mut(arm)
            .expect("inserted above if it was not there")
    }

    fn learned(&mut self, arm: &str) -> Result<&mut ArmSums, StateError> {
        self.arms
            .get_mut(arm)
            .ok_or_else(|| StateError::NothingLearned(arm.to_owned()))
    }
}

/// What a serialized state consists of, before it is checked.
#[derive(Deserialize)]
struct Parts {
    schema: FeatureSchema,
    arms: BTreeMap<String, ArmSums>,
    lineage: BTreeMap<String, Inheritance>,
    #[serde(default)]
    retired: BTreeSet<String>,
}

impl TryFrom<Parts> for RewardState {
    type Error = StateError;

    fn try_from(parts: Parts) -> Result<Self, StateError> {
        let mut state = Self::from_parts(parts.schema, parts.arms, &parts.lineage)?;
        state.retired = parts.retired;
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCHEMA: FeatureSchema = FeatureSchema {
        dimension: 5,
        version: 1,
    };

    type Event = (&'static str, Features, f64);

    fn event() -> impl Strategy<Value = Event> {
        let arm = prop::sample::select(vec!["a@1", "b@1", "b@2"]);
        let x = prop::collection::vec(-1.0_f32..=1.0, 5);
        (arm, x, 0.0_f64..=1.0)
            .prop_map(|(arm, x, r)| (arm, Features::from_logged(x, &SCHEMA).unwrap(), r))
    }

    fn fold(events: &[Event]) -> RewardState {
        let mut state = RewardState::new(&SCHEMA);
        for (arm, x, r) in events {
            state.update(arm, x, *r).unwrap();
        }
        state
    }

    fn ones() -> Features {
        Features::from_logged(vec![1.0; 5], &SCHEMA).unwrap()
    }

    #[test]
    fn rewards_and_contexts_out_of_range_are_refused() {
        let mut state = RewardState::new(&SCHEMA);
        for bad in [-0.1, 1.1, f64::INFINITY] {
            assert_eq!(
                state.update("a", &ones(), bad),
                Err(StateError::Reward(bad))
            );
        }
        assert!(state.update("a", &ones(), f64::NAN).is_err());
        let short = FeatureSchema {
            dimension: 4,
            version: 1,
        };
        let x = Features::from_logged(vec![0.0; 4], &short).unwrap();
        let wrong = StateError::Dimension {
            expected: 5,
            actual: 4,
        };
        assert_eq!(state.update("a", &x, 0.5), Err(wrong));
        let nothing = Err(StateError::NothingLearned("a".to_owned()));
        assert_eq!(state.correct("a", &ones(), 0.5, 0.6), nothing);
        assert_eq!(state.retract("a", &ones(), 0.5), nothing);
        assert_eq!(state, RewardState::new(&SCHEMA));
    }

    #[test]
    fn inheritance_is_refused_in_circles_and_twice() {
        let mut state = RewardState::new(&SCHEMA);
        state.inherit("a@1", "a@2", 4.0).unwrap();
        state.inherit("a@2", "a@3", 2.0).unwrap();
        state.inherit("a@2", "a@3", 2.0).unwrap();
        let circle = Err(StateError::InheritsItself("a@1".to_owned()));
        assert_eq!(state.inherit("a@3", "a@1", 2.0), circle);
        let twice = StateError::InheritsOther {
            arm: "a@3".to_owned(),
            from: "a@2".to_owned(),
        };
        assert_eq!(state.inherit("a@1", "a@3", 2.0), Err(twice));
        for bad in [0.5, f64::INFINITY] {
            assert_eq!(state.inherit("a@1", "b", bad), Err(StateError::Widen(bad)));
        }
    }

    #[test]
    fn states_of_other_schemas_do_not_merge() {
        let other = RewardState::new(&FeatureSchema::default());
        let result = RewardState::new(&SCHEMA).merge(&other);
        assert!(matches!(result, Err(StateError::Schema { .. })));
    }

    #[test]
    fn malformed_sums_are_refused() {
        let good = serde_json::to_value(fold(&[("a", ones(), 0.5)])).unwrap();
        let state = |value| serde_json::from_value::<RewardState>(value);
        assert!(state(good.clone()).is_ok());
        let mut short = good.clone();
        short["arms"]["a"]["x"] = serde_json::json!([1.0]);
        assert!(state(short).is_err());
        let mut empty = good;
        empty["arms"]["a"]["count"] = serde_json::json!(0);
        assert!(state(empty).is_err());
    }

    proptest! {
        #[test]
        fn the_order_of_events_does_not_matter(
            mut events in prop::collection::vec(event(), 0..60),
            cut in 0_usize..60,
        ) {
            let state = fold(&events);
            let cut = cut.min(events.len());
            let mut merged = fold(&events[cut..]);
            merged.merge(&fold(&events[..cut])).unwrap();
            prop_assert_eq!(&merged, &state);
            events.reverse();
            prop_assert_eq!(fold(&events), state);
        }

        #[test]
        fn corrections_leave_no_trace(
            events in prop::collection::vec(event(), 1..40),
            wrong in event(),
            revised in 0.0_f64..=1.0,
        ) {
            let mut state = fold(&events);
            let (arm, x, r) = &wrong;
            state.update(arm, x, *r).unwrap();
            state.correct(arm, x, *r, revised).unwrap();
            let mut direct = events.clone();
            direct.push((arm, x.clone(), revised));
            prop_assert_eq!(&state, &fold(&direct));
            state.retract(arm, x, revised).unwrap();
            prop_assert_eq!(state, fold(&events));
        }

        #[test]
        fn a_state_comes_back_from_json(events in prop::collection::vec(event(), 0..10)) {
            let mut state = fold(&events);
            state.inherit("b@2", "b@3", 4.0).unwrap();
            state.retire("b@1");
            let json = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(serde_json::from_str::<RewardState>(&json).unwrap(), state);
        }
    }
}
