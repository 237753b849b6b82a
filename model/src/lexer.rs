//! A lossless lexer for every language: fast, total, and free of state.
//!
//! It knows words, numbers, white space, line breaks and operators, and treats the inside of
//! strings and comments like everything else: their words repeat as code does. Having no state, it
//! can start in the middle of a file, which a prompt's bounded tail does.

use crate::Language;

/// The class of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenKind {
    /// Letters, digits, `_`, everything beyond ASCII, and what the language adds (`$`, `-`).
    Word,
    /// What starts with a digit; holds a point only before a further digit.
    Number,
    /// Spaces and tabs inside a line.
    Blank,
    /// One or more line breaks with the indentation that follows them.
    Line,
    /// Quotes, and what opens or closes a comment.
    Mark,
    /// Any other character, or a run that languages read as one.
    Operator,
}

/// A piece of the input. Tokens concatenate to the input exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// Its class.
    pub kind: TokenKind,
    /// Its text, never empty.
    pub text: &'a str,
}

/// Splits a text into tokens. Create it with [`lex`].
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    rest: &'a str,
    classes: &'static [Class; 256],
}

/// The tokens of `text`, in order.
///
/// ```
/// use echo_model::{Language, lex};
/// let tokens: Vec<&str> = lex("let x = a[0];\n", Language::Rust).map(|token| token.text).collect();
/// assert_eq!(tokens, ["let", " ", "x", " ", "=", " ", "a", "[", "0", "]", ";", "\n"]);
/// ```
pub fn lex(text: &str, language: Language) -> Lexer<'_> {
    Lexer {
        rest: text,
        classes: classes(language),
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    #[inline]
    fn next(&mut self) -> Option<Token<'a>> {
        let bytes = self.rest.as_bytes();
        let first = *bytes.first()?;
        let (kind, length) = match self.classes[usize::from(first)] {
            Class::Word => (TokenKind::Word, self.run(Class::is_word)),
            Class::Digit => (TokenKind::Number, self.number()),
            Class::Blank => (TokenKind::Blank, self.run(Class::is_blank)),
            Class::Line => line(bytes),
            Class::Quote => (TokenKind::Mark, same(bytes, 3).max(1)),
            Class::Operator => operator(bytes),
        };
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(Token { kind, text })
    }
}

impl Lexer<'_> {
    #[inline]
    fn run(&self, belongs: fn(Class) -> bool) -> usize {
        let bytes = self.rest.as_bytes();
        bytes
            .iter()
            .position(|&byte| !belongs(self.classes[usize::from(byte)]))
            .unwrap_or(bytes.len())
    }

    fn number(&self) -> usize {
        let bytes = self.rest.as_bytes();
        let mut length = 1;
        while let Some(&byte) = bytes.get(length) {
            let point = byte == b'.' && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
            if !(point || byte.is_ascii_alphanumeric() || byte == b'_') {
                break;
            }
            length += 1;
        }
        length
    }
}

/// Whether `character` can stand inside a word of any language.
pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || !character.is_ascii()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Word,
    Digit,
    Blank,
    Line,
    Quote,
    Operator,
}

impl Class {
    fn is_word(self) -> bool {
        matches!(self, Self::Word | Self::Digit)
    }

    fn is_blank(self) -> bool {
        self == Self::Blank
    }
}

fn classes(language: Language) -> &'static [Class; 256] {
    match language {
        Language::Css | Language::Html => &DASHED,
        Language::JavaScript
        | Language::TypeScript
        | Language::Shell
        | Language::Perl
        | Language::Php
        | Language::Java => &DOLLAR,
        _ => &PLAIN,
    }
}

static PLAIN: [Class; 256] = table(b"");
static DOLLAR: [Class; 256] = table(b"$");
static DASHED: [Class; 256] = table(b"-");

const fn table(extra: &[u8]) -> [Class; 256] {
    let mut classes = [Class::Operator; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 255")]
        let character = byte as u8;
        classes[byte] = match character {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => Class::Word,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' => Class::Blank,
            b'\n' | b'\r' => Class::Line,
            b'"' | b'\'' | b'`' => Class::Quote,
            _ => Class::Operator,
        };
        byte += 1;
    }
    let mut index = 0;
    while index < extra.len() {
        classes[extra[index] as usize] = Class::Word;
        index += 1;
    }
    classes
}

/// The length of the run of the first byte if it is at least `least`, else 0.
fn same(bytes: &[u8], least: usize) -> usize {
    let length = bytes.iter().take_while(|&&byte| byte == bytes[0]).count();
    if length >= least { length } else { 0 }
}

fn line(bytes: &[u8]) -> (TokenKind, usize) {
    let length = bytes
        .iter()
        .position(|byte| !matches!(byte, b'\n' | b'\r' | b' ' | b'\t'))
        .unwrap_or(bytes.len());
    (TokenKind::Line, length)
}

fn operator(bytes: &[u8]) -> (TokenKind, usize) {
    let ruler = same(bytes, RULER);
    if ruler > 0 {
        return (TokenKind::Operator, ruler);
    }
    if bytes[0] == b'\\' {
        let escape = bytes.get(1).is_some_and(|byte| (b'!'..0x7f).contains(byte));
        return (TokenKind::Operator, 1 + usize::from(escape));
    }
    if !bytes.get(1).is_some_and(u8::is_ascii_punctuation) {
        return (TokenKind::Operator, 1);
    }
    for &mark in MARKS {
        if bytes.starts_with(mark) {
            return (TokenKind::Mark, mark.len());
        }
    }
    let known = |length: usize, set: &[&[u8]]| {
        bytes
            .get(..length)
            .is_some_and(|start| set.contains(&start))
    };
    if known(3, TRIPLES) {
        (TokenKind::Operator, 3)
    } else if known(2, PAIRS) {
        (TokenKind::Operator, 2)
    } else {
        (TokenKind::Operator, 1)
    }
}

/// Runs of one operator character at least this long are one token.
const RULER: usize = 4;

const MARKS: &[&[u8]] = &[b"///", b"//!", b"//", b"/**", b"/*", b"*/", b"<!--", b"-->"];
const TRIPLES: &[&[u8]] = &[
    b"...", b"..=", b"===", b"!==", b"<<=", b">>=", b"**=", b"&&=", b"||=", b"#![", b"???",
];
const PAIRS: &[&[u8]] = &[
    b"::", b"->", b"=>", b"==", b"!=", b"<=", b">=", b"&&", b"||", b"..", b"+=", b"-=", b"*=",
    b"/=", b"%=", b"^=", b"|=", b"&=", b"<<", b"++", b"--", b"**", b":=", b"?.", b"??", b"#[",
    b"#!", b"</", b"/>", b"${", b"$(", b"{{", b"}}", b"##",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(language: Language, text: &str, expected: &[&str]) {
        let tokens: Vec<&str> = lex(text, language).map(|token| token.text).collect();
        assert_eq!(tokens, expected);
    }

    #[test]
    fn splits() {
        check(
            Language::Rust,
            "a::b(&'x self) -> 0.5..=1.e;",
            &[
                "a", "::", "b", "(", "&", "'", "x", " ", "self", ")", " ", "->", " ", "0.5", "..=",
                "1", ".", "e", ";",
            ],
        );
        check(Language::Rust, "/// Ünïcode", &["///", " ", "Ünïcode"]);
        check(
            Language::Css,
            "max-width: 3px",
            &["max-width", ":", " ", "3px"],
        );
        check(Language::C, "max-width", &["max", "-", "width"]);
        check(Language::JavaScript, "$x.y", &["$x", ".", "y"]);
        check(
            Language::Python,
            "\"\"\"a\\n\"\"\"",
            &["\"\"\"", "a", "\\n", "\"\"\""],
        );
        check(Language::Markdown, "-----", &["-----"]);
    }

    #[test]
    fn a_line_break_takes_blank_lines_and_indentation() {
        let tokens: Vec<Token> = lex("a \r\n\n\t b", Language::C).collect();
        assert_eq!(
            tokens[2],
            Token {
                kind: TokenKind::Line,
                text: "\r\n\n\t "
            }
        );
        assert_eq!(tokens.len(), 4);
    }

    proptest! {
        #[test]
        fn tokens_concatenate_to_the_input(text in any::<String>(), code in 0..Language::ALL.len()) {
            let mut whole = String::new();
            for token in lex(&text, Language::ALL[code]) {
                prop_assert!(!token.text.is_empty());
                whole.push_str(token.text);
            }
            prop_assert_eq!(whole, text);
        }

        #[test]
        fn so_do_tokens_of_code(text in "[ab_0-9 \t\n\r\"'/*#<>=.:\\\\{}()é€𝕏-]{0,200}") {
            let whole: String = lex(&text, Language::Rust).map(|token| token.text).collect();
            prop_assert_eq!(whole, text);
        }
    }
}
