use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Event, FeatureSchema, Features, LearnerError, Memory, PolicySpec, RewardState, Snapshot,
};

/// Turns a stream of decisions and of rewards that may be revised into exact sums.
///
/// A decision waits until its reward settles; until then, each new reward replaces the one before.
/// The learner is a fold: what it holds follows from the calls made and from nothing else, so a
/// learner resumed from a snapshot ends in the same state, bit for bit, as one that never stopped,
/// if [`Learner::expire`] is called at the same places of the stream.
///
/// How many decisions may wait is bounded. The oldest makes room for a new one, and a reward that
/// comes for it later is unknown; what it had earned by then stays learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Learner {
    state: RewardState,
    pending: BTreeMap<u128, Waiting>,
    /// Times and ids of the pending decisions, oldest first.
    by_age: BTreeSet<(i64, u128)>,
    pending_max: usize,
    evicted: u64,
}

/// A decision that waits for its reward to settle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingDecision {
    /// The decision's id.
    pub id: u128,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// The arm that was served.
    pub arm: String,
    /// Its context.
    pub features: Features,
    /// The kind of client that asked.
    pub stratum: u32,
    /// What is taken off its rewards.
    pub cost: f64,
    /// The reward counted so far, rounded to the grid of the state; `None` if none is.
    pub reward: Option<f64>,
}

/// What a reward did to the state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    /// No decision with this id is waiting: never seen, settled, expired or evicted.
    Unknown,
    /// The event was added.
    Learned,
    /// The reward counted so far was replaced; by how much it changed.
    Corrected(f64),
    /// The event was taken back.
    Retracted,
    /// The reward is the one counted already, or there was and is none.
    Unchanged,
}

#[derive(Debug, Clone, PartialEq)]
struct Waiting {
    at_ms: i64,
    arm: String,
    features: Features,
    stratum: u32,
    cost: f64,
    reward: Option<f64>,
}

impl Learner {
    /// How many decisions may wait, unless [`Learner::with_pending_max`] says otherwise: at 300
    /// bytes each, about 20 MB.
    pub const PENDING_MAX: usize = 65_536;

    /// A learner that has seen nothing, and keeps one sum an arm.
    pub fn new(schema: &FeatureSchema) -> Self {
        Self::remembering(schema, Memory::default())
    }

    /// A learner that has seen nothing, and tells apart what `memory` says.
    pub fn remembering(schema: &FeatureSchema, memory: Memory) -> Self {
        Self {
            state: RewardState::remembering(schema, memory),
            pending: BTreeMap::new(),
            by_age: BTreeSet::new(),
            pending_max: Self::PENDING_MAX,
            evicted: 0,
        }
    }

    /// Bounds the decisions that may wait, to at least one.
    #[must_use]
    pub fn with_pending_max(mut self, pending_max: usize) -> Self {
        self.pending_max = pending_max.max(1);
        while self.pending.len() > self.pending_max {
            self.evict();
        }
        self
    }

    /// Notes a decision that may earn a reward; returns the id of one evicted for it.
    ///
    /// # Errors
    /// If a decision of this id is waiting, or the context has another dimension.
    pub fn decision(&mut self, event: &Event<'_>) -> Result<Option<u128>, LearnerError> {
        if self.pending.contains_key(&event.id) {
            return Err(LearnerError::RepeatedDecision(event.id));
        }
        self.state.decided(event)?;
        let full = self.pending.len() >= self.pending_max;
        let evicted = if full { self.evict() } else { None };
        let waiting = Waiting {
            at_ms: event.at_ms,
            arm: event.arm.to_owned(),
            features: event.features.clone(),
            stratum: event.stratum,
            cost: 0.0,
            reward: None,
        };
        self.pending.insert(event.id, waiting);
        self.by_age.insert((event.at_ms, event.id));
        Ok(evicted)
    }

    /// Takes so much, at least 0, off each reward that comes for a decision from now on, but not below 0: what its
    /// answer has cost.
    pub fn charge(&mut self, id: u128, cost: f64) {
        if let Some(waiting) = self.pending.get_mut(&id) {
            waiting.cost = cost;
        }
    }

    /// Takes the reward of a decision as now known; `None` says that there is none (the outcome is
    /// censored or excluded), and takes back what was counted. A settled decision is dropped.
    ///
    /// However late it comes, the reward counts for the time at which the decision was made.
    ///
    /// # Errors
    /// If the reward is not in [0, 1]; nothing is changed then.
    pub fn reward(
        &mut self,
        id: u128,
        reward: Option<f64>,
        settled: bool,
    ) -> Result<Effect, LearnerError> {
        let reward = reward.map(RewardState::reward_on_grid).transpose()?;
        let Some(waiting) = self.pending.get_mut(&id) else {
            return Ok(Effect::Unknown);
        };
        let reward = match reward {
            Some(reward) if waiting.cost > 0.0 => {
                let left = (reward - waiting.cost).max(0.0);
                Some(RewardState::reward_on_grid(left)?)
            }
            other => other,
        };
        let event = Event::new(&waiting.arm, &waiting.features)
            .with_id(id)
            .at(waiting.at_ms)
            .of_stratum(waiting.stratum);
        let effect = match (waiting.reward, reward) {
            (None, None) => Effect::Unchanged,
            (Some(old), Some(new)) if old.to_bits() == new.to_bits() => Effect::Unchanged,
            (None, Some(new)) => {
                self.state.update(&event, new)?;
                Effect::Learned
            }
            (Some(old), Some(new)) => {
                self.state.correct(&event, old, new)?;
                Effect::Corrected(new - old)
            }
            (Some(old), None) => {
                self.state.retract(&event, old)?;
                Effect::Retracted
            }
        };
        waiting.reward = reward;
        if settled {
            self.forget(id);
        }
        Ok(effect)
    }

    /// Drops the decisions made before a time and returns how many there were. What they have
    /// earned stays learned.
    ///
    /// For a state that a replay can repeat, the time must come from the stream, not from a clock.
    pub fn expire(&mut self, before_ms: i64) -> usize {
        let kept = self.by_age.split_off(&(before_ms, 0));
        let expired = std::mem::replace(&mut self.by_age, kept);
        for (_, id) in &expired {
            self.pending.remove(id);
        }
        expired.len()
    }

    /// See [`RewardState::inherit`].
    ///
    /// # Errors
    /// As there.
    pub fn inherit(&mut self, from: &str, to: &str, widen: f64) -> Result<(), LearnerError> {
        Ok(self.state.inherit(from, to, widen)?)
    }

    /// See [`RewardState::retire`].
    pub fn retire(&mut self, arm: &str) {
        self.state.retire(arm);
    }

    /// See [`RewardState::reinstate`].
    pub fn reinstate(&mut self, arm: &str) {
        self.state.reinstate(arm);
    }

    /// What was learned so far, provisional rewards included.
    pub fn state(&self) -> &RewardState {
        &self.state
    }

    /// How many decisions may wait.
    pub fn pending_max(&self) -> usize {
        self.pending_max
    }

    /// How many decisions wait.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many decisions were dropped for want of room, ever.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// All that is needed to go on later: `through` is the sequence number of the last log entry
    /// consumed, `spec` and `version` are those of the policy published from this state.
    pub fn snapshot(&self, spec: &PolicySpec, version: u64, through: u64) -> Snapshot {
        let pending = self.pending.iter().map(|(&id, waiting)| PendingDecision {
            id,
            at_ms: waiting.at_ms,
            arm: waiting.arm.clone(),
            features: waiting.features.clone(),
            stratum: waiting.stratum,
            cost: waiting.cost,
            reward: waiting.reward,
        });
        Snapshot {
            format: Snapshot::FORMAT,
            schema_hash: self.state.schema().hash(),
            spec: spec.clone(),
            version,
            through,
            state: self.state.clone(),
            pending: pending.collect(),
            pending_max: self.pending_max,
            evicted: self.evicted,
            model: None,
            golden: Vec::new(),
        }
    }

    /// Goes on where a snapshot was made.
    pub fn resume(snapshot: Snapshot) -> Self {
        let mut learner = Self {
            state: snapshot.state,
            pending: BTreeMap::new(),
            by_age: BTreeSet::new(),
            pending_max: snapshot.pending_max,
            evicted: snapshot.evicted,
        };
        for decision in snapshot.pending {
            learner.by_age.insert((decision.at_ms, decision.id));
            let waiting = Waiting {
                at_ms: decision.at_ms,
                arm: decision.arm,
                features: decision.features,
                stratum: decision.stratum,
                cost: decision.cost,
                reward: decision.reward,
            };
            learner.pending.insert(decision.id, waiting);
        }
        learner
    }

    fn evict(&mut self) -> Option<u128> {
        let (_, id) = self.by_age.pop_first()?;
        self.pending.remove(&id);
        self.evicted += 1;
        Some(id)
    }

    fn forget(&mut self, id: u128) {
        if let Some(waiting) = self.pending.remove(&id) {
            self.by_age.remove(&(waiting.at_ms, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StateError;
    use proptest::prelude::*;

    const SCHEMA: FeatureSchema = FeatureSchema {
        dimension: 3,
        version: 1,
    };

    fn x(value: f32) -> Features {
        Features::from_logged(vec![1.0, value, -value], &SCHEMA).unwrap()
    }

    #[test]
    fn a_reward_is_learned_corrected_and_taken_back() {
        let mut learner = Learner::new(&SCHEMA);
        learner
            .decision(&Event::new("a", &x(0.5)).with_id(1).at(10))
            .unwrap();
        let mut reward = |id, r, settled| learner.reward(id, r, settled).unwrap();
        assert_eq!(reward(2, Some(1.0), true), Effect::Unknown);
        assert_eq!(reward(1, None, false), Effect::Unchanged);
        assert_eq!(reward(1, Some(0.5), false), Effect::Learned);
        assert_eq!(reward(1, Some(0.5), false), Effect::Unchanged);
        assert_eq!(reward(1, Some(0.75), false), Effect::Corrected(0.25));
        assert_eq!(reward(1, None, false), Effect::Retracted);
        assert_eq!(reward(1, Some(0.25), true), Effect::Learned);
        assert_eq!(reward(1, Some(1.0), true), Effect::Unknown);
        assert_eq!((learner.pending(), learner.state().count("a")), (0, 1));
        assert_eq!(learner.state().mean("a"), Some(0.25));
    }

    #[test]
    fn a_decision_comes_once_and_in_the_right_dimension() {
        let mut learner = Learner::new(&SCHEMA);
        learner
            .decision(&Event::new("a", &x(0.5)).with_id(1).at(10))
            .unwrap();
        let again = learner.decision(&Event::new("b", &x(0.5)).with_id(1).at(11));
        assert_eq!(again, Err(LearnerError::RepeatedDecision(1)));
        let other = Features::try_from(vec![0.0; 2]).unwrap();
        let wrong = StateError::Dimension {
            expected: 3,
            actual: 2,
        };
        assert_eq!(
            learner.decision(&Event::new("a", &other).with_id(2)),
            Err(wrong.into())
        );
        for bad in [-0.5, 2.0, f64::INFINITY] {
            let refused = Err(StateError::Reward(bad).into());
            assert_eq!(learner.reward(1, Some(bad), true), refused);
        }
        assert_eq!(learner.pending(), 1);
    }

    #[test]
    fn the_oldest_makes_room_and_the_old_expire() {
        let mut learner = Learner::new(&SCHEMA).with_pending_max(2);
        learner
            .decision(&Event::new("a", &x(0.1)).with_id(7).at(20))
            .unwrap();
        learner
            .decision(&Event::new("a", &x(0.2)).with_id(8).at(10))
            .unwrap();
        assert_eq!(
            learner.decision(&Event::new("a", &x(0.3)).with_id(9).at(30)),
            Ok(Some(8))
        );
        assert_eq!((learner.pending(), learner.evicted()), (2, 1));
        assert_eq!(learner.reward(8, Some(1.0), true), Ok(Effect::Unknown));
        learner.reward(7, Some(1.0), false).unwrap();
        assert_eq!(learner.expire(30), 1);
        assert_eq!((learner.pending(), learner.state().count("a")), (1, 1));
        assert_eq!(learner.expire(30), 0);
    }

    #[test]
    fn what_an_answer_cost_is_taken_off_its_rewards() {
        let mut learner = Learner::new(&SCHEMA);
        learner
            .decision(&Event::new("a", &x(0.5)).with_id(1))
            .unwrap();
        learner.charge(1, 0.25);
        learner.charge(2, 0.25);
        learner.reward(1, Some(1.0), false).unwrap();
        assert_eq!(learner.state().mean("a"), Some(0.75));
        let snapshot = learner.snapshot(&PolicySpec::default(), 1, 1);
        let mut learner = Learner::resume(Snapshot::from_bytes(&snapshot.to_bytes()).unwrap());
        learner.reward(1, Some(0.125), true).unwrap();
        assert_eq!(learner.state().mean("a"), Some(0.0));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Decision(u128, &'static str, Features, i64),
        Reward(u128, Option<f64>, bool),
        Expire(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let arm = prop::sample::select(vec!["a", "b"]);
        prop_oneof![
            (0_u128..30, arm, -1.0_f32..=1.0, 0_i64..100)
                .prop_map(|(id, arm, value, at)| Step::Decision(id, arm, x(value), at)),
            (0_u128..30, prop::option::of(0.0_f64..=1.0), any::<bool>())
                .prop_map(|(id, reward, settled)| Step::Reward(id, reward, settled)),
            (0_i64..60).prop_map(Step::Expire),
        ]
    }

    fn run(mut learner: Learner, steps: &[Step]) -> Learner {
        for step in steps.iter().cloned() {
            match step {
                // A repeated decision is refused, which is part of the fold.
                Step::Decision(id, arm, x, at) => {
                    drop(learner.decision(&Event::new(arm, &x).with_id(id).at(at)));
                }
                Step::Reward(id, reward, settled) => {
                    learner.reward(id, reward, settled).unwrap();
                }
                Step::Expire(before) => drop(learner.expire(before)),
            }
        }
        learner
    }

    proptest! {
        #[test]
        fn stopping_anywhere_changes_nothing(
            steps in prop::collection::vec(step(), 0..120),
            cut in 0_usize..120,
        ) {
            let (before, after) = steps.split_at(cut.min(steps.len()));
            let start = || Learner::new(&SCHEMA).with_pending_max(10);
            let whole = run(start(), &steps);
            prop_assert_eq!(&run(start(), &steps), &whole);
            let snapshot = run(start(), before).snapshot(&PolicySpec::default(), 3, 9);
            let bytes = snapshot.to_bytes();
            let back = Snapshot::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&back, &snapshot);
            prop_assert_eq!(run(Learner::resume(back), after), whole);
        }

        #[test]
        fn only_the_last_reward_counts(
            rewards in prop::collection::vec(prop::option::of(0.0_f64..=1.0), 1..10),
            other in 0.0_f64..=1.0,
        ) {
            let mut revised = Learner::new(&SCHEMA);
            revised.decision(&Event::new("a", &x(0.3)).with_id(1).at(0)).unwrap();
            revised.decision(&Event::new("a", &x(0.7)).with_id(2).at(0)).unwrap();
            revised.reward(2, Some(other), true).unwrap();
            let mut direct = revised.clone();
            for reward in &rewards {
                revised.reward(1, *reward, false).unwrap();
            }
            direct.reward(1, rewards[rewards.len() - 1], false).unwrap();
            prop_assert_eq!(revised, direct);
        }
    }
}
