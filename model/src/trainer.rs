//! From documents to tables.

use std::collections::{BTreeMap, BTreeSet};

use twox_hash::XxHash3_64;

use crate::{
    Document, Language, TrainedModels,
    layout::Layout,
    lexer::TokenKind,
    sequence::{Coded, Encoder},
    table::{Entry, Table, entry, id_of, spaced},
    vocabulary::{FIRST, Id, Index, START, UNKNOWN, Vocabulary, stored_line},
};

/// Bounds of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingLimits {
    /// Text taken in all, in bytes.
    pub max_bytes: usize,
    /// Text taken from one document, in bytes; longer ones are refused.
    pub max_document_bytes: usize,
    /// The largest share of `max_bytes` that one language may take, in (0, 1].
    pub max_language_share: f64,
}

impl Default for TrainingLimits {
    fn default() -> Self {
        Self {
            max_bytes: 24 << 20,
            max_document_bytes: 256 << 10,
            max_language_share: 0.75,
        }
    }
}

/// What became of a document given to [`Trainer::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It will be learnt from.
    Taken,
    /// The same text was taken before.
    Duplicate,
    /// It is empty, too long, or looks generated: very long lines, or mostly numbers.
    Unsuitable,
    /// It does not fit into what is left for its language.
    LanguageFull,
    /// It does not fit into what is left of [`TrainingLimits::max_bytes`].
    Full,
}

/// Collects documents and turns them into [`TrainedModels`].
///
/// The same documents in the same order give the same models, bit for bit.
///
/// ```
/// use echo_model::{Document, Language, Trainer, TrainingLimits};
/// let mut trainer = Trainer::new(TrainingLimits::default());
/// trainer.add(Document { path: "a.rs", language: Language::Rust, text: "fn main() {}\n" });
/// let models = trainer.train("one file", &mut |_share| {});
/// assert_eq!(models.fingerprint(), "one file");
/// ```
#[derive(Debug)]
pub struct Trainer {
    limits: TrainingLimits,
    bytes: usize,
    seen: BTreeSet<u64>,
    words: Words,
    languages: BTreeMap<Language, Corpus>,
}

#[derive(Debug, Default)]
struct Corpus {
    bytes: usize,
    /// Entries with the provisional numbers of [`Words`].
    text: Vec<Entry>,
}

impl Trainer {
    /// A trainer without documents.
    pub fn new(limits: TrainingLimits) -> Self {
        Self {
            limits,
            bytes: 0,
            seen: BTreeSet::new(),
            words: Words::default(),
            languages: BTreeMap::new(),
        }
    }

    /// Takes a document in, or says why not.
    ///
    /// First come, first served: give documents in a mixed order, or the first projects fill the
    /// tables.
    pub fn add(&mut self, document: Document) -> Admission {
        let size = document.text.len();
        if size > self.limits.max_document_bytes || !reads_like_code(document.text) {
            return Admission::Unsuitable;
        }
        if self.bytes + size > self.limits.max_bytes {
            return Admission::Full;
        }
        let share = self.limits.max_bytes as f64 * self.limits.max_language_share;
        let corpus = self.languages.entry(document.language).or_default();
        if (corpus.bytes + size) as f64 > share {
            return Admission::LanguageFull;
        }
        if !self
            .seen
            .insert(XxHash3_64::oneshot(document.text.as_bytes()))
        {
            return Admission::Duplicate;
        }
        if !corpus.read(&document, &mut self.words) {
            return Admission::Unsuitable;
        }
        corpus.bytes += size;
        self.bytes += size;
        Admission::Taken
    }

    /// Bytes of text taken so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Learns from what was added.
    ///
    /// `fingerprint` names the corpus and is kept in the result, so that a saved file can be told
    /// stale; at most [`MAX_FINGERPRINT`](crate::MAX_FINGERPRINT) bytes of it are kept. `progress`
    /// is told the share of the work done, in [0, 1], never falling, 1 at the end.
    pub fn train(self, fingerprint: &str, progress: &mut dyn FnMut(f64)) -> TrainedModels {
        progress(0.0);
        let texts = self.languages.values().map(|corpus| corpus.text.as_slice());
        let (vocabulary, numbers) = self.words.finish(texts);
        let total: usize = self
            .languages
            .values()
            .map(|corpus| corpus.text.len())
            .sum();
        let mut done = total / 8;
        let mut tables = BTreeMap::new();
        for (language, mut corpus) in self.languages {
            progress(done as f64 / (total + total / 8 + 1) as f64);
            done += corpus.text.len();
            for entry_ in &mut corpus.text {
                *entry_ = entry(numbers[id_of(*entry_) as usize], spaced(*entry_));
            }
            tables.insert(language, Table::build(corpus.text));
        }
        progress(1.0);
        TrainedModels::new(fingerprint, vocabulary, tables)
    }
}

impl Corpus {
    /// Appends a document's tokens; takes them back and says no if too many are numbers.
    fn read(&mut self, document: &Document, words: &mut Words) -> bool {
        let before = self.text.len();
        let mut figures = 0;
        let layout = Layout::of(document.text, document.language);
        self.text.push(entry(START, false));
        for coded in Encoder::new(document.text, document.language, layout) {
            figures += usize::from(coded.kind == TokenKind::Number);
            let text = &document.text[coded.start..coded.end];
            self.text
                .push(entry(words.number(coded, text), coded.symbol.spaced()));
        }
        let suitable = figures * 4 < self.text.len() - before;
        if !suitable {
            self.text.truncate(before);
        }
        suitable
    }
}

/// Every text met, with provisional numbers in order of appearance.
#[derive(Debug, Default)]
struct Words {
    texts: Vec<Box<str>>,
    cores: Vec<u64>,
    index: Index,
}

impl Words {
    fn number(&mut self, coded: Coded, text: &str) -> Id {
        if text.len() > MAX_WORD && !coded.symbol.is_line() {
            return UNKNOWN;
        }
        let core = coded.symbol.core();
        if let Some(number) = self.index.find(core, |number| self.cores[number as usize]) {
            return number + FIRST;
        }
        if self.cores.len() >= self.index.room() {
            self.grow();
        }
        let number = Id::try_from(self.cores.len()).expect("fewer texts than bytes");
        self.index.insert(core, number);
        self.cores.push(core);
        self.texts.push(
            coded
                .symbol
                .line_code()
                .map_or_else(|| text.into(), |code| stored_line(code).into()),
        );
        number + FIRST
    }

    fn grow(&mut self) {
        self.index = Index::with_room_for(self.cores.len() * 2 + 1024);
        for (number, &core) in (0..).zip(&self.cores) {
            self.index.insert(core, number);
        }
    }

    /// The sorted vocabulary of what occurs at least [`MIN_COUNT`] times, and the final number of
    /// each provisional one.
    fn finish<'t>(self, texts: impl Iterator<Item = &'t [Entry]>) -> (Vocabulary, Vec<Id>) {
        let mut counts = vec![0_u32; self.texts.len() + FIRST as usize];
        for &entry in texts.flatten() {
            counts[id_of(entry) as usize] += 1;
        }
        let mut kept: Vec<Id> = (FIRST..).take(self.texts.len()).collect();
        kept.retain(|&number| counts[number as usize] >= MIN_COUNT);
        let text = |number: Id| &*self.texts[(number - FIRST) as usize];
        kept.sort_unstable_by_key(|&number| text(number));
        let mut numbers = vec![UNKNOWN; counts.len()];
        numbers[START as usize] = START;
        let (mut all, mut starts) = (String::new(), vec![0]);
        for (id, &number) in (FIRST..).zip(&kept) {
            numbers[number as usize] = id;
            all.push_str(text(number));
            starts.push(u32::try_from(all.len()).expect("bounded by the corpus"));
        }
        (
            Vocabulary::new(all, starts).expect("built in order"),
            numbers,
        )
    }
}

fn reads_like_code(text: &str) -> bool {
    let lines = text.bytes().filter(|&byte| byte == b'\n').count() + 1;
    !text.trim().is_empty() && text.len() / lines <= MAX_MEAN_LINE
}

/// Longer texts have no number: they are data, not code.
const MAX_WORD: usize = 64;
/// Texts met less often have no number.
const MIN_COUNT: u32 = 2;
/// Longer lines, on average in bytes, are generated or minified.
const MAX_MEAN_LINE: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document<'_> {
        Document {
            path: "a.rs",
            language: Language::Rust,
            text,
        }
    }

    #[test]
    fn documents_are_taken_once_and_within_limits() {
        let limits = TrainingLimits {
            max_bytes: 100,
            max_document_bytes: 40,
            max_language_share: 0.5,
        };
        let mut trainer = Trainer::new(limits);
        let text = "fn first() { second() }";
        assert_eq!(trainer.add(document(text)), Admission::Taken);
        assert_eq!(trainer.add(document(text)), Admission::Duplicate);
        assert_eq!(trainer.add(document("")), Admission::Unsuitable);
        assert_eq!(trainer.add(document(" \n")), Admission::Unsuitable);
        assert_eq!(trainer.add(document("1, 2, 3, 4")), Admission::Unsuitable);
        assert_eq!(
            trainer.add(document(&"a ".repeat(21))),
            Admission::Unsuitable
        );
        assert_eq!(
            trainer.add(document(&"a ".repeat(19))),
            Admission::LanguageFull
        );
        assert_eq!(trainer.bytes(), text.len());
        let other = "b ".repeat(20);
        let other = Document {
            path: "b.c",
            language: Language::C,
            text: &other,
        };
        assert_eq!(trainer.add(other), Admission::Taken);
        assert_eq!(trainer.add(document(&"c ".repeat(20))), Admission::Full);
    }

    #[test]
    fn progress_never_falls_and_ends_at_one() {
        let mut trainer = Trainer::new(TrainingLimits::default());
        for language in Language::ALL {
            trainer.add(Document {
                path: "x",
                language,
                text: &format!("word {language}\n"),
            });
        }
        let mut shares = Vec::new();
        trainer.train("x", &mut |share| shares.push(share));
        assert!(shares.is_sorted());
        assert_eq!(shares.last(), Some(&1.0));
    }
}
