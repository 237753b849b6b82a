use crate::agreement::Agreement;
use crate::kept::{read_of, run_share, run_share_most};
use crate::lexeme::solid_chars;
use crate::likeness::{
    FEW, WHOLE, end_of_chars, first_line_end, first_word_end, is_all, is_beginning, is_gone,
    is_little, is_whole, part_of_whole, share_of_part, standing,
};
use crate::person::Person;
use crate::{Event, EventKind, Fate, Habits, Kept, Outcome, Region};

/// What looks at a proposal's place, and events, have told so far.
///
/// Each look sees the text that stands there at one moment, and has to tell who wrote it: the proposal was
/// put in, typed by hand, put in and changed, or the user wrote something else.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, whatever the others"
)]
pub(crate) struct Reading {
    /// Where the text comes from.
    pub(crate) origin: Origin,
    /// Whether the editor told of the proposal, so that it was shown.
    pub(crate) is_shown: bool,
    is_dismissed: bool,
    /// What was taken was typed by hand.
    is_by_hand: bool,
    /// Bytes of the proposal that were shown, when not all.
    shown: Option<usize>,
    /// Bytes of the proposal that were taken, when not all that was shown.
    part: Option<usize>,
    /// Whether `part` is a guess that the next look corrects.
    is_guess: bool,
    /// Whether it stood there in full at the last look.
    is_whole: bool,
    /// Whether the editor told that it was taken.
    is_told_taken: bool,
    /// Whether it was seen there unchanged, or told of: what is only like it may have been typed after all.
    is_sure: bool,
    /// Characters that had been typed in agreement at the last look, and its seconds since the answer.
    typed: Option<(u32, f64)>,
    /// A part of it came faster than anybody types.
    pub(crate) came_at_once: bool,
}

/// Where the text in a proposal's place comes from, as far as looks have told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Origin {
    /// No look has told yet.
    #[default]
    Unknown,
    /// The user has typed a beginning of the proposal by hand.
    Agreeing,
    /// The proposal was taken, or a part of it.
    Taken,
    /// The user typed something else.
    Typed,
    /// The proposal was taken, and removed again.
    Removed,
}

impl Reading {
    /// What a look at the place tells of the proposal `wanted`, `seconds` after its answer; `None` when
    /// nothing new.
    pub(crate) fn look(
        &mut self,
        wanted: &str,
        habits: Habits,
        region: &Region<'_>,
        person: &mut Person,
        seconds: f64,
    ) -> Option<(Fate, Kept)> {
        if self.origin == Origin::Taken {
            return self.look_again(wanted, region);
        }
        let stands = standing(wanted, region);
        if stands.is_empty() {
            return None;
        }
        let all = Agreement::of(wanted, stands);
        if habits.first_line && self.shown.is_none() {
            self.shown = first_line_end(wanted).filter(|end| {
                // More than a line was shown only if more came at once.
                let rest = solid_chars(&wanted[*end..]);
                let new = solid_chars(region.before_cursor);
                !is_whole(wanted, stands, &all) || !person.typing.is_put_in(new, rest, seconds)
            });
        }
        let wanted = &wanted[..self.shown.unwrap_or(wanted.len())];
        let agreement = Agreement::of(wanted, stands);
        let scene = Scene {
            wanted,
            stands,
            agreement,
            new: solid_chars(region.before_cursor),
            seconds,
            is_disowned: self.is_dismissed || self.is_unclaimed(person),
        };
        if is_whole(wanted, stands, &agreement) {
            Some(self.whole(&scene, person))
        } else if agreement.is_all_that_stands {
            self.beginning(&scene, person)
        } else {
            Some(self.parted(&scene, person))
        }
    }

    /// That a look can tell nothing new, if it cannot: the user's own text stands there and is still not the
    /// proposal, or the whole proposal does and did before.
    pub(crate) fn is_as_before(&self, wanted: &str, region: &Region<'_>) -> Option<AsBefore> {
        let is_over = matches!(self.origin, Origin::Typed | Origin::Removed);
        if !is_over && !self.is_whole {
            return None;
        }
        let wanted = &wanted[..self.shown.unwrap_or(wanted.len())];
        let stands = standing(wanted, region);
        let agreement = Agreement::of(wanted, stands);
        if is_whole(wanted, stands, &agreement) == is_over {
            return None;
        }
        let is_decided = if is_over {
            is_little(wanted, &agreement)
        } else {
            is_all(wanted, &agreement)
        };
        let indentation = region.stands.len() - region.stands.trim_start().len();
        let decided_by = agreement.next_end(stands).map(|end| indentation + end);
        Some(AsBefore {
            decided_by: decided_by.filter(|_| is_decided),
        })
    }

    /// Of a proposal that was taken and changed, how many bytes of what stands there decide what is left of it, whatever
    /// follows them; `None` where that is not known.
    pub(crate) fn decided_by(
        &self,
        wanted: &str,
        region: &Region<'_>,
        kept: &Kept,
    ) -> Option<usize> {
        // What has lost its beginning may go on further down.
        if self.origin != Origin::Taken || self.is_whole || kept.prefix_share <= 0.0 {
            return None;
        }
        let wanted = &wanted[..self.shown.unwrap_or(wanted.len())];
        let stands = region.bare.trim();
        let indentation = region.stands.len() - region.stands.trim_start().len();
        Some(indentation + read_of(wanted, stands)?)
    }

    /// Whether the editor, which tells what is taken, has not told it of this one that it showed.
    fn is_unclaimed(&self, person: &Person) -> bool {
        person.tells_taken && person.tells_shown && self.is_shown
    }

    /// The whole proposal stands there.
    fn whole(&mut self, scene: &Scene<'_>, person: &Person) -> (Fate, Kept) {
        let all = solid_chars(scene.wanted);
        let by_hand = match (self.origin, self.typed) {
            (Origin::Typed, _) => true,
            (Origin::Agreeing, Some((typed, at))) => {
                let (new, alike) = (scene.new.saturating_sub(typed), all.saturating_sub(typed));
                !person.typing.is_put_in(new, alike, scene.seconds - at)
            }
            _ => false,
        };
        self.take(None, by_hand || scene.is_disowned || all < FEW);
        self.is_whole = true;
        self.is_sure = true;
        (self.taken_fate(), Kept::measure(scene.wanted, scene.stands))
    }

    /// A beginning of the proposal stands there, and nothing else.
    fn beginning(&mut self, scene: &Scene<'_>, person: &Person) -> Option<(Fate, Kept)> {
        let Agreement { chars, end, .. } = scene.agreement;
        if self.origin == Origin::Unknown && !scene.is_disowned && chars >= FEW {
            let by_line = scene.agreement.is_of_lines;
            let is_put_in = person.typing.is_put_in(chars, chars, scene.seconds);
            let by_word = scene.agreement.is_of_words && is_put_in;
            if is_put_in && !by_line && !by_word && chars * 2 >= solid_chars(scene.wanted) {
                // Taken whole, and on its way to being deleted from its end.
                self.take(None, false);
                let kept = Kept::measure(scene.wanted, scene.stands);
                return Some((Fate::Refined, kept));
            }
            if by_line || by_word {
                self.take(Some(end), false);
                self.came_at_once = is_put_in;
                return Some((
                    Fate::Partial,
                    share_of_part(scene.wanted, end, scene.stands),
                ));
            }
        }
        if let (Origin::Agreeing, Some((before, _))) = (self.origin, self.typed)
            && chars < before
            && before * 2 >= solid_chars(scene.wanted)
            && !scene.is_disowned
        {
            // Nobody types what he then deletes: it was taken, and is being deleted from its end.
            self.take(None, false);
            return Some((Fate::Refined, Kept::measure(scene.wanted, scene.stands)));
        }
        self.origin = Origin::Agreeing;
        self.typed = Some((chars, scene.seconds));
        None
    }

    /// The text that stands there goes another way than the proposal.
    fn parted(&mut self, scene: &Scene<'_>, person: &mut Person) -> (Fate, Kept) {
        let Scene {
            wanted,
            stands,
            agreement,
            ..
        } = *scene;
        let is_typed = self.origin == Origin::Agreeing || scene.is_disowned;
        if is_typed && agreement.chars * 2 >= solid_chars(wanted) {
            self.take(Some(agreement.end), true);
            return (
                self.taken_fate(),
                share_of_part(wanted, agreement.end, stands),
            );
        }
        let goes_on = || {
            let (rest, other) = (&wanted[agreement.end..], &stands[agreement.stands_end..]);
            run_share(rest, other) >= ALIKE
        };
        if agreement.is_of_lines && agreement.chars > 0 && (is_typed || !goes_on()) {
            self.take(Some(agreement.end), is_typed || agreement.chars < FEW);
            return (
                self.taken_fate(),
                share_of_part(wanted, agreement.end, stands),
            );
        }
        let kept = Kept::measure(wanted, stands);
        let (typed, at) = self.typed.unwrap_or((0, 0.0));
        let (new, alike) = (
            scene.new.saturating_sub(typed),
            kept.chars.saturating_sub(typed),
        );
        let is_put_in = person.typing.is_put_in(new, alike, scene.seconds - at);
        let all = solid_chars(wanted);
        // A text of a few characters is like no long one.
        let is_long = f64::from(solid_chars(stands)) >= f64::from(all) * SOMEWHAT;
        let alike_share = if is_long && run_share_most(kept.chars, all) >= SOMEWHAT {
            run_share(wanted, stands)
        } else {
            0.0
        };
        let is_begun = agreement.chars * 2 >= all;
        let is_alike = all >= LITTLE && (alike_share >= ALIKE || is_begun);
        let is_put_in = is_put_in && alike_share >= SOMEWHAT;
        // What one types by hand stands before the cursor.
        let tail = common_tail(wanted, stands);
        let least = if agreement.chars > 0 { FEW } else { LITTLE };
        let is_around = tail >= least && tail >= solid_chars(stands).saturating_sub(scene.new);
        let is_alike = is_alike || (is_around && (agreement.chars + tail) * 2 >= all);
        let is_alike = is_alike && self.origin == Origin::Unknown && !is_behind_own(scene);
        if !scene.is_disowned && (is_put_in || is_alike) {
            if is_put_in && !is_alike && is_beginning(&kept) {
                self.take(Some(agreement.end), false);
                return (Fate::Partial, share_of_part(wanted, agreement.end, stands));
            }
            self.take(None, false);
            return (Fate::Refined, kept);
        }
        self.origin = Origin::Typed;
        person.typing.typed(scene.new, scene.seconds);
        (Fate::Rejected, kept)
    }

    /// What has become of a proposal that was taken.
    fn look_again(&mut self, wanted: &str, region: &Region<'_>) -> Option<(Fate, Kept)> {
        let wanted = &wanted[..self.shown.unwrap_or(wanted.len())];
        let stands = if region.closed {
            standing(wanted, region)
        } else {
            region.onwards.trim()
        };
        if stands.is_empty() {
            self.is_whole = false;
            return Some((self.lose(), Kept::measure(wanted, stands)));
        }
        let agreement = Agreement::of(wanted, stands);
        if is_whole(wanted, stands, &agreement) {
            self.take(None, self.is_by_hand);
            (self.is_sure, self.is_whole) = (true, true);
            return Some((self.taken_fate(), Kept::measure(wanted, stands)));
        }
        self.is_whole = false;
        if !region.closed && agreement.is_all_that_stands {
            // The window ends within it.
            return None;
        }
        let Some(part) = self.part else {
            let kept = Kept::measure(wanted, stands);
            let fate = match (is_gone(wanted, stands, &kept), self.is_by_hand) {
                (true, _) => self.lose(),
                (false, true) => Fate::TypedThrough,
                (false, false) => Fate::Refined,
            };
            return Some((fate, kept));
        };
        let goes_on = agreement.is_of_lines && agreement.end > part;
        if (self.is_guess || goes_on) && agreement.end > 0 {
            self.part = Some(agreement.end);
        }
        self.is_guess = false;
        let part = self.part.unwrap_or(part);
        let kept = Kept::measure(&wanted[..part], stands);
        let fate = if is_gone(&wanted[..part], stands, &kept) {
            self.lose()
        } else {
            self.taken_fate()
        };
        Some((fate, part_of_whole(kept, wanted, part)))
    }

    /// The fate of the proposal, which was taken, if it is gone from a larger text that `stands` around its
    /// place.
    pub(crate) fn gone_from(&self, wanted: &str, stands: &str) -> Option<(Fate, Kept)> {
        let wanted = &wanted[..self.part.or(self.shown).unwrap_or(wanted.len())];
        let kept = Kept::measure(wanted, stands.trim());
        let is_gone = kept.share < SCATTERED && is_gone(wanted, stands, &kept);
        is_gone.then_some((self.lost_fate(), kept))
    }

    /// Takes the editor's word that what stands was not taken. Returns whether it can be believed: it cannot
    /// when the editor has said before that it was.
    pub(crate) fn disown(&mut self) -> bool {
        if self.is_told_taken {
            return false;
        }
        self.is_dismissed = true;
        self.is_by_hand = true;
        true
    }

    /// Takes an event's word on the proposal `text`. `None` when it says nothing of what became of it.
    pub(crate) fn told(&mut self, text: &str, event: &Event<'_>) -> Option<(Fate, Kept)> {
        let wanted = text.trim();
        if let Some(shown) = event.shown_chars {
            self.shown = end_of_chars(text, shown).filter(|end| *end < wanted.len());
        }
        let wanted = &wanted[..self.shown.unwrap_or(wanted.len())];
        let said = event.text.unwrap_or(wanted).trim();
        match event.kind {
            // What is shown again after it was taken is gone.
            EventKind::Shown if self.is_told_taken => {
                self.is_told_taken = false;
                self.origin = Origin::Removed;
                Some((Fate::Undone, Kept::measure(wanted, "")))
            }
            EventKind::Shown => None,
            EventKind::Rejected if matches!(self.origin, Origin::Taken | Origin::Removed) => None,
            EventKind::Rejected => {
                self.is_dismissed = true;
                Some((Fate::Rejected, Kept::measure(wanted, "")))
            }
            EventKind::Edited => {
                self.take(None, self.is_by_hand);
                self.is_sure = true;
                let kept = Kept::measure(wanted, said);
                let is_whole = kept.prefix_share >= WHOLE;
                let fate = match is_gone(wanted, said, &kept) {
                    true => Fate::Undone,
                    false if is_whole => self.taken_fate(),
                    false => Fate::Refined,
                };
                Some((fate, kept))
            }
            EventKind::Accepted | EventKind::Partial => {
                let agreement = Agreement::of(wanted, said);
                let told = event
                    .accepted_chars
                    .map(|chars| end_of_chars(text, chars).unwrap_or(wanted.len()))
                    .or(event.text.map(|_| agreement.end))
                    .filter(|end| *end < wanted.len());
                let guess = (event.kind == EventKind::Partial)
                    .then(|| first_line_end(wanted).or_else(|| first_word_end(wanted)));
                self.take(told.or(guess.flatten()), false);
                self.is_told_taken = true;
                self.is_sure = true;
                self.is_guess = told.is_none() && self.part.is_some();
                let end = self.part.unwrap_or(wanted.len());
                Some((
                    self.taken_fate(),
                    share_of_part(wanted, end, &wanted[..end]),
                ))
            }
        }
    }

    /// Takes over what was known before a restart.
    pub(crate) fn resume(&mut self, text: &str, outcome: &Outcome) {
        self.origin = match outcome.fate {
            Fate::Rejected => Origin::Typed,
            fate if fate.is_observed() => Origin::Taken,
            _ => Origin::Unknown,
        };
        self.is_by_hand = outcome.fate == Fate::TypedThrough;
        self.is_sure = self.origin == Origin::Taken;
        let end = |chars| end_of_chars(text, chars).filter(|end| *end < text.trim().len());
        self.shown = end(outcome.shown_chars);
        if matches!(outcome.fate, Fate::Partial | Fate::TypedThrough) {
            self.part = end(outcome.accepted_chars);
        }
    }

    pub(crate) fn is_by_hand(&self) -> bool {
        self.is_by_hand
    }

    /// What the user was shown of the proposal `text`.
    pub(crate) fn shown_of<'a>(&self, text: &'a str) -> &'a str {
        self.shown.map_or(text, |end| &text.trim()[..end])
    }

    fn take(&mut self, part: Option<usize>, by_hand: bool) {
        self.origin = Origin::Taken;
        self.part = part;
        self.is_by_hand = by_hand;
        self.is_guess = false;
        self.is_whole = false;
    }

    /// Closes what was taken and is gone: what is written there afterwards is the user's own.
    fn lose(&mut self) -> Fate {
        if self.is_sure {
            self.origin = Origin::Removed;
        }
        self.lost_fate()
    }

    /// The fate of what was taken and is gone.
    fn lost_fate(&self) -> Fate {
        if self.is_sure {
            Fate::Undone
        } else {
            Fate::Rejected
        }
    }

    /// The fate of what was taken and stands as it was.
    fn taken_fate(&self) -> Fate {
        match (self.is_by_hand, self.part) {
            (true, _) => Fate::TypedThrough,
            (false, None) => Fate::Accepted,
            (false, Some(_)) => Fate::Partial,
        }
    }
}

/// Characters at the end of both texts that are the same, white space not counted.
fn common_tail(wanted: &str, stands: &str) -> u32 {
    let solid = |c: &char| !c.is_whitespace();
    let (ours, theirs) = (wanted.chars().rev(), stands.chars().rev());
    let both = ours.filter(solid).zip(theirs.filter(solid));
    u32::try_from(both.take_while(|(a, b)| a == b).count()).unwrap_or(u32::MAX)
}

/// Whether other text stands before the proposal's beginning, and the cursor is further on: what is written from left to
/// right was written first, so that the proposal had been passed by.
fn is_behind_own(scene: &Scene<'_>) -> bool {
    let line = scene.wanted.lines().next().unwrap_or_default();
    let Some(own) = scene.stands.find(line).map(|at| &scene.stands[..at]) else {
        return false;
    };
    let own = solid_chars(own);
    own >= LITTLE && solid_chars(line) >= LITTLE && scene.new > own
}

/// A look that tells nothing new.
pub(crate) struct AsBefore {
    /// As long as so many bytes stand there as they are, no later look does either, whatever follows them.
    pub(crate) decided_by: Option<usize>,
}

/// What one look sees.
struct Scene<'a> {
    /// The proposal as it was shown, trimmed.
    wanted: &'a str,
    /// What stands in its place, trimmed.
    stands: &'a str,
    agreement: Agreement,
    /// Characters that stand before the cursor, white space not counted.
    new: u32,
    seconds: f64,
    /// Whether the editor's word speaks against its having been taken.
    is_disowned: bool,
}

/// From this share in long runs on, a text is the proposal, changed.
const ALIKE: f64 = 0.6;

/// Below this share in long runs, it is not, however soon it came.
const SOMEWHAT: f64 = 0.2;

/// From this kept share on, it is not gone from a larger text.
const SCATTERED: f64 = 0.6;

/// A proposal of fewer characters than these may be like another text by chance.
const LITTLE: u32 = 8;
