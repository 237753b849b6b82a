use std::collections::BTreeMap;

use crate::Scorer;
use crate::{Fate, Outcome};

/// How often proposals were taken of late, for one user and for each of his recent files: an
/// exponentially weighted mean, which starts at one half.
#[derive(Debug, Clone, PartialEq)]
pub struct RecentAcceptance {
    user: f32,
    files: BTreeMap<String, (f32, u64)>,
    clock: u64,
}

impl Default for RecentAcceptance {
    fn default() -> Self {
        Self {
            user: UNKNOWN,
            files: BTreeMap::new(),
            clock: 0,
        }
    }
}

impl RecentAcceptance {
    /// Takes a settled outcome into account; a fate that was not observed changes nothing.
    pub fn settle(&mut self, file: Option<&str>, outcome: &Outcome) {
        if outcome.fate == Fate::NeverShown {
            return;
        }
        let Some(reward) = Scorer::Accepted1.reward(outcome) else {
            return;
        };
        let taken = if reward > 0.0 { 1.0 } else { 0.0 };
        self.user += WEIGHT * (taken - self.user);
        let Some(file) = file else { return };
        self.clock += 1;
        let mean = self.files.entry(file.to_owned()).or_insert((UNKNOWN, 0));
        mean.0 += WEIGHT * (taken - mean.0);
        mean.1 = self.clock;
        if self.files.len() > FILES {
            self.forget_oldest();
        }
    }

    /// The user's recent share of proposals taken, in [0, 1].
    pub fn user(&self) -> f32 {
        self.user
    }

    /// The same for one file; the user's own where the file is not known.
    pub fn file(&self, file: Option<&str>) -> f32 {
        file.and_then(|file| self.files.get(file))
            .map_or(self.user, |(mean, _)| *mean)
    }

    fn forget_oldest(&mut self) {
        let oldest = self.files.iter().min_by_key(|(_, (_, used))| *used);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.files.remove(&name);
        }
    }
}

const UNKNOWN: f32 = 0.5;

/// Weight of one outcome: the mean reaches back over about ten of them.
const WEIGHT: f32 = 0.1;

/// Files remembered for each user.
const FILES: usize = 32;
