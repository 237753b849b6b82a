use std::collections::BTreeMap;

use echo_reward::Fate;
use serde::Serialize;

use super::case::Case;

/// What was inferred of one profile's proposals, against the truth.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Matrix {
    /// Proposals by true and inferred fate, of those that the requests tell of.
    pub told: BTreeMap<Fate, BTreeMap<Fate, u32>>,
    /// The others, by the reason for which nothing in the requests tells what became of them.
    pub untold: BTreeMap<Untold, u32>,
    /// Proposals of which nothing told, read as rejected all the same.
    pub false_rejections: u32,
    /// Those among them that were on the screen, and may have been long enough to be read for all that requests tell: its
    /// user may have typed a third faster than he did.
    pub perhaps_read: u32,
    /// Sum of the absolute errors of the kept share, over what was taken, and their number.
    share_errors: (f64, u32),
}

/// Why the requests do not tell what became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Untold {
    /// No later request showed its place.
    NoLaterRequest,
    /// It was changed after the last request that showed its place.
    ChangedAfterwards,
    /// Typed by hand with no request in between: the same text as when it is taken, or half of it or more and so what is
    /// left when it is taken and put right; or taken and cut down to its beginning, which may have been typed.
    TypedUnseen,
    /// Taken and taken back with no request in between, or replaced by what may be left of it, or shown behind one of
    /// which that is true.
    TakenBackUnseen,
    /// Another proposal put the same text in, or says what this one was changed into or how its user went on behind it,
    /// or a part was taken and the rest typed.
    SameTextOfAnother,
    /// It was not shown, or not long enough to be read, the client does not tell what it shows, and no request
    /// came soon enough to tell.
    NotShown,
    /// It was turned down, but went off the screen so early that by the number of keys until the next request it may as
    /// well have been gone before it could be read.
    PerhapsUnread,
    /// It was offered behind another one of its slate, which the user may have seen or not.
    BehindAnother,
    /// The user left while it was shown.
    LeftOpen,
}

impl Untold {
    /// Whether nothing at all tells of the proposal.
    pub(crate) fn is_blind(self) -> bool {
        matches!(self, Self::NoLaterRequest | Self::LeftOpen | Self::NotShown)
    }

    /// The reason in a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoLaterRequest => "no later request",
            Self::ChangedAfterwards => "changed after the last request",
            Self::TypedUnseen => "typed between two requests",
            Self::TakenBackUnseen => "taken back between two requests",
            Self::SameTextOfAnother => "same text put in by another",
            Self::NotShown => "not shown",
            Self::PerhapsUnread => "perhaps unread",
            Self::BehindAnother => "offered behind another",
            Self::LeftOpen => "left open",
        }
    }
}

/// How one proposal was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    /// The requests tell: its true fate, and that inferred.
    Told(Fate, Fate),
    /// They do not.
    Untold(Untold),
}

/// Compares a proposal's outcome with the truth. `tells_shown` says whether its client tells what it shows.
pub(crate) fn read(case: &Case, tells_shown: bool) -> Option<Reading> {
    let (outcome, truth) = case.settled?;
    let Some(fate) = truth.fate else {
        return Some(Reading::Untold(Untold::LeftOpen));
    };
    let is_accepted = fate == Fate::Accepted;
    let told = case.told.filter(|told| told.fate.is_some());
    let untold = match fate {
        // Typed by hand or taken, the one before it is the same text.
        Fate::Speculative => case.is_parent_typed.then_some(Untold::TypedUnseen),
        Fate::NeverShown if case.is_second => Some(Untold::BehindAnother),
        Fate::NeverShown if case.stands_anyway => Some(Untold::TypedUnseen),
        Fate::NeverShown => (!tells_shown && !case.is_overtaken).then_some(Untold::NotShown),
        _ if case.parent.is_some() && !case.was_parent_seen_taken => Some(Untold::TakenBackUnseen),
        _ if truth.is_mixed || (case.has_twin && !is_accepted) => Some(Untold::SameTextOfAnother),
        _ if case.is_outdone => Some(Untold::SameTextOfAnother),
        _ if told.is_none() => Some(Untold::NoLaterRequest),
        _ if told != Some(truth) => Some(Untold::ChangedAfterwards),
        Fate::TypedThrough if !case.typing.was_seen && !case.is_word && !case.was_told => {
            Some(Untold::TypedUnseen)
        }
        Fate::Rejected if case.is_alike => Some(Untold::TypedUnseen),
        Fate::Refined if case.is_cut && !case.was_told => Some(Untold::TypedUnseen),
        Fate::Rejected if case.is_perhaps_unread && !case.was_told && !tells_shown => {
            Some(Untold::PerhapsUnread)
        }
        Fate::Undone if !case.was_seen_taken || case.is_alike => Some(Untold::TakenBackUnseen),
        _ => None,
    };
    Some(untold.map_or(Reading::Told(fate, outcome.fate), Reading::Untold))
}

impl Matrix {
    pub(crate) fn add(&mut self, case: &Case, tells_shown: bool) {
        let (Some(reading), Some((outcome, truth))) = (read(case, tells_shown), case.settled)
        else {
            return;
        };
        match reading {
            Reading::Told(fate, inferred) => {
                *self
                    .told
                    .entry(fate)
                    .or_default()
                    .entry(inferred)
                    .or_default() += 1;
                if fate.is_taken() || fate == Fate::Undone {
                    self.share_errors.0 += (outcome.kept_share - truth.share).abs();
                    self.share_errors.1 += 1;
                }
            }
            Reading::Untold(why) => {
                *self.untold.entry(why).or_default() += 1;
                let is_false = why.is_blind() && outcome.fate == Fate::Rejected;
                self.false_rejections += u32::from(is_false);
                let is_unread = why == Untold::NotShown;
                self.perhaps_read += u32::from(is_false && is_unread && case.is_perhaps_read);
            }
        }
    }

    /// Proposals of this true fate, and of those the share that was read so; `None` when there are none.
    pub fn recall(&self, fate: Fate) -> Option<f64> {
        let row = self.told.get(&fate)?;
        Some(share(self.count(fate, fate), row.values().sum()))
    }

    /// Of what was read as this fate, the share that was; `None` when nothing was.
    pub fn precision(&self, fate: Fate) -> Option<f64> {
        let read = self.told.values().filter_map(|row| row.get(&fate)).sum();
        (read > 0).then(|| share(self.count(fate, fate), read))
    }

    /// Proposals of one true and one inferred fate.
    pub fn count(&self, fate: Fate, inferred: Fate) -> u32 {
        let row = self.told.get(&fate);
        row.and_then(|row| row.get(&inferred)).copied().unwrap_or(0)
    }

    /// Mean absolute error of the kept share over what was taken; `None` when nothing was.
    pub fn share_error(&self) -> Option<f64> {
        let (sum, count) = self.share_errors;
        (count > 0).then(|| sum / f64::from(count))
    }
}

fn share(part: u32, all: u32) -> f64 {
    f64::from(part) / f64::from(all)
}
