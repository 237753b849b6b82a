//! Learning as a fold over the experience log.
//!
//! The live learner and every replay are this one piece of code, so that what was learned while
//! serving and what is learned from the log afterwards are the same, bit for bit.

use echo_experience::{Decision, Entry, Evidence, Record, Served};
use echo_policy::{
    Effect, Event, FeatureSchema, Learner, Memory, Policy, PolicyError, PolicySpec, Snapshot,
    versioned,
};
use echo_reward::{Fate, Outcome, Scoring};
use sha2::{Digest, Sha256};

use crate::contexts::Contexts;
pub use crate::error::FoldError;

/// What was learned from the entries of a log, read in their order.
///
/// Learned from are decisions that the policy drew (not those whose arm the client named), of users
/// outside the control cohort, answered whole by the arm drawn. Of several alternatives in one answer
/// the first is looked at, which is the one that editors show. Decisions under older rules of the same number of features
/// have theirs made anew from their facts. A new version of an arm starts from what
/// its newest predecessor with any reward has learned, with [`WIDEN`] times the variance. An arm that is asked no more is
/// retired: policies know nothing of it until it is asked again.
#[derive(Debug, Clone)]
pub struct Fold {
    learner: Learner,
    contexts: Contexts,
    scoring: Scoring,
    through: u64,
    version: u64,
    rewards: u64,
}

impl Fold {
    /// Nothing learned yet, for policies that need plain sums. At most `pending` decisions wait for their reward at a
    /// time.
    pub fn new(schema: &FeatureSchema, scoring: impl Into<Scoring>, pending: usize) -> Self {
        Self::remembering(schema, scoring, pending, Memory::default())
    }

    /// Nothing learned yet, for policies that need `memory`.
    pub fn remembering(
        schema: &FeatureSchema,
        scoring: impl Into<Scoring>,
        pending: usize,
        memory: Memory,
    ) -> Self {
        Self {
            learner: Learner::remembering(schema, memory).with_pending_max(pending),
            contexts: Contexts::new(schema),
            scoring: scoring.into(),
            through: 0,
            version: 0,
            rewards: 0,
        }
    }

    /// Goes on from a snapshot, which must have been made by the same scoring.
    ///
    /// # Errors
    ///
    /// None at present; a snapshot is checked when it is read.
    pub fn resume(
        snapshot: Snapshot,
        scoring: impl Into<Scoring>,
        pending: usize,
    ) -> Result<Self, FoldError> {
        Ok(Self {
            contexts: Contexts::new(snapshot.state.schema()),
            through: snapshot.through,
            version: snapshot.version,
            scoring: scoring.into(),
            rewards: 0,
            learner: Learner::resume(snapshot).with_pending_max(pending),
        })
    }

    /// One that reads logs in the same way, has read nothing, and is for policies that need `memory`.
    #[must_use]
    pub fn anew(&self, memory: Memory) -> Self {
        let (schema, pending) = (self.contexts.schema(), self.learner.pending_max());
        Self::remembering(schema, self.scoring, pending, memory)
    }

    /// The feature schema that it learns under.
    pub fn schema(&self) -> &FeatureSchema {
        self.contexts.schema()
    }

    /// What is told apart of what was learned.
    pub fn memory(&self) -> &Memory {
        self.learner.state().memory()
    }

    /// Reads the next entry.
    ///
    /// # Errors
    ///
    /// [`FoldError`] for an entry that no server writes; it is passed over by calling with the next.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), FoldError> {
        self.through = entry.seq;
        match &entry.record {
            Record::Decision(decision) => self.decision(decision),
            Record::Served(served) => self.served(served),
            Record::Evidence(evidence) => self.evidence(evidence),
            Record::PolicyPublished(published) if published.cohort == TREATMENT => {
                self.version = self.version.max(published.version);
                Ok(())
            }
            Record::ModelPublished(published) => {
                if published.reason.starts_with(RETIRED) {
                    self.learner.retire(&published.arm);
                } else {
                    self.learner.reinstate(&published.arm);
                    self.inherit(&published.arm);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The sequence number of the last entry read; 0 before the first.
    pub fn through(&self) -> u64 {
        self.through
    }

    /// The version of the last policy that the log says was published; 0 before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Rewards learned, corrected or taken back since this fold was made or resumed.
    pub fn rewards(&self) -> u64 {
        self.rewards
    }

    /// Mean reward over all arms, in [0, 1]; `None` when none was learned.
    pub fn mean_reward(&self) -> Option<f64> {
        let state = self.learner.state();
        let total = state.total();
        let sum: f64 = state
            .arms()
            .filter_map(|arm| Some(state.mean(arm)? * state.count(arm) as f64))
            .sum();
        (total > 0).then(|| sum / total as f64)
    }

    /// The policy that follows from what was learned.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] when `spec` cannot be made from the state.
    pub fn policy(&self, spec: &PolicySpec, version: u64) -> Result<Policy, PolicyError> {
        Policy::build(spec, self.learner.state(), version)
    }

    /// The learner, to read what it holds.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// Everything needed to go on later.
    pub fn snapshot(&self, spec: &PolicySpec, version: u64) -> Snapshot {
        self.learner.snapshot(spec, version, self.through)
    }

    /// SHA-256 of what was learned, in hexadecimal: equal exactly when the sums are, bit for bit.
    pub fn state_sha256(&self) -> String {
        let json = serde_json::to_vec(self.learner.state()).unwrap_or_default();
        Sha256::digest(&json)
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    fn decision(&mut self, decision: &Decision) -> Result<(), FoldError> {
        let learned_from = decision.routed && !decision.degraded && decision.cohort == TREATMENT;
        let Some(arm) = decision.arms.get(decision.chosen as usize) else {
            return Ok(());
        };
        if !learned_from {
            return Ok(());
        }
        let Some(features) = self.contexts.of(decision)? else {
            return Ok(());
        };
        let id = id_of(&decision.id)?;
        let event = Event::new(arm, &features).with_id(id).at(decision.at_ms);
        self.learner.decision(&event.asked_by(&decision.client))?;
        Ok(())
    }

    /// Lets a version of an arm that has learned nothing inherit from the one before it.
    fn inherit(&mut self, arm: &str) {
        let state = self.learner.state();
        if state.count(arm) > 0 {
            return;
        }
        let Some((name, version)) = versioned(arm) else {
            return;
        };
        let older = |other: &&str| versioned(other).is_some_and(|(n, v)| n == name && v < version);
        let newest = state
            .arms()
            .filter(older)
            .max_by_key(|other| versioned(other));
        let Some(from) = newest.map(str::to_owned) else {
            return;
        };
        // Refused if it inherits already, as after every restart: the first inheritance stands.
        let _ = self.learner.inherit(&from, arm, WIDEN);
    }

    /// An answer that was broken off, or came from another arm than the one drawn, teaches nothing.
    fn served(&mut self, served: &Served) -> Result<(), FoldError> {
        let whole = served.ending == "stop" || served.ending == "length";
        if whole && !served.fallback {
            let cost = self.scoring.cost(served.first_byte_ms);
            if served.choice == FIRST && cost > 0.0 {
                self.learner.charge(id_of(&served.decision)?, cost);
            }
            return Ok(());
        }
        self.reward(&served.decision, None, true)
    }

    fn evidence(&mut self, evidence: &Evidence) -> Result<(), FoldError> {
        if evidence.choice != FIRST || evidence.source == SURVIVAL {
            return Ok(());
        }
        let reward = self.scoring.scorer.reward(&outcome(evidence)?);
        self.reward(&evidence.decision, reward, evidence.settled)
    }

    fn reward(&mut self, id: &str, reward: Option<f64>, settled: bool) -> Result<(), FoldError> {
        let effect = self.learner.reward(id_of(id)?, reward, settled)?;
        if !matches!(effect, Effect::Unknown | Effect::Unchanged) {
            self.rewards += 1;
        }
        Ok(())
    }
}

/// What the reason of a model's record begins with when the model is asked no more.
pub const RETIRED: &str = "retired";

/// How many times the variance of its predecessor a new version of an arm starts with: each event of
/// the predecessor counts a quarter.
pub const WIDEN: f64 = 4.0;

const TREATMENT: &str = "treatment";

/// The alternative that is learned from.
const FIRST: u32 = 0;

/// The source of evidence on how long a proposal stands, which comes after its outcome has settled and
/// changes nothing of it.
pub const SURVIVAL: &str = "survival";

/// The outcome that a logged piece of evidence states.
///
/// # Errors
///
/// [`FoldError::Evidence`] when its fate is none.
pub fn outcome(evidence: &Evidence) -> Result<Outcome, FoldError> {
    let fate: Fate = evidence
        .fate
        .parse()
        .map_err(|_| FoldError::Evidence(evidence.fate.clone()))?;
    Ok(Outcome {
        fate,
        kept_share: evidence.kept_share,
        accepted_chars: evidence.accepted_chars,
        shown_chars: evidence.shown_chars,
        edit_distance: evidence.edit_distance,
        settled: evidence.settled,
    })
}

/// A logged decision's id as the number that keys its draw.
///
/// # Errors
///
/// [`FoldError::Id`] when it is no UUID.
pub fn id_of(text: &str) -> Result<u128, FoldError> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| digits.len() == 32)
        .ok_or_else(|| FoldError::Id(text.to_owned()))
}
