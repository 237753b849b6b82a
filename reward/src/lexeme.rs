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
    fn new(text: &'a str) -> Self {
        let mut key = [0; 8];
        let head = text.len().min(KEY_BYTES);
        key[..head].copy_from_slice(&text.as_bytes()[..head]);
        key[KEY_BYTES] = u8::try_from(text.len()).unwrap_or(u8::MAX);
        Self {
            text,
            chars: count(text),
            key: u64::from_ne_bytes(key),
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
    let mut rest = text.trim_start();
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (lexeme, tail) = rest.split_at(end);
        rest = tail.trim_start();
        Some(Lexeme::new(lexeme))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Number of characters in a text that are not white space, at most `u32::MAX`.
pub(crate) fn solid_chars(text: &str) -> u32 {
    u32::try_from(text.chars().filter(|c| !c.is_whitespace()).count()).unwrap_or(u32::MAX)
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
                assert_eq!(Lexeme::new(a) == Lexeme::new(b), a == b, "{a:?} {b:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn loses_only_white_space(text in any::<String>()) {
            let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            prop_assert_eq!(texts(&text).concat(), bare);
        }
    }
}
