//! What a corpus says about every context, of any length: a suffix array over its tokens.

use std::ops::Range;

use libsais::SuffixArrayConstruction;

use crate::vocabulary::{Id, UNKNOWN};

/// A token of the corpus: its number, and whether a space stands before it, in one word.
pub(crate) type Entry = u32;

/// The token sequence of one language with its contexts in sorted order.
///
/// Contexts are sorted by their tokens read *backwards*, so all contexts that end alike are
/// neighbours, and those of a longer common ending lie inside those of a shorter one.
#[derive(Debug, Default)]
pub(crate) struct Table {
    text: Vec<Entry>,
    /// `ends[rank]`: the context of this rank is `text[..ends[rank]]`.
    ends: Vec<u32>,
    /// `next[rank]`: the token after that context, kept together for fast counting.
    next: Vec<Entry>,
    /// The numbers that occur, sorted, and the first rank of the contexts that end in each.
    ids: Vec<(Id, u32)>,
}

pub(crate) fn entry(id: Id, spaced: bool) -> Entry {
    id << 1 | u32::from(spaced)
}

pub(crate) fn id_of(entry: Entry) -> Id {
    entry >> 1
}

pub(crate) fn spaced(entry: Entry) -> bool {
    entry & 1 == 1
}

impl Table {
    /// Sorts the contexts of `text`. Takes time linear in its length.
    pub(crate) fn build(text: Vec<Entry>) -> Self {
        let mut backwards: Vec<i32> = text
            .iter()
            .rev()
            .map(|&entry| id_of(entry).cast_signed())
            .collect();
        let ranks = SuffixArrayConstruction::for_text_mut(&mut backwards)
            .in_owned_buffer32()
            .single_threaded()
            .run()
            .expect("entries are not negative and fewer than 2^31")
            .into_vec();
        drop(backwards);
        let length = u32::try_from(text.len()).expect("shorter than 2^31");
        let ends = ranks
            .into_iter()
            .map(|place| length - place.cast_unsigned())
            .collect();
        Self::assemble(text, ends)
    }

    /// From saved parts; `None` if they contradict each other.
    pub(crate) fn restore(text: Vec<Entry>, ends: Vec<u32>, vocabulary: Id) -> Option<Self> {
        let consistent = text.len() == ends.len()
            && text.iter().all(|&entry| id_of(entry) < vocabulary)
            && ends
                .iter()
                .all(|&end| (1..=text.len()).contains(&(end as usize)));
        consistent.then(|| Self::assemble(text, ends))
    }

    fn assemble(text: Vec<Entry>, ends: Vec<u32>) -> Self {
        let after = |&end: &u32| {
            text.get(end as usize)
                .copied()
                .unwrap_or(entry(UNKNOWN, false))
        };
        let next = ends.iter().map(after).collect();
        let ids = first_ranks(&text);
        Self {
            text,
            ends,
            next,
            ids,
        }
    }

    pub(crate) fn text(&self) -> &[Entry] {
        &self.text
    }

    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Among `range`, whose contexts agree in their last `depth` tokens, those with `id` before.
    pub(crate) fn narrow(&self, range: &Range<usize>, depth: usize, id: Id) -> Range<usize> {
        let ranks = &self.ends[range.clone()];
        let before = |end: u32| {
            let place = (end as usize).checked_sub(depth + 1)?;
            Some(id_of(self.text[place]))
        };
        let low = ranks.partition_point(|&end| before(end) < Some(id));
        let high = low + ranks[low..].partition_point(|&end| before(end) == Some(id));
        range.start + low..range.start + high
    }

    /// The ranks of the contexts that end in `id`.
    pub(crate) fn ending_in(&self, id: Id) -> Range<usize> {
        let index = self.ids.partition_point(|&(other, _)| other < id);
        match self.ids.get(index) {
            Some(&(found, _)) if found == id => self.rank(index)..self.rank(index + 1),
            _ => 0..0,
        }
    }

    /// How often each number of `wanted` that occurs does so.
    pub(crate) fn occurring(&self, wanted: Range<Id>) -> impl Iterator<Item = (Id, usize)> {
        let low = self.ids.partition_point(|&(id, _)| id < wanted.start);
        let high = self.ids.partition_point(|&(id, _)| id < wanted.end);
        (low..high).map(|index| (self.ids[index].0, self.rank(index + 1) - self.rank(index)))
    }

    fn rank(&self, index: usize) -> usize {
        self.ids
            .get(index)
            .map_or(self.ends.len(), |&(_, first)| first as usize)
    }

    /// The tokens that follow the contexts of `range`.
    pub(crate) fn next(&self, range: &Range<usize>) -> &[Entry] {
        &self.next[range.clone()]
    }
}

/// The numbers that occur in `text`, sorted, each with the number of entries with a smaller one.
fn first_ranks(text: &[Entry]) -> Vec<(Id, u32)> {
    let vocabulary = text
        .iter()
        .map(|&entry| id_of(entry) + 1)
        .max()
        .unwrap_or(0);
    let mut counts = vec![0_u32; vocabulary as usize];
    for &entry in text {
        counts[id_of(entry) as usize] += 1;
    }
    let mut first = 0;
    let mut ids = Vec::new();
    for (id, count) in (0..).zip(counts).filter(|&(_, count)| count > 0) {
        ids.push((id, first));
        first += count;
    }
    ids
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn narrowed(table: &Table, context: &[Id]) -> Range<usize> {
        let Some((&last, earlier)) = context.split_last() else {
            return 0..table.ends.len();
        };
        let mut range = table.ending_in(last);
        assert_eq!(
            range.is_empty(),
            table.occurring(last..last + 1).next().is_none()
        );
        for (depth, &id) in earlier.iter().rev().enumerate() {
            range = table.narrow(&range, depth + 1, id);
        }
        range
    }

    proptest! {
        #[test]
        fn counts_what_is_there(
            ids in prop::collection::vec(2_u32..6, 1..80),
            context in prop::collection::vec(2_u32..6, 0..4),
        ) {
            let text: Vec<Entry> = ids.iter().map(|&id| entry(id, id % 3 == 0)).collect();
            let table = Table::build(text.clone());
            let found = narrowed(&table, &context);
            let mut next = table.next(&found).to_vec();
            next.sort_unstable();
            let mut expected: Vec<Entry> = (context.len().max(1)..=ids.len())
                .filter(|&end| ids[..end].ends_with(&context))
                .map(|end| text.get(end).copied().unwrap_or(entry(UNKNOWN, false)))
                .collect();
            expected.sort_unstable();
            prop_assert_eq!(next, expected);
            let restored = Table::restore(text, table.ends().to_vec(), 6).unwrap();
            prop_assert_eq!(restored.next, table.next);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(Table::restore(vec![4], vec![1], 3).is_some());
        assert!(Table::restore(vec![4], vec![1], 2).is_none());
        assert!(Table::restore(vec![4], vec![2], 3).is_none());
        assert!(Table::restore(vec![4], vec![0], 3).is_none());
        assert!(Table::restore(vec![4], vec![], 3).is_none());
    }

    #[test]
    fn an_empty_table_knows_nothing() {
        let table = Table::build(Vec::new());
        assert!(narrowed(&table, &[2]).is_empty());
    }
}
