use std::collections::VecDeque;

use memchr::memmem;

use crate::common::{agreeing, agreeing_back};

/// The text around a user's cursor at his last request, by which places are followed through his edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) file: Option<String>,
    /// A number of its own.
    pub(crate) id: u64,
    /// What the last request showed, as far as it is kept.
    text: String,
    /// Where that began in it.
    offset: usize,
    /// Bytes of that before the cursor.
    cursor: usize,
    /// Whether it ends where the text of the request ended.
    is_end: bool,
    /// The place of the request, by which its answers find the page again.
    place: u64,
    /// The places of the requests before it, the last first.
    earlier: VecDeque<u64>,
    /// When the last request was made, in milliseconds.
    turned_ms: i64,
}

/// Where the text of one page is in a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drift {
    /// This range of the old text stands unchanged at the start of the new one.
    head: Option<Common>,
    /// This range of the old text stands unchanged at the end of the new one.
    tail: Option<Common>,
    /// Where the old text ends and where the new one does, if that is the same place.
    end: Option<(usize, usize)>,
}

/// A change of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changed<'a> {
    /// The text before it.
    pub(crate) before: &'a str,
    /// What was put in.
    pub(crate) put_in: &'a str,
    /// What is gone for it.
    pub(crate) deleted: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Common {
    old: usize,
    new: usize,
    len: usize,
}

impl Page {
    pub(crate) fn new(id: u64, file: Option<&str>) -> Self {
        Self {
            file: file.map(str::to_owned),
            id,
            text: String::new(),
            offset: 0,
            cursor: 0,
            is_end: false,
            place: 0,
            earlier: VecDeque::new(),
            turned_ms: 0,
        }
    }

    /// Takes the text of a later request, which was made at `place`, up to `reach` bytes from the cursor.
    pub(crate) fn turn(
        &mut self,
        document: &str,
        cursor: usize,
        reach: usize,
        place: u64,
        at_ms: i64,
    ) {
        self.turned_ms = at_ms;
        let from = Self::offset(document, cursor, reach);
        let to = document.floor_char_boundary(cursor.saturating_add(reach).min(document.len()));
        self.text.clear();
        self.text.push_str(&document[from..to]);
        self.offset = from;
        self.cursor = cursor - from;
        self.is_end = to == document.len();
        if !self.is_at(place) {
            self.earlier.truncate(EARLIER - 1);
            self.earlier.push_front(self.place);
        }
        self.place = place;
    }

    /// The place of the last request.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    /// Whether a request for this place was the last.
    pub(crate) fn is_at(&self, place: u64) -> bool {
        self.place == place
    }

    /// Whether a request for this place was made, and a later one for another.
    pub(crate) fn has_left(&self, place: u64) -> bool {
        !self.is_at(place) && self.earlier.contains(&place)
    }

    /// Where the page's own start is in the document that it was taken from.
    pub(crate) fn offset(document: &str, cursor: usize, reach: usize) -> usize {
        document.ceil_char_boundary(cursor.saturating_sub(reach))
    }

    /// Whether the last request showed `ending`, the end of `prefix`, behind what stands before it there.
    pub(crate) fn shows_end(&self, prefix: &str, ending: &str) -> bool {
        let prefix = prefix.trim_end();
        let from = prefix
            .len()
            .saturating_sub(ending.trim().len() + BEFORE_BYTES);
        let end = &prefix[prefix.ceil_char_boundary(from)..];
        memmem::find(self.text.as_bytes(), end.as_bytes()).is_some()
    }

    /// When the last request was made, in milliseconds.
    pub(crate) fn turned_ms(&self) -> i64 {
        self.turned_ms
    }

    /// Bytes of its text before the cursor.
    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Where this page's text is in `document`, whose cursor is at `cursor`; `None` when it is another text.
    pub(crate) fn drift(&self, document: &str, cursor: usize) -> Option<Drift> {
        let (old, new) = (self.text.as_bytes(), document.as_bytes());
        let tail = self.common_tail(new, cursor);
        let head = self.common_head(new, tail.map_or(old.len(), |tail| tail.old));
        // Two texts that share little are two files, or two ends of one.
        let range = |common: Option<Common>| common.map_or(0..0, |c| c.old..c.old + c.len);
        let (before, after) = (range(head), range(tail));
        let both = before
            .end
            .min(after.end)
            .saturating_sub(before.start.max(after.start));
        let shared = before.len() + after.len() - both;
        let is_known = shared > 0 && shared >= old.len().min(new.len()) / 2;
        is_known.then_some(Drift {
            head,
            tail,
            end: self.is_end.then_some((old.len(), new.len())),
        })
    }

    /// The text at the page's start that stands in `new`, too, or at whose start in turn the page has it: a window that
    /// has moved on. The page's text from `rest` on is known to be in the new one.
    fn common_head(&self, new: &[u8], rest: usize) -> Option<Common> {
        let old = self.text.as_bytes();
        let same = |old_at: usize, new_at: usize| Common {
            old: old_at,
            new: new_at,
            len: agreeing(&old[old_at..], &new[new_at..]),
        };
        let plain = Some(same(0, 0)).filter(|common| common.len >= least(old, new));
        let Some(probe) = probe(old, new) else {
            return plain;
        };
        if plain.is_some_and(|common| common.len >= rest) {
            return plain;
        }
        let unmoved = same(0, self.offset.min(new.len()));
        if unmoved.len >= rest.max(probe) {
            return Some(unmoved);
        }
        // Where all of the old text is found, what repeats itself need not be tried.
        let reaches =
            |common: &Common| (common.old + probe..=common.old + common.len).contains(&rest);
        // A window that slides has moved by as much as was written, so the place is most often right before.
        let to = (self.offset + probe).min(new.len());
        let before = (self.offset > 0).then(|| memmem::rfind_iter(&new[..to], &old[..probe]));
        let mut before = before.into_iter().flatten().map(|at| same(0, at));
        let nearest = before.next();
        if nearest.as_ref().is_some_and(reaches) {
            return nearest;
        }
        let mut moved_on = memmem::find_iter(old, &new[..probe]).map(|at| same(at, 0));
        let first = moved_on.next();
        if first.as_ref().is_some_and(reaches) {
            return first;
        }
        let from = (self.offset + 1).min(new.len());
        let after = memmem::find_iter(&new[from..], &old[..probe]).map(|at| same(0, from + at));
        let others = before.take(TRIES - 1).chain(after.take(TRIES));
        let found = first.into_iter().chain(moved_on.take(TRIES - 1));
        let found = found.chain(nearest).chain(others).chain(plain);
        found.max_by_key(|common| common.len)
    }

    /// The same at the end, in a text whose cursor is at `cursor`.
    fn common_tail(&self, new: &[u8], cursor: usize) -> Option<Common> {
        let old = self.text.as_bytes();
        let same = |old_end: usize, new_end: usize| {
            let len = agreeing_back(&old[..old_end], &new[..new_end]);
            Common {
                old: old_end - len,
                new: new_end - len,
                len,
            }
        };
        let plain = same(old.len(), new.len());
        if plain.len >= least(old, new) {
            return Some(plain);
        }
        // Both texts end where the file does, however short what they share there is.
        let at_end = self.is_end.then_some(plain);
        let Some(probe) = probe(old, new) else {
            return at_end;
        };
        let after = old.len() - self.cursor;
        let unmoved = same(old.len(), (cursor + after).min(new.len()));
        if unmoved.len >= after.max(probe) {
            return Some(unmoved);
        }
        let (old_tail, new_tail) = (&old[old.len() - probe..], &new[new.len() - probe..]);
        let moved_on = memmem::find_iter(new, old_tail).map(|at| same(old.len(), at + probe));
        let moved_back = memmem::find_iter(old, new_tail).map(|at| same(at + probe, new.len()));
        // What stood before the cursor says nothing of what stood after it.
        let moved_on = moved_on.take(if after >= probe { TRIES } else { 0 });
        let found = moved_on.chain(moved_back.take(TRIES));
        found.max_by_key(|common| common.len).or(at_end)
    }
}

impl Drift {
    /// What was written right before the cursor and in place of nothing, if that is all that has changed.
    pub(crate) fn written<'a>(&self, page: &Page, before_cursor: &'a str) -> Option<&'a str> {
        let head = self.head?;
        let rest = self.tail.map_or(page.text.len(), |tail| tail.old);
        let written = before_cursor.get(head.new + head.len..)?;
        (rest <= head.old + head.len && !written.is_empty()).then_some(written)
    }

    /// How `page` was changed into `document`, as if that had been in one place.
    pub(crate) fn changed<'a>(&self, page: &'a Page, document: &'a str) -> Option<Changed<'a>> {
        let head = self.head?;
        let (old, new) = (head.old + head.len, head.new + head.len);
        let tail = self.tail?;
        // What stands before the change and what stands after it may share text that repeats itself.
        let shared = old
            .saturating_sub(tail.old)
            .max(new.saturating_sub(tail.new));
        let from = document.ceil_char_boundary(new.checked_sub(shared)?);
        let to = document.ceil_char_boundary(tail.new.max(from));
        let gone_from = page.text.ceil_char_boundary(old.checked_sub(shared)?);
        let gone_to = page.text.ceil_char_boundary(tail.old.max(gone_from));
        Some(Changed {
            before: &document[..from],
            put_in: &document[from..to],
            deleted: &page.text[gone_from..gone_to],
        })
    }

    /// Where a place is now, as seen from the text before it.
    pub(crate) fn start(&self, at: usize) -> Option<usize> {
        let by_tail = || {
            // What follows must be enough to know it by, or go to the end of both; and what is before it must
            // stand, too: text that was changed up to the place itself was changed at the place.
            let tail = self.tail?;
            let tail_end = tail.old + tail.len;
            let is_last = self.end.is_some_and(|(end, _)| end == tail_end);
            let is_known = is_last || at + KNOWN_BYTES <= tail_end;
            (at > tail.old && at <= tail_end && is_known).then(|| at - tail.old + tail.new)
        };
        self.by_head(at).or_else(by_tail)
    }

    /// How many bytes a place is above the new text, as a number below zero, if the window has moved on below it. So is
    /// `at` where it was above the old text already.
    pub(crate) fn above(&self, at: isize) -> Option<isize> {
        let head = self.head?;
        let now = at
            .checked_sub_unsigned(head.old)?
            .checked_add_unsigned(head.new)?;
        (now < 0).then_some(now)
    }

    /// Where a place is now, as seen from the text after it.
    pub(crate) fn end(&self, at: usize) -> Option<usize> {
        let tail = self
            .tail
            .filter(|tail| (tail.old..=tail.old + tail.len).contains(&at));
        let at_end = self.end.filter(|(old, _)| *old == at).map(|(_, new)| new);
        // What was written at the end stands behind all that is known.
        at_end
            .or(tail.map(|tail| at - tail.old + tail.new))
            .or_else(|| self.by_head(at))
    }

    /// Where a place is now whose text before it was deleted, with the place itself: where that text began.
    pub(crate) fn closed_up(&self, at: usize) -> Option<usize> {
        let head = self.head?;
        let deleted = at.checked_sub(head.old + head.len)?;
        (deleted <= DELETED_BYTES).then_some(head.new + head.len)
    }

    fn by_head(&self, at: usize) -> Option<usize> {
        let head = self.head?;
        (head.old..=head.old + head.len)
            .contains(&at)
            .then(|| at - head.old + head.new)
    }

    /// Whether the text between two places, and what is right beside them, is as it was.
    pub(crate) fn keeps(&self, from: usize, to: usize) -> bool {
        let holds =
            |common: Option<Common>| common.is_some_and(|c| from >= c.old && to < c.old + c.len);
        holds(self.head) || (holds(self.tail) && self.tail.is_some_and(|tail| from > tail.old))
    }
}

/// Bytes that both must share for it to be no chance.
fn least(old: &[u8], new: &[u8]) -> usize {
    KNOWN_BYTES.min(old.len()).min(new.len()).max(1)
}

/// Bytes by which either is searched for in the other, if that is enough to know it by.
fn probe(old: &[u8], new: &[u8]) -> Option<usize> {
    let probe = PROBE_BYTES.min(old.len()).min(new.len());
    (probe >= KNOWN_BYTES).then_some(probe)
}

/// Bytes by which a text is searched for.
const PROBE_BYTES: usize = 64;

/// What stands right before a text tells it from the same text elsewhere.
const BEFORE_BYTES: usize = 64;

/// Fewer bytes than these agree by chance.
const KNOWN_BYTES: usize = 16;

/// When more is deleted before a place, it is not followed.
const DELETED_BYTES: usize = 512;

/// Places that are tried where a text repeats itself.
const TRIES: usize = 4;

/// Earlier requests that are remembered of a page.
const EARLIER: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "fn first() -> usize {\n    1\n}\n\nfn second() -> usize {\n    2\n}\n\nfn third() -> usize {\n    3\n}\n";

    fn page(text: &str, cursor: usize) -> Page {
        let mut page = Page::new(1, None);
        page.turn(text, cursor, usize::MAX, 0, 0);
        page
    }

    #[test]
    fn a_place_is_followed_through_an_edit_and_a_moved_window() {
        let at = TEXT.find("    2").unwrap();
        let page = page(TEXT, at);
        // Text put in at the place; an edit before it; a window that begins later and ends later.
        let put_in = TEXT.replace("    2", "    let two = 2;\n    2");
        let drift = page.drift(&put_in, at).unwrap();
        assert_eq!((drift.start(at), drift.end(at)), (Some(at), Some(at + 17)));
        let edited = TEXT.replace("first", "the_first");
        let drift = page.drift(&edited, at).unwrap();
        assert_eq!(
            (drift.start(at), drift.end(at)),
            (Some(at + 4), Some(at + 4))
        );
        let moved = [&TEXT[10..], "\nfn fourth() -> usize {\n    4\n}\n"].concat();
        let drift = page.drift(&moved, at).unwrap();
        assert_eq!(
            (drift.start(at), drift.end(at)),
            (Some(at - 10), Some(at - 10))
        );
        assert!(drift.keeps(at, at + 5));
        assert_eq!(page.drift("another text altogether", 0), None);
    }

    #[test]
    fn a_place_is_followed_in_code_that_repeats_itself() {
        let text = TEXT.repeat(60);
        let cursor = text.len() / 2;
        let mut page = Page::new(1, None);
        page.turn(&text, cursor, 768, 0, 0);
        let written = [&text[..cursor], "let", &text[cursor..]].concat();
        // All of the file, and a window that slides as it is written.
        for from in [0, 3] {
            let (document, cursor) = (&written[from..], cursor + 3 - from);
            let drift = page.drift(document, cursor).unwrap();
            let place = (drift.start(page.cursor()), drift.end(page.cursor()));
            assert_eq!(place, (Some(cursor - 3), Some(cursor)), "{from}");
        }
    }

    proptest! {
        #[test]
        fn what_is_put_in_stands_between_start_and_end(
            before in "[a-z \n]{40,80}", put_in in "[A-Z \n]{0,40}", after in "[a-z \n]{40,80}",
        ) {
            let old = [before.as_str(), &after].concat();
            let new = [before.as_str(), &put_in, &after].concat();
            let page = page(&old, before.len());
            let drift = page.drift(&new, new.len()).unwrap();
            let (start, end) = (drift.start(before.len()), drift.end(before.len()));
            let stands = start.zip(end).map(|(start, end)| &new[start..end]);
            prop_assert_eq!(stands, Some(put_in.as_str()));
        }

        #[test]
        fn a_change_makes_the_new_text_of_the_old(
            before in "[ab\n]{40,60}", gone in "[abcé]{0,9}", put_in in "[abcé\n]{0,9}", after in "[ab\n]{40,60}",
        ) {
            let old = [before.as_str(), &gone, &after].concat();
            let new = [before.as_str(), &put_in, &after].concat();
            let cursor = before.len() + put_in.len();
            let page = page(&old, before.len() + gone.len());
            let changed = page.drift(&new, cursor).unwrap().changed(&page, &new).unwrap();
            let rest = &new[changed.before.len() + changed.put_in.len()..];
            prop_assert_eq!([changed.before, changed.deleted, rest].concat(), old);
            prop_assert!(changed.put_in.len() <= put_in.len() + 1);
        }

        #[test]
        fn never_panics_and_cuts_no_character(
            old in any::<String>(), new in any::<String>(), at in any::<prop::sample::Index>(),
        ) {
            let cursor = old.floor_char_boundary(at.index(old.len() + 1));
            let page = page(&old, cursor);
            if let Some(drift) = page.drift(&new, new.len()) {
                for place in [drift.start(page.cursor()), drift.end(page.cursor())] {
                    prop_assert!(place.is_none_or(|at| at <= new.len()));
                }
            }
        }
    }
}
