/// The text around the cursor that one request shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window<'a> {
    /// The file's name, where the client sends it.
    pub file: Option<&'a str>,
    /// Text before the cursor, as far as the client sends it.
    pub prefix: &'a str,
    /// Text after the cursor, as far as the client sends it.
    pub suffix: &'a str,
}

/// What stands at a later time in the place where a proposal would have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region<'a> {
    /// The text between the two anchors.
    pub stands: &'a str,
    /// The part of `stands` before the cursor; all of it when the cursor is beyond.
    pub before_cursor: &'a str,
}

impl<'a> Region<'a> {
    /// Finds the place again in a later `document` (prefix and suffix joined, `cursor` bytes of
    /// prefix), given the text `left` and `right` of the cursor when the proposal was asked for.
    ///
    /// The left anchor is the longest tail of `left` that still occurs, from 400 bytes down to 25,
    /// trailing white space being free to change; a shorter `left` must open the document. The region
    /// ends where `right` goes on, its first line left out when it has no word in it, since editors
    /// close brackets by themselves and replace them. Where `right` is gone, the region ends at the
    /// cursor. `None` when the place is not in the document.
    pub fn find(document: &'a str, cursor: usize, left: &str, right: &str) -> Option<Self> {
        let start = end_of_left(document, cursor, left)?;
        let end = start_of_right(document, cursor, start, right);
        let seen = cursor.clamp(start, end);
        Some(Self {
            stands: &document[start..end],
            before_cursor: &document[start..seen],
        })
    }
}

/// Lengths in bytes at which an anchor is looked for, longest first.
const ANCHOR_BYTES: [usize; 5] = [400, 200, 100, 50, 25];

/// As much of the text on either side of the cursor as an anchor can use.
pub(crate) const ANCHOR_BYTES_MAX: usize = ANCHOR_BYTES[0];

/// An anchor of fewer bytes may well occur twice by chance.
const ANCHOR_BYTES_SURE: usize = 50;

fn end_of_left(document: &str, cursor: usize, left: &str) -> Option<usize> {
    let bare = left.trim_end();
    [left, bare]
        .into_iter()
        .find_map(|anchor| end_of_anchor(document, cursor, anchor))
}

fn end_of_anchor(document: &str, cursor: usize, anchor: &str) -> Option<usize> {
    if anchor.len() < ANCHOR_BYTES[ANCHOR_BYTES.len() - 1] {
        return document.starts_with(anchor).then_some(anchor.len());
    }
    let mut last = usize::MAX;
    for bytes in ANCHOR_BYTES {
        let tail = &anchor[anchor.ceil_char_boundary(anchor.len().saturating_sub(bytes))..];
        if tail.len() >= last {
            continue;
        }
        last = tail.len();
        if let Some(at) = nearest(document, cursor, tail) {
            return Some(at + tail.len());
        }
    }
    None
}

/// The last occurrence that ends before the cursor, or else the first after it: the user is most
/// often still close behind the proposal's place.
fn nearest(document: &str, cursor: usize, text: &str) -> Option<usize> {
    document[..cursor]
        .rfind(text)
        .or_else(|| document.find(text))
}

fn start_of_right(document: &str, cursor: usize, start: usize, right: &str) -> usize {
    let right = without_closing_line(right).trim();
    let at_cursor = cursor.max(start);
    if right.is_empty() {
        // The old suffix was blank: everything from the anchor on is new.
        return if document[at_cursor..].trim().is_empty() {
            document.len()
        } else {
            at_cursor
        };
    }
    let mut last = usize::MAX;
    for bytes in ANCHOR_BYTES {
        let head = &right[..right.floor_char_boundary(bytes)];
        if head.len() >= last {
            continue;
        }
        last = head.len();
        let from = if head.len() >= ANCHOR_BYTES_SURE {
            start
        } else {
            at_cursor
        };
        if let Some(at) = document[from..].find(head) {
            return from + at;
        }
    }
    at_cursor
}

/// The text without its first line when that line holds no word: `)` or `});` after the cursor.
fn without_closing_line(right: &str) -> &str {
    match right.split_once('\n') {
        Some((line, rest)) if !has_word(line) => rest,
        None if !has_word(right) => "",
        _ => right,
    }
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
            assert_eq!(region.map(|r| r.stands), expected, "{document:?} {left:?}");
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
