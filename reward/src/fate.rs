use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::RewardError;

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Taken in full and left as it was.
    Accepted,
    /// Taken up to the end of a line or a word; the rest was not.
    Partial,
    /// Taken, then changed.
    Refined,
    /// Typed by hand, just as it was proposed.
    TypedThrough,
    /// Seen and not taken: other text was written in its place.
    Rejected,
    /// Taken, then removed again.
    Undone,
    /// Answered, yet not shown: the arm stayed silent, or the editor drops such text.
    NeverShown,
    /// The answer to a request made ahead of the user, who may never have come there.
    Speculative,
    /// Nothing later tells: not a rejection.
    Censored,
}

impl Fate {
    /// All fates, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Accepted,
        Self::Partial,
        Self::Refined,
        Self::TypedThrough,
        Self::Rejected,
        Self::Undone,
        Self::NeverShown,
        Self::Speculative,
        Self::Censored,
    ];

    /// The name that the log and every `--json` output use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Partial => "partial",
            Self::Refined => "refined",
            Self::TypedThrough => "typed_through",
            Self::Rejected => "rejected",
            Self::Undone => "undone",
            Self::NeverShown => "never_shown",
            Self::Speculative => "speculative",
            Self::Censored => "censored",
        }
    }

    /// Whether the user took at least a part of the proposal and kept some of it.
    pub fn is_taken(self) -> bool {
        matches!(
            self,
            Self::Accepted | Self::Partial | Self::Refined | Self::TypedThrough
        )
    }

    /// Whether the user is known to have seen the proposal and decided on it.
    pub fn is_observed(self) -> bool {
        self.is_taken() || matches!(self, Self::Rejected | Self::Undone)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Fate {
    type Err = RewardError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|fate| fate.as_str() == name)
            .ok_or_else(|| RewardError::UnknownFate(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for fate in Fate::ALL {
            assert_eq!(fate.as_str().parse(), Ok(fate));
            let json = serde_json::to_string(&fate).unwrap();
            assert_eq!(json, format!("{:?}", fate.as_str()));
        }
        assert!("declined".parse::<Fate>().is_err());
    }
}
