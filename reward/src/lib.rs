//! What became of a proposal, and what that is worth.
//!
//! An editor asks for a completion, is answered with a *proposal*, and goes on. Each later request of
//! the same user carries the text around the cursor, and so shows what now stands where the proposal
//! would have gone. This crate reads that: it finds the place again ([`Region`]), compares what stands
//! there with what was proposed ([`Kept`]), names the [`Fate`], follows it until it settles
//! ([`UserTracker`]), and turns the resulting [`Outcome`] into one number by a versioned [`Scorer`].
//!
//! ```
//! use echo_reward::{Fate, Proposal, Scorer, TrackerLimits, UserTracker, Window};
//!
//! let mut user = UserTracker::new(TrackerLimits::default());
//! let asked = Window { file: None, prefix: "def add(a, b):\n    return ", suffix: "\n" };
//! user.proposed(Proposal::new(1, 0, "a + b * a", &asked, 1_000));
//!
//! let later = Window { file: None, prefix: "def add(a, b):\n    return a + b * a\n\n", suffix: "\n" };
//! let changes = user.request(&later, false, 3_000).changes;
//! assert_eq!(changes[0].outcome.fate, Fate::Accepted);
//! assert_eq!(Scorer::Retained1.reward(&changes[0].outcome), Some(1.0));
//! ```
//!
//! It does no I/O and reads no clock: every call is told the time, in milliseconds.

mod agreement;
mod codebleu;
mod common;
mod error;
mod event;
mod fate;
mod filter;
mod grammar;
mod habits;
mod kept;
mod lexeme;
mod likeness;
mod outcome;
mod page;
mod person;
mod place;
mod proposal;
mod reading;
mod recent;
mod region;
mod rhythm;
mod scorer;
mod scoring;
mod sight;
mod slate;
mod tempo;
mod tracker;
mod typing;

pub use codebleu::CodeBleu;
pub use error::RewardError;
pub use event::{Event, EventKind};
pub use fate::Fate;
pub use habits::Habits;
pub use kept::Kept;
pub use lexeme::{Lexeme, lexemes};
pub use outcome::Outcome;
pub use proposal::Proposal;
pub use recent::RecentAcceptance;
pub use region::{Region, Window};
pub use scorer::{Judged, Scorer};
pub use scoring::Scoring;
pub use tracker::{Change, FOLLOWED_MS, Seen, Source, TrackerLimits, UserTracker};
pub use typing::TypingSpeed;
