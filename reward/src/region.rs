use memchr::memmem;

use crate::common::{agreeing, agreeing_back};

/// The text around the cursor that one request shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window<'a> {
    /// The file's name, where the client sends it.
    pub file: Option<&'a str>,
    /// Text before the cursor, as far as the client sends it.
    pub prefix: &'a str,
    /// Text after the cursor, as far as the client sends it.
    pub suffix: &'a str,
}

/// What stands at a later time in the place where a proposal would have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region<'a> {
    /// The text between the two anchors.
    pub stands: &'a str,
    /// The same without the bracket at its end that stood behind the cursor before, closed by the editor.
    pub bare: &'a str,
    /// The part of `stands` before the cursor; all of it when the cursor is beyond.
    pub before_cursor: &'a str,
    /// The text from the left anchor to the end of the document.
    pub onwards: &'a str,
    /// Whether what followed the place was found again. Where it was not, `stands` ends at the cursor.
    pub closed: bool,
    /// Bytes of `left` that agree.
    pub agreed: usize,
}

impl<'a> Region<'a> {
    /// What stands between two places that have been followed; where the second is lost, it is looked for by
    /// `right` as [`Region::find`] does.
    pub(crate) fn between(
        document: &'a str,
        cursor: usize,
        start: usize,
        end: Option<usize>,
        right: &str,
    ) -> Self {
        let closing = right[..right.len() - without_closing_line(right).len()].trim();
        // A bracket that the editor had closed is a part of what stands before it.
        let behind = |end: usize| {
            let blank = document[end..].len() - document[end..].trim_start_matches(' ').len();
            let is_there = end > start && document[end + blank..].starts_with(closing);
            end + if is_there && !closing.is_empty() {
                blank + closing.len()
            } else {
                0
            }
        };
        let end = end.filter(|end| *end >= start).map(behind);
        let end = end.or_else(|| start_of_right(document, cursor, start, right));
        Self::of(document, cursor, start, end, closing, usize::MAX)
    }

    fn of(
        document: &'a str,
        cursor: usize,
        start: usize,
        end: Option<usize>,
        closing: &str,
        agreed: usize,
    ) -> Self {
        let stop = end.unwrap_or_else(|| cursor.max(start));
        let stands = &document[start..stop];
        Self {
            stands,
            bare: stands.trim_end().strip_suffix(closing).unwrap_or(stands),
            before_cursor: &document[start..cursor.clamp(start, stop)],
            onwards: &document[start..],
            closed: end.is_some(),
            agreed,
        }
    }

    /// Finds the place again in a later `document` (prefix and suffix joined, `cursor` bytes of
    /// prefix), given the text `left` and `right` of the cursor when the proposal was asked for.
    ///
    /// The left anchor is the tail of `left`, without its trailing white space, which is free to change:
    /// of all places where its last 25 bytes occur, the one that agrees with most of it, up to 400
    /// bytes; where there are several, over 50 bytes at least. A shorter `left` must open the document.
    ///
    /// The region ends where `right` goes on, found in
    /// the same way, its first line left out when it has no word in it, since editors close brackets
    /// by themselves and replace them; where that line follows at once, nothing stands there. The region ends with the document where `right` was blank, for all that
    /// follows is new then. Where `right` is gone, the region ends at the cursor. `None` when the place is
    /// not in the document.
    pub fn find(document: &'a str, cursor: usize, left: &str, right: &str) -> Option<Self> {
        let (agreed, start) = end_of_left(document, cursor, left)?;
        let closing = right[..right.len() - without_closing_line(right).len()].trim();
        let mut end = start_of_right(document, cursor, start, right);
        let stands = &document[start..end.unwrap_or_else(|| cursor.max(start))];
        if let Some(rest) = stands.trim_start().strip_prefix(closing)
            && !closing.is_empty()
            && (rest.trim().is_empty() || rest.trim_start_matches(' ').starts_with(['\n', '\r']))
        {
            // The bracket stands as it stood, and nothing before it.
            end = Some(start);
        }
        Some(Self::of(document, cursor, start, end, closing, agreed))
    }
}

/// Fewer bytes than these occur by chance in many places.
const ANCHOR_BYTES: usize = 25;

/// As many bytes on either side of the cursor as an anchor uses.
pub(crate) const ANCHOR_BYTES_MAX: usize = 400;

/// An anchor that agrees over fewer bytes may well stand somewhere else by chance.
const ANCHOR_BYTES_SURE: usize = 50;

/// How many bytes of `left` agree at the best place, and where it ends there.
fn end_of_left(document: &str, cursor: usize, left: &str) -> Option<(usize, usize)> {
    let left = left.trim_end();
    if left.len() < ANCHOR_BYTES {
        return document
            .starts_with(left)
            .then_some((left.len(), left.len()));
    }
    let needle = &left[left.ceil_char_boundary(left.len() - ANCHOR_BYTES)..];
    // An anchor may also stand across the cursor, which has moved back into it.
    let (bytes, from) = (
        document.as_bytes(),
        (cursor + 1).saturating_sub(needle.len()),
    );
    // Of places that agree equally far, the user is most often still close behind the right one.
    let behind = memmem::rfind_iter(&bytes[..cursor], needle).map(|at| at + needle.len());
    let ahead = memmem::find_iter(&bytes[from..], needle).map(|at| from + at + needle.len());
    let known = &left.as_bytes()[left.len().saturating_sub(ANCHOR_BYTES_MAX)..];
    let mut places = 0;
    let all = behind.chain(ahead).inspect(|_| places += 1);
    let found = best(all, left.len(), |end| agreeing_back(&bytes[..end], known));
    // Of several that agree over little, none is known to be the one, unless the window begins within it.
    let least = left.len().min(ANCHOR_BYTES_SURE);
    let found = found.filter(|(agreed, end)| places == 1 || *agreed >= least || agreed == end);
    found.or_else(|| end_of_changed_line(document, cursor, left))
}

/// The same where the last line of `left` has been changed: the lines before it are where they were, and the
/// end of the line follows.
fn end_of_changed_line(document: &str, cursor: usize, left: &str) -> Option<(usize, usize)> {
    let before = without_last_line(left)?;
    let (agreed, start) = end_of_left(document, cursor, before)?;
    let line = left[before.len()..].trim();
    if agreed < before.trim_end().len().min(ANCHOR_BYTES_SURE) || line.len() < LINE_BYTES {
        return None;
    }
    let end = &line[line.ceil_char_boundary(line.len() - LINE_BYTES)..];
    let reach = document.floor_char_boundary(start + line.len() * 2 + ANCHOR_BYTES);
    let at = document[start..reach].find(end)?;
    Some((ANCHOR_BYTES_SURE, start + at + end.len()))
}

/// The end of a line by which it is known again when it has been changed.
const LINE_BYTES: usize = 10;

/// Where `right` goes on at or after `start`; `None` when it is gone.
fn start_of_right(document: &str, cursor: usize, start: usize, right: &str) -> Option<usize> {
    let right = without_closing_line(right).trim();
    let at_cursor = cursor.max(start);
    if right.is_empty() {
        // The old suffix was blank: everything from the anchor on is new.
        return Some(document.len());
    }
    let needle = &right[..right.floor_char_boundary(ANCHOR_BYTES)];
    let starts = memmem::find_iter(&document.as_bytes()[start..], needle).map(|at| start + at);
    let known = &right.as_bytes()[..right.len().min(ANCHOR_BYTES_MAX)];
    let found = best(starts, right.len(), |at| {
        let agreeing = agreeing(&document.as_bytes()[at..], known);
        if agreeing >= ANCHOR_BYTES_SURE || at >= at_cursor {
            agreeing
        } else {
            0
        }
    });
    let found = found.filter(|(agreeing, _)| *agreeing > 0);
    found
        .map(|(_, at)| at)
        .or_else(|| start_of_changed_line(document, start, right))
}

/// The same where the line after the place has been changed further on: it begins as it did.
fn start_of_changed_line(document: &str, start: usize, right: &str) -> Option<usize> {
    let line = right.split('\n').next().unwrap_or_default();
    let head = line.get(..line.floor_char_boundary(LINE_BYTES))?;
    if head.len() < LINE_BYTES - 3 || !has_word(head) {
        return None;
    }
    let reach = document.floor_char_boundary(start + ANCHOR_BYTES_MAX);
    let at = document[start..reach].find(head)?;
    Some(start + at)
}

/// The first of the places that agree farthest, with how far; one that agrees as far as it can ends
/// the search. Code that repeats itself has many places: no more than [`PLACES`] are looked at.
fn best(
    places: impl Iterator<Item = usize>,
    whole: usize,
    agreeing: impl Fn(usize) -> usize,
) -> Option<(usize, usize)> {
    let mut best: Option<(usize, usize)> = None;
    for place in places.take(PLACES) {
        let agreeing = agreeing(place);
        if best.is_none_or(|(most, _)| agreeing > most) {
            best = Some((agreeing, place));
        }
        if agreeing >= whole.min(ANCHOR_BYTES_MAX) {
            break;
        }
    }
    best
}

/// Places of one anchor that are looked at.
const PLACES: usize = 32;

/// The text without its first line when that line holds no word: `)` or `});` after the cursor.
fn without_closing_line(right: &str) -> &str {
    match right.split_once('\n') {
        Some((line, rest)) if !has_word(line) => rest,
        None if !has_word(right) => "",
        _ => right,
    }
}

/// The text up to its last line that is not blank; `None` when it has no other.
pub(crate) fn without_last_line(left: &str) -> Option<&str> {
    let (before, _) = left.trim_end().rsplit_once('\n')?;
    (before.trim_end().len() >= ANCHOR_BYTES).then_some(before)
}

fn has_word(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_what_stands_between() {
        let cases = [
            // At the start of a file the whole prefix is the anchor.
            ("x = 1 + 2", "", "x = ", "", Some("1 + 2")),
            ("y = 1 + 2", "", "x = ", "", None),
            // White space at the end of the anchor may have changed.
            ("if x:\n\n  pass", "", "if x:\n    ", "", Some("\n\n  pass")),
            // A closing bracket after the cursor belongs to the region.
            (
                "print(sub(1, 2)",
                ")\nend",
                "print(",
                ")\nend",
                Some("sub(1, 2))\n"),
            ),
            // The suffix ends the region, also when the cursor has gone beyond it.
            ("a = b", "\nc = d\n", "a = ", "\nc = d\n", Some("b\n")),
            (
                "a = b\nlong_enough_to_be_sure_of = 1\nthe_cursor_is_now_here",
                "",
                "a = ",
                "\nlong_enough_to_be_sure_of = 1\nthe_cursor_is_now_here",
                Some("b\n"),
            ),
        ];
        for (prefix, suffix, left, right, expected) in cases {
            let document = format!("{prefix}{suffix}");
            let region = Region::find(&document, prefix.len(), left, right);
            let stands = region.map(|r| r.stands.trim_start());
            assert_eq!(
                stands,
                expected.map(str::trim_start),
                "{document:?} {left:?}"
            );
        }
    }

    #[test]
    fn a_place_across_the_cursor_and_one_in_repeated_code_are_found() {
        let left = "fn first() -> usize { 1 }\n".repeat(40);
        let document = format!("{left}fn last() {{}}\n");
        for cursor in [left.len() - 10, left.len(), document.len()] {
            let region = Region::find(&document, cursor, &left, "");
            assert!(region.is_some(), "{cursor}");
        }
        let region = Region::find(&document, document.len(), &left, "");
        assert_eq!(region.map(|r| r.stands.trim()), Some("fn last() {}"));
    }

    #[test]
    fn of_several_places_that_agree_over_little_none_is_known() {
        let left = |line: &str| format!("{line}\n    // Go on.\n    let kept = rows");
        let (first, second) = (left("a = first(rows);"), left("b = second(rows);"));
        let asked = left("that_is_no_longer_there(rows);");
        for (document, is_found) in [
            (format!("{first}.one()\n{second}.two()\n"), false),
            (format!("{first}.one()\n"), true),
            (format!("{first}.one()\n{asked}.two()\n"), true),
        ] {
            let region = Region::find(&document, document.len(), &asked, "");
            assert_eq!(region.is_some(), is_found, "{document}");
        }
    }

    #[test]
    fn a_place_scrolled_out_of_the_window_is_not_found() {
        let left = "fn first() -> usize { 1 }\nfn second() -> usize { 2 }\n";
        assert_eq!(Region::find("fn other() {}", 13, left, ""), None);
    }

    proptest! {
        #[test]
        fn any_text_put_in_is_found(
            left in "[a-z(){} \n]{30,80}",
            middle in "[A-Z .\n]{0,60}",
            right in "[0-9a-z]{30,60}",
        ) {
            let document = format!("{left}{middle}{right}");
            let region = Region::find(&document, left.len() + middle.len(), &left, &right);
            prop_assert_eq!(region.map(|r| r.stands.trim()), Some(middle.trim()));
        }

        #[test]
        fn never_panics(
            document in any::<String>(), left in any::<String>(), right in any::<String>(), at in any::<prop::sample::Index>(),
        ) {
            let cursor = document.floor_char_boundary(at.index(document.len() + 1));
            let _region = Region::find(&document, cursor, &left, &right);
        }
    }
}
