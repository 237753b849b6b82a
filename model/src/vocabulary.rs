//! The texts of a corpus as small numbers.

use crate::{layout::LineCode, symbol::Symbol};

/// A number for a text: its place in the sorted vocabulary.
pub(crate) type Id = u32;

/// The start of a document.
pub(crate) const START: Id = 0;
/// A text too rare or too long to have a number of its own.
pub(crate) const UNKNOWN: Id = 1;
/// Numbers below this stand for no text.
pub(crate) const FIRST: Id = 2;

/// The texts that have numbers, sorted, so that those with a common start are neighbours.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    texts: String,
    /// Where each text starts in `texts`, from number [`FIRST`] on, and the end of the last.
    starts: Vec<u32>,
    symbols: Vec<Symbol>,
    index: Index,
}

impl Vocabulary {
    /// From sorted, distinct texts laid end to end. `None` if `starts` does not fit `texts`.
    pub(crate) fn new(texts: String, starts: Vec<u32>) -> Option<Self> {
        let fits = starts.first() == Some(&0)
            && starts
                .last()
                .is_some_and(|&end| end as usize == texts.len())
            && starts.is_sorted()
            && starts
                .iter()
                .all(|&start| texts.is_char_boundary(start as usize));
        if !fits {
            return None;
        }
        let mut vocabulary = Self {
            texts,
            starts,
            ..Self::default()
        };
        let symbols: Option<Vec<Symbol>> = (FIRST..vocabulary.len())
            .map(|id| symbol_of(vocabulary.stored(id)))
            .collect();
        vocabulary.symbols = symbols?;
        vocabulary.index = Index::with_room_for(vocabulary.symbols.len());
        for (id, symbol) in (FIRST..).zip(&vocabulary.symbols) {
            vocabulary.index.insert(symbol.core(), id);
        }
        Some(vocabulary)
    }

    /// One more than the largest number.
    pub(crate) fn len(&self) -> Id {
        Id::try_from(self.starts.len().saturating_sub(1)).expect("built from 32-bit numbers")
            + FIRST
    }

    pub(crate) fn texts(&self) -> &str {
        &self.texts
    }

    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The number of a symbol's core, if it has one.
    pub(crate) fn id(&self, symbol: Symbol) -> Option<Id> {
        if symbol == Symbol::START {
            return Some(START);
        }
        self.index.find(symbol.core(), |id| {
            self.symbols[(id - FIRST) as usize].core()
        })
    }

    /// The symbol (without a space) and the text of a number; line breaks have an empty text.
    pub(crate) fn word(&self, id: Id) -> Option<(Symbol, &str)> {
        let symbol = *self.symbols.get(id.checked_sub(FIRST)? as usize)?;
        Some((
            symbol,
            if symbol.is_line() {
                ""
            } else {
                self.stored(id)
            },
        ))
    }

    /// The numbers of the texts that start with `start`.
    pub(crate) fn starting_with(&self, start: &str) -> std::ops::Range<Id> {
        let below = |before: &dyn Fn(&str) -> bool| {
            let (mut low, mut high) = (FIRST, self.len());
            while low < high {
                let middle = low + (high - low) / 2;
                if before(self.stored(middle)) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low
        };
        let first = below(&|text| text < start);
        first..below(&|text| text < start || text.starts_with(start)).max(first)
    }

    fn stored(&self, id: Id) -> &str {
        let index = (id - FIRST) as usize;
        &self.texts[self.starts[index] as usize..self.starts[index + 1] as usize]
    }
}

/// How a symbol is written among the texts: a line break by its packed code.
pub(crate) fn stored_line(code: LineCode) -> String {
    format!("\n{}", code.pack())
}

fn symbol_of(stored: &str) -> Option<Symbol> {
    match stored.strip_prefix('\n') {
        Some(code) => Some(Symbol::line(LineCode::unpack(code.parse().ok()?))),
        None if stored.is_empty() => None,
        None => Some(Symbol::text(stored, false)),
    }
}

/// A hash index from cores to numbers: open addressing, at most half full.
#[derive(Debug, Default)]
pub(crate) struct Index {
    slots: Vec<u32>,
}

impl Index {
    pub(crate) fn with_room_for(count: usize) -> Self {
        Self {
            slots: vec![EMPTY; (count * 2 + 2).next_power_of_two()],
        }
    }

    pub(crate) fn room(&self) -> usize {
        self.slots.len() / 2
    }

    /// The number kept for `core`; `core_of` tells the core of a number kept here.
    pub(crate) fn find(&self, core: u64, core_of: impl Fn(u32) -> u64) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mut slot = self.home(core);
        loop {
            match self.slots[slot] {
                EMPTY => return None,
                number if core_of(number) == core => return Some(number),
                _ => slot = (slot + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Keeps `number` for `core`, which must not be there yet. There must be room.
    pub(crate) fn insert(&mut self, core: u64, number: u32) {
        let mut slot = self.home(core);
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = number;
    }

    fn home(&self, core: u64) -> usize {
        let low = (core.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29) as usize;
        low & (self.slots.len() - 1)
    }
}

const EMPTY: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Shift;

    fn vocabulary(texts: &[&str]) -> Vocabulary {
        let mut starts = vec![0];
        let mut all = String::new();
        for text in texts {
            all.push_str(text);
            starts.push(u32::try_from(all.len()).unwrap());
        }
        Vocabulary::new(all, starts).unwrap()
    }

    #[test]
    fn words_have_numbers() {
        let line = LineCode {
            breaks: 1,
            shift: Shift::Units(1),
        };
        let vocabulary = vocabulary(&[&stored_line(line), "fn", "for", "let"]);
        assert_eq!(vocabulary.len(), 6);
        let id = vocabulary.id(Symbol::text("for", true)).unwrap();
        assert_eq!(
            vocabulary.word(id),
            Some((Symbol::text("for", false), "for"))
        );
        assert_eq!(vocabulary.word(FIRST), Some((Symbol::line(line), "")));
        assert_eq!(vocabulary.id(Symbol::text("if", false)), None);
        assert_eq!(vocabulary.id(Symbol::START), Some(START));
        assert_eq!(vocabulary.word(UNKNOWN), None);
        assert_eq!(vocabulary.word(6), None);
        assert_eq!(vocabulary.starting_with("f"), 3..5);
        assert_eq!(vocabulary.starting_with("x"), 6..6);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Vocabulary::new("ab".to_owned(), vec![0, 3]).is_none());
        assert!(Vocabulary::new("ab".to_owned(), vec![0, 2, 1, 2]).is_none());
        assert!(Vocabulary::new("é".to_owned(), vec![0, 1, 2]).is_none());
        assert!(Vocabulary::new("\nx".to_owned(), vec![0, 2]).is_none());
        assert!(Vocabulary::new("a".to_owned(), vec![0, 0, 1]).is_none());
        assert!(Vocabulary::new(String::new(), vec![0]).is_some());
    }
}
