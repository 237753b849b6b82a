use serde::{Deserialize, Serialize};

use crate::lexis::{Lexis, is_keyword};
use crate::scan::Scan;

/// Where in the text the cursor stands.
#[expect(clippy::struct_excessive_bools, reason = "facts, each independent")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Something other than white space follows on the cursor's line.
    pub mid_line: bool,
    /// Nothing but white space precedes on the cursor's line.
    pub line_blank: bool,
    /// The cursor is in a comment.
    pub in_comment: bool,
    /// The cursor is in a string.
    pub in_string: bool,
    /// Columns of white space at the line's start, a tab being four; 0 if the start of the line
    /// is out of reach.
    pub indent: u16,
    /// Brackets that are open at the cursor, as far back as was read.
    pub depth: u16,
    /// What stands directly before the cursor.
    pub after: After,
    /// The line after the cursor's is blank, or there is none.
    pub suffix_empty_line: bool,
}

/// What stands directly before the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// A name.
    Identifier,
    /// A keyword of some common language.
    Keyword,
    /// A digit of a number.
    Number,
    /// An opening bracket.
    Open,
    /// A closing bracket.
    Close,
    /// A full stop.
    Dot,
    /// A comma.
    Comma,
    /// Any other character, quotes included.
    Operator,
    /// A colon.
    Colon,
    /// White space after something.
    Space,
    /// Nothing, on this line.
    Start,
}

impl Position {
    /// How many bytes before and after the cursor are read, at most.
    pub const WINDOW: usize = 256;

    /// Looks at the text around the cursor: at most [`Position::WINDOW`] bytes on either side.
    ///
    /// A comment or string that begins before the window is not seen. Language names are the
    /// usual ones (`"rust"`, `"py"`), in any case.
    pub fn at(prefix: &str, suffix: &str, language: Option<&str>) -> Self {
        let prefix = prefix.as_bytes();
        let start = prefix.len().saturating_sub(Self::WINDOW);
        let window = &prefix[start..];
        let scan = Scan::of(window, Lexis::of(language));
        let newline = window.iter().rposition(|&b| b == b'\n');
        let line = &window[newline.map_or(0, |at| at + 1)..];
        let line_blank = is_blank(line);
        let seen = newline.is_some() || start == 0;
        let (rest, next) = lines_after(suffix.as_bytes());
        Self {
            mid_line: !is_blank(rest),
            line_blank,
            in_comment: scan.in_comment(),
            in_string: scan.in_string(),
            indent: if seen { indent(line) } else { 0 },
            depth: scan.depth(),
            after: if line_blank {
                After::Start
            } else {
                after(line)
            },
            suffix_empty_line: is_blank(next),
        }
    }
}

/// The rest of the cursor's line and the line after it, as far as the window reaches.
fn lines_after(suffix: &[u8]) -> (&[u8], &[u8]) {
    let window = &suffix[..suffix.len().min(Position::WINDOW)];
    let Some(end) = window.iter().position(|&b| b == b'\n') else {
        return (window, &[]);
    };
    let next = &window[end + 1..];
    let next_end = next.iter().position(|&b| b == b'\n').unwrap_or(next.len());
    (&window[..end], &next[..next_end])
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|&b| is_space(b))
}

pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// Bytes above 127 belong to letters far more often than to anything else.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

fn indent(line: &[u8]) -> u16 {
    line.iter()
        .map_while(|b| match b {
            b' ' => Some(1),
            b'\t' => Some(4),
            _ => None,
        })
        .sum()
}

/// What stands at the end of a line that is not blank.
fn after(line: &[u8]) -> After {
    match line.last() {
        None => After::Start,
        Some(&b) if is_space(b) => After::Space,
        Some(&b) if is_word(b) => after_word(line),
        Some(b'(' | b'[' | b'{') => After::Open,
        Some(b')' | b']' | b'}') => After::Close,
        Some(b'.') => After::Dot,
        Some(b',') => After::Comma,
        Some(b':') => After::Colon,
        Some(_) => After::Operator,
    }
}

fn after_word(line: &[u8]) -> After {
    // No keyword or number of interest is longer.
    let line = &line[line.len().saturating_sub(WORD_BYTES)..];
    let start = line
        .iter()
        .rposition(|&b| !is_word(b))
        .map_or(0, |at| at + 1);
    let word = &line[start..];
    if word.len() == WORD_BYTES {
        After::Identifier
    } else if word[0].is_ascii_digit() {
        After::Number
    } else if is_keyword(word) {
        After::Keyword
    } else {
        After::Identifier
    }
}

const WORD_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The place of the cursor is marked by `|`.
    fn at(text: &str, language: &str) -> Position {
        let (prefix, suffix) = text.split_once('|').unwrap_or((text, ""));
        Position::at(prefix, suffix, Some(language))
    }

    #[test]
    fn kinds_of_places() {
        for (text, mid_line, line_blank, after) in [
            ("|", false, true, After::Start),
            ("fn main() {\n    |", false, true, After::Start),
            ("let total|", false, false, After::Identifier),
            ("return|", false, false, After::Keyword),
            ("x = 15|;\n", true, false, After::Number),
            ("call(|)", true, false, After::Open),
            ("call()|  \n}", false, false, After::Close),
            ("self.|\n", false, false, After::Dot),
            ("a,|", false, false, After::Comma),
            ("a =|", false, false, After::Operator),
            ("if x:|", false, false, After::Colon),
            ("x = |", false, false, After::Space),
            ("größe|", false, false, After::Identifier),
        ] {
            let position = at(text, "rust");
            assert_eq!(
                (position.mid_line, position.line_blank, position.after),
                (mid_line, line_blank, after),
                "{text}"
            );
        }
    }

    #[test]
    fn comments_and_strings() {
        for (text, language, in_comment, in_string) in [
            ("// what|", "rust", true, false),
            ("// what\nlet|", "rust", false, false),
            ("let a = \"x // |", "rust", false, true),
            ("let a = \"x\"; // |", "Rust", true, false),
            ("/* one\n two|", "c", true, false),
            ("/* one */ two|", "c", false, false),
            ("/* \" */ two|", "c", false, false),
            ("fn f<'a>(x: &'a str|", "rust", false, false),
            ("let c = '\"'; let d|", "rust", false, false),
            ("let c = '\\''; let d|", "rust", false, false),
            ("let c = 'é'; let d = \"|", "rust", false, true),
            ("x = 'it|", "python", false, true),
            ("x = 'a\\'b|", "python", false, true),
            ("x = 'it' # |", "python", true, false),
            ("#!/bin/sh|", "sh", true, false),
            ("\"\"\"doc\nmore 'text|", "python", false, true),
            ("\"\"\"doc\"\"\"\nx|", "python", false, false),
            ("`a\n${b|", "typescript", false, true),
            ("SELECT 1 -- |", "sql", true, false),
            ("<p> <!-- x|", "html", true, false),
            ("<p> <!-- x --> y|", "html", false, false),
            ("#include <x>|", "c", false, false),
            ("a # b|", "no such language", true, false),
            ("don't|", "no such language", false, false),
        ] {
            let position = at(text, language);
            assert_eq!(
                (position.in_comment, position.in_string),
                (in_comment, in_string),
                "{text} in {language}"
            );
        }
    }

    #[test]
    fn indent_depth_and_the_next_line() {
        let position = at("fn f() {\n\t  g(h[|\n\n}", "rust");
        assert_eq!((position.indent, position.depth), (6, 3));
        assert!(position.suffix_empty_line);
        assert!(!at("a|b\nc\n", "rust").suffix_empty_line);
        assert_eq!(at("))) (|", "rust").depth, 1);
        assert_eq!(at("f(\"(((\" /* ((( */|", "rust").depth, 1);
    }

    #[test]
    fn a_line_longer_than_the_window_has_no_known_indent() {
        let prefix = format!("\n  {}", " x".repeat(400));
        assert_eq!(Position::at(&prefix, "", None).indent, 0);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_only_the_window_counts(
            far in "\\PC{0,40}",
            prefix in "[\\PC\n\t\"'`/*#{}()\\\\-]{0,300}",
            suffix in "[\\PC\n]{0,20}",
            language in "(rust|python|js|html|sql|\\PC{0,20})",
        ) {
            let filler = "é".repeat(Position::WINDOW / 2);
            let long = format!("{far}\n{filler}{prefix}");
            let position = Position::at(&long, &suffix, Some(&language));
            prop_assert!(!(position.in_comment && position.in_string));
            let other = format!("something else ({{[\"{filler}{prefix}");
            prop_assert_eq!(position, Position::at(&other, &suffix, Some(&language)));
        }
    }
}
