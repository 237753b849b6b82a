//! Tokens as numbers: what the models compare instead of text.

use twox_hash::XxHash3_64;

use crate::{layout::LineCode, lexer};

/// A token's text and the single space before it, if any, in one word.
///
/// Bit 0 tells of the space; the rest, the *core*, stands for the text: whether it is a name, and a
/// hash of it, or, for a line break, its [`LineCode`]. With 61 bits of hash two of a million texts meet with a chance of
/// one in ten million, and then cost one wrong proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(u64);

impl Symbol {
    /// The start of a file.
    pub(crate) const START: Self = Self(SPECIAL | (1 << 62));

    pub(crate) fn text(text: &str, spaced: bool) -> Self {
        let hash = XxHash3_64::oneshot(text.as_bytes());
        let name = if text.starts_with(lexer::is_word) {
            NAME
        } else {
            0
        };
        Self((hash & !(SPECIAL | NAME | SPACED)) | name | u64::from(spaced))
    }

    pub(crate) fn line(code: LineCode) -> Self {
        Self(SPECIAL | (u64::from(code.pack()) << 2))
    }

    /// What two tokens share that differ at most in the space before them.
    #[inline]
    pub(crate) fn core(self) -> u64 {
        self.0 | SPACED
    }

    #[inline]
    pub(crate) fn spaced(self) -> bool {
        self.0 & SPACED != 0
    }

    pub(crate) fn with_space(self, spaced: bool) -> Self {
        Self((self.0 & !SPACED) | u64::from(spaced))
    }

    /// Whether the text is a word or a number.
    #[inline]
    pub(crate) fn is_name(self) -> bool {
        self.0 & (SPECIAL | NAME) == NAME
    }

    #[inline]
    pub(crate) fn is_line(self) -> bool {
        self.0 & SPECIAL != 0 && self != Self::START
    }

    /// The line break this symbol stands for, if it stands for one.
    pub(crate) fn line_code(self) -> Option<LineCode> {
        #[expect(clippy::cast_possible_truncation, reason = "a packed code has 32 bits")]
        self.is_line()
            .then(|| LineCode::unpack((self.0 >> 2) as u32))
    }
}

const SPACED: u64 = 1;
const NAME: u64 = 2;
const SPECIAL: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Shift;

    #[test]
    fn the_space_is_no_part_of_the_core() {
        let (bare, spaced) = (Symbol::text("x", false), Symbol::text("x", true));
        assert_ne!(bare, spaced);
        assert_eq!(bare.core(), spaced.core());
        assert_eq!(bare.with_space(true), spaced);
        assert_ne!(bare.core(), Symbol::text("y", false).core());
        assert!(bare.is_name() && spaced.is_name() && !Symbol::text("+", false).is_name());
    }

    #[test]
    fn a_line_break_is_read_back() {
        let code = LineCode {
            breaks: 2,
            shift: Shift::Units(-3),
        };
        let symbol = Symbol::line(code);
        assert!(symbol.is_line());
        assert_eq!(symbol.line_code(), Some(code));
        assert!(!symbol.is_name());
        assert_eq!(Symbol::text("\n", false).line_code(), None);
        assert_eq!(Symbol::START.line_code(), None);
    }
}
