//! The place that is copied from.

use std::borrow::Cow;

use crate::{
    likeness::{Likeness, Passage},
    source::in_common,
    symbol::Symbol,
};

/// A place whose context is like that of the cursor.
#[derive(Clone, Debug)]
pub(crate) struct Original<'a> {
    pub(crate) passage: Passage<'a>,
    /// Index of the first symbol after the context.
    pub(crate) next: usize,
    pub(crate) likeness: Likeness<'a>,
}

impl<'a> Original<'a> {
    /// The place of `passage` whose context is most like the whole of `here`, with a score above
    /// `least`; of equals, the last.
    ///
    /// Its last `shared` tokens must be equal, and what follows it must please `fits`. Looks at
    /// [`MAX_PLACES`] places, the last ones.
    pub(crate) fn best_in(
        passage: Passage<'a>,
        here: Passage<'a>,
        shared: usize,
        least: f32,
        fits: impl Fn(Symbol, &str) -> bool,
    ) -> Option<Self> {
        let symbols = &passage.sequence.symbols;
        let history = &here.sequence.symbols;
        let alike = |&next: &usize| in_common(&symbols[..next], history, shared) == shared;
        let mut best: Option<Self> = None;
        for next in (shared..symbols.len()).rev().filter(alike).take(MAX_PLACES) {
            let likeness = Likeness::of((passage, next), (here, history.len()));
            let so_far = best.as_ref().map_or(least, |best| best.likeness.score);
            if likeness.score <= so_far {
                continue;
            }
            let original = Self {
                passage,
                next,
                likeness,
            };
            if original
                .read(next)
                .is_some_and(|(symbol, core)| fits(symbol, &core))
            {
                best = Some(original);
            }
        }
        best
    }

    /// Symbol `index` of the passage as it reads at the cursor, renamed; `None` beyond its end.
    pub(crate) fn read(&self, index: usize) -> Option<(Symbol, Cow<'a, str>)> {
        let symbol = *self.passage.sequence.symbols.get(index)?;
        if symbol.is_line() {
            return Some((symbol, Cow::Borrowed("")));
        }
        let core = self.passage.core(index);
        Some(match self.likeness.rename(core) {
            Some(name) => (Symbol::text(&name, symbol.spaced()), Cow::Owned(name)),
            None => (symbol, Cow::Borrowed(core)),
        })
    }
}

/// Places compared at most in one passage.
const MAX_PLACES: usize = 1024;
