use std::cell::OnceCell;
use std::collections::VecDeque;

use memchr::memmem;

use crate::page::{Drift, Page};
use crate::person::Person;
use crate::place::Place;
use crate::proposal::Key;
use crate::sight::Sight;
use crate::slate;
use crate::tempo::Tempo;
use crate::{Event, EventKind, Outcome, Proposal, RecentAcceptance, RewardError, Window};

/// Bounds and periods of a [`UserTracker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackerLimits {
    /// Proposals open at a time for one user; the oldest is settled when one more comes.
    pub open: usize,
    /// An outcome settles when nothing has changed for this long, in milliseconds.
    pub quiet_ms: i64,
    /// A proposal settles this long after its answer at the latest, in milliseconds.
    pub longest_ms: i64,
}

impl Default for TrackerLimits {
    fn default() -> Self {
        Self {
            open: 64,
            quiet_ms: 10_000,
            longest_ms: 300_000,
        }
    }
}

/// What told of a fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A later request showed the text.
    Request,
    /// The editor said it.
    Event,
    /// Time ran out.
    Timeout,
    /// Newer proposals took the place in memory.
    Eviction,
    /// A request long after the outcome had settled showed what is left: it changes nothing.
    Survival,
}

impl Source {
    /// The name that the log uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Event => "event",
            Self::Timeout => "timeout",
            Self::Eviction => "eviction",
            Self::Survival => "survival",
        }
    }
}

/// News of one proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The decision that the proposal answers.
    pub decision: u128,
    /// Which alternative of the answer it is.
    pub choice: u32,
    /// What is now known.
    pub outcome: Outcome,
    /// What told.
    pub source: Source,
    /// The text that stands in the proposal's place, cut to a bound.
    pub stands: Option<String>,
}

/// What a request told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// News of open proposals.
    pub changes: Vec<Change>,
    /// Whether it was made ahead of the user: its text holds a proposal that the user has not taken, and
    /// its answer is speculative.
    pub is_ahead: bool,
}

/// So long after its answer a proposal may still be told of, in milliseconds.
pub const FOLLOWED_MS: i64 = crate::proposal::LONGEST_MS;

/// Follows the open proposals of one user until their outcomes settle.
///
/// Memory is bounded by [`TrackerLimits::open`] proposals. All times are milliseconds of one clock,
/// which the caller reads.
#[derive(Debug, Clone)]
pub struct UserTracker {
    limits: TrackerLimits,
    open: VecDeque<Box<Proposal>>,
    /// Settled proposals that were taken, to see how long they stand.
    standing: VecDeque<Box<Proposal>>,
    recent: RecentAcceptance,
    person: Person,
    /// What the user has in front of him, in the order of their last use.
    pages: Vec<Page>,
    pages_made: u64,
    /// When the last request was made, in milliseconds.
    last_ms: i64,
    /// Whether the editor has told, since the last request, that something was taken.
    is_told_taken: bool,
    /// Places that were asked for ahead, and behind which proposal, the last first.
    ahead: VecDeque<(u64, Key)>,
}

impl UserTracker {
    /// A tracker without open proposals.
    pub fn new(limits: TrackerLimits) -> Self {
        Self {
            limits,
            open: VecDeque::new(),
            standing: VecDeque::new(),
            recent: RecentAcceptance::default(),
            person: Person::default(),
            pages: Vec::new(),
            pages_made: 0,
            last_ms: i64::MIN,
            is_told_taken: false,
            ahead: VecDeque::new(),
        }
    }

    /// The user's recent acceptance, with that of his files.
    pub fn recent(&self) -> &RecentAcceptance {
        &self.recent
    }

    /// Number of open proposals.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Opens a proposal. Returns news of the one that had to make room, if any.
    pub fn proposed(&mut self, mut proposal: Proposal) -> Option<Change> {
        if let Some(page) = self.pages.last() {
            proposal.place.put_on(page);
        }
        let place = proposal.place.hash;
        if self.pages.iter().any(|page| page.has_left(place))
            && !self.pages.iter().any(|page| page.is_at(place))
        {
            proposal.overtake();
        }
        if proposal.is_ahead() {
            let mut asked = self.ahead.iter();
            let asked = asked.find(|(place, _)| *place == proposal.place.hash);
            proposal.behind(asked.map(|(_, parent)| *parent));
        }
        for other in &self.open {
            proposal.recognise(other, &self.person);
        }
        self.open.push_back(Box::new(proposal));
        if self.open.len() <= self.limits.open {
            return None;
        }
        let oldest = self.open.pop_front()?;
        Some(self.settle(&oldest, Source::Eviction))
    }

    /// Reads a later request of this user, made at `at_ms`, for what it shows of the open proposals.
    ///
    /// An editor that asks ahead sends the text as if a proposal had been taken. Such a request is known by
    /// the client's word (`is_said_ahead`); by its coming at once after the answer whose text it holds; or by
    /// holding an answer that was itself asked for ahead and that the user has not come to yet, if the request before
    /// it did not show that text. It is taken out again: what remains is what the user has in front of him.
    pub fn request(&mut self, window: &Window<'_>, is_said_ahead: bool, at_ms: i64) -> Seen {
        self.person.tells_ahead |= is_said_ahead;
        let taken_out = self.open.iter().enumerate().rev().find_map(|(index, p)| {
            let is_new = p.is_too_new(at_ms, &self.person) && !p.is_taken();
            let is_ahead = is_said_ahead || p.is_ahead() || is_new;
            let before = is_ahead
                .then(|| p.place.without(p.text(), window))
                .flatten()?;
            let is_shown = || {
                let mut pages = self.pages.iter();
                pages.any(|page| page.shows_end(window.prefix, p.text()))
            };
            if !is_said_ahead && is_shown() {
                return None;
            }
            // Where the client would say that this is ahead, and the end of the text was taken as another proposal, it is
            // the user's own.
            let is_the_end = |other: &Proposal| other.is_taken() && other.ends(p);
            let is_own = self.person.tells_ahead && self.open.iter().any(|other| is_the_end(other));
            (is_said_ahead || !is_own).then(|| (before, p.is_ahead(), index))
        });
        let last_ms = std::mem::replace(&mut self.last_ms, at_ms);
        // Who says that he asks ahead asks again when the user has come there.
        if let Some((_, _, parent)) = taken_out {
            self.open[parent].come_up(at_ms);
            if !is_said_ahead {
                self.ahead.truncate(AHEAD - 1);
                self.ahead
                    .push_front((Place::hash_of(window), self.open[parent].key()));
            }
        }
        let is_ahead = is_said_ahead || taken_out.is_some();
        let changes = match taken_out {
            // The user is where an answer was asked for ahead of him.
            Some((window, true, _)) => self.look(&window, last_ms, at_ms),
            // What remains is what the last request showed.
            Some((_, false, _)) => Vec::new(),
            None if is_said_ahead => Vec::new(),
            None => self.look(window, last_ms, at_ms),
        };
        Seen { changes, is_ahead }
    }

    fn look(&mut self, window: &Window<'_>, last_ms: i64, at_ms: i64) -> Vec<Change> {
        let document = [window.prefix, window.suffix].concat();
        let cursor = window.prefix.len();
        let reach = (self.open.len() * REACH_BYTES).clamp(REACH_BYTES, REACH_BYTES_MAX);
        let (page, drift) = self.page_of(window.file, &document, cursor);
        self.time(drift, &document[..cursor], at_ms);
        let keys = self.keys(drift, &document, at_ms);
        let sight = Sight {
            file: window.file,
            document: &document,
            cursor,
            at_ms,
            page,
            place: Place::hash_of(window),
            drift,
            last_ms,
            last_place: self.pages.last().map_or(0, Page::place),
            keys,
            offset: Page::offset(&document, cursor, reach),
            filter: OnceCell::new(),
        };
        let person = &mut self.person;
        let before: Vec<bool> = self.open.iter().map(|p| p.is_taken()).collect();
        let mut news: Vec<(usize, Outcome)> = Vec::new();
        for index in 0..self.open.len() {
            let others = self.open.range(..index).map(AsRef::as_ref);
            let is_reached = self.open[index].is_reached(others, person);
            let outcome = self.open[index].look(&sight, person, is_reached);
            news.extend(outcome.map(|outcome| (index, outcome)));
        }
        if !news.is_empty() {
            slate::sort_out(&mut self.open, &mut news, person, at_ms);
            slate::give_way(&mut self.open, &mut news, &before, person, at_ms);
        }
        self.standing.retain(|proposal| proposal.may_survive(at_ms));
        let looks = self.standing.iter_mut();
        let survived: Vec<Change> = looks
            .filter_map(|proposal| {
                let outcome = proposal.survival(&sight, person)?;
                Some(change(proposal, outcome, Source::Survival))
            })
            .collect();
        let mut taken = self.open.iter().zip(&before);
        let is_taken = taken.any(|(proposal, was_taken)| proposal.is_taken() && !was_taken);
        let was_put_in = std::mem::take(&mut self.is_told_taken) || is_taken;
        if let Some(page) = self.pages.last().filter(|_| !was_put_in) {
            person.rhythm.went_on(keys, at_ms - page.turned_ms());
        }
        if let Some(page) = self.pages.last_mut() {
            page.turn(&document, cursor, reach, sight.place, at_ms);
        }
        let told = news.into_iter();
        let told = told.map(|(index, outcome)| change(&self.open[index], outcome, Source::Request));
        told.chain(survived).collect()
    }

    /// Takes note of how long it took to write what was written since the last page, if it is no proposal's text.
    fn time(&mut self, drift: Option<Drift>, before_cursor: &str, at_ms: i64) {
        let (Some(page), Some(drift)) = (self.pages.last(), drift) else {
            return;
        };
        let Some(written) = drift.written(page, before_cursor) else {
            return;
        };
        let (chars, ms) = (written.chars().count(), at_ms - page.turned_ms());
        let is_proposed = || {
            let written = memmem::Finder::new(written.trim());
            let mut texts = self.open.iter().map(|proposal| proposal.text());
            texts.any(|text| written.find(text.as_bytes()).is_some())
        };
        if chars < OWN_CHARS || !Tempo::is_fast(chars, ms) || !is_proposed() {
            self.person.tempo.typed(chars, ms);
        }
    }

    /// How many keys were pressed since the last page, as far as the text tells; what a proposal put in was not typed.
    fn keys(&mut self, drift: Option<Drift>, document: &str, at_ms: i64) -> usize {
        let (Some(page), Some(drift)) = (self.pages.last(), drift) else {
            return 0;
        };
        let Some(changed) = drift.changed(page, document) else {
            return 0;
        };
        let ms = at_ms - page.turned_ms();
        let mut keys = keys_of(changed.before, changed.put_in);
        if keys >= OWN_CHARS && Tempo::is_fast(keys, ms) {
            let texts = self.open.iter().map(|proposal| proposal.text().trim());
            let put_in = changed.put_in.trim_start();
            let proposed = texts.filter(|text| put_in.starts_with(text));
            let proposed = proposed.map(|text| keys_of("x", text)).max();
            keys = keys.saturating_sub(proposed.unwrap_or(0));
        }
        let deleted = changed.deleted.trim();
        let is_proposed = |p: &Proposal| p.is_taken() && p.shown().trim() == deleted;
        let is_undone = || deleted.len() >= OWN_CHARS && self.open.iter().any(|p| is_proposed(p));
        // Much is deleted at once, and so is what was put in at once.
        keys += if changed.deleted.len() > DELETED_MOST || is_undone() {
            1
        } else {
            changed.deleted.len()
        };
        keys
    }

    /// The page that `document`, with the cursor at `cursor`, is the next state of, which becomes the last, and how
    /// it has changed; a new one if there is none.
    fn page_of(
        &mut self,
        file: Option<&str>,
        document: &str,
        cursor: usize,
    ) -> (u64, Option<Drift>) {
        let candidates = self.pages.iter().enumerate().rev();
        let mut candidates = candidates.filter(|(_, page)| page.file.as_deref() == file);
        let found = candidates.find_map(|(at, page)| Some((at, page.drift(document, cursor)?)));
        if let Some((at, drift)) = found {
            let page = self.pages.remove(at);
            let id = page.id;
            self.pages.push(page);
            return (id, Some(drift));
        }
        if self.pages.len() == PAGES {
            self.pages.remove(0);
        }
        self.pages_made += 1;
        self.pages.push(Page::new(self.pages_made, file));
        (self.pages_made, None)
    }

    /// Takes an editor's word on a proposal.
    ///
    /// # Errors
    ///
    /// [`RewardError::UnknownProposal`] when no open proposal has the event's id.
    pub fn event(&mut self, event: &Event<'_>, at_ms: i64) -> Result<Option<Change>, RewardError> {
        let proposal = self
            .open
            .iter_mut()
            .find(|p| p.decision == event.decision && p.choice == event.choice)
            .ok_or(RewardError::UnknownProposal {
                decision: event.decision,
                choice: event.choice,
            })?;
        self.is_told_taken |= matches!(event.kind, EventKind::Accepted | EventKind::Partial);
        let outcome = proposal.told(event, &mut self.person, at_ms);
        Ok(outcome.map(|outcome| change(proposal, outcome, Source::Event)))
    }

    /// Settles what is due at `now_ms`: quiet for long enough, or open for too long.
    pub fn expire(&mut self, now_ms: i64) -> Vec<Change> {
        let limits = self.limits;
        let due = |p: &Proposal| {
            let quiet = p.outcome().is_some() && now_ms - p.changed_ms() >= limits.quiet_ms;
            quiet || now_ms - p.answered_ms() >= limits.longest_ms
        };
        if !self.open.iter().any(|p| due(p)) {
            return Vec::new();
        }
        let (settled, open) = self.open.drain(..).partition::<Vec<_>, _>(|p| due(p));
        self.open = open.into();
        let mut changes = Vec::new();
        for proposal in settled {
            let change = self.settle(&proposal, Source::Timeout);
            if change.outcome.fate.is_taken() {
                self.stand(proposal);
            }
            changes.push(change);
        }
        changes
    }

    /// Takes over what was known of a proposal before a restart. One that had settled is closed without news; if it
    /// was taken, how long it stands is followed further.
    pub fn resume(&mut self, decision: u128, choice: u32, outcome: Outcome, at_ms: i64) {
        let found = self.open.iter().position(|p| p.key() == (decision, choice));
        let Some(index) = found else { return };
        if !outcome.settled {
            self.open[index].resume(outcome, at_ms);
            return;
        }
        let Some(mut proposal) = self.open.remove(index) else {
            return;
        };
        self.recent.settle(proposal.file(), &outcome);
        if outcome.fate.is_taken() {
            proposal.resume(outcome, at_ms);
            self.stand(proposal);
        }
    }

    /// Takes over that a settled proposal's survival was told at `at_ms`, before a restart.
    pub fn survived(&mut self, decision: u128, choice: u32, at_ms: i64) {
        let known = |p: &&mut Box<Proposal>| p.key() == (decision, choice);
        if let Some(proposal) = self.standing.iter_mut().find(known) {
            proposal.survived(at_ms);
        }
    }

    fn stand(&mut self, proposal: Box<Proposal>) {
        self.standing.push_back(proposal);
        if self.standing.len() > STANDING {
            self.standing.pop_front();
        }
    }

    /// Settles everything, whatever the time.
    pub fn close(&mut self) -> Vec<Change> {
        self.settle_all(Source::Timeout)
    }

    /// Settles everything, since other users need the place in memory.
    pub fn evict(&mut self) -> Vec<Change> {
        self.settle_all(Source::Eviction)
    }

    fn settle_all(&mut self, source: Source) -> Vec<Change> {
        let open = std::mem::take(&mut self.open);
        open.iter()
            .map(|proposal| self.settle(proposal, source))
            .collect()
    }

    fn settle(&mut self, proposal: &Proposal, source: Source) -> Change {
        let outcome = proposal.settled(&self.person);
        self.recent.settle(proposal.file(), &outcome);
        change(proposal, outcome, source)
    }
}

/// Settled proposals whose survival is followed, of one user.
const STANDING: usize = 16;

/// Places asked for ahead that are remembered of one user.
const AHEAD: usize = 8;

/// A page reaches so many bytes from the cursor for each open proposal, and [`REACH_BYTES_MAX`] at most.
const REACH_BYTES: usize = 768;

const REACH_BYTES_MAX: usize = 8_192;

/// Less than this, in characters, is in a proposal by chance.
const OWN_CHARS: usize = 4;

/// Keys that a text takes which is written behind another: an editor puts in the indentation of a new line by itself.
fn keys_of(before: &str, text: &str) -> usize {
    let is_blank = |c| c == ' ' || c == '\t';
    let is_at_start = before.trim_end_matches(is_blank).ends_with('\n');
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    let own = |line: &str| line.trim_start_matches(is_blank).chars().count();
    let first = if is_at_start {
        own(first)
    } else {
        first.chars().count()
    };
    lines.fold(first, |keys, line| keys + 1 + own(line))
}

/// Bytes that are deleted one by one at most.
const DELETED_MOST: usize = 40;

/// Pages remembered of one user.
const PAGES: usize = 4;

fn change(proposal: &Proposal, outcome: Outcome, source: Source) -> Change {
    Change {
        decision: proposal.decision,
        choice: proposal.choice,
        outcome,
        source,
        stands: proposal.stands().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a user does before the next request.
    #[derive(Debug, Clone)]
    enum Act {
        Type(String),
        Take,
        Delete(usize),
        Move(prop::sample::Index),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            6 => "[ab(){} \n]{1,3}".prop_map(Act::Type),
            2 => Just(Act::Take),
            2 => (1_usize..12).prop_map(Act::Delete),
            1 => any::<prop::sample::Index>().prop_map(Act::Move),
        ];
        prop::collection::vec(act, 1..40)
    }

    /// A document that is edited, with the cursor's place.
    struct Document {
        text: String,
        cursor: usize,
    }

    impl Document {
        fn window(&self) -> Window<'_> {
            let (prefix, suffix) = self.text.split_at(self.cursor);
            Window {
                file: None,
                prefix,
                suffix,
            }
        }

        fn apply(&mut self, act: &Act, proposed: &str) {
            match act {
                Act::Type(text) => self.put_in(text),
                Act::Take => self.put_in(proposed),
                Act::Delete(bytes) => {
                    let from = self.cursor.saturating_sub(*bytes);
                    self.text.replace_range(from..self.cursor, "");
                    self.cursor = from;
                }
                Act::Move(to) => self.cursor = to.index(self.text.len() + 1),
            }
        }

        fn put_in(&mut self, text: &str) {
            self.text.insert_str(self.cursor, text);
            self.cursor += text.len();
        }
    }

    fn undecided(mut tracker: UserTracker) -> UserTracker {
        tracker.open.iter_mut().for_each(|p| p.look_at_all());
        tracker
    }

    fn known(tracker: &UserTracker) -> VecDeque<Box<Proposal>> {
        let mut open = tracker.open.clone();
        for proposal in &mut open {
            proposal.forget_look();
        }
        open
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_follows_what_has_decided_tells_nothing(
            acts in acts(),
            texts in prop::collection::vec("[ab(){} \n]{1,12}", 40),
        ) {
            let text = "fn first(a: usize) -> usize {\n    \n}\n\nfn second(b: usize) -> usize { b }\n";
            let mut document = Document { text: text.to_owned(), cursor: 34 };
            let mut tracker = UserTracker::new(TrackerLimits::default());
            let mut proposed = String::new();
            for (id, (act, text)) in (0_u32..).zip(acts.iter().zip(texts)) {
                let at_ms = i64::from(id) * 700;
                document.apply(act, &proposed);
                let window = document.window();
                let mut other = undecided(tracker.clone());
                prop_assert_eq!(
                    tracker.request(&window, false, at_ms),
                    other.request(&window, false, at_ms)
                );
                prop_assert_eq!(known(&tracker), known(&other));
                drop(tracker.proposed(Proposal::new(id.into(), 0, &text, &window, at_ms)));
                proposed = text;
            }
        }
    }
}
