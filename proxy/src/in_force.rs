//! Which policy is in force, and which ones were: kept on disk over restarts.

use std::fmt;
use std::fs;
use std::path::Path;

use echo_policy::PolicySpec;
use serde::{Deserialize, Serialize};

use crate::files::write_whole;

/// How the policy in force comes by what it knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It learns: this policy over everything in the log.
    Learning(PolicySpec),
    /// It does not: the published snapshot with this SHA-256.
    Frozen(String),
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Learning(spec) => spec.fmt(f),
            Self::Frozen(sha256) => write!(f, "snapshot {}", sha256.get(..12).unwrap_or(sha256)),
        }
    }
}

/// The policy in force, and those before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InForce {
    /// The policy.
    pub mode: Mode,
    /// Why it was put into force.
    pub reason: String,
    /// The policy that the configuration asked for at the time: when it asks for another one, that one is put into
    /// force.
    pub configured: PolicySpec,
    /// How often the gate has been asked on schedule since.
    pub looks: u64,
    /// What was in force before, the last one last.
    pub before: Vec<Mode>,
}

impl InForce {
    /// What the configuration asks for.
    pub fn configured(spec: &PolicySpec) -> Self {
        Self {
            mode: Mode::Learning(spec.clone()),
            reason: "configuration".to_owned(),
            configured: spec.clone(),
            looks: 0,
            before: Vec::new(),
        }
    }

    /// The same history with another policy in force.
    #[must_use]
    pub fn followed_by(mut self, mode: Mode, reason: &str) -> Self {
        if mode != self.mode {
            self.before.push(self.mode);
        }
        if self.before.len() > HISTORY {
            self.before.remove(0);
        }
        Self {
            mode,
            reason: reason.to_owned(),
            looks: 0,
            ..self
        }
    }

    /// What the configuration now asks for in force.
    #[must_use]
    pub fn configured_anew(self, spec: &PolicySpec) -> Self {
        Self {
            configured: spec.clone(),
            ..self.followed_by(Mode::Learning(spec.clone()), "configuration")
        }
    }

    /// The one before back in force; `None` if there was none.
    #[must_use]
    pub fn back(mut self) -> Option<Self> {
        let mode = self.before.pop()?;
        let reason = format!("rolled back to {mode}");
        Some(Self {
            mode,
            reason,
            looks: 0,
            ..self
        })
    }

    /// Reads it from a folder; nothing where it has never been written.
    ///
    /// # Errors
    ///
    /// In words, if the file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, String> {
        let path = folder.join(FILE);
        let at = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| at(&error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&error)),
        }
    }

    /// Writes it into a folder, whole or not at all.
    ///
    /// # Errors
    ///
    /// If the disk does not take it.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        write_whole(folder, FILE, &json)
    }
}

const FILE: &str = "in-force.json";

/// How many policies back one can go.
const HISTORY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> PolicySpec {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_in_force_comes_back_step_by_step() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(InForce::read(folder.path()), Ok(None));
        let start = InForce::configured(&spec("randucb"));
        let published = start
            .clone()
            .followed_by(Mode::Frozen("ab".repeat(32)), "published");
        let again = published
            .clone()
            .followed_by(Mode::Learning(spec("squarecb")), "published");
        again.write(folder.path()).unwrap();
        assert_eq!(InForce::read(folder.path()), Ok(Some(again.clone())));
        let back = again.back().unwrap();
        assert_eq!(
            (&back.mode, &back.before),
            (&published.mode, &published.before)
        );
        let back = back.back().unwrap();
        assert_eq!(back.mode, start.mode);
        assert!(back.reason.contains("randucb") && back.back().is_none());
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(InForce::read(folder.path()).unwrap_err().contains(FILE));
    }
}
