//! How good completions are, measured on documents a model has not seen.
//!
//! Positions are drawn from documents; a model is asked to go on there, and its proposal is held
//! against what the document really says.

use std::{collections::BTreeMap, ops::ControlFlow};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::{
    CompletionModel, Document, Language, Limits, Prompt,
    lexer::{TokenKind, lex},
};

/// How positions are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Decides which positions; the same seed draws the same ones.
    pub seed: u64,
    /// Positions of each [`Spot`] per document, at most.
    pub per_document: usize,
    /// Whether the prompt's suffix holds what stands below the position's line; else it is empty,
    /// as when a file is written from top to bottom.
    pub with_suffix: bool,
}

/// Where in a line a position is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// After the line's indentation.
    LineStart,
    /// After at least one token, between tokens, with at least two tokens to come in the line.
    MidLine,
    /// Inside a word, after at least one of its letters.
    MidWord,
}

/// A position to complete.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The document.
    pub document: Document<'a>,
    /// The cursor, in bytes of the text.
    pub offset: usize,
    /// Where in the line it is.
    pub spot: Spot,
    /// Whether the prompt holds what stands below.
    pub with_suffix: bool,
}

/// What a proposal at a position was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Characters proposed; 0 is silence.
    pub shown: usize,
    /// Characters proposed, from the first, up to the first that differs from the document.
    pub kept: usize,
    /// Whether the proposal's first line is exactly the rest of the document's line.
    pub exact: bool,
}

/// Sums of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Positions.
    pub trials: u64,
    /// Positions with a proposal.
    pub shown: u64,
    /// Proposals whose first line is exactly the rest of the line.
    pub exact: u64,
    /// Proposals right from the first to the last character.
    pub right: u64,
    /// Characters proposed.
    pub shown_chars: u64,
    /// Characters proposed and right, up to the first wrong one.
    pub kept_chars: u64,
}

impl<'a> Trial<'a> {
    /// The prompt at this position.
    pub fn prompt(&self, user: &'a str) -> Prompt<'a> {
        let (prefix, ahead) = self.document.text.split_at(self.offset);
        let below = ahead.find('\n').map_or("", |end| &ahead[end..]);
        Prompt {
            prefix,
            suffix: if self.with_suffix { below } else { "" },
            language: Some(self.document.language.as_str()),
            file: Some(self.document.path),
            user,
        }
    }

    /// What the document says from here on.
    pub fn truth(&self) -> &'a str {
        &self.document.text[self.offset..]
    }

    /// Asks `model` to go on here.
    pub fn judge(&self, model: &dyn CompletionModel, user: &str) -> Verdict {
        let mut text = String::new();
        let limits = Limits {
            max_tokens: MAX_TOKENS,
            stop: &[],
        };
        model.complete(&self.prompt(user), &limits, &mut |piece| {
            text.push_str(piece);
            ControlFlow::Continue(())
        });
        Verdict::of(&text, self.truth())
    }
}

impl Verdict {
    /// Holds a proposal against the truth.
    pub fn of(proposal: &str, truth: &str) -> Self {
        let same = proposal
            .chars()
            .zip(truth.chars())
            .take_while(|(a, b)| a == b)
            .count();
        let line = |text: &str| text.lines().next().unwrap_or("").trim_end().to_owned();
        let shown = proposal.chars().count();
        Self {
            shown,
            kept: same,
            exact: shown > 0 && line(proposal) == line(truth),
        }
    }
}

impl Score {
    /// Adds one verdict.
    pub fn add(&mut self, verdict: Verdict) {
        self.trials += 1;
        self.shown += u64::from(verdict.shown > 0);
        self.exact += u64::from(verdict.exact);
        self.right += u64::from(verdict.shown > 0 && verdict.kept == verdict.shown);
        self.shown_chars += verdict.shown as u64;
        self.kept_chars += verdict.kept as u64;
    }

    /// Share of positions where the first line is exactly right, in [0, 1]; `None` without any.
    pub fn exact_share(&self) -> Option<f64> {
        ratio(self.exact, self.trials)
    }

    /// Share of proposals right to the last character, in [0, 1]; `None` without any.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.right, self.shown)
    }

    /// Share of positions with a proposal, in [0, 1]; `None` without any position.
    pub fn coverage(&self) -> Option<f64> {
        ratio(self.shown, self.trials)
    }

    /// Share of the proposed characters that are right, in [0, 1]; `None` without any.
    pub fn kept_share(&self) -> Option<f64> {
        ratio(self.kept_chars, self.shown_chars)
    }
}

/// Draws positions from `documents`, in their order.
pub fn trials<'a>(documents: &[Document<'a>], sampling: &Sampling) -> Vec<Trial<'a>> {
    let mut random = ChaCha8Rng::seed_from_u64(sampling.seed);
    let mut drawn = Vec::new();
    for &document in documents {
        let spots = spots(&document);
        for spot in [Spot::LineStart, Spot::MidLine, Spot::MidWord] {
            let mut places: Vec<usize> = spots
                .iter()
                .filter(|&&(_, kind)| kind == spot)
                .map(|&(offset, _)| offset)
                .collect();
            for index in 0..places.len().min(sampling.per_document) {
                let left = (places.len() - index) as u64;
                let pick = index + usize::try_from(random.next_u64() % left).unwrap_or(0);
                places.swap(index, pick);
            }
            places.truncate(sampling.per_document);
            places.sort_unstable();
            drawn.extend(places.into_iter().map(|offset| Trial {
                document,
                offset,
                spot,
                with_suffix: sampling.with_suffix,
            }));
        }
    }
    drawn
}

/// The scores of `model` by language and spot.
pub fn assess(
    model: &dyn CompletionModel,
    trials: &[Trial],
    user: &str,
) -> BTreeMap<(Language, Spot), Score> {
    let mut scores = BTreeMap::<_, Score>::new();
    for trial in trials {
        let score = scores
            .entry((trial.document.language, trial.spot))
            .or_default();
        score.add(trial.judge(model, user));
    }
    scores
}

/// Every position of a document worth asking at.
fn spots(document: &Document) -> Vec<(usize, Spot)> {
    let mut spots = Vec::new();
    let mut line_start = 0;
    for line in document.text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let content = line.trim();
        if !content.is_empty() {
            spots.push((line_start + indent, Spot::LineStart));
            in_line(content, line_start + indent, document.language, &mut spots);
        }
        line_start += line.len();
    }
    spots
}

fn in_line(content: &str, start: usize, language: Language, spots: &mut Vec<(usize, Spot)>) {
    let tokens: Vec<_> = lex(content, language).collect();
    let solid = |kind| kind != TokenKind::Blank;
    let mut to_come = tokens.iter().filter(|token| solid(token.kind)).count();
    let mut offset = start;
    for (index, token) in tokens.iter().enumerate() {
        if index > 0 && to_come >= 2 && solid(token.kind) {
            spots.push((offset, Spot::MidLine));
        }
        let second = token.text.char_indices().nth(1).map(|(second, _)| second);
        if let (TokenKind::Word, Some(second)) = (token.kind, second) {
            spots.push((offset + second, Spot::MidWord));
        }
        offset += token.text.len();
        to_come -= usize::from(solid(token.kind));
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The most tokens asked for.
const MAX_TOKENS: usize = 128;
