//! How alike two contexts are, when names may differ.
//!
//! Code repeats itself with other names: the arms of a match, the tests of a table, the fields of a
//! builder. Two contexts are held side by side, backwards from their ends; equal tokens speak for
//! likeness, and a name that stands where another stood is remembered, so that a copy can be
//! renamed the same way.

use crate::{sequence::Sequence, symbol::Symbol};

/// A text with its symbols.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage<'a> {
    pub(crate) text: &'a str,
    pub(crate) sequence: &'a Sequence,
}

/// How alike the contexts of two places are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Likeness<'a> {
    /// Grows with every token in common; see [`Likeness::of`].
    pub(crate) score: f32,
    /// Which name stands where another stood: (there, here), in the order met, backwards.
    pub(crate) renamed: Vec<(&'a str, &'a str)>,
}

impl<'a> Passage<'a> {
    pub(crate) fn symbol(&self, index: usize) -> Symbol {
        self.sequence.symbols[index]
    }

    pub(crate) fn core(&self, index: usize) -> &'a str {
        self.sequence.core(self.text, index)
    }
}

impl<'a> Likeness<'a> {
    /// Compares what stands before `there.1` in `there.0` with what stands before `here.1` in
    /// `here.0`.
    ///
    /// A word in common scores [`WORD`], any other token [`SIGN`]; a renaming met before scores
    /// [`RENAMED`], a new one [`NEW`]. The comparison ends at the first difference that is no
    /// renaming, or after [`REACH`] tokens; the score is that of the best start of it.
    pub(crate) fn of(there: (Passage<'a>, usize), here: (Passage<'a>, usize)) -> Self {
        let mut renamed: Vec<(&str, &str)> = Vec::new();
        let (mut score, mut best, mut kept) = (0.0_f32, 0.0_f32, 0);
        for back in 1..=REACH.min(there.1).min(here.1) {
            let (theirs, ours) = (there.1 - back, here.1 - back);
            let (old, new) = (there.0.symbol(theirs), here.0.symbol(ours));
            if old.core() == new.core() {
                score += if new.is_name() { WORD } else { SIGN };
            } else {
                let pair = (there.0.core(theirs), here.0.core(ours));
                if renamed.contains(&pair) {
                    score += RENAMED;
                } else if old.is_name() && new.is_name() && can_rename(pair.0, &renamed) {
                    renamed.push(pair);
                    score += NEW;
                } else {
                    break;
                }
            }
            if score > best {
                (best, kept) = (score, renamed.len());
            } else if score < best - PATIENCE {
                break;
            }
        }
        renamed.truncate(kept);
        Self {
            score: best,
            renamed,
        }
    }

    /// What `name` there should be called here.
    pub(crate) fn rename(&self, name: &str) -> Option<String> {
        let exact = self.renamed.iter().find(|(old, _)| *old == name);
        if let Some((_, new)) = exact {
            return Some((*new).to_owned());
        }
        self.renamed
            .iter()
            .find_map(|(old, new)| rename_part(name, old, new))
    }
}

/// A name has one new name at most.
fn can_rename(old: &str, renamed: &[(&str, &str)]) -> bool {
    renamed.len() < MAX_RENAMED && renamed.iter().all(|pair| pair.0 != old)
}

/// Renames a part of `name`: what differs between `old` and `new` may stand in it as it is, in
/// lower case or in upper case.
fn rename_part(name: &str, old: &str, new: &str) -> Option<String> {
    let (old, new) = differing(old, new);
    if old.len() < LEAST_PART || new.is_empty() {
        return None;
    }
    let cases: [(String, String); 3] = [
        (old.to_owned(), new.to_owned()),
        (old.to_lowercase(), new.to_lowercase()),
        (old.to_uppercase(), new.to_uppercase()),
    ];
    let (old, new) = cases.iter().find(|(old, _)| name.contains(old.as_str()))?;
    Some(name.replacen(old.as_str(), new, 1))
}

/// `old` and `new` without the word parts they end in alike.
fn differing<'t>(old: &'t str, new: &'t str) -> (&'t str, &'t str) {
    let same = old
        .bytes()
        .rev()
        .zip(new.bytes().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let part = |end: usize| {
        old.get(end..).is_some_and(|tail| {
            tail.starts_with(|c: char| c.is_uppercase() || c == '_')
                && new.is_char_boundary(new.len() - tail.len())
        })
    };
    match (old.len() - same..old.len()).find(|&end| part(end)) {
        Some(end) if end > 0 && new.len() > old.len() - end => {
            (&old[..end], &new[..new.len() - (old.len() - end)])
        }
        _ => (old, new),
    }
}

/// Tokens compared at most.
const REACH: usize = 96;
const WORD: f32 = 1.0;
const SIGN: f32 = 0.4;
const RENAMED: f32 = 0.8;
const NEW: f32 = -0.6;
/// How far the score may fall below its best before the comparison ends.
const PATIENCE: f32 = 2.0;
/// Names renamed at once.
const MAX_RENAMED: usize = 6;
/// Shorter parts of names are not renamed, in bytes.
const LEAST_PART: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Language, layout::Layout, sequence::Encoder};

    fn sequence(text: &str) -> Sequence {
        let mut sequence = Sequence::default();
        let layout = Layout::of(text, Language::Rust);
        sequence.read(&mut Encoder::new(text, Language::Rust, layout));
        sequence
    }

    fn likeness<'a>(there: &'a str, here: &'a str, parts: &'a [Sequence; 2]) -> Likeness<'a> {
        let there = Passage {
            text: there,
            sequence: &parts[0],
        };
        let here = Passage {
            text: here,
            sequence: &parts[1],
        };
        Likeness::of((there, parts[0].len()), (here, parts[1].len()))
    }

    fn check(there: &str, here: &str, names: &[(&str, Option<&str>)]) -> f32 {
        let parts = [sequence(there), sequence(here)];
        let likeness = likeness(there, here, &parts);
        for &(name, expected) in names {
            assert_eq!(likeness.rename(name).as_deref(), expected, "{name}");
        }
        likeness.score
    }

    #[test]
    fn equal_contexts_rename_nothing() {
        let score = check("let a = b(", "let a = b(", &[("a", None)]);
        assert!(score > 3.0);
        assert!(check("let a = b(", "let a = b)", &[]) < 0.1);
    }

    #[test]
    fn names_are_renamed_alike() {
        check(
            "impl From<FooError> for Error { fn from(",
            "impl From<BarError> for Error { fn from(",
            &[
                ("FooError", Some("BarError")),
                ("Foo", Some("Bar")),
                ("foo_error", Some("bar_error")),
            ],
        );
        check(
            "Self::Rust => \"",
            "Self::Python => \"",
            &[("rust", Some("python")), ("x", None)],
        );
    }

    #[test]
    fn a_name_has_one_new_name() {
        let same = check("x.a(x, ", "y.a(y, ", &[("x", Some("y"))]);
        let mixed = check("x.a(x, ", "z.a(y, ", &[]);
        assert!(same > mixed);
    }
}
