use rapidfuzz::distance::levenshtein;

use crate::common::agreeing;
use crate::lexeme::{Lexeme, count, each_lexeme, is_word, solid_chars};

/// How much of a proposed text stands in another text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// Characters of the proposal's lexemes that are found again in order, divided by all of them;
    /// in [0, 1]. 1 for a proposal of white space alone.
    pub share: f64,
    /// The same for the unbroken run from the proposal's first lexeme on; at most `share`.
    pub prefix_share: f64,
    /// Characters of the proposal's lexemes that are found again.
    pub chars: u32,
    /// Levenshtein distance from the proposal to the standing text up to the last lexeme that agrees, divided
    /// by the longer length, both trimmed; in [0, 1].
    pub edit_distance: f64,
}

impl Kept {
    /// Compares a `proposal` with the text that `stands` where it would have gone.
    ///
    /// The found lexemes are a longest common subsequence by lexemes, weighted by characters, as the
    /// kept rate of Zed and the lexical edit distance of Copilot do it: a rename inside the text
    /// loses the renamed word alone. Of `stands`, only as much is read as the proposal is long, and
    /// half as much again and a dozen lexemes more: what the user wrote after it is no part of it.
    pub fn measure(proposal: &str, stands: &str) -> Self {
        let same = same_lexemes(proposal, stands);
        let (head, lexemes) = each_lexeme(&proposal[..same])
            .take(LEXEMES_MOST)
            .fold((0, 0), |(chars, n), lexeme| (chars + lexeme.chars, n + 1));
        let (wanted, found) = compared(&proposal[same..], &stands[same..], lexemes);
        let agreeing = wanted.iter().zip(&found).take_while(|(a, b)| a == b);
        let common = agreeing.count();
        let run = head + chars_of(&wanted[..common]);
        let all = head + chars_of(&wanted);
        let (more, end) = heaviest_common(&wanted[common..], &found[common..]);
        let chars = run + more;
        // What was written after the last lexeme that agrees is no part of it.
        let last = found[..common + end].last();
        let end = last.map_or(same, |last| end_within(stands, last.text));
        Self {
            share: ratio(chars, all),
            prefix_share: ratio(run, all),
            chars,
            edit_distance: distance(proposal.trim(), stands[..end].trim()),
        }
    }
}

/// Bytes of text that both begin with, and that are the same lexemes in both.
fn same_lexemes(proposal: &str, stands: &str) -> usize {
    let same = agreeing(proposal.as_bytes(), stands.as_bytes());
    let same = proposal.floor_char_boundary(same);
    let goes_on = |text: &str| text[same..].starts_with(is_word);
    if goes_on(proposal) || goes_on(stands) {
        // A word that goes on in one of them may be another there.
        return proposal[..same].trim_end_matches(is_word).len();
    }
    same
}

/// The lexemes of a proposal, and as many of what stands there as are compared with them, both behind so many
/// lexemes that are the same.
fn compared<'a>(
    proposal: &'a str,
    stands: &'a str,
    same: usize,
) -> (Vec<Lexeme<'a>>, Vec<Lexeme<'a>>) {
    let mut wanted = Vec::with_capacity((proposal.len() / 2).min(LEXEMES_MOST));
    wanted.extend(each_lexeme(proposal).take(LEXEMES_MOST - same));
    if wanted.is_empty() {
        return (wanted, Vec::new());
    }
    let all = same + wanted.len();
    let most = wanted.len() + all / 2 + MARGIN_LEXEMES;
    let mut found = Vec::with_capacity(most);
    found.extend(each_lexeme(stands).take(most));
    (wanted, found)
}

/// Bytes of the text that `stands` there which [`Kept::measure`] reads, and the next character, which tells that the last
/// word has ended: whatever follows changes nothing. `None` where it would read more, and where that is likely.
pub(crate) fn read_of(proposal: &str, stands: &str) -> Option<usize> {
    if stands.len() < proposal.len() + proposal.len() / 2 {
        return None;
    }
    let all = each_lexeme(proposal).take(LEXEMES_MOST).count();
    let last = each_lexeme(stands).nth(all + all / 2 + MARGIN_LEXEMES)?;
    Some(end_within(stands, last.text))
}

/// The [`Kept::prefix_share`] of a `proposal` in the text that `stands` there, without the rest of
/// [`Kept::measure`]'s work.
pub(crate) fn prefix_share(proposal: &str, stands: &str) -> f64 {
    let same = same_lexemes(proposal, stands);
    let run = each_lexeme(&proposal[same..])
        .zip(each_lexeme(&stands[same..]))
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a.chars)
        .sum::<u32>();
    let head = solid_chars(&proposal[..same]);
    ratio(head + run, head + solid_chars(&proposal[same..]))
}

/// Like [`Kept::share`], but a run of lexemes that agree counts only as far as it is longer than a chance
/// likeness: each run loses four characters, or a third of a short proposal, and so does the proposal
/// as a whole. Edits leave long runs of a proposal standing; text of one's own shares a word here and a
/// bracket there.
pub(crate) fn run_share(proposal: &str, stands: &str) -> f64 {
    let (wanted, found) = compared(proposal, stands, 0);
    let all = f64::from(chars_of(&wanted));
    if wanted.is_empty() {
        return 1.0;
    }
    let start = (all / 3.0).min(RUN_START);
    // Best sums up to each pair: whatever the last lexemes, and where they agree.
    let mut best = vec![0.0_f64; found.len() + 1];
    let mut running = vec![f64::NEG_INFINITY; found.len() + 1];
    for x in &wanted {
        let (mut best_before, mut running_before) = (0.0, f64::NEG_INFINITY);
        for (j, y) in found.iter().enumerate() {
            let (above, running_above) = (best[j + 1], running[j + 1]);
            running[j + 1] = if x == y {
                f64::from(x.chars) + f64::max(running_before, best_before - start)
            } else {
                f64::NEG_INFINITY
            };
            best[j + 1] = above.max(best[j]).max(running[j + 1]);
            (best_before, running_before) = (above, running_above);
        }
    }
    best[found.len()] / (all - start)
}

/// The most that [`run_share`] can be of a proposal of `all` characters of which so many are found at all.
pub(crate) fn run_share_most(chars: u32, all: u32) -> f64 {
    let (chars, all) = (f64::from(chars), f64::from(all));
    let start = (all / 3.0).min(RUN_START);
    f64::max(chars - start, 0.0) / (all - start)
}

/// Characters by which a run must be longer than chance.
const RUN_START: f64 = 4.0;

/// Of a longer proposal, so many lexemes are compared: about a hundred lines. The time goes with the square.
const LEXEMES_MOST: usize = 1_024;

/// Lexemes read beyond one and a half times the proposal's own.
const MARGIN_LEXEMES: usize = 12;

/// Both texts are cut to this many bytes before their edit distance is taken.
const DISTANCE_BYTES: usize = 4096;

fn chars_of(lexemes: &[Lexeme<'_>]) -> u32 {
    lexemes.iter().map(|l| l.chars).sum()
}

fn ratio(part: u32, all: u32) -> f64 {
    if all == 0 {
        1.0
    } else {
        f64::from(part) / f64::from(all)
    }
}

/// Where `part`, which was cut out of `text`, ends in it.
fn end_within(text: &str, part: &str) -> usize {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start + part.len()
}

/// Weight in characters of the heaviest common subsequence of two lists of lexemes, and how many lexemes of
/// the second it takes to reach that.
fn heaviest_common(a: &[Lexeme<'_>], b: &[Lexeme<'_>]) -> (u32, usize) {
    let length = b.len();
    // What both end with is common to them, whatever stands before it.
    let (a, b, tail) = without_common_end(a, b);
    let mut row = vec![0_u32; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y {
                diagonal + x.chars
            } else {
                above.max(row[j])
            };
            diagonal = above;
        }
    }
    let heaviest = row[b.len()];
    let end = if tail > 0 {
        length
    } else {
        row.partition_point(|weight| *weight < heaviest)
    };
    (heaviest + tail, end)
}

/// Both lists without the end that they share, and its weight.
fn without_common_end<'a, 'b>(
    a: &'a [Lexeme<'b>],
    b: &'a [Lexeme<'b>],
) -> (&'a [Lexeme<'b>], &'a [Lexeme<'b>], u32) {
    let ends = a.iter().rev().zip(b.iter().rev());
    let common = ends.take_while(|(x, y)| x == y).count();
    let (a, tail) = a.split_at(a.len() - common);
    (a, &b[..b.len() - common], chars_of(tail))
}

fn distance(a: &str, b: &str) -> f64 {
    let (a, b) = (head(a), head(b));
    if a == b {
        return 0.0;
    }
    let longest = count(a).max(count(b));
    if longest == 0 {
        return 0.0;
    }
    // What both begin with is no edit, and often all of one.
    let same = a.floor_char_boundary(agreeing(a.as_bytes(), b.as_bytes()));
    let (a, b) = (&a[same..], &b[same..]);
    let edits = match (a, b) {
        ("", rest) | (rest, "") => count(rest) as usize,
        _ if a.is_ascii() && b.is_ascii() => levenshtein::distance(a.bytes(), b.bytes()),
        _ => levenshtein::distance(a.chars(), b.chars()),
    };
    edits as f64 / f64::from(longest)
}

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(DISTANCE_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexeme::lexemes;
    use proptest::prelude::*;

    #[test]
    fn measures() {
        let cases = [
            ("a + b", "a + b", 1.0, 1.0),
            ("a + b", "a+b;\nnext()", 1.0, 1.0),
            ("a + b", "c * d", 0.0, 0.0),
            ("abc + b", "xyz + b", 2.0 / 5.0, 0.0),
            ("abc + b", "abc - b", 4.0 / 5.0, 3.0 / 5.0),
            ("abc", "", 0.0, 0.0),
            ("  \n", "x", 1.0, 1.0),
        ];
        for (proposal, stands, share, prefix_share) in cases {
            let kept = Kept::measure(proposal, stands);
            assert!(
                (kept.share - share).abs() < 1e-12,
                "{proposal:?} {stands:?} {kept:?}"
            );
            assert!(
                (kept.prefix_share - prefix_share).abs() < 1e-12,
                "{proposal:?} {kept:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn itself_is_kept_whole(text in any::<String>()) {
            let kept = Kept::measure(&text, &text);
            prop_assert_eq!(kept.share, 1.0);
            prop_assert_eq!(kept.edit_distance, 0.0);
        }

        #[test]
        fn what_is_the_same_need_not_be_compared(
            head in "[a é{ \n]{0,12}",
            a in "[abé +]{0,12}",
            b in "[abé +]{0,12}",
        ) {
            let (proposal, stands) = (format!("{head}{a}"), format!("{head}{b}"));
            let (wanted, mut found) = (lexemes(&proposal), lexemes(&stands));
            found.truncate(wanted.len() + wanted.len() / 2 + MARGIN_LEXEMES);
            let common = wanted.iter().zip(&found).take_while(|(a, b)| a == b).count();
            let (heaviest, end) = heaviest_common(&wanted, &found);
            let end = found[..end.max(common)].last().map_or(0, |last| end_within(&stands, last.text));
            let kept = Kept::measure(&proposal, &stands);
            let all = chars_of(&wanted);
            prop_assert_eq!(kept.chars, heaviest);
            prop_assert_eq!(kept.share, ratio(heaviest, all));
            prop_assert_eq!(kept.prefix_share, ratio(chars_of(&wanted[..common]), all));
            if common < wanted.len() {
                let levenshtein = distance(proposal.trim(), stands[..end].trim());
                prop_assert_eq!(kept.edit_distance, levenshtein);
            }
        }

        #[test]
        fn leaving_out_common_ends_changes_nothing(a in "[ab +]{0,24}", b in "[ab +]{0,24}") {
            let (a, b) = (lexemes(&a), lexemes(&b));
            // The plain recurrence, over the whole of both.
            let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
            for (i, x) in a.iter().enumerate() {
                for (j, y) in b.iter().enumerate() {
                    table[i + 1][j + 1] = if x.text == y.text {
                        table[i][j] + x.chars
                    } else {
                        table[i][j + 1].max(table[i + 1][j])
                    };
                }
            }
            let (heaviest, end) = heaviest_common(&a, &b);
            prop_assert_eq!(heaviest, table[a.len()][b.len()]);
            prop_assert_eq!(heaviest, table[a.len()][end]);
        }

        #[test]
        fn shares_are_shares(a in any::<String>(), b in any::<String>()) {
            let kept = Kept::measure(&a, &b);
            prop_assert_eq!(prefix_share(&a, &b), kept.prefix_share);
            prop_assert!((0.0..=1.0).contains(&kept.share));
            prop_assert!(kept.prefix_share <= kept.share);
            prop_assert!((0.0..=1.0).contains(&run_share(&a, &b)));
            prop_assert!(run_share(&a, &a) > 0.99);
            let all = solid_chars(&a);
            prop_assert!(all == 0 || run_share(&a, &b) <= run_share_most(kept.chars, all) + 1e-9);
            prop_assert!((0.0..=1.0).contains(&kept.edit_distance));
        }
    }
}
