use std::fmt;
use std::str::FromStr;

use crate::{CodeBleu, Fate, Outcome, RewardError};

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
    /// `codebleu@1`: how like what stands a proposal is that was taken, by [`CodeBleu`]; 0 when it was rejected
    /// or undone. It needs the texts: see [`Scorer::score`].
    Codebleu1,
}

/// A proposal with all that a scorer may need of it.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// What became of it.
    pub outcome: &'a Outcome,
    /// Its text.
    pub served: &'a str,
    /// The text that stood in its place at the last evidence, where it was kept.
    pub stands: Option<&'a str>,
    /// The language that it is written in, where that is known.
    pub language: Option<&'a str>,
}

impl Scorer {
    /// All scorers.
    pub const ALL: [Self; 5] = [
        Self::Retained1,
        Self::Accepted1,
        Self::Chars1,
        Self::Cursor1,
        Self::Codebleu1,
    ];

    /// Whether the measures of an outcome are not enough for it.
    pub fn needs_texts(self) -> bool {
        self == Self::Codebleu1
    }

    /// The name with its version.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retained1 => "retained@1",
            Self::Accepted1 => "accepted@1",
            Self::Chars1 => "chars@1",
            Self::Cursor1 => "cursor@1",
            Self::Codebleu1 => "codebleu@1",
        }
    }

    /// The reward of an outcome, in [0, 1]; `None` when the outcome says nothing about the arm.
    ///
    /// Censored and speculative proposals, and answers that the editor dropped, are excluded: no
    /// evidence is not a rejection. A silent answer is no such gap. It is known to have saved the
    /// user nothing, and earns what that is worth; left out, an arm that rarely speaks would be valued by
    /// its best moments alone. `None` as well when the outcome is not enough: see [`Scorer::needs_texts`].
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
            Self::Codebleu1 => return None,
            Self::Retained1 => outcome.kept_share.clamp(0.0, 1.0),
            Self::Accepted1 | Self::Cursor1 => 1.0,
            Self::Chars1 => (f64::from(outcome.accepted_chars) / CHARS_MOST).min(1.0),
        })
    }

    /// The reward of a proposal, in [0, 1], as [`Scorer::reward`] gives it; a scorer that needs texts reads
    /// them here. `None` also when it needs a text that was not kept.
    pub fn score(self, judged: &Judged<'_>) -> Option<f64> {
        if !self.needs_texts() || !judged.outcome.fate.is_taken() {
            return self.reward(judged.outcome);
        }
        let stands = judged.stands?;
        // What the user wrote after it is no part of it.
        let end = stands.floor_char_boundary(judged.served.len() + judged.served.len() / 2);
        let stands = if judged.outcome.fate == Fate::Accepted {
            judged.served
        } else {
            &stands[..end]
        };
        Some(CodeBleu::compare(judged.served, stands, judged.language).score())
    }

    /// What an answer without text is worth.
    fn silence(self) -> f64 {
        match self {
            Self::Retained1 | Self::Accepted1 | Self::Chars1 | Self::Codebleu1 => 0.0,
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
    fn texts_are_read_where_measures_are_not_enough() {
        let outcome = Outcome {
            fate: Fate::Refined,
            kept_share: 0.5,
            ..Outcome::censored(20, true)
        };
        let judged = |outcome, stands| {
            Scorer::Codebleu1.score(&Judged {
                outcome,
                served: "total = a + b",
                stands,
                language: Some("python"),
            })
        };
        let like = judged(&outcome, Some("sum = a + b")).unwrap();
        assert!(like > 0.3 && like < 1.0, "{like}");
        assert_eq!(judged(&outcome, None), None, "no text is no zero");
        assert_eq!(Scorer::Codebleu1.reward(&outcome), None);
        let rejected = Outcome {
            fate: Fate::Rejected,
            ..outcome
        };
        assert_eq!(judged(&rejected, None), Some(0.0));
        assert!(Scorer::Codebleu1.needs_texts() && !Scorer::Chars1.needs_texts());
    }

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
            let by_measures = Scorer::ALL
                .into_iter()
                .filter(|scorer| !scorer.needs_texts());
            for (at, scorer) in by_measures.enumerate() {
                let expected = rewards.map(|rewards| rewards[at]);
                assert_eq!(scorer.reward(&outcome(fate)), expected, "{scorer} {fate}");
            }
        }
        let silent = Scorer::ALL.map(|scorer| scorer.reward(&Outcome::silent()));
        assert_eq!(silent, [0.0, 0.0, 0.0, 0.25, 0.0].map(Some));
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
