use crate::random::Random;

use super::case::{Case, solid};
use super::client::Client;
use super::follower::Follower;
use super::oracle::{DraftKind, Slip, words};
use super::profile::{Asking, Profile};
use super::sheet::Sheet;

/// One user who writes a text in one editor, from the first key to the last.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) random: Random,
    pub(crate) now_ms: f64,
    pub(crate) sheets: Vec<Sheet>,
    /// The sheet that the user is in.
    pub(crate) sheet: usize,
    pub(crate) cases: Vec<Case>,
    pub(crate) follower: Follower,
    pub(crate) client: Client,
    /// What the user means to write, and how many characters of it are written.
    text: Vec<char>,
    pub(crate) meant_at: usize,
    lines: Vec<&'a str>,
    key_ms: f64,
}

impl<'a> Session<'a> {
    /// A user of `profile` who writes the later part of `text`.
    pub(crate) fn new(profile: &'a Profile, text: &'a str, seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed, number);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let starts: Vec<usize> = text.match_indices("\n\n").map(|(at, _)| at + 2).collect();
        let from = starts[random.below(starts.len() * 2 / 3)];
        let length = 300 + random.below(500);
        let to = text.floor_char_boundary((from + length).min(text.len()));
        // The rest may stand already, as when code is put into the middle of a file.
        let rest = if random.chance(0.5) { &text[to..] } else { "" };
        let key_ms = random.between(80.0, 200.0);
        Self {
            profile,
            now_ms: 1_000_000.0,
            sheets: vec![
                Sheet::new("one", &text[..from], rest),
                Sheet::new("two", "a short text\nof another file\nfor a change\n", ""),
            ],
            sheet: 0,
            cases: Vec::new(),
            follower: Follower::new(profile.habits),
            client: Client::default(),
            text: text[from..to].chars().collect(),
            meant_at: 0,
            lines,
            key_ms,
            random,
        }
    }

    pub(crate) fn at_ms(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "minutes in milliseconds")]
        let at_ms = self.now_ms as i64;
        at_ms
    }

    /// What is meant from a place on, and other lines of the same text.
    pub(crate) fn meant(&self, at: usize) -> (String, Vec<&'a str>) {
        (
            self.text[at.min(self.text.len())..].iter().collect(),
            self.lines.clone(),
        )
    }

    /// Writes it all, and waits until every proposal has settled.
    pub(crate) fn run(mut self) -> Vec<Case> {
        self.client_looks_up();
        while self.meant_at < self.text.len() {
            let run = 1 + self.random.below(18);
            for _ in 0..run {
                let Some(c) = self.text.get(self.meant_at).copied() else {
                    break;
                };
                self.meant_at += 1;
                self.type_key(c);
            }
            self.look();
        }
        if self.random.chance(0.5) {
            // A last key, long after.
            self.wait(20_000.0, 40_000.0);
            self.type_text("\n\n");
            self.wait(1_000.0, 2_000.0);
        }
        self.advance(self.now_ms + 400_000.0);
        self.cases
    }

    /// A pause in which the user looks at what is shown, and decides.
    fn look(&mut self) {
        let until = self.now_ms + self.random.between(100.0, 2_500.0);
        let mut shown = None;
        while self.now_ms < until && shown.is_none() {
            self.advance((self.now_ms + 25.0).min(until));
            shown = self.client.displayed;
        }
        let Some(shown) = shown else { return };
        let reaction = self.random.between(300.0, 1_500.0);
        self.advance(self.now_ms.max(shown.since_ms + reaction));
        if self
            .client
            .displayed
            .is_some_and(|now| now.case == shown.case)
        {
            self.decide(shown.case);
        }
    }

    fn decide(&mut self, case: usize) {
        let drawn = self.random.unit();
        let shown = self.cases[case].shown.trim();
        let line = shown.lines().next().unwrap_or_default();
        let is_of_lines = shown.contains('\n') && self.profile.takes_lines && solid(line) >= FEW;
        if solid(shown) < FEW && drawn >= 0.08 {
            // Sooner typed than taken.
            return;
        }
        let (shown_chars, line_chars) = (shown.chars().count(), line.chars().count());
        let blank = self.cases[case]
            .shown
            .chars()
            .take_while(|c| c.is_whitespace());
        let line_end = blank.count() + line_chars;
        match self.cases[case].draft.kind.clone() {
            _ if drawn < 0.04 => self.leave(),
            _ if drawn < 0.08 => {
                self.client_dismisses();
                self.write_own(case);
            }
            DraftKind::Right if drawn < 0.2 && is_of_lines => self.take_line(case),
            DraftKind::Right if drawn < 0.55 => self.take(case),
            DraftKind::Right if drawn < 0.68 => {
                self.take(case);
                self.change_mind(case);
            }
            DraftKind::Right if drawn < 0.74 => self.take_back(case),
            DraftKind::Right if drawn < 0.82 => self.write_own(case),
            DraftKind::Wrong(slips) if drawn < 0.6 && self.is_worth(case, &slips) => {
                self.take(case);
                self.fix(case, &slips);
            }
            DraftKind::Wrong(_) if drawn < 0.68 => self.take_back(case),
            DraftKind::Straying if drawn < 0.3 && self.agreeing(case) * 2 > shown_chars => {
                self.take(case);
                self.cut_tail(case);
            }
            DraftKind::Straying
                if drawn < 0.45 && is_of_lines && self.agreeing(case) >= line_end =>
            {
                self.take_line(case);
            }
            DraftKind::Foreign if drawn < 0.18 => self.take_back(case),
            DraftKind::Foreign if drawn < 0.3 => {
                self.take(case);
                self.type_text("\n");
            }
            // The user goes on typing, perhaps just what is proposed.
            _ => {}
        }
    }

    /// Takes all that is shown.
    fn take(&mut self, case: usize) {
        let shown = self.cases[case].shown.clone();
        self.put_in(case, &shown, true);
        if let Some(end) = self.right_end(case) {
            self.meant_at = end;
        }
    }

    /// Characters of what is shown that are just what is meant.
    fn agreeing(&self, case: usize) -> usize {
        let case = &self.cases[case];
        let meant = self.text[case.meant_at.min(self.text.len())..].iter();
        let both = meant.zip(case.shown.chars());
        both.take_while(|(a, b)| **a == *b).count()
    }

    /// Whether more of a proposal is right than wrong.
    fn is_worth(&self, case: usize, slips: &[Slip]) -> bool {
        let wrong: usize = slips.iter().map(|slip| slip.chars).sum();
        wrong * 2 < solid(&self.cases[case].shown)
    }

    /// Takes the first line of several.
    fn take_line(&mut self, case: usize) {
        let shown = self.cases[case].shown.clone();
        let start = shown.len() - shown.trim_start().len();
        let line = shown[start..]
            .find('\n')
            .map_or(shown.len(), |end| start + end);
        self.put_in(case, &shown[..line], false);
        if self.cases[case].draft.kind != DraftKind::Foreign {
            let chars = shown[..line].chars().count();
            let rest = self.text.len() - self.cases[case].meant_at;
            // Of a straying draft, the line may already stray.
            let agreeing = self.agreeing(case);
            self.meant_at = self.cases[case].meant_at + chars.min(agreeing).min(rest);
        }
    }

    fn put_in(&mut self, case: usize, text: &str, is_all: bool) {
        let offset = self.client.displayed.map_or(0, |shown| shown.offset);
        // What was typed of it by hand becomes a part of it.
        self.sheets[self.sheet].claim(offset, case);
        for (place, c) in text.chars().enumerate().skip(offset) {
            self.write(c, Some((case, place)));
        }
        self.cases[case].taken = Some(text.chars().count());
        self.cases[case].typing.chars = solid(text);
        self.cases[case].typing.behind = self.sheets[self.sheet].cursor_id();
        self.note(case, &format!("TAKES {text:?}"));
        self.taken(case, is_all);
    }

    /// Takes it, takes it back, and writes something else.
    fn take_back(&mut self, case: usize) {
        self.take(case);
        self.wait(400.0, 3_000.0);
        self.sheets[self.sheet].take_back(case);
        self.close_up();
        self.note(case, "TAKES IT BACK");
        self.changed();
        self.wait(300.0, 2_000.0);
        self.write_own(case);
    }

    /// Writes something of one's own where a proposal is or was shown, in place of it and of the rest of its line.
    fn write_own(&mut self, case: usize) {
        let end = self.right_end(case);
        let line = self.lines[self.random.below(self.lines.len())]
            .trim()
            .to_owned();
        self.note(case, &format!("WRITES {line:?}"));
        let shown = &self.cases[case].shown;
        let indentation: String = shown.chars().take_while(|c| c.is_whitespace()).collect();
        self.type_text(&[indentation.as_str(), &line].concat());
        let rest = &self.text[end.unwrap_or(self.meant_at).min(self.text.len())..];
        let line_end = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
        self.meant_at = self.text.len() - rest.len() + line_end;
    }

    /// Puts right what is wrong in a proposal that was taken.
    fn fix(&mut self, case: usize, slips: &[Slip]) {
        let end = self.sheets[self.sheet].cursor_id();
        for slip in slips.iter().rev() {
            if slip.at + slip.chars > self.cases[case].shown.chars().count() {
                continue;
            }
            self.wait(300.0, 4_000.0);
            self.note(
                case,
                &format!("REPLACES {} characters by {:?}", slip.chars, slip.right),
            );
            if self.sheets[self.sheet].go_behind(case, slip.at + slip.chars - 1) {
                self.changed();
                self.wait(200.0, 800.0);
                for _ in 0..slip.chars {
                    self.rub_out();
                }
                self.type_text(&slip.right);
            }
        }
        self.wait(200.0, 800.0);
        if self.sheets[self.sheet].go_to(end) {
            self.changed();
        }
    }

    /// Renames something in a proposal that was right.
    fn change_mind(&mut self, case: usize) {
        let shown = self.cases[case].shown.clone();
        let mut words = words(&shown);
        // Nobody takes a proposal to keep less than half of it.
        words.retain(|(start, end)| (end - start) * 2 < solid(&shown));
        let Some((start, end)) = words.get(self.random.below(words.len())).copied() else {
            return;
        };
        let slip = Slip {
            at: shown[..start].chars().count(),
            chars: shown[start..end].chars().count(),
            right: ["chosen", "first_of_all", "n", "parts"][self.random.below(4)].to_owned(),
        };
        self.fix(case, &[slip]);
    }

    /// Deletes the end of a proposal that strays, and goes on.
    fn cut_tail(&mut self, case: usize) {
        let shown = self.cases[case].shown.clone();
        let from = self.cases[case].meant_at;
        let agreeing = self.agreeing(case);
        self.wait(300.0, 2_000.0);
        let wrong = shown.chars().count() - agreeing;
        self.note(case, &format!("DELETES its last {wrong} characters"));
        for _ in 0..wrong {
            self.rub_out();
        }
        self.meant_at = from + agreeing;
    }

    /// Goes to another file for a while.
    fn leave(&mut self) {
        let back = self.sheets[self.sheet].cursor_id();
        self.changed();
        self.sheet = 1;
        self.take_off();
        self.wait(500.0, 2_000.0);
        self.type_text("and more\n");
        let (least, most) = if self.random.chance(0.3) {
            (60_000.0, 400_000.0)
        } else {
            (3_000.0, 20_000.0)
        };
        self.wait(least, most);
        self.sheet = 0;
        self.sheets[0].go_to(back);
        self.changed();
    }

    fn client_dismisses(&mut self) {
        self.dismiss();
        self.wait(200.0, 900.0);
    }

    /// The first thing that an editor does with a new file.
    fn client_looks_up(&mut self) {
        if self.profile.asking != Asking::EveryKey {
            self.changed();
        }
    }

    /// Where in `text` a proposal ends if it is taken and put right; `None` when it has no place there.
    pub(crate) fn right_end(&self, case: usize) -> Option<usize> {
        let case = &self.cases[case];
        let shown = case.shown.chars().count();
        let end = match &case.draft.kind {
            DraftKind::Foreign | DraftKind::Straying => return None,
            DraftKind::Right => shown,
            DraftKind::Wrong(slips) => slips
                .iter()
                .filter(|slip| slip.at + slip.chars <= shown)
                .fold(shown, |end, slip| {
                    end - slip.chars + slip.right.chars().count()
                }),
        };
        Some((case.meant_at + end).min(self.text.len()))
    }

    fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            self.type_key(c);
        }
    }

    fn type_key(&mut self, c: char) {
        if !self.sheets[self.sheet].is_indentation(c) {
            self.key();
        }
        self.write(c, None);
        self.typed(c);
    }

    /// Writes one character; every proposal whose place is being written is compared with it.
    fn write(&mut self, c: char, from: Option<(usize, usize)>) {
        let sheet = &mut self.sheets[self.sheet];
        let behind = sheet.cursor_id();
        sheet.put_one(c, from);
        let ids = (behind, sheet.cursor_id());
        for case in &mut self.cases {
            let is_own = from.is_some_and(|(proposal, _)| proposal == case.number);
            if case.sheet == self.sheet && !is_own {
                case.follow(c, ids, from.is_none());
            }
        }
    }

    /// Deletes the character before the cursor.
    fn rub_out(&mut self) {
        self.key();
        self.sheets[self.sheet].delete(1);
        self.close_up();
        self.changed();
    }

    /// A place whose character before it is gone is where the cursor is now.
    fn close_up(&mut self) {
        let sheet = &self.sheets[self.sheet];
        let here = sheet.cursor_id();
        for case in self
            .cases
            .iter_mut()
            .filter(|case| case.sheet == self.sheet)
        {
            if !sheet.has(case.anchor) {
                case.anchor = here;
            }
            if !sheet.has(case.typing.behind) {
                case.typing.behind = here;
            }
        }
    }

    fn key(&mut self) {
        let ms = self.key_ms * self.random.between(0.6, 1.6);
        self.advance(self.now_ms + ms);
    }

    fn wait(&mut self, least_ms: f64, most_ms: f64) {
        let ms = self.random.between(least_ms, most_ms);
        self.advance(self.now_ms + ms);
    }
}

/// For fewer characters nobody presses a key.
const FEW: usize = 4;
