//! The arms in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use echo_model::CompletionModel;

use crate::arm::{Arm, ArmKind, ArmSettings};
use crate::config::{Config, ConfigError};
use crate::corpus::Corpus;
use crate::embedded;
use crate::roster::{Book, Roster};

/// The embedded models by kind.
pub type Embedded = BTreeMap<&'static str, Arc<dyn CompletionModel>>;

/// The arms that a configuration names, in its order.
#[derive(Debug, Clone, Default)]
pub struct Arms(Vec<Arc<Arm>>);

impl Arms {
    /// Makes the arms of a configuration, all embedded models where it names none, as the book has changed them. An arm
    /// whose settings are unchanged is taken over from `before`, with its breaker and its requests in flight. A model of
    /// a corpus of its own is trained, if that has not been done before.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when an arm names an embedded model that does not exist, or its address or key
    /// cannot be used.
    pub fn make(
        config: &Config,
        book: &Book,
        roster: &Roster,
        before: &Self,
    ) -> Result<Self, ConfigError> {
        let settings: Vec<ArmSettings> = if config.arms.is_empty() {
            roster
                .embedded
                .keys()
                .map(|kind| embedded_settings(kind, config))
                .collect()
        } else {
            config.arms.clone()
        };
        let settings = book.arms(settings, config)?;
        if settings.is_empty() {
            return Err(ConfigError::NoArms);
        }
        let make = |settings: ArmSettings| {
            if let Some(kept) = before.0.iter().find(|arm| *arm.settings() == settings) {
                return Ok(Arc::clone(kept));
            }
            let arm = if settings.kind == ArmKind::Embedded {
                let model = embedded_model(&settings, config, roster)?;
                Arm::embedded(settings, model)
            } else {
                Arm::new(settings, &roster.clients).map_err(ConfigError::Arm)?
            };
            Ok(Arc::new(arm))
        };
        settings
            .into_iter()
            .map(make)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// All arms.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Arm>> {
        self.0.iter()
    }

    /// The arm of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Arm>> {
        self.0.iter().find(|arm| arm.settings().name == name)
    }

    /// The arms' ids.
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|arm| arm.id().to_owned()).collect()
    }

    /// Those that can take a request now.
    pub fn eligible(&self) -> Vec<Arc<Arm>> {
        self.0
            .iter()
            .filter(|arm| arm.eligible())
            .cloned()
            .collect()
    }
}

fn embedded_settings(kind: &str, config: &Config) -> ArmSettings {
    let mut settings = ArmSettings::new(kind, ArmKind::Embedded);
    kind.clone_into(&mut settings.model);
    settings.concurrency = config.embedded.concurrency;
    settings
}

fn embedded_model(
    settings: &ArmSettings,
    config: &Config,
    roster: &Roster,
) -> Result<Arc<dyn CompletionModel>, ConfigError> {
    let own = if settings.corpus.is_empty() {
        None
    } else {
        let corpus = Corpus::find(&settings.corpus).map_err(|error| ConfigError::Value {
            key: format!("arm {:?}: corpus", settings.name),
            value: format!("{:?}", settings.corpus),
            expected: format!("folders of source code: {error}"),
        })?;
        let (bytes, folder) = (config.embedded.corpus_bytes, embedded::cache_folder());
        let trained = embedded::load_or_train(&corpus, bytes, &folder, &mut |_| ());
        Some(embedded::models_with(trained, &roster.project))
    };
    let embedded = own.as_ref().unwrap_or(&roster.embedded);
    let model = embedded.get(settings.model.as_str()).cloned();
    model.ok_or_else(|| ConfigError::Value {
        key: format!("arm {:?}: model", settings.name),
        value: format!("{:?}", settings.model),
        expected: format!(
            "one of the embedded models {:?}",
            embedded.keys().collect::<Vec<_>>()
        ),
    })
}
