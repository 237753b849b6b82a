use crate::TypingSpeed;
use crate::rhythm::Rhythm;
use crate::tempo::Tempo;

/// What is known of a user from all that was seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Person {
    /// How fast the user types.
    pub(crate) typing: TypingSpeed,
    /// How fast the clock runs for the user.
    pub(crate) tempo: Tempo,
    /// How the user's keys and requests follow each other.
    pub(crate) rhythm: Rhythm,
    /// Whether the editor tells what it shows.
    pub(crate) tells_shown: bool,
    /// Whether the editor says which requests are made ahead of the user.
    pub(crate) tells_ahead: bool,
    /// Whether the editor tells what is taken.
    pub(crate) tells_taken: bool,
}
