/// A run of text that is kept or lost as a whole: a word of letters, digits and `_`, or one other
/// character that is not white space.
#[derive(Debug, Clone, Copy)]
pub struct Lexeme<'a> {
    /// The text of the lexeme.
    pub text: &'a str,
    /// Its length in characters.
    pub chars: u32,
    /// The text's first bytes and its length.
    key: u64,
}

impl<'a> Lexeme<'a> {
    /// The lexeme of the first `end` bytes of `rest`.
    fn at_start_of(rest: &'a str, end: usize) -> Self {
        let text = &rest[..end];
        let head = end.min(KEY_BYTES);
        let bytes = if let Some(bytes) = rest.as_bytes().first_chunk() {
            // All at once, and what is not the lexeme's taken off again.
            u64::from_le_bytes(*bytes) & ((1 << (8 * head)) - 1)
        } else {
            let bytes = text.as_bytes()[..head].iter().rev();
            bytes.fold(0, |key, byte| key << 8 | u64::from(*byte))
        };
        let length = u8::try_from(end).unwrap_or(u8::MAX);
        Self {
            text,
            chars: count(text),
            key: bytes | u64::from(length) << (8 * KEY_BYTES),
        }
    }
}

/// Bytes of a text that its key holds: all of most lexemes.
const KEY_BYTES: usize = 7;

/// By text. Lexemes are compared by the thousand, and nearly all differ: their keys tell that, and are all
/// that there is to most of them.
impl PartialEq for Lexeme<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && (self.text.len() <= KEY_BYTES || self.text == other.text)
    }
}

impl Eq for Lexeme<'_> {}

/// The lexemes of a text in order, white space left out: re-indenting or re-wrapping code loses
/// nothing of it.
pub fn lexemes(text: &str) -> Vec<Lexeme<'_>> {
    each_lexeme(text).collect()
}

/// The same, one after the other.
pub(crate) fn each_lexeme(text: &str) -> impl Iterator<Item = Lexeme<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = without_space(rest);
        let first = rest.chars().next()?;
        let end = word_end(rest).max(first.len_utf8());
        let lexeme = Lexeme::at_start_of(rest, end);
        rest = &rest[end..];
        Some(lexeme)
    })
}

/// Bytes of the word that a text begins with. Nearly all code is ASCII, which is known byte by byte.
fn word_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let end = bytes
        .iter()
        .position(|b| KIND[usize::from(*b)] != Kind::Word);
    let end = end.unwrap_or(bytes.len());
    if bytes.get(end).is_none_or(u8::is_ascii) {
        return end;
    }
    let rest = &text[end..];
    end + rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

/// A text without the white space that it begins with.
fn without_space(text: &str) -> &str {
    let bytes = text.as_bytes();
    let end = bytes
        .iter()
        .position(|b| KIND[usize::from(*b)] != Kind::Space);
    let rest = &text[end.unwrap_or(bytes.len())..];
    if rest.as_bytes().first().is_none_or(u8::is_ascii) {
        return rest;
    }
    rest.trim_start()
}

/// What a byte is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Space,
    /// A mark, or a part of a character beyond ASCII.
    Other,
}

const KIND: [Kind; 256] = {
    let mut kinds = [Kind::Other; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        kinds[byte as usize] = match byte {
            b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => Kind::Word,
            b' ' | b'\t'..=b'\r' => Kind::Space,
            _ => Kind::Other,
        };
        byte += 1;
    }
    kinds
};

/// Whether a character is one of a word.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Number of characters in a text that are not white space, at most `u32::MAX`.
pub(crate) fn solid_chars(text: &str) -> u32 {
    let is_solid = |byte: &&u8| KIND[usize::from(**byte)] != Kind::Space;
    let chars = if text.is_ascii() {
        text.as_bytes().iter().filter(is_solid).count()
    } else {
        text.chars().filter(|c| !c.is_whitespace()).count()
    };
    u32::try_from(chars).unwrap_or(u32::MAX)
}

/// Number of characters in a text, at most `u32::MAX`.
pub(crate) fn count(text: &str) -> u32 {
    // Nearly all code is ASCII, of which no character needs to be counted.
    let chars = if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    };
    u32::try_from(chars).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<&str> {
        lexemes(text).into_iter().map(|l| l.text).collect()
    }

    #[test]
    fn words_and_marks() {
        assert_eq!(
            texts("a_1 += f(x);\r\n\t"),
            ["a_1", "+", "=", "f", "(", "x", ")", ";"]
        );
        assert_eq!(texts(" \n"), Vec::<&str>::new());
        assert_eq!(texts("naïve🦀"), ["naïve", "🦀"]);
    }

    #[test]
    fn lexemes_are_equal_by_text() {
        let words = [
            "a",
            "b",
            "aaaaaaa",
            "aaaaaaab",
            "aaaaaaac",
            "é",
            "漢字漢",
            "x\0",
            "x",
        ];
        for a in words {
            for b in words {
                let follows = format!("{b} and more");
                let (x, y) = (
                    Lexeme::at_start_of(a, a.len()),
                    Lexeme::at_start_of(&follows, b.len()),
                );
                assert_eq!(x == y, a == b, "{a:?} {b:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn bytes_tell_what_characters_do(text in "[a_9é漢 \u{a0}\u{85}\u{1c}\t\n+🦀]{0,20}") {
            prop_assert_eq!(without_space(&text), text.trim_start());
            let solid = text.chars().filter(|c| !c.is_whitespace()).count();
            prop_assert_eq!(solid_chars(&text) as usize, solid);
            let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
            prop_assert_eq!(word_end(&text), end, "{:?}", text);
        }

        #[test]
        fn loses_only_white_space(text in any::<String>()) {
            let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            prop_assert_eq!(texts(&text).concat(), bare);
        }
    }
}
