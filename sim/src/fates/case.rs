use echo_reward::{Fate, Outcome};

use super::oracle::Draft;
use super::sheet::Sheet;

/// One proposal, and what is truly known of it.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, whatever the others"
)]
pub(crate) struct Case {
    /// Its number, by which characters remember it.
    pub(crate) number: usize,
    /// What was sent.
    pub(crate) draft: Draft,
    /// What the client shows of it.
    pub(crate) shown: String,
    /// The text around its place when it was asked for.
    pub(crate) texts: (String, String),
    pub(crate) answered_ms: f64,
    /// When the first request for another place came.
    pub(crate) left_ms: Option<f64>,
    /// Where `meant` was at when it was asked for.
    pub(crate) meant_at: usize,
    /// The character before its place.
    pub(crate) anchor: u64,
    pub(crate) sheet: usize,
    /// The proposal that it was asked for behind, ahead of its user.
    pub(crate) parent: Option<usize>,
    /// Whether requests told that its user took all of the proposal before it.
    pub(crate) was_parent_seen_taken: bool,
    /// The text of the proposal before it stands, put there by other means than taking it.
    pub(crate) is_parent_typed: bool,
    /// The moment of the request, or of the first of several for the same place.
    pub(crate) slate: i64,
    /// Another answer for the same place says what it has been changed into.
    pub(crate) has_twin: bool,
    pub(crate) was_displayed: bool,
    /// How long it was on the screen, in milliseconds.
    pub(crate) displayed_ms: f64,
    /// When it went off the screen.
    pub(crate) gone_ms: f64,
    /// It went off the screen so soon that, had its user typed a third slower than he did until the first request for
    /// another place, it would have been gone before it could be read.
    pub(crate) is_perhaps_unread: bool,
    /// It went off the screen before it could be read, but so late that it could have been, had its user typed as much
    /// faster until the first request for another place.
    pub(crate) is_perhaps_read: bool,
    /// A later request told that its user had gone on before it could be read.
    pub(crate) is_overtaken: bool,
    /// Another answer for the same place was there first: its client offers this one behind that.
    pub(crate) is_second: bool,
    /// When a request first showed what was taken of it, the user had gone on as another answer for the same place has
    /// it, or all that was taken is the beginning of another.
    pub(crate) is_outdone: bool,
    /// When a request first showed what was taken of it, all that was left was its beginning: that may have been typed.
    pub(crate) is_cut: bool,
    /// When a request first showed that something else was written in its place, that may be what is left of it when it
    /// is taken and put right.
    pub(crate) is_alike: bool,
    /// Half of it or more stood in its place when a request showed that, whoever wrote it.
    pub(crate) stands_anyway: bool,
    pub(crate) is_dismissed: bool,
    /// Characters of what was shown that were taken.
    pub(crate) taken: Option<usize>,
    /// How much of it has been typed by hand so far.
    pub(crate) typing: Typing,
    /// The truth at the last moment at which a request, or the client's word, told of it.
    pub(crate) told: Option<Truth>,
    /// Whether it was told of by the client's word.
    pub(crate) is_word: bool,
    /// Whether a request, or the client's word, told of it while it was taken.
    pub(crate) was_seen_taken: bool,
    /// Whether the client's word ever told of it, beyond that it was shown.
    pub(crate) was_told: bool,
    /// What was inferred, and the truth at that moment.
    pub(crate) settled: Option<(Outcome, Truth)>,
    /// What happened, for people to read.
    pub(crate) story: Vec<String>,
}

/// Whether the text that is written at a place goes with the proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Typing {
    /// Characters that went with it, white space not counted.
    pub(crate) chars: usize,
    /// Some of these were put in by another proposal.
    pub(crate) is_mixed: bool,
    /// It has gone another way, at the end of a line of the proposal or not.
    pub(crate) parted: Option<bool>,
    /// A request showed a part of it in between.
    pub(crate) was_seen: bool,
    /// The last character that went with it, or that before its place: what is written elsewhere is none of
    /// it.
    pub(crate) behind: u64,
    /// A line has ended since the last character that went with it.
    ends_line: bool,
}

impl Typing {
    /// Nothing yet, behind the character of this id.
    pub(crate) fn after(behind: u64) -> Self {
        Self {
            behind,
            ..Self::default()
        }
    }
}

/// What has truly become of a proposal at some moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Truth {
    /// `None` while it is shown and nothing has been done.
    pub(crate) fate: Option<Fate>,
    pub(crate) share: f64,
    /// Text that came by hand and text that was taken cannot be told apart.
    pub(crate) is_mixed: bool,
}

impl Case {
    /// What is true of it now.
    pub(crate) fn truth(&self, sheets: &[Sheet]) -> Truth {
        let of = |fate, share| Truth {
            fate: Some(fate),
            share,
            is_mixed: self.typing.is_mixed,
        };
        let all = solid(&self.shown);
        let is_read = self.displayed_ms >= READ_MS || self.taken.is_some() || self.was_told;
        let is_over = self.typing.parted.is_some() || self.typing.chars == all;
        if !self.was_displayed || (!is_read && is_over) {
            let fate = if self.parent.is_some() && !self.was_displayed {
                Fate::Speculative
            } else {
                Fate::NeverShown
            };
            return of(fate, 0.0);
        }
        if let Some(taken) = self.taken {
            let standing = sheets[self.sheet].standing(self.number, &self.shown);
            return if standing.share < LEAST {
                of(Fate::Undone, 0.0)
            } else if self.is_part(taken) {
                // What goes on by hand just as proposed stands as well.
                let typed = self.typing.chars as f64 / all.max(1) as f64;
                let part = self
                    .shown
                    .chars()
                    .take(taken)
                    .filter(|c| !c.is_whitespace());
                let is_kept = standing.share * all as f64 >= part.count() as f64 - 0.5;
                let share = if is_kept { typed } else { standing.share };
                let is_mixed = self.typing.chars == all;
                Truth {
                    is_mixed,
                    ..of(Fate::Partial, share)
                }
            } else if standing.is_whole {
                of(Fate::Accepted, 1.0)
            } else {
                of(Fate::Refined, standing.share)
            };
        }
        let share = self.typing.chars as f64 / all.max(1) as f64;
        match self.typing.parted {
            _ if self.typing.chars == all => of(Fate::TypedThrough, 1.0),
            Some(true) => of(Fate::TypedThrough, share),
            // Most of it was typed just as it was proposed.
            Some(false) if share >= HALF => of(Fate::TypedThrough, share),
            Some(false) => of(Fate::Rejected, 0.0),
            None if self.is_dismissed => of(Fate::Rejected, 0.0),
            None => Truth {
                fate: None,
                share: 0.0,
                is_mixed: false,
            },
        }
    }

    pub(crate) fn is_part(&self, taken: usize) -> bool {
        taken < self.shown.trim_end().chars().count()
    }

    /// A character of this `id` is written behind another one: perhaps behind what went with it so far.
    pub(crate) fn follow(&mut self, c: char, (behind, id): (u64, u64), is_by_hand: bool) {
        let is_all_taken = self.taken.is_some_and(|taken| !self.is_part(taken));
        let typing = &mut self.typing;
        if typing.parted.is_some() || !self.was_displayed || is_all_taken {
            return;
        }
        if typing.behind != behind {
            return;
        }
        typing.behind = id;
        if c.is_whitespace() {
            if c == '\n' {
                typing.ends_line = true;
            }
            return;
        }
        let solids = self
            .shown
            .char_indices()
            .filter(|(_, c)| !c.is_whitespace());
        let mut rest = solids.skip(typing.chars);
        match rest.next() {
            Some((_, next)) if next == c => {
                typing.chars += 1;
                typing.is_mixed |= !is_by_hand;
                typing.ends_line = false;
            }
            Some((at, _)) => {
                let before = &self.shown[..at];
                let ends = before[before.trim_end().len()..].contains('\n');
                typing.parted = Some(ends && typing.ends_line && typing.chars > 0);
            }
            None => {}
        }
    }
}

/// From this share on, a proposal that was typed by hand was typed through.
const HALF: f64 = 0.5;

/// What was on the screen for a shorter time than this, in milliseconds, nobody has read.
pub(crate) const READ_MS: f64 = 500.0;

/// Below this share, a proposal that was taken is gone.
const LEAST: f64 = 0.1;

/// Characters of a text, white space not counted.
pub(crate) fn solid(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// A text, white space left out.
pub(crate) fn solid_text(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
