use serde::{Deserialize, Serialize};

use crate::Position;

/// What is known about one request when an arm must be chosen.
///
/// Facts are logged beside the [`Features`](crate::Features) made of them, so that features can
/// be redefined offline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The programming language, as the client names it or the file name shows it.
    pub language: Option<String>,
    /// The tenant that asks; absent where there is one only, and in logs older than the second version of the
    /// [`FeatureSchema`](crate::FeatureSchema).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The kind of client (`"llama.vim"`, `"continue"`), empty if unknown.
    pub client: String,
    /// What made the client ask.
    pub trigger: Trigger,
    /// Characters before the cursor.
    pub prefix_chars: u32,
    /// Characters after the cursor.
    pub suffix_chars: u32,
    /// Where in the text the cursor stands.
    pub position: Position,
    /// Hour of the day, 0..=23; larger values are taken modulo 24.
    pub hour: u8,
    /// Share of this user's recent proposals that were accepted, in [0, 1]; 0.5 if unknown.
    pub user_acceptance: f32,
    /// Share of recent proposals in this file that were accepted, in [0, 1]; 0.5 if unknown.
    pub file_acceptance: f32,
}

/// What made the client ask for a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A pause in typing.
    Automatic,
    /// A key pressed by the user.
    Manual,
    /// A request made ahead of time, on text that holds a proposal not yet accepted.
    Speculative,
}
