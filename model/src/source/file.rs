//! The file being written: what stands before and after the cursor.

use super::{Place, Source, count_in};
use crate::{situation::Situation, tally::Tally};

/// The tokens around the cursor. Nearer ones before the cursor weigh more.
#[derive(Debug)]
pub(crate) struct FileSource<'a> {
    pub(crate) situation: &'a Situation<'a>,
    /// Weight of an occurrence.
    pub(crate) weight: f32,
}

impl<'a> Source<'a> for FileSource<'a> {
    fn count(&self, place: &Place, tally: &mut Tally<'a>) {
        let Situation {
            before,
            head,
            after,
            tail,
            ..
        } = self.situation;
        let (before_length, weight) = (before.len(), self.weight);
        let near = move |index: usize| weight * nearness(before_length - index);
        count_in(
            &before.symbols,
            LEAST,
            |index| before.core(head, index),
            place,
            tally,
            near,
        );
        count_in(
            &after.symbols,
            LEAST,
            |index| after.core(tail, index),
            place,
            tally,
            |_| weight,
        );
    }
}

/// From 2 next to the cursor down towards 1.
fn nearness(distance: usize) -> f32 {
    1.0 + 1.0 / (1.0 + distance as f32 / NEAR)
}

/// The distance in tokens at which nearness counts half.
const NEAR: f32 = 200.0;

/// Tokens of context that must be shared.
const LEAST: usize = 1;
