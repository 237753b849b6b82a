use serde::{Deserialize, Serialize};

use crate::Fate;

/// The measures of a proposal's fate, as far as they are known at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What became of the proposal.
    pub fate: Fate,
    /// Share of the shown characters, counted over whole lexemes, that stand in the text; in [0, 1].
    pub kept_share: f64,
    /// Characters of the shown text that stand in the text.
    pub accepted_chars: u32,
    /// Characters of the text that the user was shown, as far as that can be told.
    pub shown_chars: u32,
    /// Levenshtein distance between the shown text and what stands in its place, divided by the
    /// longer of the two lengths; in [0, 1].
    pub edit_distance: f64,
    /// Whether the measures are final.
    pub settled: bool,
}

impl Outcome {
    /// The outcome of an answer without text: the arm stayed silent, and there is nothing to wait for.
    pub fn silent() -> Self {
        Self {
            fate: Fate::NeverShown,
            kept_share: 0.0,
            accepted_chars: 0,
            shown_chars: 0,
            edit_distance: 0.0,
            settled: true,
        }
    }

    /// The outcome of an answer to a request made ahead of the user, who may never come there.
    pub fn speculative(text: &str) -> Self {
        Self {
            fate: Fate::Speculative,
            ..Self::censored(crate::lexeme::count(text), true)
        }
    }

    /// The outcome of an answer of `chars` characters that the editor did not show.
    pub fn never_shown(chars: u32) -> Self {
        Self {
            fate: Fate::NeverShown,
            ..Self::censored(chars, true)
        }
    }

    /// The outcome of a proposal of `shown_chars` characters of which nothing is known, and nothing
    /// will be when `settled`.
    pub fn censored(shown_chars: u32, settled: bool) -> Self {
        Self {
            fate: Fate::Censored,
            kept_share: 0.0,
            accepted_chars: 0,
            shown_chars,
            edit_distance: 0.0,
            settled,
        }
    }

    /// Whether the answer had no text at all, by the arm's own choice.
    pub fn is_silent(&self) -> bool {
        self.fate == Fate::NeverShown && self.shown_chars == 0
    }
}
