use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::ages::{Ages, Kept};
use crate::arm_sums::ArmSums;
use crate::memory::Part;
use crate::window::{Stored, Window};
use crate::{Event, FeatureSchema, Features, Memory, StateError};

/// All that was learned: per arm, sums over the events that carried a reward.
///
/// The state is nothing but sums, and the sums are exact: features lie on a grid, rewards are
/// rounded to multiples of 1/[`RewardState::REWARD_GRID`], and up to 33 million events an arm no
/// addition rounds. So any order of the same events gives the same state, states of disjoint
/// events merge to the state of all, and replacing or withdrawing a reward gives the state that
/// would have been without it, all of it bit for bit. What a policy needs beyond the sums is
/// computed when a [`Policy`](crate::Policy) is built.
///
/// What a policy needs told apart (events by age, by replicate of a bootstrap, by kind of client) is kept as sums of
/// its own, as the state's [`Memory`] says; a policy that needs decisions one by one has the latest kept as they were. Only the time up to which decisions were seen is no sum but a maximum: what
/// is eight half-lives older is dropped, and a reward that comes for it later changes nothing.
///
/// An arm that inherits is recorded as a heir; its own sums stay its own, and its predecessor's
/// are added when a policy is built. A reward that is revised later still reaches the heir.
///
/// An arm that is asked no more is retired: its sums are kept, for its heirs and for the mean reward of all, but a policy
/// solves nothing for it. So what a policy costs goes with the arms in force, not with all that ever were.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Parts")]
pub struct RewardState {
    schema: FeatureSchema,
    memory: Memory,
    /// The time of the latest decision, in milliseconds since 1970.
    now_ms: i64,
    arms: BTreeMap<String, Ages>,
    lineage: BTreeMap<String, Inheritance>,
    retired: BTreeSet<String>,
    window: Window,
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

    /// The state before any event, which will keep one sum an arm.
    pub fn new(schema: &FeatureSchema) -> Self {
        Self::remembering(schema, Memory::default())
    }

    /// The state before any event, which will tell apart what `memory` says.
    pub fn remembering(schema: &FeatureSchema, memory: Memory) -> Self {
        Self {
            schema: *schema,
            memory,
            now_ms: 0,
            arms: BTreeMap::new(),
            lineage: BTreeMap::new(),
            retired: BTreeSet::new(),
            window: Window::default(),
        }
    }

    /// The schema of the contexts learned from.
    pub fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// What is told apart.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Notes a decision, which may earn a reward later: time goes on, and what is too old is forgotten. A state that
    /// keeps plain sums takes no notice.
    ///
    /// # Errors
    /// If the context has another dimension.
    pub fn decided(&mut self, event: &Event<'_>) -> Result<(), StateError> {
        self.check(event.features)?;
        if self.memory.is_plain() {
            return Ok(());
        }
        self.advance(event.at_ms);
        self.keep(event, None);
        if self.memory.counts_decisions
            && let Some(part) = self.remembered(event)
        {
            self.kept_or_new(event.arm, part).decisions += 1;
        }
        Ok(())
    }

    /// Adds an event: the arm was chosen in this context and earned this reward.
    ///
    /// Cost: at most d (d + 1) / 2 multiply-adds for d features, and as many for each replicate that counts it.
    ///
    /// # Errors
    /// If the reward is not in [0, 1], or the context has another dimension.
    pub fn update(&mut self, event: &Event<'_>, reward: f64) -> Result<(), StateError> {
        let reward = Self::reward_on_grid(reward)?;
        self.check(event.features)?;
        if !self.memory.is_plain() {
            self.advance(event.at_ms);
            self.keep(event, Some(reward));
        }
        if let Some(part) = self.remembered(event) {
            let x = event.features.as_slice();
            self.kept_or_new(event.arm, part)
                .each(event.id, |sums, times| sums.add(x, reward, times));
        }
        Ok(())
    }

    /// Replaces the reward of an event that was added before.
    ///
    /// # Errors
    /// As [`RewardState::update`], and if the arm has no event.
    pub fn correct(&mut self, event: &Event<'_>, old: f64, new: f64) -> Result<(), StateError> {
        let (old, new) = (Self::reward_on_grid(old)?, Self::reward_on_grid(new)?);
        self.check(event.features)?;
        if let Some(part) = self.remembered(event) {
            let x = event.features.as_slice();
            self.learned(event.arm, part)?
                .each(event.id, |sums, times| sums.replace(x, old, new, times));
        }
        self.keep(event, Some(new));
        Ok(())
    }

    /// Takes back an event that was added before.
    ///
    /// An arm whose last event is taken back is forgotten: the state is as if it had never been.
    ///
    /// # Errors
    /// As [`RewardState::update`], and if the arm has no event.
    pub fn retract(&mut self, event: &Event<'_>, reward: f64) -> Result<(), StateError> {
        let reward = Self::reward_on_grid(reward)?;
        self.check(event.features)?;
        let Some(part) = self.remembered(event) else {
            self.window.withdraw(event);
            return Ok(());
        };
        let x = event.features.as_slice();
        self.learned(event.arm, part)?
            .each(event.id, |sums, times| sums.subtract(x, reward, times));
        self.window.withdraw(event);
        if let Some(ages) = self.arms.get_mut(event.arm) {
            ages.tidy(part);
            if ages.is_empty() {
                self.arms.remove(event.arm);
            }
        }
        Ok(())
    }

    /// Adds the events of another state, which must be others than those of this one.
    ///
    /// # Errors
    /// If the schemas or the memories differ, or an arm inherits otherwise there. The state is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), StateError> {
        if self.schema != other.schema {
            return Err(StateError::Schema {
                expected: self.schema.hash(),
                actual: other.schema.hash(),
            });
        }
        if self.memory != other.memory {
            return Err(StateError::Memory);
        }
        let mut both = Self::new(&self.schema);
        both.lineage.clone_from(&self.lineage);
        for (arm, Inheritance { from, widen }) in &other.lineage {
            both.inherit(from, arm, *widen)?;
        }
        self.lineage = both.lineage;
        self.retired.extend(other.retired.iter().cloned());
        for (arm, ages) in &other.arms {
            let mine = self.arms.entry(arm.clone()).or_default();
            mine.merge(ages, self.schema.dimension);
        }
        self.now_ms = self.now_ms.max(other.now_ms);
        self.window.merge(&other.window, self.memory.window);
        self.forget();
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

    /// How many events of the arm are remembered, inherited ones not counted.
    pub fn count(&self, arm: &str) -> u64 {
        self.arms.get(arm).map_or(0, Ages::count)
    }

    /// How many events of all arms are remembered.
    pub fn total(&self) -> u64 {
        self.arms.values().map(Ages::count).sum()
    }

    /// The mean reward of an arm's own events, in [0, 1]; `None` before the first.
    pub fn mean(&self, arm: &str) -> Option<f64> {
        let ages = self.arms.get(arm).filter(|ages| ages.count() > 0)?;
        Some(ages.total(|sums| sums.reward) / ages.count() as f64)
    }

    /// The variance of the rewards of an arm's own events, in [0, 1/4]; `None` before the second.
    pub fn variance(&self, arm: &str) -> Option<f64> {
        let ages = self.arms.get(arm).filter(|ages| ages.count() > 1)?;
        let n = ages.count() as f64;
        let mean = ages.total(|sums| sums.reward) / n;
        Some((ages.total(|sums| sums.reward_squared) / n - mean * mean).max(0.0))
    }

    /// The arms with events, in the order of their ids.
    pub fn arms(&self) -> impl Iterator<Item = &str> {
        let with_events = self.arms.iter().filter(|(_, ages)| ages.count() > 0);
        with_events.map(|(arm, _)| arm.as_str())
    }

    /// The reward as it is learned: rounded to a multiple of 1/[`RewardState::REWARD_GRID`].
    pub(crate) fn reward_on_grid(reward: f64) -> Result<f64, StateError> {
        if !(0.0..=1.0).contains(&reward) {
            return Err(StateError::Reward(reward));
        }
        let grid = f64::from(Self::REWARD_GRID);
        Ok((reward * grid).round() / grid)
    }

    pub(crate) fn ages(&self) -> &BTreeMap<String, Ages> {
        &self.arms
    }

    pub(crate) fn retired(&self) -> &BTreeSet<String> {
        &self.retired
    }

    pub(crate) fn lineage(&self) -> &BTreeMap<String, Inheritance> {
        &self.lineage
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Which unit of the finest age that is told apart the state is in.
    pub(crate) fn tick(&self) -> i64 {
        self.memory.tick(self.now_ms)
    }

    /// The epoch that an arm is in.
    pub(crate) fn epoch(&self, arm: &str) -> i64 {
        self.memory.epoch(arm, self.now_ms)
    }

    /// Puts a state together from parts that were read from somewhere.
    pub(crate) fn from_parts(
        schema: FeatureSchema,
        memory: Memory,
        now_ms: i64,
        arms: BTreeMap<String, Ages>,
        lineage: &BTreeMap<String, Inheritance>,
    ) -> Result<Self, StateError> {
        let sums = memory.replicates as usize + 1;
        let fits = |kept: &Kept| {
            let all_fit = |sums: &ArmSums| sums.fits(schema.dimension) && sums.is_finite();
            kept.sums.len() == sums && kept.sums.iter().all(all_fit)
        };
        let is_known = |kept: &Kept| kept.sums[0].count > 0 || memory.counts_decisions;
        for (arm, ages) in &arms {
            let parts = ages.parts();
            let are_sums = parts.values().all(|kept| fits(kept) && is_known(kept));
            let is_part = |part: &Part| memory.half_life_ms(arm).is_some() || part.epoch == 0;
            if parts.is_empty() || !are_sums || !parts.keys().all(is_part) {
                return Err(StateError::Malformed(arm.clone()));
            }
        }
        let mut state = Self::remembering(&schema, memory);
        (state.now_ms, state.arms) = (now_ms, arms);
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

    /// The latest decisions, if the memory keeps any.
    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    /// Puts decisions that were read from somewhere in the window.
    pub(crate) fn with_window(mut self, window: Window) -> Result<Self, StateError> {
        if !window.fits(self.memory.window, self.schema.dimension) {
            return Err(StateError::Malformed("the latest decisions".to_owned()));
        }
        self.window = window;
        Ok(self)
    }

    fn keep(&mut self, event: &Event<'_>, reward: Option<f64>) {
        if self.memory.window > 0 {
            self.window.note(event, reward, self.memory.window);
        }
    }

    /// Lets time go on, and forgets what is too old by then.
    fn advance(&mut self, at_ms: i64) {
        if at_ms <= self.now_ms {
            return;
        }
        self.now_ms = at_ms;
        self.forget();
    }

    fn forget(&mut self) {
        let (memory, now_ms) = (&self.memory, self.now_ms);
        self.arms.retain(|arm, ages| {
            ages.forget(memory.epoch(arm, now_ms));
            !ages.is_empty()
        });
    }

    /// Where the event belongs; `None` if it is forgotten by now.
    fn remembered(&self, event: &Event<'_>) -> Option<Part> {
        let part = self.memory.part(event);
        (Memory::weight(part.epoch, self.epoch(event.arm)) > 0.0).then_some(part)
    }

    fn kept_or_new(&mut self, arm: &str, part: Part) -> &mut Kept {
        if !self.arms.contains_key(arm) {
            self.arms.insert(arm.to_owned(), Ages::default());
        }
        self.arms
            .get_mut(arm)
            .expect("inserted above if it was not there")
            .part_or_new(part, self.schema.dimension, self.memory.replicates)
    }

    fn learned(&mut self, arm: &str, part: Part) -> Result<&mut Kept, StateError> {
        self.arms
            .get_mut(arm)
            .and_then(|ages| ages.part_mut(part))
            .ok_or_else(|| StateError::NothingLearned(arm.to_owned()))
    }
}

/// A state of plain sums is written as it was before there was any other: the digests of old logs stay what they are.
impl Serialize for RewardState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("RewardState", 6)?;
        fields.serialize_field("schema", &self.schema)?;
        if self.memory.is_plain() {
            let sums = |ages: &Ages| {
                ages.parts()
                    .values()
                    .next()
                    .map(|kept| kept.sums[0].clone())
            };
            let arms: BTreeMap<&String, Option<ArmSums>> = self
                .arms
                .iter()
                .map(|(arm, ages)| (arm, sums(ages)))
                .collect();
            fields.serialize_field("arms", &arms)?;
        } else {
            fields.serialize_field("memory", &self.memory)?;
            fields.serialize_field("now_ms", &self.now_ms)?;
            let parts = |ages: &Ages| -> Vec<StoredPart> {
                let all = ages.parts().iter();
                all.map(|(part, kept)| StoredPart::of(*part, kept))
                    .collect()
            };
            let arms: BTreeMap<&String, Vec<StoredPart>> = self
                .arms
                .iter()
                .map(|(arm, ages)| (arm, parts(ages)))
                .collect();
            fields.serialize_field("ages", &arms)?;
            if self.memory.window > 0 {
                fields.serialize_field("window", &self.window.stored())?;
            }
        }
        fields.serialize_field("lineage", &self.lineage)?;
        if !self.retired.is_empty() {
            fields.serialize_field("retired", &self.retired)?;
        }
        fields.end()
    }
}

/// A part of an arm's events as it is written.
#[derive(Serialize, Deserialize)]
struct StoredPart {
    epoch: i64,
    stratum: u32,
    decisions: u64,
    sums: Vec<ArmSums>,
}

impl StoredPart {
    fn of(part: Part, kept: &Kept) -> Self {
        Self {
            epoch: part.epoch,
            stratum: part.stratum,
            decisions: kept.decisions,
            sums: kept.sums.clone(),
        }
    }
}

/// What a serialized state consists of, before it is checked.
#[derive(Deserialize)]
struct Parts {
    schema: FeatureSchema,
    #[serde(default)]
    memory: Memory,
    #[serde(default)]
    now_ms: i64,
    #[serde(default)]
    arms: BTreeMap<String, ArmSums>,
    #[serde(default)]
    ages: BTreeMap<String, Vec<StoredPart>>,
    lineage: BTreeMap<String, Inheritance>,
    #[serde(default)]
    retired: BTreeSet<String>,
    #[serde(default)]
    window: Vec<Stored>,
}

impl TryFrom<Parts> for RewardState {
    type Error = StateError;

    fn try_from(parts: Parts) -> Result<Self, StateError> {
        let mut arms = BTreeMap::new();
        for (arm, sums) in parts.arms {
            arms.insert(arm, Ages::plain(sums));
        }
        for (arm, stored) in parts.ages {
            let mut ages = Ages::default();
            for StoredPart {
                epoch,
                stratum,
                decisions,
                sums,
            } in stored
            {
                ages.insert(Part { epoch, stratum }, Kept { decisions, sums });
            }
            arms.insert(arm, ages);
        }
        let (memory, now_ms) = (parts.memory, parts.now_ms);
        let mut state = Self::from_parts(parts.schema, memory, now_ms, arms, &parts.lineage)?;
        state.retired = parts.retired;
        let window = Window::from_stored(parts.window);
        state.with_window(
            window.ok_or_else(|| StateError::Malformed("the latest decisions".to_owned()))?,
        )
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

    /// Arm, context, reward, time and kind of client.
    type Row = (&'static str, Features, f64, i64, u32);

    fn row() -> impl Strategy<Value = Row> {
        let arm = prop::sample::select(vec!["a@1", "b@1", "b@2"]);
        let x = prop::collection::vec(-1.0_f32..=1.0, 5);
        (arm, x, 0.0_f64..=1.0, 0_i64..10_000, 0_u32..3).prop_map(|(arm, x, r, at, client)| {
            let x = Features::from_logged(x, &SCHEMA).unwrap();
            (arm, x, r, at, client)
        })
    }

    /// Plain sums; and all that can be told apart, with ages of which some are forgotten.
    fn memory() -> impl Strategy<Value = Memory> {
        let all = Memory {
            half_life_ms: Some(400),
            arms: BTreeMap::from([("b".to_owned(), 4_000)]),
            replicates: 2,
            by_stratum: true,
            counts_decisions: true,
            window: 6,
        };
        let ages = Memory {
            half_life_ms: Some(800),
            ..Memory::default()
        };
        prop::sample::select(vec![Memory::default(), ages, all])
    }

    fn event(n: usize, row: &Row) -> Event<'_> {
        let (arm, x, _, at_ms, client) = row;
        let event = Event::new(arm, x).with_id(n as u128).at(*at_ms);
        event.of_stratum(*client)
    }

    fn learned<'a>(
        memory: &Memory,
        rows: impl IntoIterator<Item = (usize, &'a Row)>,
    ) -> RewardState {
        let mut state = RewardState::remembering(&SCHEMA, memory.clone());
        for (n, row) in rows {
            state.decided(&event(n, row)).unwrap();
            state.update(&event(n, row), row.2).unwrap();
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
                state.update(&Event::new("a", &ones()), bad),
                Err(StateError::Reward(bad))
            );
        }
        assert!(state.update(&Event::new("a", &ones()), f64::NAN).is_err());
        let short = FeatureSchema {
            dimension: 4,
            version: 1,
        };
        let x = Features::from_logged(vec![0.0; 4], &short).unwrap();
        let wrong = StateError::Dimension {
            expected: 5,
            actual: 4,
        };
        assert_eq!(state.update(&Event::new("a", &x), 0.5), Err(wrong));
        let nothing = Err(StateError::NothingLearned("a".to_owned()));
        assert_eq!(state.correct(&Event::new("a", &ones()), 0.5, 0.6), nothing);
        assert_eq!(state.retract(&Event::new("a", &ones()), 0.5), nothing);
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
        let good = learned(&Memory::default(), [(0, &("a", ones(), 0.5, 0, 0))]);
        let good = serde_json::to_value(good).unwrap();
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
        fn order_and_grouping_do_not_matter(
            memory in memory(),
            rows in prop::collection::vec(row(), 0..40),
            order in any::<prop::sample::Index>(),
        ) {
            let numbered: Vec<(usize, &Row)> = rows.iter().enumerate().collect();
            let whole = learned(&memory, numbered.iter().copied());
            let cut = if rows.is_empty() { 0 } else { order.index(rows.len()) };
            let turned = numbered[cut..].iter().chain(&numbered[..cut]).rev().copied();
            prop_assert_eq!(&learned(&memory, turned), &whole);
            let mut merged = learned(&memory, numbered[..cut].iter().copied());
            merged.merge(&learned(&memory, numbered[cut..].iter().copied())).unwrap();
            prop_assert_eq!(&merged, &whole);
        }

        #[test]
        fn a_revised_reward_leaves_no_trace(
            memory in memory(),
            rows in prop::collection::vec(row(), 0..20),
            extra in row(),
            revised in 0.0_f64..=1.0,
        ) {
            let n = rows.len();
            let without = learned(&memory, rows.iter().enumerate());
            let mut state = without.clone();
            state.decided(&event(n, &extra)).unwrap();
            let noted = state.clone();
            state.update(&event(n, &extra), extra.2).unwrap();
            state.correct(&event(n, &extra), extra.2, revised).unwrap();
            let mut direct = noted.clone();
            direct.update(&event(n, &extra), revised).unwrap();
            prop_assert_eq!(&state, &direct);
            state.retract(&event(n, &extra), revised).unwrap();
            prop_assert_eq!(&state, &noted);
            if memory.is_plain() {
                prop_assert_eq!(state, without);
            }
        }

        #[test]
        fn a_state_comes_back_from_json(
            memory in memory(), rows in prop::collection::vec(row(), 0..10),
        ) {
            let mut state = learned(&memory, rows.iter().enumerate());
            state.inherit("b@2", "b@3", 4.0).unwrap();
            state.retire("b@1");
            let json = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(serde_json::from_str::<RewardState>(&json).unwrap(), state);
        }
    }

    #[test]
    fn what_is_forgotten_is_gone_and_its_reward_changes_nothing() {
        let memory = Memory {
            half_life_ms: Some(400),
            ..Memory::default()
        };
        let mut state = RewardState::remembering(&SCHEMA, memory);
        let x = ones();
        let (old, new) = (Event::new("a", &x).at(0), Event::new("b", &x).at(4_000));
        state.update(&old, 1.0).unwrap();
        state.update(&new, 0.5).unwrap();
        assert_eq!((state.count("a"), state.count("b")), (0, 1));
        let before = state.clone();
        state.update(&old, 1.0).unwrap();
        state.correct(&old, 1.0, 0.0).unwrap();
        state.retract(&old, 0.0).unwrap();
        assert_eq!(state, before);
        let other = RewardState::new(&SCHEMA);
        assert_eq!(state.merge(&other), Err(StateError::Memory));
    }

    #[test]
    fn plain_sums_are_written_as_ever() {
        let mut state = RewardState::new(&FeatureSchema {
            dimension: 1,
            version: 1,
        });
        let x = Features::from_logged(vec![0.5], state.schema()).unwrap();
        state
            .update(&Event::new("a@1", &x).with_id(3).at(9), 0.5)
            .unwrap();
        assert_eq!(
            serde_json::to_string(&state).unwrap(),
            "{\"schema\":{\"dimension\":1,\"version\":1},\"arms\":{\"a@1\":{\"count\":1,\"reward\":0.5,\
             \"reward_squared\":0.25,\"x\":[0.5],\"xr\":[0.25],\"xx\":[0.25]}},\"lineage\":{}}"
        );
    }
}
