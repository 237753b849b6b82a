use std::fmt;
use std::str::FromStr;

use crate::RewardError;

/// What an editor, or a plugin beside it, says of a proposal in so many words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The decision whose proposal is meant.
    pub decision: u128,
    /// The alternative of the answer that is meant, from 0.
    pub choice: u32,
    /// What happened.
    pub kind: EventKind,
    /// Characters taken, counted from the start of the proposal, where the editor says it.
    pub accepted_chars: Option<u32>,
    /// Characters shown, counted from the start of the proposal, where the editor says that it showed less
    /// than was sent.
    pub shown_chars: Option<u32>,
    /// The text that now stands in the proposal's place, where the editor sends it.
    pub text: Option<&'a str>,
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The proposal was put on the screen.
    Shown,
    /// It was taken.
    Accepted,
    /// A part of it was taken.
    Partial,
    /// It was dismissed.
    Rejected,
    /// It was taken and has been changed since.
    Edited,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Shown,
        Self::Accepted,
        Self::Partial,
        Self::Rejected,
        Self::Edited,
    ];

    /// The name used on the wire and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Accepted => "accepted",
            Self::Partial => "partial",
            Self::Rejected => "rejected",
            Self::Edited => "edited",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = RewardError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| RewardError::UnknownEvent(name.to_owned()))
    }
}
