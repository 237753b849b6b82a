use crate::editors::brackets::auto_closed;
use crate::editors::script::{Passage, SourceDocument};

/// A document being written: what stands left of the cursor, what is meant to follow, and what stands
/// right of the cursor.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    before: String,
    meant: String,
    at: usize,
    after: String,
    mistakes: Vec<Mistake>,
}

/// Taken text that is not yet what the user means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mistake {
    /// The decision it came from.
    pub(crate) decision: String,
    /// The text that will stand in its place.
    pub(crate) right: String,
    start: usize,
    wrong_bytes: usize,
    due_s: f64,
}

impl Page {
    pub(crate) fn open(document: &SourceDocument, passage: &Passage) -> Self {
        let range = passage.range.clone();
        let after = if passage.keeps_rest {
            document.text[range.end..].to_owned()
        } else {
            String::new()
        };
        Self {
            before: document.text[..range.start].to_owned(),
            meant: document.text[range].to_owned(),
            at: 0,
            after,
            mistakes: Vec::new(),
        }
    }

    /// The text still to be written.
    pub(crate) fn rest(&self) -> &str {
        &self.meant[self.at..]
    }

    /// The whole text to be written, and how many bytes of it are done.
    pub(crate) fn meant(&self) -> (&str, usize) {
        (&self.meant, self.at)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.at == self.meant.len()
    }

    /// Types the meant text up to byte `to`; returns the characters typed.
    pub(crate) fn type_to(&mut self, to: usize) -> u64 {
        let typed = &self.meant[self.at..to];
        self.before.push_str(typed);
        self.at = to;
        typed.chars().count() as u64
    }

    /// The last [`PREFIX_BYTES`] left of the cursor.
    pub(crate) fn prefix(&self) -> &str {
        let start = self.before.len().saturating_sub(PREFIX_BYTES);
        &self.before[self.before.ceil_char_boundary(start)..]
    }

    /// The first [`SUFFIX_BYTES`] right of the cursor, closing brackets put there by the editor first.
    pub(crate) fn suffix(&self, auto_pairs: bool) -> String {
        let end = self.after.floor_char_boundary(SUFFIX_BYTES);
        let mut suffix = String::new();
        if auto_pairs {
            let line = self.before.rsplit('\n').next().unwrap_or("");
            suffix = auto_closed(line, self.rest());
        }
        suffix.push_str(&self.after[..end]);
        suffix
    }

    /// Puts `taken` at the cursor in place of the next `meant_bytes`; what differs is corrected when
    /// the clock reaches `due_s`.
    pub(crate) fn take(&mut self, decision: &str, taken: &str, meant_bytes: usize, due_s: f64) {
        let right = &self.meant[self.at..self.at + meant_bytes];
        if right != taken {
            self.mistakes.push(Mistake {
                decision: decision.to_owned(),
                right: right.to_owned(),
                start: self.before.len(),
                wrong_bytes: taken.len(),
                due_s,
            });
        }
        self.before.push_str(taken);
        self.at += meant_bytes;
    }

    /// Corrects the mistakes that are due at `now_s`; returns them.
    pub(crate) fn correct(&mut self, now_s: f64) -> Vec<Mistake> {
        let (due, open) = self
            .mistakes
            .drain(..)
            .partition::<Vec<_>, _>(|mistake| mistake.due_s <= now_s);
        self.mistakes = open;
        for mistake in due.iter().rev() {
            let end = mistake.start + mistake.wrong_bytes;
            self.before
                .replace_range(mistake.start..end, &mistake.right);
            for later in self
                .mistakes
                .iter_mut()
                .filter(|later| later.start > mistake.start)
            {
                later.start = later.start - mistake.wrong_bytes + mistake.right.len();
            }
        }
        due
    }

    #[cfg(test)]
    pub(crate) fn before(&self) -> &str {
        &self.before
    }
}

/// How much of the text left of the cursor an editor sends, in bytes.
const PREFIX_BYTES: usize = 4_000;

/// How much of the text right of the cursor an editor sends, in bytes.
const SUFFIX_BYTES: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keeps_rest: bool) -> Page {
        let document = SourceDocument {
            path: "a.py".to_owned(),
            language: "python".to_owned(),
            text: "head\nfoo(one, two)\ntail\n".to_owned(),
        };
        Page::open(
            &document,
            &Passage {
                range: 5..19,
                keeps_rest,
            },
        )
    }

    #[test]
    fn typing_reaches_the_end() {
        let mut page = page(true);
        assert_eq!(page.type_to(4), 4);
        assert_eq!(
            (page.prefix(), page.suffix(false).as_str()),
            ("head\nfoo(", "tail\n")
        );
        assert_eq!(page.suffix(true), ")tail\n");
        page.type_to(14);
        assert!(page.is_finished());
        assert_eq!(page.before(), "head\nfoo(one, two)\n");
    }

    #[test]
    fn a_new_file_has_nothing_right_of_the_cursor() {
        assert_eq!(page(false).suffix(false), "");
    }

    #[test]
    fn mistakes_are_corrected_when_due_and_later_ones_move() {
        let mut page = page(false);
        page.take("a", "foo(1", 7, 10.0);
        page.take("b", ", 2)", 6, 5.0);
        page.type_to(14);
        assert_eq!(page.before(), "head\nfoo(1, 2)\n");
        assert!(page.correct(4.0).is_empty());
        assert_eq!(page.correct(5.0)[0].decision, "b");
        assert_eq!(page.before(), "head\nfoo(1, two)\n");
        assert_eq!(page.correct(10.0)[0].right, "foo(one");
        assert_eq!(page.before(), "head\nfoo(one, two)\n");
    }

    #[test]
    fn an_earlier_correction_moves_a_later_mistake() {
        let mut page = page(false);
        page.take("a", "foo(1", 7, 1.0);
        page.take("b", ", 2)", 6, 2.0);
        page.correct(1.0);
        page.correct(2.0);
        assert_eq!(page.before(), "head\nfoo(one, two)");
        page.take("c", "\n", 1, 3.0);
        assert!(page.correct(9.0).is_empty() && page.is_finished());
    }

    #[test]
    fn windows_are_cut_at_characters() {
        let document = SourceDocument {
            path: String::new(),
            language: String::new(),
            text: format!("{}x{}", "é".repeat(3_000), "é".repeat(3_000)),
        };
        let passage = Passage {
            range: 6_000..6_001,
            keeps_rest: true,
        };
        let page = Page::open(&document, &passage);
        assert_eq!(
            (page.prefix().len(), page.suffix(false).len()),
            (4_000, 2_000)
        );
    }
}
