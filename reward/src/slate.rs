use std::collections::VecDeque;

use crate::person::Person;
use crate::{Fate, Outcome, Proposal};

/// Sorts out what one look found of proposals that were made for the same place at the same time.
///
/// Some editors ask several times at once and let their user leaf through the answers. Of different texts
/// one at most was taken: that which stands there most fully. The first answer was shown before any other
/// and passed over, so it is rejected, unless the other was typed by hand; whether the user saw the rest is not known.
pub(crate) fn sort_out(
    open: &mut VecDeque<Box<Proposal>>,
    news: &mut Vec<(usize, Outcome)>,
    person: &Person,
    at_ms: i64,
) {
    let mut told: Vec<usize> = news.iter().map(|(index, _)| *index).collect();
    while let Some(index) = told.pop() {
        let slate: Vec<usize> = (0..open.len())
            .filter(|other| open[*other].is_of_slate(&open[index]))
            .collect();
        told.retain(|other| !slate.contains(other));
        if slate.len() < 2 {
            continue;
        }
        let kept = |index: usize| {
            let fate = open[index].outcome()?.fate;
            let rank = match fate {
                Fate::Accepted => 3,
                Fate::Partial if index == slate[0] => 2,
                Fate::Partial => 0,
                _ => 1,
            };
            Some((rank, open[index].kept_chars()))
        };
        // The first of those of which most stands; what was taken in part was taken in full elsewhere, and who took all
        // of a short one may have gone on as a long one does.
        let taken = slate.iter().rev().filter(|index| open[**index].is_taken());
        let winner = taken.copied().max_by_key(|index| kept(*index));
        let shown = open[slate[0]].text().trim().to_owned();
        let won = winner.map(|winner| open[winner].text().trim().to_owned());
        // Who types by hand may type what several begin with: what was shown is read by itself.
        let is_by_hand = |index: usize| {
            open[index]
                .outcome()
                .is_some_and(|outcome| outcome.fate == Fate::TypedThrough)
        };
        let is_typed = winner.is_some_and(is_by_hand);
        for index in slate {
            let text = open[index].text().trim();
            let is_rejected = open[index]
                .outcome()
                .is_some_and(|o| matches!(o.fate, Fate::Rejected | Fate::Censored));
            let is_over = match &won {
                Some(won) => text != won,
                None => is_rejected && text != shown,
            };
            let was_shown = text == shown;
            if is_over && !(was_shown && is_typed) {
                let outcome = open[index].pass_over(was_shown, won.is_some(), person, at_ms);
                news.retain(|(told, _)| *told != index);
                news.extend(outcome.map(|outcome| (index, outcome)));
            }
        }
    }
}

/// What one look found to be put in is one proposal that stands in full, if there is one: others that are only like it
/// were not taken, unless it was on the screen before them and for another place. `before` tells which were taken before
/// the look.
pub(crate) fn give_way(
    open: &mut VecDeque<Box<Proposal>>,
    news: &mut Vec<(usize, Outcome)>,
    before: &[bool],
    person: &Person,
    at_ms: i64,
) {
    let is_new = |index: usize| before.get(index) == Some(&false);
    let whole =
        |(index, outcome): &(usize, Outcome)| is_new(*index) && outcome.fate == Fate::Accepted;
    let whole: Vec<usize> = news
        .iter()
        .filter(|told| whole(told))
        .map(|(index, _)| *index)
        .collect();
    for (index, outcome) in news {
        let is_other = |other: &usize| other > index || open[*other].is_of_slate(&open[*index]);
        if is_new(*index)
            && outcome.fate == Fate::Refined
            && whole.iter().any(is_other)
            && let Some(rejected) = open[*index].pass_over(true, false, person, at_ms)
        {
            *outcome = rejected;
        }
    }
}
