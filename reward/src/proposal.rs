use crate::agreement::Agreement;
use crate::filter::digest;
use crate::lexeme::count;
use crate::likeness::typed_share;
use crate::person::Person;
use crate::place::{Found, Place};
use crate::reading::{Origin, Reading};
use crate::sight::Sight;
use crate::{Event, EventKind, Fate, Habits, Kept, Outcome, Region, Window};

/// A proposal whose fate is still open: what was proposed, where, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, whatever the others"
)]
pub struct Proposal {
    /// The decision that it answers.
    pub decision: u128,
    /// Which alternative of the answer it is, from 0.
    pub choice: u32,
    text: String,
    /// A hash of the text, white space around it aside.
    digest: u64,
    /// Other texts of the same answer, until a look tells which was taken.
    others: Vec<String>,
    /// Whether another of its slate was taken.
    is_lost: bool,
    habits: Habits,
    /// Whether it was asked for ahead of the user, who has not come there yet.
    is_ahead: bool,
    /// Whether its user had gone on before the answer came.
    is_overtaken: bool,
    /// Since when at the earliest it was on the screen, in milliseconds.
    since_ms: i64,
    /// Whether its user was brought to it at a moment that no request tells.
    is_undated: bool,
    /// The first request for another place.
    left: Option<Left>,
    /// Whether its user has read the same text before.
    is_known: bool,
    /// Whether what stood there ever began as it does: who typed on into it may have seen it.
    is_begun: bool,
    /// Characters that stood there last, from its beginning on, white space not counted.
    begun_chars: u32,
    /// Whether it ever stood there as if it had just been taken.
    was_accepted: bool,
    /// The proposal that it was asked for behind.
    parent: Option<Key>,
    pub(crate) place: Place,
    asked_ms: i64,
    answered_ms: i64,
    changed_ms: i64,
    reading: Reading,
    outcome: Option<Outcome>,
    /// What the outcome would be if its user could have read it, where he could not.
    as_if_read: Option<Outcome>,
    /// Horizons of survival that have been told of.
    survivals: usize,
    /// Characters that were found to stand, white space not counted.
    kept_chars: u32,
    stands: Option<String>,
    /// A hash of what stood in its place at the last look.
    looked: u64,
    /// As long as so many bytes stand in its place as they are, whatever follows them tells nothing new.
    decided: Option<usize>,
}

/// How a proposal was left for another place.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Left {
    /// How long it was on the screen at most until the request there, in milliseconds.
    shown_ms: i64,
    /// Keys that were pressed by then.
    keys: usize,
}

/// A decision, and which alternative of its answer.
pub(crate) type Key = (u128, u32);

impl Proposal {
    /// A proposal of `text`, asked for at `window` and answered at `answered_ms`.
    pub fn new(
        decision: u128,
        choice: u32,
        text: &str,
        window: &Window<'_>,
        answered_ms: i64,
    ) -> Self {
        Self {
            decision,
            choice,
            text: text.to_owned(),
            digest: digest(text.trim()),
            others: Vec::new(),
            is_lost: false,
            habits: Habits::default(),
            is_ahead: false,
            is_overtaken: false,
            since_ms: answered_ms,
            is_undated: false,
            left: None,
            is_known: false,
            is_begun: false,
            begun_chars: 0,
            was_accepted: false,
            parent: None,
            place: Place::of(window),
            asked_ms: answered_ms,
            answered_ms,
            changed_ms: answered_ms,
            reading: Reading::default(),
            outcome: None,
            as_if_read: None,
            survivals: 0,
            kept_chars: 0,
            stands: None,
            looked: 0,
            decided: None,
        }
    }

    /// The same, for a client of these habits.
    #[must_use]
    pub fn of(self, habits: Habits) -> Self {
        Self { habits, ..self }
    }

    /// The same with other texts that its editor offers beside the first: what is taken names the one.
    #[must_use]
    pub fn or(self, others: Vec<String>) -> Self {
        Self { others, ..self }
    }

    /// The same, asked for at `asked_ms`.
    #[must_use]
    pub fn asked(self, asked_ms: i64) -> Self {
        Self { asked_ms, ..self }
    }

    /// The same, asked for ahead of the user: it is speculative until a request shows that the user has
    /// come there.
    #[must_use]
    pub fn ahead(self, is_ahead: bool) -> Self {
        Self { is_ahead, ..self }
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
        self.place.file.as_deref()
    }

    /// What is known of it so far; `None` before the first evidence.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The text that stood in its place at the last look, or that an event gave.
    pub fn stands(&self) -> Option<&str> {
        self.stands.as_deref()
    }

    pub(crate) fn key(&self) -> Key {
        (self.decision, self.choice)
    }

    /// Asked for behind another one, as if that had been taken.
    pub(crate) fn behind(&mut self, parent: Option<Key>) {
        self.parent = parent;
    }

    /// Whether the user has taken the proposal that this one was asked for behind, as far as `others` tell.
    pub(crate) fn is_reached<'a>(
        &self,
        mut others: impl Iterator<Item = &'a Self>,
        person: &Person,
    ) -> bool {
        self.is_ahead
            && others.any(|other| {
                Some(other.key()) == self.parent
                    && other.is_taken()
                    && !other.reading.is_by_hand()
                    && other.outcome.is_some_and(|o| o.fate != Fate::Partial)
                    && !other.is_unread(person)
            })
    }

    /// Its user had gone on before it was answered. Ahead of the user that means nothing.
    pub(crate) fn overtake(&mut self) {
        self.is_overtaken = !self.is_ahead;
    }

    /// Takes note that its user has read the same text before, if that was what `other` proposed.
    pub(crate) fn recognise(&mut self, other: &Self, person: &Person) {
        let was_read = || other.seen_ms(1.0, person).is_some_and(|ms| ms >= READ_MS);
        self.is_known |= other.digest == self.digest && was_read();
    }

    /// Takes note of the first request for another place.
    fn leave(&mut self, sight: &Sight<'_>) {
        let is_first = self.left.is_none() && !self.is_ahead;
        if is_first && self.place.is_left(sight) {
            self.left = Some(Left {
                shown_ms: sight.at_ms - self.since_ms,
                // What was pressed since a request for another place was not all pressed here.
                keys: if self.place.hash == sight.last_place {
                    sight.keys
                } else {
                    1
                },
            });
        }
    }

    /// Its user has come to its place, where it was asked for ahead of him.
    fn arrive(&mut self, sight: &Sight<'_>) {
        self.is_ahead = false;
        // A request for what follows it is made when it comes up, or at once when it is answered.
        self.is_undated = self.since_ms - self.answered_ms < AHEAD_MS;
        self.since_ms = self.since_ms.max(sight.last_ms);
        self.leave(sight);
    }

    /// Its editor asks for what follows it, at `at_ms`: one that was itself asked for ahead is on the screen since then.
    pub(crate) fn come_up(&mut self, at_ms: i64) {
        if self.is_ahead && self.since_ms == self.answered_ms {
            self.since_ms = at_ms;
        }
    }

    /// Whether its user had gone on before it came, or before it could be read: the key before the next request came when
    /// its client's pause began, and before [`READ_MS`] nobody has read what is shown.
    fn was_passed(&self, person: &Person) -> bool {
        self.is_overtaken || self.is_left_within(READ_MS, person)
    }

    /// Whether its user turned to something else within so many milliseconds.
    fn is_left_within(&self, ms: i64, person: &Person) -> bool {
        let pause_ms = i64::from(self.habits.pause_ms);
        let shown_ms = |left: Left| person.tempo.felt(left.shown_ms) - pause_ms;
        self.left.is_some_and(|left| shown_ms(left) < ms)
    }

    /// How long it will have been on the screen, in milliseconds, if all that was written by the first request for another
    /// place was typed behind it, at so many times the speed that its user mostly types at.
    fn seen_ms(&self, times: f64, person: &Person) -> Option<i64> {
        let left = self.left?;
        let pause_ms = match self.habits.pause_ms {
            0 => person.rhythm.pause_ms(),
            known_ms => known_ms.into(),
        };
        let shown_ms = left.shown_ms - pause_ms;
        // What is typed of it may be typed while it is there.
        let begun = if self.begun_chars < BEGUN {
            0
        } else {
            self.begun_chars
        };
        let keys = left.keys.saturating_sub(begun as usize);
        Some(shown_ms - person.rhythm.typing_ms(keys, times, pause_ms, shown_ms))
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What its user was shown of its text.
    pub(crate) fn shown(&self) -> &str {
        self.reading.shown_of(&self.text)
    }

    /// Whether the user is known to have taken it, or some of it, at some time.
    pub(crate) fn is_taken(&self) -> bool {
        self.reading.origin == Origin::Taken
    }

    pub(crate) fn kept_chars(&self) -> u32 {
        self.kept_chars
    }

    pub(crate) fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    /// Whether it is the end of `other`, or all of it, and was asked for where that end begins.
    pub(crate) fn ends(&self, other: &Self) -> bool {
        match other.text.trim().strip_suffix(self.text.trim()) {
            Some("") => self.place.hash == other.place.hash,
            Some(before) => self.place.is_right_behind(before),
            None => false,
        }
    }

    /// Whether `other` was asked for at the same place and about the same time: one slate of alternatives.
    pub(crate) fn is_of_slate(&self, other: &Self) -> bool {
        self.place.hash == other.place.hash && (self.asked_ms - other.asked_ms).abs() < SLATE_MS
    }

    /// What will be on record of it if nothing more is learned. `tells_shown` says whether the editor
    /// tells what it shows.
    pub(crate) fn settled(&self, person: &Person) -> Outcome {
        let shown = count(&self.text);
        // How fast the clock runs for the user may have been found out since.
        let as_if_read = self.as_if_read.filter(|outcome| {
            let is_over = self.is_typed_over(outcome.fate, person)
                || self.is_perhaps_unread(outcome.fate, person);
            !self.is_unseen(person) && !is_over
        });
        let outcome = match as_if_read.or(self.outcome) {
            None if self.is_ahead => Outcome::speculative(&self.text),
            None if self.is_unseen(person) => Outcome::never_shown(shown),
            Some(_) if self.is_unlikely(person) => Outcome::never_shown(shown),
            Some(outcome) => outcome,
            None => Outcome::censored(shown, true),
        };
        Outcome {
            settled: true,
            ..outcome
        }
    }

    /// Whether what was read of it cannot be, since it was not shown. That all of it stands there is believed even so.
    fn is_unlikely(&self, person: &Person) -> bool {
        match self.as_if_read.or(self.outcome).map(|read| read.fate) {
            Some(Fate::Rejected) => self.is_unseen(person),
            Some(Fate::Refined | Fate::Partial | Fate::TypedThrough) => {
                person.tells_taken && person.tells_shown && !self.reading.is_shown
            }
            _ => false,
        }
    }

    /// Whether it seems rejected, but its user was typing something else when it came, or before it could be read: a client
    /// that waits for a pause asks when all of it is typed.
    fn is_typed_over(&self, fate: Fate, person: &Person) -> bool {
        let is_own = fate == Fate::Rejected && !self.reading.is_shown && !self.is_begun;
        let is_short = |ms| ms < SEEN_MS;
        is_own && person.tempo.is_own() && self.seen_ms(FAST, person).is_some_and(is_short)
    }

    /// Whether it seems rejected, but by how fast its user types will sooner have been gone before it could be read.
    fn is_perhaps_unread(&self, fate: Fate, person: &Person) -> bool {
        let is_told = self.reading.is_shown || self.is_known;
        if fate != Fate::Rejected || is_told || !person.tempo.is_own() {
            return false;
        }
        // Who was brought to it had to see the one before it, and to take that.
        let least_ms = if self.is_undated {
            3 * READ_MS
        } else {
            READ_MS
        };
        self.seen_ms(1.0, person).is_some_and(|ms| ms < least_ms)
    }

    /// Whether its editor, which tells what it shows, has not shown it.
    fn is_unseen(&self, person: &Person) -> bool {
        (person.tells_shown && !self.reading.is_shown) || self.is_unread(person)
    }

    /// Whether nobody can have read it, and no word says otherwise.
    fn is_unread(&self, person: &Person) -> bool {
        self.was_passed(person) && !self.reading.is_shown
    }

    /// Whether a request made at `at_ms` came too soon after the answer for a person to have taken it.
    pub(crate) fn is_too_new(&self, at_ms: i64, person: &Person) -> bool {
        person.tempo.felt(at_ms - self.answered_ms) < AHEAD_MS
    }

    /// Looks at a later request. Returns the outcome if this look changed it.
    /// `is_reached` says that the proposal before it was taken.
    pub(crate) fn look(
        &mut self,
        sight: &Sight<'_>,
        person: &mut Person,
        is_reached: bool,
    ) -> Option<Outcome> {
        let is_over = sight.at_ms < self.answered_ms || self.is_lost;
        if is_over || self.place.is_elsewhere(sight) {
            return None;
        }
        self.leave(sight);
        let bound = self.bound();
        let region = match self.place.look_for(sight, bound, self.decided) {
            Found::Untouched => return None,
            Found::Nothing if self.is_ahead && is_reached => return self.turn_down(sight, person),
            Found::Nothing => return self.look_around(sight, person),
            Found::Region(region) => region,
        };
        if self.is_ahead {
            let is_here = self.place.is_behind(&region, &self.text);
            let has_stopped = is_reached || region.before_cursor.trim().is_empty();
            if !is_here || !has_stopped {
                if !is_here && is_reached {
                    return self.turn_down(sight, person);
                }
                // Who has gone on was not shown what comes here.
                self.place.lose();
                self.is_lost |= is_here;
                return None;
            }
            self.arrive(sight);
        }
        let region = self.within_bound(region);
        self.decided = None;
        if let Some(as_before) = self.reading.is_as_before(self.text.trim(), &region) {
            self.decided = as_before.decided_by;
            return None;
        }
        let looked = digest(region.onwards) ^ region.stands.len() as u64;
        if looked == self.looked {
            return None;
        }
        self.looked = looked;
        self.choose(region.stands.trim());
        let seconds = person.tempo.felt(sight.at_ms - self.answered_ms) as f64 / 1000.0;
        let wanted = self.text.trim();
        let read = self
            .reading
            .look(wanted, self.habits, &region, person, seconds);
        let (fate, kept) = read?;
        self.decided = self.reading.decided_by(wanted, &region, &kept);
        self.conclude(fate, kept, region.stands, person, sight.at_ms)
    }

    /// Closes one whose user was brought before it by taking the proposal that it was asked for behind, and then
    /// changed what it stood behind.
    fn turn_down(&mut self, sight: &Sight<'_>, person: &Person) -> Option<Outcome> {
        self.arrive(sight);
        self.reading.origin = Origin::Typed;
        let kept = Kept::measure(self.text.trim(), "");
        self.conclude(Fate::Rejected, kept, "", person, sight.at_ms)
    }

    /// Forgets what has decided, so that the next look reads everything.
    #[cfg(test)]
    pub(crate) fn look_at_all(&mut self) {
        self.decided = None;
    }

    /// The same without a memory of the last look.
    #[cfg(test)]
    pub(crate) fn forget_look(&mut self) {
        self.look_at_all();
        self.looked = 0;
    }

    /// Of several texts, chooses the one of which most stands there.
    fn choose(&mut self, stands: &str) {
        if self.others.is_empty() || self.reading.origin == Origin::Taken {
            return;
        }
        let kept = |text: &str| Kept::measure(text.trim(), stands).chars;
        let Some(most) = self.others.iter_mut().max_by_key(|text| kept(text)) else {
            return;
        };
        if kept(most) > kept(&self.text) {
            std::mem::swap(most, &mut self.text);
            self.digest = digest(self.text.trim());
            self.reading = Reading::default();
        }
    }

    /// Looks for a proposal that was taken and whose place is gone: the line that it was put into may have
    /// been removed or changed with it.
    fn look_around(&mut self, sight: &Sight<'_>, person: &Person) -> Option<Outcome> {
        if !self.is_taken() {
            return None;
        }
        let region = self.place.look_around(sight)?;
        let region = self.within_bound(region);
        let (fate, kept) = self.reading.gone_from(self.text.trim(), region.stands)?;
        self.conclude(fate, kept, region.stands, person, sight.at_ms)
    }

    /// Takes over what was known of it before, at `at_ms`, when it is followed again after a restart.
    pub(crate) fn resume(&mut self, outcome: Outcome, at_ms: i64) {
        self.is_ahead = outcome.fate == Fate::Speculative;
        self.is_overtaken = outcome.fate == Fate::NeverShown;
        if self.is_ahead {
            return;
        }
        self.reading.resume(&self.text, &outcome);
        self.outcome = Some(outcome);
        self.changed_ms = at_ms;
    }

    /// Takes an event's word. Returns the outcome if it changed.
    pub(crate) fn told(
        &mut self,
        event: &Event<'_>,
        person: &mut Person,
        at_ms: i64,
    ) -> Option<Outcome> {
        person.tells_shown |= event.kind == EventKind::Shown;
        person.tells_taken |= matches!(event.kind, EventKind::Accepted | EventKind::Partial);
        self.decided = None;
        // What is told of was shown, and its user is there.
        self.reading.is_shown = true;
        self.is_ahead = false;
        let is_taken = self.outcome.is_some_and(|o| o.fate.is_taken());
        if event.kind == EventKind::Rejected && is_taken {
            return self.disown(at_ms);
        }
        let (fate, kept) = self.reading.told(&self.text, event)?;
        let stands = event.text.unwrap_or(&self.text).to_owned();
        self.conclude(fate, kept, &stands, person, at_ms)
    }

    /// What stands there was not taken, the editor says: what is as it was proposed, from its beginning to half of it at
    /// least, was typed by hand, and anything else is the user's own.
    fn disown(&mut self, at_ms: i64) -> Option<Outcome> {
        if !self.reading.disown() {
            return None;
        }
        let outcome = self.outcome?;
        let wanted = self.reading.shown_of(&self.text).trim();
        let stands = self.stands.as_deref().unwrap_or_default().trim();
        let (fate, kept_share) = match outcome.fate {
            Fate::Accepted | Fate::Partial => (Fate::TypedThrough, outcome.kept_share),
            Fate::Refined => match typed_share(wanted, stands) {
                Some(share) => (Fate::TypedThrough, share),
                None => (Fate::Rejected, 0.0),
            },
            _ => return None,
        };
        self.changed_ms = at_ms;
        self.outcome = Some(Outcome {
            fate,
            kept_share,
            accepted_chars: accepted_chars(kept_share, outcome.shown_chars),
            ..outcome
        });
        self.outcome
    }

    /// Closes what was read of it as one of a slate whose other text was taken, or which the user need not
    /// have seen. Returns the outcome if it changed.
    pub(crate) fn pass_over(
        &mut self,
        was_shown: bool,
        is_lost: bool,
        person: &Person,
        at_ms: i64,
    ) -> Option<Outcome> {
        self.is_lost |= is_lost;
        self.reading.origin = Origin::Typed;
        self.decided = None;
        // What was put in there was not typed.
        self.left = self.left.map(|left| Left { keys: 0, ..left });
        let stands = self.stands.clone().unwrap_or_default();
        if was_shown {
            let kept = Kept::measure(self.text.trim(), stands.trim());
            return self.conclude(Fate::Rejected, kept, &stands, person, at_ms);
        }
        self.as_if_read = None;
        let censored = Outcome::censored(count(&self.text), false);
        if self.outcome.is_none_or(|outcome| outcome == censored) {
            return None;
        }
        self.outcome = Some(censored);
        self.outcome
    }

    /// Whether a request at `at_ms` or later may tell how long it stands.
    pub(crate) fn may_survive(&self, at_ms: i64) -> bool {
        self.survivals < HORIZONS_MS.len() && at_ms - self.answered_ms <= LONGEST_MS
    }

    /// Takes over that its survival was told at `at_ms`.
    pub(crate) fn survived(&mut self, at_ms: i64) {
        self.survivals = self.horizons_passed(at_ms);
    }

    fn horizons_passed(&self, at_ms: i64) -> usize {
        let age_ms = at_ms - self.answered_ms;
        let passed = HORIZONS_MS.iter().filter(|horizon| age_ms >= **horizon);
        passed.count()
    }

    /// What is left of it at the first request after each of some horizons that shows its place.
    pub(crate) fn survival(&mut self, sight: &Sight<'_>, person: &Person) -> Option<Outcome> {
        let passed = self.horizons_passed(sight.at_ms);
        let is_due = passed > self.survivals && !self.place.is_elsewhere(sight);
        let region = self.place.look_at(sight, is_due)?;
        let region = self.within_bound(region);
        let mut reading = self.reading.clone();
        let (fate, kept) = reading.look(
            self.text.trim(),
            self.habits,
            &region,
            &mut Person::default(),
            0.0,
        )?;
        self.survivals = passed;
        let was = (self.changed_ms, self.outcome, self.as_if_read);
        self.outcome = None;
        let outcome = self.conclude(fate, kept, region.stands, person, sight.at_ms);
        (self.changed_ms, self.outcome, self.as_if_read) = was;
        outcome.map(|outcome| Outcome {
            settled: true,
            ..outcome
        })
    }

    /// What stands in the proposal's place, without what the user wrote long after it.
    fn within_bound<'a>(&self, region: Region<'a>) -> Region<'a> {
        let bound = self.bound();
        let cut = |text: &'a str| &text[..text.floor_char_boundary(bound)];
        Region {
            stands: cut(region.stands),
            bare: cut(region.bare),
            before_cursor: cut(region.before_cursor),
            onwards: cut(region.onwards),
            ..region
        }
    }

    /// Bytes of standing text that may have to do with it.
    fn bound(&self) -> usize {
        self.text.len() * 2 + STANDS_BYTES
    }

    /// Whether the user cannot have read it: it was not rejected then, and what is like it is the user's own, unless it
    /// came at once, out of the client's store.
    fn cannot_be_read(&self, person: &Person) -> bool {
        let is_told = self.reading.is_shown || self.was_accepted || self.reading.came_at_once;
        self.was_passed(person) && !is_told
    }

    fn conclude(
        &mut self,
        fate: Fate,
        kept: Kept,
        stands: &str,
        person: &Person,
        at_ms: i64,
    ) -> Option<Outcome> {
        self.was_accepted |= fate == Fate::Accepted;
        let first = |text: &str| text.trim_start().chars().next();
        self.is_begun |= first(&self.text) == first(stands);
        if fate == Fate::Rejected {
            self.begun_chars = Agreement::of(self.text.trim(), stands.trim()).chars;
        }
        let as_read = self.measured(fate, kept);
        let is_unread = self.cannot_be_read(person) || self.is_typed_over(fate, person);
        let is_untold = self.is_perhaps_unread(fate, person);
        self.as_if_read = (is_unread || is_untold).then_some(as_read);
        let outcome = if is_unread {
            self.measured(Fate::NeverShown, kept)
        } else if is_untold {
            Outcome::censored(count(&self.text), false)
        } else {
            as_read
        };
        if self.outcome == Some(outcome) {
            return None;
        }
        let bound = stands.floor_char_boundary(self.bound());
        self.stands = Some(stands[..bound].to_owned());
        self.changed_ms = at_ms;
        self.outcome = Some(outcome);
        Some(outcome)
    }

    /// The outcome of a fate, as far as known.
    fn measured(&mut self, fate: Fate, kept: Kept) -> Outcome {
        let kept = if fate.is_taken() {
            kept
        } else {
            Kept { share: 0.0, ..kept }
        };
        self.kept_chars = kept.chars;
        let shown = count(self.reading.shown_of(&self.text));
        Outcome {
            fate,
            kept_share: kept.share,
            accepted_chars: accepted_chars(kept.share, shown),
            shown_chars: shown,
            edit_distance: kept.edit_distance,
            settled: false,
        }
    }
}

/// So many characters as a share of those that were shown.
fn accepted_chars(share: f64, shown_chars: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a u32 is within u32"
    )]
    let chars = (share * f64::from(shown_chars)).round() as u32;
    chars
}

/// How long a proposal that was taken stands is told at these ages, in milliseconds: 30 s, 2, 5 and 10 min,
/// as GitHub Copilot and Sourcegraph Cody tell it.
const HORIZONS_MS: [i64; 4] = [30_000, 120_000, 300_000, 600_000];

/// After this age it is no longer followed.
pub(crate) const LONGEST_MS: i64 = 1_200_000;

/// A request this soon after the answer, in milliseconds, is the editor's and not the user's.
const AHEAD_MS: i64 = 150;

/// What was on the screen for a shorter time than this, in milliseconds, nobody has read: Continue's editor
/// does not count it as shown either.
const READ_MS: i64 = 500;

/// The same where the time is put together from how fast its user types: so short that it is sure.
const SEEN_MS: i64 = 300;

/// Who types as a proposal begins by so many characters types what he sees: one may be the same by chance.
const BEGUN: u32 = 2;

/// Nobody types so many times as fast as he mostly does.
const FAST: f64 = 2.0;

/// Requests for one place this close together, in milliseconds, are one slate.
const SLATE_MS: i64 = 1_000;

/// Bytes of standing text kept beyond twice the proposal's length.
const STANDS_BYTES: usize = 200;
