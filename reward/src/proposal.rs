use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::kept::prefix_share;
use crate::lexeme::{count, lexemes};
use crate::region::ANCHOR_BYTES_MAX;
use crate::{Event, EventKind, Fate, Kept, Outcome, Region, TypingSpeed, Window};

/// A proposal whose fate is still open: what was proposed, where, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The decision that it answers.
    pub decision: u128,
    /// Which alternative of the answer it is, from 0.
    pub choice: u32,
    text: String,
    file: Option<String>,
    left: String,
    right: String,
    answered_ms: i64,
    changed_ms: i64,
    /// Looks at the region that showed a beginning of the proposal, as when it is typed by hand.
    agreeing_looks: u32,
    origin: Origin,
    outcome: Option<Outcome>,
    stands: Option<String>,
    /// A hash of what stood in its place at the last look.
    looked: u64,
}

/// Where the text in a proposal's place comes from, as far as looks have told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// No look has told yet.
    Unknown,
    /// The proposal was taken: it was seen there in full, came faster than typing, or was said to be.
    Taken,
    /// The user typed something else.
    Typed,
}

impl Proposal {
    /// A proposal of `text`, asked for at `window` and answered at `answered_ms`.
    pub fn new(
        decision: u128,
        choice: u32,
        text: &str,
        window: &Window<'_>,
        answered_ms: i64,
    ) -> Self {
        let (prefix, suffix) = (window.prefix, window.suffix);
        let tail = prefix.ceil_char_boundary(prefix.len().saturating_sub(ANCHOR_BYTES_MAX));
        let head = suffix.floor_char_boundary(ANCHOR_BYTES_MAX);
        Self {
            decision,
            choice,
            text: text.to_owned(),
            file: window.file.map(str::to_owned),
            left: prefix[tail..].to_owned(),
            right: suffix[..head].to_owned(),
            answered_ms,
            changed_ms: answered_ms,
            agreeing_looks: 0,
            origin: Origin::Unknown,
            outcome: None,
            stands: None,
            looked: 0,
        }
    }

    /// When the answer was complete, in milliseconds.
    pub fn answered_ms(&self) -> i64 {
        self.answered_ms
    }

    /// When the last look or event changed what is known, in milliseconds; when it was answered, as
    /// long as nothing is.
    pub fn changed_ms(&self) -> i64 {
        self.changed_ms
    }

    /// The file that it was made for, where the client said it.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// What is known of it so far; `None` before the first evidence.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The text that stood in its place at the last look, or that an event gave.
    pub fn stands(&self) -> Option<&str> {
        self.stands.as_deref()
    }

    /// What will be on record of it if nothing more is learned.
    pub fn settled(&self) -> Outcome {
        match self.outcome {
            Some(outcome) => Outcome {
                settled: true,
                ..outcome
            },
            None => Outcome::censored(count(&self.text), true),
        }
    }

    /// Looks at a later request: `document` is its prefix and suffix joined, with `cursor` bytes of
    /// prefix. `typing` is how fast the user types. Returns the outcome if this look changed it.
    pub fn look(
        &mut self,
        file: Option<&str>,
        document: &str,
        cursor: usize,
        typing: &mut TypingSpeed,
        at_ms: i64,
    ) -> Option<Outcome> {
        if at_ms < self.answered_ms || self.is_of_another(file) {
            return None;
        }
        let region = Region::find(document, cursor, &self.left, &self.right)?;
        if self.is_ahead_of_the_user(&region, at_ms) {
            return None;
        }
        let stands = self.within_bound(region.stands);
        let looked = hash_of(stands);
        if looked == self.looked {
            return None;
        }
        self.looked = looked;
        // What the user wrote in its place is of no more interest, unless it becomes the proposal.
        if self.origin == Origin::Typed && prefix_share(self.text.trim(), stands.trim()) < WHOLE {
            return None;
        }
        let region = Region { stands, ..region };
        let kept = Kept::measure(self.text.trim(), stands.trim());
        let seconds = (at_ms - self.answered_ms) as f64 / 1000.0;
        let fate = self.fate_of(&region, kept, typing, seconds)?;
        self.conclude(fate, kept, region.stands, at_ms)
    }

    /// Takes over what was known of it before, at `at_ms`, when it is followed again after a restart.
    pub fn resume(&mut self, outcome: Outcome, at_ms: i64) {
        self.origin = match outcome.fate {
            Fate::Rejected => Origin::Typed,
            fate if fate.is_observed() && fate != Fate::Partial => Origin::Taken,
            _ => Origin::Unknown,
        };
        self.outcome = Some(outcome);
        self.changed_ms = at_ms;
    }

    /// Takes an event's word. Returns the outcome if it changed.
    pub fn told(&mut self, event: &Event<'_>, at_ms: i64) -> Option<Outcome> {
        let said = event.text.unwrap_or(&self.text);
        let mut kept = Kept::measure(&self.text, said);
        if let (None, Some(chars)) = (event.text, event.accepted_chars) {
            let share = f64::from(chars) / f64::from(count(&self.text).max(1));
            kept.share = share.min(1.0);
        }
        let fate = match event.kind {
            EventKind::Shown => return None,
            EventKind::Rejected if self.outcome.is_some_and(|o| o.fate.is_taken()) => return None,
            EventKind::Rejected => Fate::Rejected,
            EventKind::Accepted | EventKind::Partial if kept.share < WHOLE => Fate::Partial,
            EventKind::Accepted | EventKind::Partial => Fate::Accepted,
            EventKind::Edited => after_taking(&kept),
        };
        if fate != Fate::Rejected && fate != Fate::Partial {
            self.origin = Origin::Taken;
        }
        let stands = said.to_owned();
        self.conclude(fate, kept, &stands, at_ms)
    }

    /// What stands in the proposal's place, without what the user wrote long after it.
    fn within_bound<'a>(&self, stands: &'a str) -> &'a str {
        &stands[..stands.floor_char_boundary(self.text.len() * 2 + STANDS_BYTES)]
    }

    fn is_of_another(&self, file: Option<&str>) -> bool {
        matches!((self.file(), file), (Some(own), Some(other)) if own != other)
    }

    /// Editors that ask ahead send the text as if the proposal had been taken, at once after the
    /// answer: too soon for a person.
    fn is_ahead_of_the_user(&self, region: &Region<'_>, at_ms: i64) -> bool {
        at_ms - self.answered_ms < AHEAD_MS && region.before_cursor.trim() == self.text.trim()
    }

    /// The fate that a look shows; `None` when it shows nothing new.
    fn fate_of(
        &mut self,
        region: &Region<'_>,
        kept: Kept,
        typing: &mut TypingSpeed,
        seconds: f64,
    ) -> Option<Fate> {
        let (wanted, stands) = (self.text.trim(), region.stands.trim());
        if stands.is_empty() {
            return (self.origin == Origin::Taken).then_some(Fate::Undone);
        }
        if kept.prefix_share >= WHOLE {
            let typed = self.agreeing_looks > 0 || self.origin == Origin::Typed;
            self.origin = Origin::Taken;
            return Some(if typed {
                Fate::TypedThrough
            } else {
                Fate::Accepted
            });
        }
        match self.origin {
            Origin::Taken => return Some(after_taking(&kept)),
            Origin::Typed => return None,
            Origin::Unknown => {}
        }
        if let Some(rest) = wanted.strip_prefix(stands) {
            if rest.trim_start_matches(' ').starts_with('\n') && self.agreeing_looks == 0 {
                return Some(Fate::Partial);
            }
            self.agreeing_looks += 1;
            return None;
        }
        let new = lexemes(region.before_cursor).iter().map(|l| l.chars).sum();
        if self.agreeing_looks == 0 && typing.is_put_in(new, kept.chars, seconds) {
            self.origin = Origin::Taken;
            return Some(if is_beginning(&kept) {
                Fate::Partial
            } else {
                Fate::Refined
            });
        }
        self.origin = Origin::Typed;
        if self.agreeing_looks == 0 && keeps_first_line(wanted, stands) {
            return Some(Fate::Partial);
        }
        typing.typed(new, seconds);
        Some(Fate::Rejected)
    }

    fn conclude(&mut self, fate: Fate, kept: Kept, stands: &str, at_ms: i64) -> Option<Outcome> {
        let kept = if fate.is_taken() {
            kept
        } else {
            Kept { share: 0.0, ..kept }
        };
        let shown = count(&self.text);
        let accepted = (kept.share * f64::from(shown)).round();
        let outcome = Outcome {
            fate,
            kept_share: kept.share,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a u32 is within u32"
            )]
            accepted_chars: accepted as u32,
            shown_chars: shown,
            edit_distance: kept.edit_distance,
            settled: false,
        };
        if self.outcome == Some(outcome) {
            return None;
        }
        self.stands = Some(self.within_bound(stands).to_owned());
        self.changed_ms = at_ms;
        self.outcome = Some(outcome);
        Some(outcome)
    }
}

/// From this kept share on, a text counts as there in full: a lone bracket may be missing.
const WHOLE: f64 = 0.97;

/// From this kept share on, a proposal counts as taken whole and changed.
const HALF: f64 = 0.5;

/// What is kept beyond the proposal's beginning is chance, up to this share.
const CHANCE: f64 = 0.15;

/// Below this kept share, a text that was there in full counts as removed.
const GONE: f64 = 0.1;

/// A request this soon after the answer, in milliseconds, is the editor's and not the user's.
const AHEAD_MS: i64 = 150;

/// Bytes of standing text kept beyond twice the proposal's length.
const STANDS_BYTES: usize = 200;

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn after_taking(kept: &Kept) -> Fate {
    if kept.share >= WHOLE {
        Fate::Accepted
    } else if kept.share < GONE {
        Fate::Undone
    } else {
        Fate::Refined
    }
}

/// Whether what is kept is the proposal's beginning, less than half of it, and little else.
fn is_beginning(kept: &Kept) -> bool {
    kept.prefix_share > 0.0 && kept.share < HALF && kept.share - kept.prefix_share < CHANCE
}

fn keeps_first_line(wanted: &str, stands: &str) -> bool {
    let Some((line, _)) = wanted.split_once('\n') else {
        return false;
    };
    let line = line.trim();
    line.chars().any(char::is_alphanumeric)
        && stands.lines().next().is_some_and(|l| l.trim() == line)
}
