//! Prompts that ask a chat model to fill in code: minuet's, and Continue's for models without a
//! template.

/// The text on both sides of the cursor in such a prompt; `None` for any other text.
///
/// minuet puts each side behind a mark, in either order, with two comment lines on the file at the
/// very top; these are kept in front of the prefix. Continue quotes the file with one hole in it, after
/// examples of the same form: the last one counts.
pub fn find(text: &str) -> Option<(String, String)> {
    minuet(text).or_else(|| hole_filler(text))
}

/// The mark between several texts in one answer to such a prompt, as minuet asks for them.
pub fn parted_by(text: &str) -> Option<&'static str> {
    minuet(text).map(|_| "<endCompletion>")
}

fn minuet(text: &str) -> Option<(String, String)> {
    // Code may quote the marks: a prompt opens with one of them, and the cursor ends the first part.
    let before = text.find(BEFORE)?;
    let after = text.find(AFTER)?;
    let head = &text[..before.min(after)];
    let (prefix, suffix) = if before < after {
        let (prefix, rest) = text[before + BEFORE.len()..].split_once(CURSOR)?;
        let rest = rest.trim_start_matches('\n');
        (prefix, rest.strip_prefix(AFTER)?)
    } else {
        let (suffix, rest) = text[after + AFTER.len()..].rsplit_once(BEFORE)?;
        let prefix = &rest[..rest.rfind(CURSOR)?];
        (prefix, suffix.strip_suffix('\n').unwrap_or(suffix))
    };
    let line = |side: &str| side.strip_prefix('\n').unwrap_or(side).to_owned();
    Some((head.to_owned() + &line(prefix), line(suffix)))
}

const BEFORE: &str = "<contextBeforeCursor>";
const AFTER: &str = "<contextAfterCursor>";
const CURSOR: &str = "<cursorPosition>";

fn hole_filler(text: &str) -> Option<(String, String)> {
    let end = text.rfind("\n</QUERY>")?;
    let query = &text[..end];
    let start = query.rfind(QUERY)? + QUERY.len();
    let (prefix, suffix) = query[start..].split_once(HOLE)?;
    Some((prefix.to_owned(), suffix.to_owned()))
}

const QUERY: &str = "<QUERY>\n";
const HOLE: &str = "{{FILL_HERE}}";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, prefix: &str, suffix: &str) {
        let found = find(text);
        assert_eq!(
            found.as_ref().map(|(p, s)| (p.as_str(), s.as_str())),
            Some((prefix, suffix)),
            "{text:?}"
        );
    }

    #[test]
    fn minuets_marks_stand_in_either_order() {
        check(
            "# language: c\n<contextBeforeCursor>\na<cursorPosition>\n<contextAfterCursor>\nb\n",
            "# language: c\na",
            "b\n",
        );
        check(
            "<contextAfterCursor>\nb\n<contextBeforeCursor>\na<cursorPosition>",
            "a",
            "b",
        );
        check(
            "<contextBeforeCursor>\n<cursorPosition>\n<contextAfterCursor>\n",
            "",
            "",
        );
    }

    #[test]
    fn the_last_hole_is_the_users() {
        let text = "You are a HOLE FILLER.\n<QUERY>\nx {{FILL_HERE}} y\n</QUERY>\n<COMPLETION>z</COMPLETION>\n\n\
            <QUERY>\ndef f({{FILL_HERE}}):\n</QUERY>\nTASK: Fill the {{FILL_HERE}} hole. Do it now.\n<COMPLETION>";
        check(text, "def f(", "):");
    }

    #[test]
    fn other_text_is_no_such_prompt() {
        for text in [
            "",
            "fill {{FILL_HERE}}",
            "<contextBeforeCursor>",
            "<contextBeforeCursor>\na\n<contextAfterCursor>\nb",
            "\n</QUERY>",
        ] {
            assert_eq!(find(text), None, "{text:?}");
        }
    }
}
