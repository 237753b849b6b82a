use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Event, Features};

/// The latest decisions, one by one, with what they earned.
///
/// What is kept are those that are latest by time, and of equal times by id: a function of the set of all decisions,
/// whatever their order. A decision that is older than all of these when it is full is passed over, with its reward.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Window {
    decisions: BTreeMap<(i64, u128), Remembered>,
}

/// A decision that is kept as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) arm: String,
    pub(crate) features: Features,
    /// Its reward, if it has one (yet).
    pub(crate) reward: Option<f64>,
}

/// The same with its key, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    at_ms: i64,
    /// In hexadecimal: JSON's numbers are too small for it.
    id: String,
    #[serde(flatten)]
    decision: Remembered,
}

impl Window {
    /// Notes a decision, and its reward if there is one; `most` decisions are kept.
    pub(crate) fn note(&mut self, event: &Event<'_>, reward: Option<f64>, most: u32) {
        let key = (event.at_ms, event.id);
        let known = self.decisions.entry(key).or_insert_with(|| Remembered {
            arm: event.arm.to_owned(),
            features: event.features.clone(),
            reward: None,
        });
        if reward.is_some() {
            known.reward = reward;
        }
        self.trim(most);
    }

    /// Takes the reward of a decision back.
    pub(crate) fn withdraw(&mut self, event: &Event<'_>) {
        if let Some(known) = self.decisions.get_mut(&(event.at_ms, event.id)) {
            known.reward = None;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self, most: u32) {
        for (key, theirs) in &other.decisions {
            let ours = self.decisions.entry(*key).or_insert_with(|| theirs.clone());
            ours.reward = ours.reward.or(theirs.reward);
        }
        self.trim(most);
    }

    fn trim(&mut self, most: u32) {
        while self.decisions.len() > most as usize {
            self.decisions.pop_first();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.decisions.len()
    }

    /// The decisions with their time, from the oldest on.
    pub(crate) fn decisions(&self) -> impl Iterator<Item = (i64, &Remembered)> {
        self.decisions
            .iter()
            .map(|((at_ms, _), decision)| (*at_ms, decision))
    }

    /// The decisions with time and id, from the oldest on.
    pub(crate) fn entries(&self) -> impl Iterator<Item = ((i64, u128), &Remembered)> {
        self.decisions
            .iter()
            .map(|(key, decision)| (*key, decision))
    }

    /// Whether there was no such decision before.
    pub(crate) fn insert(&mut self, key: (i64, u128), decision: Remembered) -> bool {
        self.decisions.insert(key, decision).is_none()
    }

    pub(crate) fn stored(&self) -> Vec<Stored> {
        let stored = |((at_ms, id), decision): ((i64, u128), &Remembered)| Stored {
            at_ms,
            id: format!("{id:x}"),
            decision: decision.clone(),
        };
        self.entries().map(stored).collect()
    }

    /// `None` where an id is none.
    pub(crate) fn from_stored(all: Vec<Stored>) -> Option<Self> {
        let mut window = Self::default();
        for stored in all {
            let id = u128::from_str_radix(&stored.id, 16).ok()?;
            window.insert((stored.at_ms, id), stored.decision);
        }
        Some(window)
    }

    /// Whether it has at most so many decisions, each with this many features and a reward that can be.
    pub(crate) fn fits(&self, most: u32, dimension: usize) -> bool {
        let is_sound = |decision: &Remembered| {
            decision.features.dimension() == dimension
                && decision.reward.is_none_or(|r| (0.0..=1.0).contains(&r))
        };
        self.len() <= most as usize && self.decisions.values().all(is_sound)
    }
}
