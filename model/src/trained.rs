//! Trained tables.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use crate::{Language, ModelError, format, table::Table, vocabulary::Vocabulary};

/// The global tables, one per language, shared by the arms that know the corpus.
#[derive(Debug, Default)]
pub struct TrainedModels {
    fingerprint: String,
    vocabulary: Vocabulary,
    tables: BTreeMap<Language, Table>,
}

impl TrainedModels {
    /// Models that know nothing: the arms that need a corpus stay silent.
    pub fn empty(fingerprint: &str) -> Self {
        Self::new(fingerprint, Vocabulary::default(), BTreeMap::new())
    }

    pub(crate) fn new(
        fingerprint: &str,
        vocabulary: Vocabulary,
        tables: BTreeMap<Language, Table>,
    ) -> Self {
        let end = fingerprint.floor_char_boundary(MAX_FINGERPRINT);
        Self {
            fingerprint: fingerprint[..end].to_owned(),
            vocabulary,
            tables,
        }
    }

    /// The corpus these models were trained on, as its caller named it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The number of corpus tokens per language, in the order of the languages.
    pub fn tokens(&self) -> Vec<(Language, usize)> {
        self.tables
            .iter()
            .map(|(&language, table)| (language, table.text().len()))
            .collect()
    }

    /// The number of distinct token texts known.
    pub fn words(&self) -> usize {
        self.vocabulary.len() as usize
    }

    /// Writes the models in their own format, SHA-256 at the end. Writes large blocks only.
    ///
    /// # Errors
    /// The writer's.
    pub fn save(&self, writer: impl Write) -> Result<(), ModelError> {
        format::save(writer, &self.fingerprint, &self.vocabulary, &self.tables)
    }

    /// Reads what [`TrainedModels::save`] wrote, to its end and no further.
    ///
    /// # Errors
    /// Foreign, newer, truncated, oversized and corrupted files are refused.
    pub fn load(reader: impl Read) -> Result<Self, ModelError> {
        let (fingerprint, vocabulary, tables) = format::load(reader)?;
        Ok(Self {
            fingerprint,
            vocabulary,
            tables,
        })
    }

    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The table of a language, or of its nearest kin that has one.
    pub(crate) fn table(&self, language: Language) -> Option<&Table> {
        language.kin().iter().find_map(|kin| self.tables.get(kin))
    }
}

/// The most bytes of a corpus fingerprint that are kept.
pub const MAX_FINGERPRINT: usize = 4096;
