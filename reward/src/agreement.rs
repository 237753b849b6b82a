use crate::lexeme::is_word;

/// How far a proposal and the text that stands in its place say the same from their beginnings on, white
/// space left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// Characters that agree, white space not counted.
    pub(crate) chars: u32,
    /// Bytes of the proposal up to the end of the last of them.
    pub(crate) end: usize,
    /// Bytes of the standing text up to there.
    pub(crate) stands_end: usize,
    /// Whether the standing text has nothing more.
    pub(crate) is_all_that_stands: bool,
    /// Whether the agreement ends at the end of a line of the proposal, and of one that stands.
    pub(crate) is_of_lines: bool,
    /// Whether it ends at the end of a word of the proposal.
    pub(crate) is_of_words: bool,
}

impl Agreement {
    /// Lays both texts side by side.
    pub(crate) fn of(proposal: &str, stands: &str) -> Self {
        // As long as both are the same bytes of ASCII, characters need not be told apart.
        let (ours, theirs) = (proposal.as_bytes(), stands.as_bytes());
        let both = ours.iter().zip(theirs);
        let same = both.take_while(|(a, b)| a == b && a.is_ascii()).count();
        let solid_bytes = ours[..same].iter().filter(|b| !is_space(**b));
        let mut chars = u32::try_from(solid_bytes.count()).unwrap_or(u32::MAX);
        let last = ours[..same].iter().rposition(|b| !is_space(*b));
        let mut end = last.map_or(0, |last| last + 1);
        let mut stands_end = end;
        let mut wanted = solid(proposal, same);
        let mut found = solid(stands, same);
        let is_all_that_stands = loop {
            let Some((at, c)) = found.next() else {
                break true;
            };
            match wanted.next() {
                Some((wanted_at, w)) if w == c => {
                    chars += 1;
                    end = wanted_at + w.len_utf8();
                    stands_end = at + c.len_utf8();
                }
                _ => break false,
            }
        };
        let (rest, follows) = (&proposal[end..], &stands[stands_end..]);
        Self {
            chars,
            end,
            stands_end,
            is_all_that_stands,
            is_of_lines: ends_line(rest) && (ends_line(follows) || is_all_that_stands),
            is_of_words: !is_inside(&proposal[..end], rest)
                && !is_inside(&stands[..stands_end], follows),
        }
    }

    /// Bytes of `stands`, the standing text that was laid beside, up to the end of the first character that tells that
    /// they agree no further, or that a word has ended; `None` where it ends before one.
    pub(crate) fn next_end(&self, stands: &str) -> Option<usize> {
        let mut follows = solid(stands, self.stands_end);
        let (at, next) = follows.next()?;
        Some(at + next.len_utf8())
    }
}

/// Characters from the byte `from` on, with their places, white space left out.
fn solid(text: &str, from: usize) -> impl Iterator<Item = (usize, char)> {
    let rest = text[from..].char_indices();
    rest.map(move |(at, c)| (from + at, c))
        .filter(|(_, c)| !c.is_whitespace())
}

/// Whether a byte of ASCII is white space.
fn is_space(byte: u8) -> bool {
    char::from(byte).is_whitespace()
}

fn ends_line(rest: &str) -> bool {
    rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
}

/// Whether a word goes on from one text to the next.
fn is_inside(before: &str, after: &str) -> bool {
    before.chars().next_back().is_some_and(is_word) && after.chars().next().is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ends_where_the_texts_part() {
        // Proposal, standing text, characters, all that stands, of lines, of words.
        let cases = [
            ("a = b\nc", "a=b", 3, true, true, true),
            ("a = b\nc", "a = b\nd", 3, false, true, true),
            ("a = b\nc", "a = bc", 4, true, false, true),
            ("a = b\nc", "a = b d", 3, false, false, true),
            ("return total", "return to", 8, true, false, false),
            ("return total", "return", 6, true, false, true),
            ("a", "b", 0, false, false, true),
            ("naïve🦀", "naïve🦀", 6, true, false, true),
        ];
        for (proposal, stands, chars, all, lines, words) in cases {
            let agreement = Agreement::of(proposal, stands);
            assert_eq!(
                (
                    agreement.chars,
                    agreement.is_all_that_stands,
                    agreement.is_of_lines,
                    agreement.is_of_words
                ),
                (chars, all, lines, words),
                "{proposal:?} {stands:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_beginning_agrees(text in any::<String>(), at in any::<prop::sample::Index>()) {
            let end = text.floor_char_boundary(at.index(text.len() + 1));
            let agreement = Agreement::of(&text, &text[..end]);
            prop_assert!(agreement.is_all_that_stands);
            prop_assert_eq!(text[..agreement.end].trim_end(), text[..end].trim_end());
        }
    }
}
