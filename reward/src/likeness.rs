use crate::agreement::Agreement;
use crate::kept::{prefix_share, run_share};
use crate::lexeme::{lexemes, solid_chars};
use crate::{Kept, Region};

/// From this kept share on, a text counts as there in full: a lone bracket may be missing.
pub(crate) const WHOLE: f64 = 0.97;

/// A text of which one character in so many is missing is there less than [`WHOLE`].
const MOST_LEFT: u32 = 32;

/// Below this share in long runs, a text that was there is gone.
const GONE: f64 = 0.3;

/// Below this kept share, it is gone whatever else.
const LOST: f64 = 0.1;

/// Up to this kept share, what is kept may be a beginning and no more.
const HALF: f64 = 0.5;

/// What is kept beyond the proposal's beginning is chance, up to this share.
const CHANCE: f64 = 0.15;

/// Fewer characters than these are sooner typed than taken.
pub(crate) const FEW: u32 = 4;

/// What stands for the proposal: with the bracket that the editor had closed if the proposal closes it.
pub(crate) fn standing<'a>(wanted: &str, region: &Region<'a>) -> &'a str {
    let stands = region.stands.trim();
    if region.bare.len() == region.stands.len() {
        return stands;
    }
    if is_whole(wanted, stands, &Agreement::of(wanted, stands)) {
        stands
    } else {
        region.bare.trim()
    }
}

/// Whether a proposal stands in full, but for a lone bracket.
pub(crate) fn is_whole(wanted: &str, stands: &str, agreement: &Agreement) -> bool {
    !is_little(wanted, agreement)
        && (is_all(wanted, agreement) || prefix_share(wanted, stands) >= WHOLE)
}

/// Whether too much of a proposal is left for the whole of it, whatever its lexemes: told by the first few of the
/// characters that are.
pub(crate) fn is_little(wanted: &str, agreement: &Agreement) -> bool {
    let left = wanted[agreement.end..]
        .chars()
        .filter(|c| !c.is_whitespace());
    let most = agreement.chars / MOST_LEFT;
    left.take(most as usize + 1).count() > most as usize
}

/// Whether all of a proposal stands there, and its last word does not go on.
pub(crate) fn is_all(wanted: &str, agreement: &Agreement) -> bool {
    agreement.end == wanted.len() && agreement.is_of_words
}

/// Whether a proposal that stood there is gone, a word or a bracket of it aside.
pub(crate) fn is_gone(wanted: &str, stands: &str, kept: &Kept) -> bool {
    let is_broken = || {
        let has_line = |line: &str| {
            let line = line.trim();
            solid_chars(line) >= FEW && stands.lines().any(|other| other.trim() == line)
        };
        kept.prefix_share <= 0.0
            && run_share(wanted, stands) < GONE
            && !wanted.lines().any(has_line)
    };
    kept.share < LOST || is_broken()
}

/// Whether what is kept is the proposal's beginning, less than half of it, and little else.
pub(crate) fn is_beginning(kept: &Kept) -> bool {
    kept.prefix_share > 0.0 && kept.share < HALF && kept.share - kept.prefix_share < CHANCE
}

/// How much of the first `end` bytes of the proposal stands, as a share of the whole.
pub(crate) fn share_of_part(wanted: &str, end: usize, stands: &str) -> Kept {
    part_of_whole(Kept::measure(&wanted[..end], stands), wanted, end)
}

/// What is `kept` of the first `end` bytes of the proposal, as a share of the whole.
pub(crate) fn part_of_whole(kept: Kept, wanted: &str, end: usize) -> Kept {
    let part = f64::from(solid_chars(&wanted[..end])) / f64::from(solid_chars(wanted).max(1));
    Kept {
        share: kept.share * part,
        prefix_share: kept.prefix_share * part,
        ..kept
    }
}

/// How much of a proposal was typed by hand just as it was proposed, as a share of the whole, if that is half of it or
/// more.
pub(crate) fn typed_share(wanted: &str, stands: &str) -> Option<f64> {
    let (typed, all) = (Agreement::of(wanted, stands).chars, solid_chars(wanted));
    (all > 0 && typed * 2 >= all).then(|| f64::from(typed) / f64::from(all))
}

/// Where the first line of several ends.
pub(crate) fn first_line_end(wanted: &str) -> Option<usize> {
    wanted.find('\n').map(|end| wanted[..end].trim_end().len())
}

/// Where the first word of several ends.
pub(crate) fn first_word_end(wanted: &str) -> Option<usize> {
    let first = lexemes(wanted).first()?.text.len();
    (first < wanted.len()).then_some(first)
}

/// Where so many characters of `text` end in it when it is trimmed; `None` when it has no more than these.
pub(crate) fn end_of_chars(text: &str, chars: u32) -> Option<usize> {
    let (end, _) = text.char_indices().nth(chars as usize)?;
    let indentation = text.len() - text.trim_start().len();
    let end = end.saturating_sub(indentation).min(text.trim().len());
    (end > 0).then_some(end)
}
