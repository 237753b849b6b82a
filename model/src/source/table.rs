//! The corpus: what followed the same context in other people's code.

use std::ops::Range;

use super::{Place, Source};
use crate::{
    Language, TrainedModels,
    symbol::Symbol,
    table::{Entry, Table, entry, id_of, spaced},
    tally::{DEPTHS, Tally},
    vocabulary::{Id, Vocabulary},
};

/// A table of the corpus with its vocabulary.
#[derive(Debug)]
pub(crate) struct TableSource<'a> {
    table: &'a Table,
    vocabulary: &'a Vocabulary,
    /// Weight of an occurrence.
    weight: f32,
    /// The most that all occurrences of one level weigh together.
    cap: f32,
}

impl<'a> Source<'a> for TableSource<'a> {
    fn count(&self, place: &Place, tally: &mut Tally<'a>) {
        let wanted = place
            .typed
            .filter(|typed| !typed.symbol.is_line())
            .map(|typed| self.vocabulary.starting_with(typed.text));
        let wanted = wanted.as_ref();
        if let Some(wanted) = wanted {
            self.count_words(wanted, place, tally);
        }
        self.each_level(place.history, |level, range| {
            let limit = if wanted.is_some() {
                SAMPLE_TYPED
            } else {
                SAMPLE
            };
            let sample = spread(self.table.next(range), limit).copied();
            self.count_entries(level, sample, range.len() as f32, wanted, place, tally);
        });
    }
}

impl<'a> TableSource<'a> {
    /// What `trained` knows of a language; `None` if that is nothing.
    pub(crate) fn new(
        trained: &'a TrainedModels,
        language: Language,
        weight: f32,
        cap: f32,
    ) -> Option<Self> {
        let table = trained.table(language)?;
        Some(Self {
            table,
            vocabulary: trained.vocabulary(),
            weight,
            cap,
        })
    }

    /// How many last tokens of `history` the corpus knows in a row, rounded down to a level.
    pub(crate) fn shared(&self, history: &[Symbol]) -> usize {
        let mut shared = 0;
        self.each_level(history, |level, _| shared = DEPTHS[level]);
        shared
    }

    /// Visits the levels that the context reaches, with the ranks of the contexts alike.
    fn each_level(&self, history: &[Symbol], mut visit: impl FnMut(usize, &Range<usize>)) {
        let mut ids = history
            .iter()
            .rev()
            .map_while(|&symbol| self.vocabulary.id(symbol));
        let Some(last) = ids.next() else { return };
        let mut range = self.table.ending_in(last);
        let mut depth = 1;
        for (level, &reach) in DEPTHS.iter().enumerate().skip(1) {
            while depth < reach && !range.is_empty() {
                let Some(id) = ids.next() else { return };
                range = self.table.narrow(&range, depth, id);
                depth += 1;
            }
            if range.is_empty() {
                return;
            }
            visit(level, &range);
        }
    }

    /// Counts a sample of the entries of one level, `found` in all.
    fn count_entries(
        &self,
        level: usize,
        sample: impl Iterator<Item = Entry>,
        found: f32,
        wanted: Option<&Range<Id>>,
        place: &Place,
        tally: &mut Tally<'a>,
    ) {
        let mut sample: Vec<Entry> = match wanted {
            Some(ids) => sample
                .filter(|&entry| ids.contains(&id_of(entry)))
                .map(|found| entry(id_of(found), false))
                .collect(),
            None => sample.collect(),
        };
        let scale = (found * self.weight).min(self.cap) / sample.len() as f32;
        sample.sort_unstable();
        for alike in sample.chunk_by(|a, b| a == b) {
            let weight = alike.len() as f32 * scale;
            match self.vocabulary.word(id_of(alike[0])) {
                Some((symbol, text)) => {
                    let symbol = symbol.with_space(spaced(alike[0]) && !symbol.is_line());
                    if place.accepts(symbol, text) {
                        tally.add(level..=level, symbol, text, weight);
                    }
                }
                None => tally.add_other(level..=level, weight),
            }
        }
    }

    /// The commonest words that go on as typed, whatever the context.
    fn count_words(&self, wanted: &Range<Id>, place: &Place, tally: &mut Tally<'a>) {
        let mut found: Vec<(Id, usize)> = self.table.occurring(wanted.clone()).collect();
        let total: usize = found.iter().map(|&(_, count)| count).sum();
        found.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        found.truncate(COMMONEST);
        let scale = (total as f32 * self.weight).min(self.cap) / total.max(1) as f32;
        for (id, count) in found {
            if let Some((symbol, text)) = self.vocabulary.word(id)
                && place.accepts(symbol, text)
            {
                tally.add(0..=0, symbol, text, count as f32 * scale);
            }
        }
    }
}

/// At most `limit` entries spread evenly over `entries`.
fn spread(entries: &[Entry], limit: usize) -> impl Iterator<Item = &Entry> {
    entries.iter().step_by(entries.len().div_ceil(limit).max(1))
}

/// Occurrences looked at per level.
const SAMPLE: usize = 192;
/// The same when only words with a typed start count.
const SAMPLE_TYPED: usize = 8192;
/// Words without a context that are kept apart.
const COMMONEST: usize = 24;
