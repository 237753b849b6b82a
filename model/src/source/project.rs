//! The user's other files.

use std::sync::Arc;

use super::{Place, Source, count_in};
use crate::{project_cache::ProjectFile, tally::Tally};

/// The files a user has sent or kept, without the one being written.
#[derive(Debug)]
pub(crate) struct ProjectSource<'a> {
    /// Latest first.
    pub(crate) files: &'a [Arc<ProjectFile>],
    /// Weight of an occurrence.
    pub(crate) weight: f32,
}

impl<'a> Source<'a> for ProjectSource<'a> {
    fn count(&self, place: &Place, tally: &mut Tally<'a>) {
        for file in self.files {
            count_in(
                &file.sequence.symbols,
                LEAST,
                |index| file.core(index),
                place,
                tally,
                |_| self.weight,
            );
        }
    }
}

/// Tokens of context that must be shared: a single one says little and is found too often.
const LEAST: usize = 2;
