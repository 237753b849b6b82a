use std::fmt;
use std::str::FromStr;

use crate::{Fate, Outcome, RewardError};

/// A versioned rule that turns an [`Outcome`] into a reward.
///
/// The log keeps the measures; a scorer is applied on reading, so that one log can be scored in
/// several ways. A scorer never changes once it has a version: another rule gets another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scorer {
    /// `retained@1`, the default: the kept share of what was shown; 0 when it was rejected or undone.
    #[default]
    Retained1,
    /// `accepted@1`: 1 when at least a part was taken and still stands, else 0.
    Accepted1,
}

impl Scorer {
    /// All scorers.
    pub const ALL: [Self; 2] = [Self::Retained1, Self::Accepted1];

    /// The name with its version.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retained1 => "retained@1",
            Self::Accepted1 => "accepted@1",
        }
    }

    /// The reward of an outcome, in [0, 1]; `None` when the outcome says nothing about the arm.
    ///
    /// Censored and speculative proposals, and answers that the editor dropped, are excluded: no
    /// evidence is not a rejection. A silent answer is no such gap. It is known to have saved the
    /// user nothing, and earns 0; left out, an arm that rarely speaks would be valued by its best
    /// moments alone.
    pub fn reward(self, outcome: &Outcome) -> Option<f64> {
        if outcome.is_silent() {
            return Some(0.0);
        }
        if !outcome.fate.is_observed() {
            return None;
        }
        if matches!(outcome.fate, Fate::Rejected | Fate::Undone) {
            return Some(0.0);
        }
        Some(match self {
            Self::Retained1 => outcome.kept_share.clamp(0.0, 1.0),
            Self::Accepted1 => 1.0,
        })
    }
}

impl fmt::Display for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scorer {
    type Err = RewardError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scorer| scorer.as_str() == name)
            .ok_or_else(|| RewardError::UnknownScorer(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_by_fate() {
        let outcome = |fate| Outcome {
            fate,
            kept_share: 0.6,
            accepted_chars: 6,
            shown_chars: 10,
            edit_distance: 0.4,
            settled: true,
        };
        let cases = [
            (Fate::Accepted, Some(0.6), Some(1.0)),
            (Fate::Partial, Some(0.6), Some(1.0)),
            (Fate::Refined, Some(0.6), Some(1.0)),
            (Fate::TypedThrough, Some(0.6), Some(1.0)),
            (Fate::Rejected, Some(0.0), Some(0.0)),
            (Fate::Undone, Some(0.0), Some(0.0)),
            (Fate::NeverShown, None, None),
            (Fate::Speculative, None, None),
            (Fate::Censored, None, None),
        ];
        for (fate, retained, accepted) in cases {
            assert_eq!(Scorer::Retained1.reward(&outcome(fate)), retained, "{fate}");
            assert_eq!(Scorer::Accepted1.reward(&outcome(fate)), accepted, "{fate}");
        }
        assert_eq!(Scorer::Retained1.reward(&Outcome::silent()), Some(0.0));
    }

    #[test]
    fn names_read_back() {
        for scorer in Scorer::ALL {
            assert_eq!(scorer.as_str().parse(), Ok(scorer));
        }
        assert!("retained@2".parse::<Scorer>().is_err());
    }
}
