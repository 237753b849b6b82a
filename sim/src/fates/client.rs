use echo_reward::{Change, EventKind, Fate};

use super::case::{Case, READ_MS, Typing, solid, solid_text};
use super::follower::Followed;
use super::oracle::draft;
use super::profile::{Ahead, Asking, Cache, Telling};
use super::session::Session;
use super::sheet::{Sheet, window};

/// What a client has in hand.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// When it will ask, if nothing comes in between.
    due_ms: Option<f64>,
    asked_ms: f64,
    flights: Vec<Flight>,
    /// What is on the screen, and how many of its characters have been typed.
    pub(crate) displayed: Option<Displayed>,
    kept: Vec<Kept>,
    /// When it tells that a proposal was not taken.
    give_up: Vec<(f64, usize)>,
}

#[derive(Debug, Clone)]
struct Flight {
    texts: (String, String),
    followed: Followed,
    slate: i64,
    done_ms: f64,
    /// The proposal whose text it takes for taken.
    parent: Option<usize>,
    meant_at: usize,
    anchor: u64,
    is_overtaken: bool,
}

/// A proposal on the screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Displayed {
    pub(crate) case: usize,
    /// Characters of what is shown that are there already.
    pub(crate) offset: usize,
    pub(crate) since_ms: f64,
}

#[derive(Debug, Clone)]
struct Kept {
    texts: (String, String),
    case: usize,
}

impl Session<'_> {
    /// Lets time pass until `to_ms`, and the client do what is due.
    pub(crate) fn advance(&mut self, to_ms: f64) {
        loop {
            let due = self.client.due_ms.filter(|_| {
                self.profile.asking != Asking::EveryKey || self.client.flights.is_empty()
            });
            let flights = self.client.flights.iter().map(|flight| flight.done_ms);
            let give_up = self.client.give_up.iter().map(|(at, _)| *at);
            let next = due
                .into_iter()
                .chain(flights)
                .chain(give_up)
                .min_by(f64::total_cmp);
            let Some(next) = next.filter(|next| *next <= to_ms) else {
                break;
            };
            self.now_ms = self.now_ms.max(next);
            self.expire();
            if due == Some(next) {
                self.client.due_ms = None;
                self.ask();
            } else if let Some(at) = self.client.flights.iter().position(|f| f.done_ms <= next) {
                let flight = self.client.flights.remove(at);
                self.receive(&flight);
            } else if let Some(at) = self.client.give_up.iter().position(|(at, _)| *at <= next) {
                let (_, case) = self.client.give_up.remove(at);
                let was_long = self.cases[case].displayed_ms >= READ_MS;
                let is_still = self
                    .client
                    .displayed
                    .is_some_and(|shown| shown.case == case);
                if self.cases[case].taken.is_none() && (was_long || is_still) {
                    self.cases[case].is_dismissed = true;
                    self.tell(case, EventKind::Rejected);
                }
            }
        }
        self.now_ms = self.now_ms.max(to_ms);
        self.expire();
    }

    /// A character was typed.
    pub(crate) fn typed(&mut self, c: char) {
        if let Some(shown) = self.client.displayed
            && self.profile.types_through
            && self.cases[shown.case].shown.chars().nth(shown.offset) == Some(c)
        {
            let offset = shown.offset + 1;
            let is_over = offset == self.cases[shown.case].shown.chars().count();
            self.client.displayed = Some(Displayed { offset, ..shown });
            if is_over {
                self.take_off();
            }
            return;
        }
        self.changed();
    }

    /// The text, or the cursor, is another.
    pub(crate) fn changed(&mut self) {
        self.close();
        if self.profile.aborts {
            self.client.flights.clear();
        }
        let due = match self.profile.asking {
            Asking::EveryKey => self.now_ms,
            Asking::Pause {
                debounce_ms,
                throttle_ms,
            } => (self.now_ms + debounce_ms).max(self.client.asked_ms + throttle_ms),
        };
        self.client.due_ms = Some(due);
    }

    /// What is on the screen goes away.
    fn close(&mut self) {
        if let Some(shown) = self.take_off()
            && self.profile.telling == (Telling::Tabby { dismissals: true })
        {
            // The user went on without it.
            self.cases[shown.case].is_dismissed = true;
            self.tell(shown.case, EventKind::Rejected);
        }
    }

    /// Takes what is on the screen off it.
    pub(crate) fn take_off(&mut self) -> Option<Displayed> {
        let shown = self.client.displayed.take()?;
        self.cases[shown.case].displayed_ms += self.now_ms - shown.since_ms;
        self.cases[shown.case].gone_ms = self.now_ms;
        Some(shown)
    }

    /// The user closes what is on the screen.
    pub(crate) fn dismiss(&mut self) {
        let Some(shown) = self.take_off() else {
            return;
        };
        self.cases[shown.case].is_dismissed = true;
        if matches!(self.profile.telling, Telling::Tabby { .. }) {
            self.tell(shown.case, EventKind::Rejected);
        }
    }

    /// The user has taken what is on the screen, all of it or a line.
    pub(crate) fn taken(&mut self, case: usize, is_all: bool) {
        self.take_off();
        match self.profile.telling {
            Telling::Nothing => {}
            Telling::Tabby { .. } if is_all => self.tell(case, EventKind::Accepted),
            Telling::Tabby { .. } => self.tell(case, EventKind::Partial),
            Telling::Continue => self.tell(case, EventKind::Accepted),
        }
        if self.profile.aborts {
            self.client.flights.clear();
        }
        self.client.due_ms = self.profile.after_taking_ms.map(|ms| self.now_ms + ms);
    }

    fn tell(&mut self, case: usize, kind: EventKind) {
        let shown = (self.profile.telling == Telling::Continue)
            .then(|| u32::try_from(self.cases[case].shown.chars().count()).unwrap_or(u32::MAX));
        self.note(case, &format!("told {kind}"));
        let changes = self.follower.told(case, kind, shown, self.at_ms());
        if kind != EventKind::Shown {
            let truth = self.cases[case].truth(&self.sheets);
            self.cases[case].told = Some(truth);
            self.cases[case].was_seen_taken |= truth.fate.is_some_and(Fate::is_taken);
            self.cases[case].is_word = true;
            self.cases[case].was_told = true;
        }
        self.learn(changes);
    }

    /// Shows what it has kept for this place, or asks.
    fn ask(&mut self) {
        let sheet = &self.sheets[self.sheet];
        let texts = sheet.window(self.profile.window);
        let kept = self
            .client
            .kept
            .iter()
            .rev()
            .find(|kept| match self.profile.cache {
                Cache::None => false,
                Cache::Place => kept.texts == texts,
                Cache::Prefix => kept.texts.0 == texts.0,
            });
        if let Some(case) = kept.map(|kept| kept.case) {
            self.display(case);
            return;
        }
        self.client.asked_ms = self.now_ms;
        let anchor = sheet.cursor_id();
        let slate = self.at_ms();
        for number in 0..self.profile.fan_out {
            self.now_ms += number as f64;
            self.send(texts.clone(), false, None, anchor, slate);
        }
    }

    fn send(
        &mut self,
        texts: (String, String),
        is_said_ahead: bool,
        parent: Option<usize>,
        anchor: u64,
        slate: i64,
    ) {
        let file = self.sheets[self.sheet].file.clone();
        let file = self.profile.names_file.then_some(file.as_str());
        let (followed, changes) =
            self.follower
                .request(&window(file, &texts), is_said_ahead, self.at_ms());
        if parent.is_none() {
            self.overtake(&texts);
        }
        self.show_all(parent.is_some(), &texts);
        self.learn(changes);
        let latency = self.random.between(60.0, 350.0);
        let meant_at = match parent {
            None => self.meant_at,
            Some(parent) => self.right_end(parent).unwrap_or(self.meant_at),
        };
        self.client.flights.push(Flight {
            texts,
            followed,
            slate,
            done_ms: self.now_ms + latency,
            parent,
            meant_at,
            anchor,
            is_overtaken: false,
        });
    }

    /// A request at another place tells that its user has gone on from those before it.
    fn overtake(&mut self, texts: &(String, String)) {
        for flight in &mut self.client.flights {
            flight.is_overtaken |= flight.texts != *texts;
        }
        let (now_ms, pause_ms) = (self.now_ms, f64::from(self.profile.habits.pause_ms));
        let debounce_ms = match self.profile.asking {
            Asking::EveryKey => 0.0,
            Asking::Pause { debounce_ms, .. } => debounce_ms,
        };
        for case in &mut self.cases {
            let is_first = case.left_ms.is_none() && case.texts != *texts;
            if case.settled.is_none() && case.sheet == self.sheet && is_first {
                case.left_ms = Some(now_ms);
                let is_overtaken = now_ms - case.answered_ms - pause_ms < READ_MS;
                case.is_overtaken |= is_overtaken && case.parent.is_none();
                let typed_ms = (now_ms - case.gone_ms - debounce_ms).max(0.0);
                let is_undated = case.parent.is_some() && self.profile.ahead != Ahead::Said;
                case.is_perhaps_unread =
                    is_undated || case.displayed_ms - typed_ms * SLOWER < READ_MS;
                let sooner_ms = typed_ms - typed_ms / (1.0 + SLOWER);
                case.is_perhaps_read =
                    case.was_displayed && case.displayed_ms + sooner_ms >= READ_MS;
            }
        }
    }

    /// Every proposal whose place this request shows is told of by it.
    fn show_all(&mut self, is_ahead: bool, texts: &(String, String)) {
        let sheet = &self.sheets[self.sheet];
        let tail = texts.0.len().saturating_sub(30);
        let tail = texts.0.ceil_char_boundary(tail);
        let mark = if is_ahead { "ahead " } else { "" };
        let line = format!(
            "{:.1} s: {mark}request {:?} | {:?}",
            self.now_ms / 1000.0,
            &texts.0[tail..],
            &texts.1[..texts.1.floor_char_boundary(12)],
        );
        let outdone = self.outdone();
        for (case, is_outdone) in self.cases.iter_mut().zip(outdone) {
            if case.settled.is_none() && case.taken.is_none() && !case.stands_anyway {
                case.stands_anyway = stands_anyway(&self.sheets[case.sheet], case);
            }
            if case.settled.is_none()
                && case.sheet == self.sheet
                && sheet.shows(self.profile.window, case.anchor)
            {
                let truth = case.truth(&self.sheets);
                case.typing.was_seen |=
                    case.typing.chars > 0 && case.typing.parted.is_none() && truth.fate.is_none();
                let is_new = |fate: fn(Fate) -> bool| {
                    let was = case.told.and_then(|told| told.fate).is_some_and(fate);
                    truth.fate.is_some_and(fate) && !was
                };
                case.is_outdone |= is_new(Fate::is_taken) && is_outdone;
                case.is_cut |= is_new(Fate::is_taken) && is_cut(sheet, case);
                let is_gone = |fate| matches!(fate, Fate::Rejected | Fate::Undone);
                case.is_alike |= !case.typing.was_seen && is_new(is_gone) && is_alike(sheet, case);
                case.told = Some(truth);
                case.was_seen_taken |= truth.fate.is_some_and(Fate::is_taken);
                case.is_word = false;
                case.story.push(line.clone());
            }
        }
    }

    fn receive(&mut self, flight: &Flight) {
        let (meant, elsewhere) = self.meant(flight.meant_at);
        let draft = draft(&meant, &elsewhere, &mut self.random);
        let number = self.cases.len();
        let shown = if self.profile.habits.first_line {
            let text = draft.text.trim_end();
            let start = text.len() - text.trim_start().len();
            let end = text[start..]
                .find('\n')
                .map_or(text.len(), |end| start + end);
            text[..end].trim_end().to_owned()
        } else {
            draft.text.clone()
        };
        let file = self.sheets[self.sheet].file.clone();
        let file = self.profile.names_file.then_some(file.as_str());
        let window = window(file, &flight.texts);
        let at_ms = self.at_ms();
        let text = draft.text.clone();
        let changes = self
            .follower
            .answered(number, &text, &window, flight.followed, at_ms);
        let Some(changes) = changes else {
            return;
        };
        self.cases.push(Case {
            number,
            shown,
            draft,
            meant_at: flight.meant_at,
            anchor: flight.anchor,
            sheet: self.sheet,
            parent: flight.parent,
            was_parent_seen_taken: false,
            is_parent_typed: false,
            slate: flight.slate,
            has_twin: false,
            was_displayed: false,
            displayed_ms: 0.0,
            is_overtaken: flight.is_overtaken && flight.parent.is_none(),
            gone_ms: 0.0,
            is_perhaps_unread: false,
            is_perhaps_read: false,
            is_second: self.cases.iter().any(|case| case.slate == flight.slate),
            is_outdone: false,
            is_cut: false,
            is_alike: false,
            stands_anyway: false,
            texts: flight.texts.clone(),
            answered_ms: self.now_ms,
            left_ms: None,
            is_dismissed: false,
            taken: None,
            typing: Typing::after(flight.anchor),
            told: None,
            is_word: false,
            was_seen_taken: false,
            was_told: false,
            settled: None,
            story: vec![format!("{:.1} s: answered {text:?}", self.now_ms / 1000.0)],
        });
        self.learn(changes);
        if self.profile.cache != Cache::None {
            self.client.kept.push(Kept {
                texts: flight.texts.clone(),
                case: number,
            });
        }
        let here = self.sheets[self.sheet].window(self.profile.window);
        if flight.parent.is_none() && here == flight.texts && self.client.displayed.is_none() {
            self.display(number);
        }
        if self.profile.ahead == Ahead::Unsaid && flight.parent.is_none() {
            self.ask_ahead(number, &flight.texts);
        }
    }

    fn display(&mut self, case: usize) {
        if self.cases[case].shown.trim().is_empty() {
            return;
        }
        self.note(case, "displayed");
        self.cases[case].was_displayed = true;
        // A kept one may come back where its text was taken away.
        self.cases[case].anchor = self.sheets[self.sheet].cursor_id();
        self.cases[case].sheet = self.sheet;
        if self.cases[case].taken.is_none() {
            self.cases[case].typing = Typing::after(self.cases[case].anchor);
        }
        self.client.displayed = Some(Displayed {
            case,
            offset: 0,
            since_ms: self.now_ms,
        });
        if matches!(self.profile.telling, Telling::Tabby { .. }) {
            // What it tells to have shown, was shown.
            self.cases[case].displayed_ms = READ_MS;
            self.tell(case, EventKind::Shown);
        }
        if self.profile.telling == Telling::Continue {
            self.client.give_up.push((self.now_ms + 10_000.0, case));
        }
        if self.profile.ahead == Ahead::Said {
            let texts = self.sheets[self.sheet].window(self.profile.window);
            self.ask_ahead(case, &texts);
        }
    }

    /// Asks for what follows a proposal, as if it had been taken.
    fn ask_ahead(&mut self, case: usize, texts: &(String, String)) {
        let prefix = [texts.0.as_str(), &self.cases[case].draft.text].concat();
        let texts = (prefix, texts.1.clone());
        if self.client.kept.iter().any(|kept| kept.texts == texts) {
            return;
        }
        self.now_ms += 2.0;
        let is_said = self.profile.ahead == Ahead::Said;
        let slate = self.at_ms();
        self.send(texts, is_said, Some(case), self.cases[case].anchor, slate);
    }

    pub(crate) fn note(&mut self, case: usize, what: &str) {
        let line = format!("{:.1} s: {what}", self.now_ms / 1000.0);
        self.cases[case].story.push(line);
    }

    /// Whether what stands where a proposal was taken is another answer for the same place.
    fn has_twin(&self, case: &Case) -> bool {
        let stands = self.sheets[case.sheet].solid_after(case.anchor);
        let is_twin = |other: &Case| stands.starts_with(&solid_text(&other.shown));
        case.taken.is_some() && self.others(case).any(is_twin)
    }

    /// Of each proposal, whether another answer for the same place goes further with what stands there, or of one that was
    /// taken in part, as far.
    fn outdone(&self) -> Vec<bool> {
        let is_outdone = |case: &Case| {
            let Some(taken) = case.taken.filter(|_| case.settled.is_none()) else {
                return false;
            };
            let stands = self.sheets[case.sheet].solid_after(case.anchor);
            let alike = |text: &str| {
                let text = solid_text(text);
                let both = text.chars().zip(stands.chars());
                both.take_while(|(a, b)| a == b).count()
            };
            let part: String = case.shown.chars().take(taken).collect();
            let own = alike(&case.shown).max(solid(&part));
            // Of a part, nothing tells which of two that begin so was taken.
            let least = if case.is_part(taken) { own } else { own + 1 };
            self.others(case).any(|other| alike(&other.shown) >= least)
        };
        self.cases.iter().map(is_outdone).collect()
    }

    /// The other answers for the place of a proposal.
    fn others<'b>(&'b self, case: &'b Case) -> impl Iterator<Item = &'b Case> {
        let is_other = |other: &&Case| other.number != case.number && other.slate == case.slate;
        self.cases.iter().filter(is_other)
    }

    fn expire(&mut self) {
        let changes = self.follower.expire(self.at_ms());
        self.learn(changes);
    }

    /// Takes note of what was inferred.
    fn learn(&mut self, changes: Vec<Change>) {
        for change in changes {
            let case = usize::try_from(change.decision).unwrap_or_default();
            let outcome = change.outcome;
            self.note(
                case,
                &format!("read as {} {:.2}", outcome.fate, outcome.kept_share),
            );
            if outcome.settled {
                let truth = self.cases[case].truth(&self.sheets);
                self.cases[case].settled = Some((outcome, truth));
                self.cases[case].has_twin = self.has_twin(&self.cases[case]);
                if let Some(parent) = self.cases[case].parent {
                    let parent = &self.cases[parent];
                    let is_whole = parent.taken.is_some_and(|taken| !parent.is_part(taken));
                    let was_seen_taken = is_whole && parent.was_seen_taken;
                    let is_typed = !is_whole && stands_anyway(&self.sheets[parent.sheet], parent);
                    self.cases[case].was_parent_seen_taken = was_seen_taken;
                    self.cases[case].is_parent_typed = is_typed;
                }
            }
        }
    }
}

/// Whether no more stands of a proposal that was taken than the beginning on which it agrees with what stands there.
fn is_cut(sheet: &Sheet, case: &Case) -> bool {
    let stands = sheet.solid_after(case.anchor);
    let shown = solid_text(&case.shown);
    let same = shown
        .chars()
        .zip(stands.chars())
        .take_while(|(a, b)| a == b);
    let share = sheet.standing(case.number, &case.shown).share;
    let least = share * solid(&case.shown) as f64 - 0.5;
    share < 1.0 && same.count() as f64 >= least
}

/// Whether the words of a proposal that stand in its place, in order, are [`ALIKE`] of it. It calls nothing of what it
/// is to judge: the reader has measures of its own.
fn is_alike(sheet: &Sheet, case: &Case) -> bool {
    let stands = sheet.after(case.anchor);
    let (wanted, found) = (tokens(&case.shown), tokens(&stands));
    let found = &found[..found.len().min(wanted.len() * 3 / 2)];
    let mut row = vec![0; found.len() + 1];
    for token in &wanted {
        let mut diagonal = 0;
        for (at, other) in found.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if token == other {
                diagonal + token.chars().count()
            } else {
                above.max(row[at])
            };
            diagonal = above;
        }
    }
    let all: usize = wanted.iter().map(|token| token.chars().count()).sum();
    row[found.len()] as f64 >= ALIKE * all as f64
}

/// The words and signs of a text.
fn tokens(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        found.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    found
}

/// By so much longer a user may take for what he types than he did, for all that requests tell.
const SLOWER: f64 = 1.0 / 3.0;

/// From this share on, what stands may be a proposal that was put right.
const ALIKE: f64 = 0.5;

/// Whether half of a proposal or more stands in its place, whoever wrote it.
fn stands_anyway(sheet: &Sheet, case: &Case) -> bool {
    let stands = sheet.solid_after(case.anchor);
    let shown = case.shown.chars().filter(|c| !c.is_whitespace());
    let same = shown.zip(stands.chars()).take_while(|(a, b)| a == b);
    same.count() * 2 >= solid(&case.shown)
}
