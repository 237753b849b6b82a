//! Simulated editors: users who type real source files and ask for completions over HTTP.
//!
//! A simulated user knows what a person would: the text they mean to write, and nothing of arms,
//! policies or probabilities. They type in bursts, pause where people pause, ask, look, take or leave
//! what they get, correct it into the text they mean, and go on. What the server makes of that, it has
//! to find out from their requests, as with real editors.
//!
//! # What counts as acceptance
//!
//! The rule is fixed here, before anything is compared, and counts keystrokes:
//!
//! 1. The proposal is laid beside the text the user means to write next. Parts that agree, in order,
//!    are *kept*; the best such alignment is the one with the greatest saving.
//! 2. **Saving** = keystrokes kept (a character each; white space one a run, indentation none, as
//!    editors indent by themselves) − [`Taste::edit_keys`] for every place where a correction is needed
//!    − [`Taste::trim_keys`] for every wrong line to be deleted − one key for accepting. What the
//!    proposal lacks costs nothing: it would have been typed anyway.
//! 3. The user takes the form of acceptance with the greatest saving among those they use: the whole
//!    text, its first line, or its first words (one key a word). Users who only ever take lines never
//!    take more than one.
//! 4. It is taken if that saving is at least [`Taste::least_saving`], else rejected.
//! 5. A hasty look judges by the first line alone, as if the rest were right. If the whole then saves
//!    less than nothing, the user undoes it; otherwise they correct it.
//! 6. Some users, by habit, type on through a proposal that is entirely right; a user who rejects one
//!    that is entirely right (too short to be worth a key) types it as well. Both count as typed
//!    through, and so does one of which half or more is typed by hand just as it was proposed.
//! 7. The fate is *accepted* if the whole proposal stands as it was, *refined* if it was taken whole
//!    and corrected, *partial* if only its first line or words were taken.
//!
//! A wrong end is deleted at once; a mistake inside may stand for a while, by the delays at which
//! accepted Copilot proposals were edited (see `Mood`). The rule reads the proposal's text and the
//! user's own, never the arm that made it.
//!
//! # Time and chance
//!
//! All waiting is divided by [`FleetSettings::pace`]; only the patience for an answer has a floor,
//! because a server does not compute faster when the clock does. Every choice of a user follows from
//! the seed, the user's number and the answers received.

mod alignment;
mod brackets;
mod client;
mod editor;
mod error;
mod fleet;
mod mood;
mod page;
mod script;
mod taste;
mod truth;
mod verdict;
mod wire;

pub use error::EditorError;
pub use fleet::{Fleet, FleetSettings};
pub use script::{Passage, SourceDocument};
pub use taste::Taste;
pub use truth::{EditorEvent, Truth};
pub use verdict::{Verdict, judge};
