use echo_experience::{Decision, LOCAL_TENANT};
use echo_policy::{Facts, FeatureSchema, Features};

use crate::error::FoldError;

/// Reads the contexts of logged decisions under one feature schema.
///
/// Decisions that were logged under it have their features on record. Those logged under older rules of the same
/// dimension get theirs anew from their facts, as if the newer rules had been there already: a log outlives the rules
/// that it began with. Decisions under rules that are not known here have none.
#[derive(Debug, Clone)]
pub(crate) struct Contexts {
    schema: FeatureSchema,
    hash: String,
    older: Vec<String>,
}

impl Contexts {
    /// Reads under `schema`.
    pub(crate) fn new(schema: &FeatureSchema) -> Self {
        Self {
            schema: *schema,
            hash: schema.hash(),
            older: schema.older().map(|older| older.hash()).collect(),
        }
    }

    /// The schema.
    pub(crate) fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// Whether a decision's features were made under this very schema.
    pub(crate) fn logged(&self, decision: &Decision) -> bool {
        decision.schema == self.hash
    }

    /// The features of a decision; `None` if it was made under rules that are not known here.
    ///
    /// # Errors
    ///
    /// [`FoldError`] if what is logged can be no context.
    pub(crate) fn of(&self, decision: &Decision) -> Result<Option<Features>, FoldError> {
        if self.logged(decision) {
            return self.on_record(decision).map(Some);
        }
        if !self.older.contains(&decision.schema) {
            return Ok(None);
        }
        let facts: Result<Facts, _> = serde_json::from_str(&decision.facts);
        let mut facts = facts.map_err(|error| FoldError::Features(error.to_string()))?;
        if decision.tenant != LOCAL_TENANT {
            facts.tenant.get_or_insert_with(|| decision.tenant.clone());
        }
        Ok(Some(self.schema.featurise(&facts)))
    }

    /// The features that a decision's record holds.
    ///
    /// # Errors
    ///
    /// [`FoldError`] if they cannot be of this schema.
    pub(crate) fn on_record(&self, decision: &Decision) -> Result<Features, FoldError> {
        Features::from_logged(decision.features.clone(), &self.schema)
            .map_err(|error| FoldError::Features(error.to_string()))
    }
}
