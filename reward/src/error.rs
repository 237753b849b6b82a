use std::fmt;

use crate::Scorer;

/// What can be wrong with a name or an event given to this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewardError {
    /// No fate has this name.
    UnknownFate(String),
    /// No scorer has this name.
    UnknownScorer(String),
    /// The scorer reads texts, which learning and replay do not have.
    NeedsTexts(Scorer),
    /// What waiting costs is no number from 0 up.
    LatencyCost(String),
    /// No kind of event has this name.
    UnknownEvent(String),
    /// The event names a proposal that is not open: never made, already settled, or evicted.
    UnknownProposal {
        /// The decision that the event named.
        decision: u128,
        /// The alternative of its answer that the event named.
        choice: u32,
    },
}

impl fmt::Display for RewardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFate(name) => write!(f, "no fate is called {name:?}"),
            Self::UnknownScorer(name) => write!(
                f,
                "no scorer is called {name:?}; there are {}",
                Scorer::ALL.map(Scorer::as_str).join(", ")
            ),
            Self::NeedsTexts(scorer) => write!(
                f,
                "{scorer} reads the texts, and can only be asked of outcomes"
            ),
            Self::LatencyCost(cost) => {
                write!(
                    f,
                    "a second of waiting costs a number from 0 up, not {cost}"
                )
            }
            Self::UnknownEvent(name) => write!(
                f,
                "no event is called {name:?}; there are shown, accepted, partial, rejected and edited"
            ),
            Self::UnknownProposal { choice, .. } => {
                write!(f, "no open proposal has this id and choice {choice}")
            }
        }
    }
}

impl std::error::Error for RewardError {}
