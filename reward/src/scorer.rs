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
    /// `chars@1`: characters that still stand, divided by 80, at most 1; 0 when it was rejected or undone.
    /// Long proposals earn more, up to about two lines.
    Chars1,
    /// `cursor@1`: 0.75 for a proposal that was taken and still stands, -0.25 for one that was rejected or
    /// undone, and 0 for silence, as Cursor rewards its Tab model (cursor.com/blog/tab-rl): showing pays
    /// from one acceptance in four on. Policies need rewards in [0, 1], so a quarter is added to each.
    Cursor1,
}

impl Scorer {
    /// All scorers.
    pub const ALL: [Self; 4] = [
        Self::Retained1,
        Self::Accepted1,
        Self::Chars1,
        Self::Cursor1,
    ];

    /// The name with its version.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retained1 => "retained@1",
            Self::Accepted1 => "accepted@1",
            Self::Chars1 => "chars@1",
            Self::Cursor1 => "cursor@1",
        }
    }

    /// The reward of an outcome, in [0, 1]; `None` when the outcome says nothing about the arm.
    ///
    /// Censored and speculative proposals, and answers that the editor dropped, are excluded: no
    /// evidence is not a rejection. A silent answer is no such gap. It is known to have saved the
    /// user nothing, and earns what that is worth; left out, an arm that rarely speaks would be valued by
    /// its best moments alone.
    pub fn reward(self, outcome: &Outcome) -> Option<f64> {
        if outcome.is_silent() {
            return Some(self.silence());
        }
        if !outcome.fate.is_observed() {
            return None;
        }
        if matches!(outcome.fate, Fate::Rejected | Fate::Undone) {
            return Some(0.0);
        }
        Some(match self {
            Self::Retained1 => outcome.kept_share.clamp(0.0, 1.0),
            Self::Accepted1 | Self::Cursor1 => 1.0,
            Self::Chars1 => (f64::from(outcome.accepted_chars) / CHARS_MOST).min(1.0),
        })
    }

    /// What an answer without text is worth.
    fn silence(self) -> f64 {
        match self {
            Self::Retained1 | Self::Accepted1 | Self::Chars1 => 0.0,
            Self::Cursor1 => CURSOR_SHIFT,
        }
    }
}

/// `chars@1` rewards so many characters and no more.
const CHARS_MOST: f64 = 80.0;

/// What `cursor@1` adds, so that its least reward is 0; its greatest is 1 then.
const CURSOR_SHIFT: f64 = 0.25;

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
            // As retained@1, accepted@1, chars@1 and cursor@1 have it.
            (Fate::Accepted, Some([0.6, 1.0, 0.075, 1.0])),
            (Fate::Partial, Some([0.6, 1.0, 0.075, 1.0])),
            (Fate::Refined, Some([0.6, 1.0, 0.075, 1.0])),
            (Fate::TypedThrough, Some([0.6, 1.0, 0.075, 1.0])),
            (Fate::Rejected, Some([0.0; 4])),
            (Fate::Undone, Some([0.0; 4])),
            (Fate::NeverShown, None),
            (Fate::Speculative, None),
            (Fate::Censored, None),
        ];
        for (fate, rewards) in cases {
            for (at, scorer) in Scorer::ALL.into_iter().enumerate() {
                let expected = rewards.map(|rewards| rewards[at]);
                assert_eq!(scorer.reward(&outcome(fate)), expected, "{scorer} {fate}");
            }
        }
        let silent = Scorer::ALL.map(|scorer| scorer.reward(&Outcome::silent()));
        assert_eq!(silent, [Some(0.0), Some(0.0), Some(0.0), Some(0.25)]);
        let long = Outcome {
            accepted_chars: 200,
            ..outcome(Fate::Accepted)
        };
        assert_eq!(Scorer::Chars1.reward(&long), Some(1.0));
    }

    #[test]
    fn names_read_back() {
        for scorer in Scorer::ALL {
            assert_eq!(scorer.as_str().parse(), Ok(scorer));
        }
        assert!("retained@2".parse::<Scorer>().is_err());
    }
}
