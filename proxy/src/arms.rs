//! The arms in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use echo_model::CompletionModel;

use crate::arm::{Arm, ArmKind, ArmSettings};
use crate::config::{Config, ConfigError};
use crate::upstream::Clients;

/// The embedded models by kind.
pub type Embedded = BTreeMap<&'static str, Arc<dyn CompletionModel>>;

/// The arms that a configuration names, in its order.
#[derive(Debug, Clone, Default)]
pub struct Arms(Vec<Arc<Arm>>);

impl Arms {
    /// Makes the arms of a configuration: all embedded models where it names none. An arm whose
    /// settings are unchanged is taken over from `before`, with its breaker and its requests in flight.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when an arm names an embedded model that does not exist, or its address or key
    /// cannot be used.
    pub fn make(
        config: &Config,
        embedded: &Embedded,
        clients: &Clients,
        before: &Self,
    ) -> Result<Self, ConfigError> {
        let settings: Vec<ArmSettings> = if config.arms.is_empty() {
            embedded
                .keys()
                .map(|kind| embedded_settings(kind, config))
                .collect()
        } else {
            config.arms.clone()
        };
        if settings.is_empty() {
            return Err(ConfigError::NoArms);
        }
        let make = |settings: ArmSettings| {
            if let Some(kept) = before.0.iter().find(|arm| *arm.settings() == settings) {
                return Ok(Arc::clone(kept));
            }
            let arm = if settings.kind == ArmKind::Embedded {
                let model = embedded_model(&settings, embedded)?;
                Arm::embedded(settings, model)
            } else {
                Arm::new(settings, clients).map_err(ConfigError::Arm)?
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
    embedded: &Embedded,
) -> Result<Arc<dyn CompletionModel>, ConfigError> {
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
