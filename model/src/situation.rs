//! A prompt, read once: what stands before and after the cursor, as symbols.

use crate::{
    Language, Prompt,
    layout::Layout,
    lexer::{self, TokenKind, lex},
    sequence::{Encoder, Sequence},
    symbol::Symbol,
};

/// What a model knows of the place it is asked to complete.
#[derive(Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) language: Language,
    pub(crate) layout: Layout,
    /// The tail of the prefix that is read; it starts at the start of a line where it can.
    pub(crate) head: &'a str,
    /// `head` as symbols, without what [`Situation::typed`] holds.
    pub(crate) before: Sequence,
    /// The head of the suffix that is read.
    pub(crate) tail: &'a str,
    /// `tail` as symbols.
    pub(crate) after: Sequence,
    /// The token that touches the cursor, which may be half typed.
    pub(crate) typed: Option<Typed<'a>>,
    /// Whether a single space stands right before the cursor.
    pub(crate) space_typed: bool,
    /// Indentation, in columns, of the line where `before` ends.
    pub(crate) columns: u16,
}

/// A token that may go on beyond the cursor: a word, a number or a line's indentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Typed<'a> {
    pub(crate) text: &'a str,
    pub(crate) symbol: Symbol,
}

impl<'a> Situation<'a> {
    /// Reads at most [`HEAD`] bytes of the prefix and [`TAIL`] of the suffix.
    pub(crate) fn read(prompt: &Prompt<'a>) -> Self {
        let language = Language::of_request(prompt.language, prompt.file);
        let head = last(prompt.prefix, HEAD);
        let layout = Layout::of(head, language);
        let mut encoder = Encoder::new(head, language, layout);
        let mut before = Sequence::default();
        if head.len() == prompt.prefix.len() {
            before.push_start();
        }
        before.read(&mut encoder);
        let typed = half_typed(head, language, &before, encoder.ends_in_space());
        let mut columns = encoder.columns();
        if typed.is_some() {
            before.pop();
            columns = encoder.columns_above_last(typed.is_some_and(|typed| typed.symbol.is_line()));
        }
        let tail = first(prompt.suffix, TAIL);
        let mut after = Sequence::default();
        after.read(&mut Encoder::inside(
            tail,
            language,
            layout,
            encoder.columns(),
        ));
        Self {
            language,
            layout,
            head,
            before,
            tail,
            after,
            typed,
            space_typed: encoder.ends_in_space(),
            columns,
        }
    }

    /// Whether the cursor stands inside a word, where no completion fits.
    pub(crate) fn inside_word(&self) -> bool {
        let word = self.typed.is_some_and(|typed| !typed.symbol.is_line());
        word && self.tail.starts_with(lexer::is_word)
    }

    /// What follows the cursor in its line, without white space around it.
    pub(crate) fn rest_of_line(&self) -> &'a str {
        self.tail.lines().next().unwrap_or("").trim()
    }

    /// The first line below the cursor's that is not blank, without white space around it.
    pub(crate) fn line_below(&self) -> &'a str {
        self.tail
            .lines()
            .skip(1)
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or("")
    }
}

fn half_typed<'a>(
    head: &'a str,
    language: Language,
    before: &Sequence,
    spaced: bool,
) -> Option<Typed<'a>> {
    let symbol = *before.symbols.last()?;
    let text = before.core(head, before.len() - 1);
    let kind = lex(text, language).next()?.kind;
    let open = matches!(kind, TokenKind::Word | TokenKind::Number | TokenKind::Line);
    (open && !spaced).then_some(Typed { text, symbol })
}

/// The last `limit` bytes of `text`, from the start of a line if one starts there.
fn last(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let tail = &text[text.ceil_char_boundary(text.len() - limit)..];
    tail.split_once('\n').map_or(tail, |(_, lines)| lines)
}

/// The first `limit` bytes of `text`, to the end of a line if one ends there.
fn first(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let head = &text[..text.floor_char_boundary(limit)];
    head.rfind('\n').map_or(head, |end| &head[..=end])
}

/// The most bytes read of a prefix.
pub(crate) const HEAD: usize = 32 << 10;
/// The most bytes read of a suffix.
pub(crate) const TAIL: usize = 12 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(prefix: &'a str, suffix: &'a str) -> Situation<'a> {
        Situation::read(&Prompt {
            prefix,
            suffix,
            language: Some("rust"),
            file: None,
            user: "",
        })
    }

    #[test]
    fn the_token_at_the_cursor_may_be_half_typed() {
        for (prefix, typed) in [
            ("let va", Some("va")),
            ("let va ", None),
            ("a\n    ", Some("\n    ")),
            ("a(", None),
            ("x = 12", Some("12")),
            ("", None),
        ] {
            let situation = read(prefix, "");
            assert_eq!(situation.typed.map(|typed| typed.text), typed, "{prefix:?}");
        }
        assert!(read("let va ", "").space_typed);
    }

    #[test]
    fn columns_are_those_above_a_half_typed_line_break() {
        assert_eq!(read("    a\n        ", "").columns, 4);
        assert_eq!(read("    a\n        b", "").columns, 8);
    }

    #[test]
    fn inside_a_word() {
        assert!(read("let va", "lue").inside_word());
        assert!(!read("let va", " = 1").inside_word());
        assert!(!read("let ", "value").inside_word());
    }

    #[test]
    fn only_the_ends_next_to_the_cursor_are_read() {
        let long = "é line\n".repeat(20_000);
        let situation = read(&long, &long);
        assert!(situation.head.len() <= HEAD && situation.head.starts_with("é line"));
        assert!(situation.tail.len() <= TAIL && situation.tail.ends_with("line\n"));
        assert_ne!(situation.before.symbols[0], Symbol::START);
        let single = "é".repeat(HEAD);
        assert!(read(&single, &single).head.len() <= HEAD);
    }

    #[test]
    fn around_the_cursor() {
        let situation = read("f(", " ) ;\n\n  next\n");
        assert_eq!(situation.rest_of_line(), ") ;");
        assert_eq!(situation.line_below(), "next");
    }
}
