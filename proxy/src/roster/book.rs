//! What an operator has said of arms beyond the configuration: kept on disk over restarts.

use std::fmt;
use std::fs;
use std::path::Path;

use echo_policy::ShareBound;
use serde::{Deserialize, Serialize};

use crate::arm::ArmSettings;
use crate::config::{ArmFile, Config, ConfigError};
use crate::files::write_whole;

/// How far an arm has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It gets a bounded share of the requests, until it is promoted or retired.
    Trial,
    /// It stands in the place of the versions before it.
    Promoted,
    /// It is asked no more.
    Retired,
}

/// An arm that was added at run time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Added {
    /// The arm, as a configuration would name it.
    pub arm: ArmFile,
    /// How far it has come.
    pub stage: Stage,
    /// The greatest share of requests that it gets while on trial, in (0, 1].
    pub share: f64,
    /// The last record of the log before it was added.
    pub after_seq: u64,
    /// When it was added, unix milliseconds.
    pub at_ms: i64,
}

/// Everything said of arms at run time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// Arms that were added.
    pub added: Vec<Added>,
    /// Arms of the configuration that are asked no more, as `name@version`.
    pub retired: Vec<String>,
}

/// Why the book is not changed.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are the values at fault")]
pub enum BookError {
    /// No arm has this id.
    Unknown(String),
    /// An arm of this id is there already.
    Known(String),
    /// The arm is not on trial, or nothing was promoted.
    Stage { arm: String, needed: &'static str },
    /// The share is not in (0, 1].
    Share(f64),
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(arm) => write!(f, "there is no arm {arm:?}"),
            Self::Known(arm) => write!(f, "there is an arm {arm:?} already: give a higher version"),
            Self::Stage { arm, needed } => write!(f, "arm {arm:?} {needed}"),
            Self::Share(share) => write!(f, "the share {share} is not in (0, 1]"),
        }
    }
}

impl std::error::Error for BookError {}

impl Added {
    /// `name@version`.
    pub fn id(&self) -> String {
        format!("{}@{}", self.arm.name, self.arm.version)
    }
}

impl Book {
    /// Reads the book of a data directory; an empty one where there is none.
    ///
    /// # Errors
    ///
    /// In words, if the file cannot be read.
    pub fn read(data_dir: &Path) -> Result<Self, String> {
        let path = data_dir.join(FILE);
        let at = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| at(&error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(at(&error)),
        }
    }

    /// Moves a book that cannot be read out of the way of the next one.
    pub fn put_aside(data_dir: &Path) {
        let path = data_dir.join(FILE);
        if let Err(error) = fs::rename(&path, data_dir.join(format!("{FILE}.damaged"))) {
            tracing::warn!(%error, "the damaged book stays where it is");
        }
    }

    /// Writes the book, whole or not at all.
    ///
    /// # Errors
    ///
    /// If the disk does not take it.
    pub fn write(&self, data_dir: &Path) -> std::io::Result<()> {
        let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        write_whole(data_dir, FILE, &json)
    }

    /// The arms in force: those of the configuration and the added ones, without the retired ones and those in whose
    /// place a promoted one stands. What the configuration has come to name itself counts as configured.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if an added arm cannot be set up.
    pub fn arms(
        &self,
        configured: Vec<ArmSettings>,
        config: &Config,
    ) -> Result<Vec<ArmSettings>, ConfigError> {
        let mut arms = configured;
        for added in self.live() {
            let settings = config.arm(&added.arm)?;
            let is_there =
                |arm: &ArmSettings| arm.name == settings.name && arm.version >= settings.version;
            if arms.iter().any(is_there) {
                continue;
            }
            if added.stage == Stage::Promoted {
                arms.retain(|arm| arm.name != settings.name || arm.version > settings.version);
            }
            arms.push(settings);
        }
        arms.retain(|arm| {
            !self
                .retired
                .contains(&format!("{}@{}", arm.name, arm.version))
        });
        Ok(arms)
    }

    /// The bounds on the shares of arms on trial.
    pub fn bounds(&self) -> Vec<ShareBound> {
        let trials = self
            .added
            .iter()
            .filter(|added| added.stage == Stage::Trial);
        let bound = |added: &Added| ShareBound {
            pattern: added.id(),
            least: 0.0,
            most: added.share,
        };
        trials.map(bound).collect()
    }

    /// Arms on trial.
    pub fn trials(&self) -> impl Iterator<Item = &Added> {
        self.added
            .iter()
            .filter(|added| added.stage == Stage::Trial)
    }

    /// Puts an arm on trial. `known` are the ids of the arms in force.
    ///
    /// # Errors
    ///
    /// [`BookError`] for a share that is none, or an id that was there before.
    pub fn add(&mut self, added: Added, known: &[String]) -> Result<(), BookError> {
        if !(added.share > 0.0 && added.share <= 1.0) {
            return Err(BookError::Share(added.share));
        }
        let id = added.id();
        if known.contains(&id) || self.added.iter().any(|other| other.id() == id) {
            return Err(BookError::Known(id));
        }
        self.added.push(added);
        Ok(())
    }

    /// Puts an arm on trial into the place of the versions before it.
    ///
    /// # Errors
    ///
    /// [`BookError`] for an arm that is not on trial.
    pub fn promote(&mut self, id: &str) -> Result<(), BookError> {
        let added = self.find(id)?;
        if added.stage != Stage::Trial {
            return Err(BookError::Stage {
                arm: id.to_owned(),
                needed: "is not on trial",
            });
        }
        added.stage = Stage::Promoted;
        Ok(())
    }

    /// Asks an arm no more, whether it was added or is configured. `known` are the ids of the arms in force.
    ///
    /// # Errors
    ///
    /// [`BookError`] for an arm that is not in force.
    pub fn retire(&mut self, id: &str, known: &[String]) -> Result<(), BookError> {
        if let Ok(added) = self.find(id) {
            added.stage = Stage::Retired;
            return Ok(());
        }
        if !known.iter().any(|other| other == id) {
            return Err(BookError::Unknown(id.to_owned()));
        }
        self.retired.push(id.to_owned());
        Ok(())
    }

    /// Takes the last promotion of a name back, or else the last retirement of a configured arm of that name. Returns
    /// the id of the arm that is thereby out of force, or back in it.
    ///
    /// # Errors
    ///
    /// [`BookError`] where there is nothing to take back.
    pub fn roll_back(&mut self, name: &str) -> Result<String, BookError> {
        let promoted =
            |added: &&mut Added| added.arm.name == name && added.stage == Stage::Promoted;
        if let Some(added) = self.added.iter_mut().rfind(promoted) {
            added.stage = Stage::Retired;
            return Ok(added.id());
        }
        let of_name = |id: &String| id.rsplit_once('@').is_some_and(|(other, _)| other == name);
        if let Some(at) = self.retired.iter().rposition(of_name) {
            return Ok(self.retired.remove(at));
        }
        Err(BookError::Stage {
            arm: name.to_owned(),
            needed: "has no promoted version and no retired one",
        })
    }

    /// The version that the next arm of a name gets. `known` are the ids of the arms in force.
    pub fn next_version(&self, name: &str, known: &[String]) -> u32 {
        let added = self.added.iter().filter(|added| added.arm.name == name);
        let added = added.map(|added| added.arm.version);
        let known = known.iter().chain(&self.retired).filter_map(|id| {
            let (other, version) = id.rsplit_once('@')?;
            if other == name {
                version.parse().ok()
            } else {
                None
            }
        });
        added.chain(known).max().map_or(1, |version| version + 1)
    }

    fn find(&mut self, id: &str) -> Result<&mut Added, BookError> {
        let found = self
            .added
            .iter_mut()
            .find(|added| added.id() == id && added.stage != Stage::Retired);
        found.ok_or_else(|| BookError::Unknown(id.to_owned()))
    }

    fn live(&self) -> impl Iterator<Item = &Added> {
        self.added
            .iter()
            .filter(|added| added.stage != Stage::Retired)
    }
}

const FILE: &str = "models.json";

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let arm = "[[arm]]\nname = \"a\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:1/v1\"\n";
        let other = arm.replace("\"a\"", "\"b\"");
        Config::parse(&format!("{arm}{other}"), &|_| None).unwrap()
    }

    fn added(name: &str, version: u32) -> Added {
        let text = format!(
            "name = \"{name}\"\nversion = {version}\nkind = \"openai\"\nurl = \"http://127.0.0.1:2/v1\"\n"
        );
        Added {
            arm: toml::from_str(&text).unwrap(),
            stage: Stage::Trial,
            share: 0.1,
            after_seq: 7,
            at_ms: 0,
        }
    }

    fn ids(book: &Book) -> Vec<String> {
        let config = config();
        let arms = book.arms(config.arms.clone(), &config).unwrap();
        arms.iter()
            .map(|arm| format!("{}@{}", arm.name, arm.version))
            .collect()
    }

    #[test]
    fn a_version_is_tried_promoted_and_taken_back() {
        let mut book = Book::default();
        let known = ids(&book);
        assert_eq!(known, ["a@1", "b@1"]);
        assert_eq!(book.next_version("a", &known), 2);
        book.add(added("a", 2), &known).unwrap();
        assert_eq!(ids(&book), ["a@1", "b@1", "a@2"]);
        assert_eq!(book.bounds()[0].pattern, "a@2");
        assert!(book.add(added("a", 2), &known).is_err());
        book.promote("a@2").unwrap();
        assert_eq!(ids(&book), ["b@1", "a@2"]);
        assert!(book.bounds().is_empty() && book.promote("a@2").is_err());
        assert_eq!(book.roll_back("a").unwrap(), "a@2");
        assert_eq!(ids(&book), ["a@1", "b@1"]);
        assert_eq!(book.next_version("a", &known), 3);
        assert!(book.roll_back("a").is_err());
    }

    #[test]
    fn configured_arms_are_retired_and_come_back() {
        let mut book = Book::default();
        let known = ids(&book);
        book.retire("b@1", &known).unwrap();
        assert_eq!(ids(&book), ["a@1"]);
        assert!(book.retire("c@1", &known).is_err());
        assert_eq!(book.roll_back("b").unwrap(), "b@1");
        assert_eq!(ids(&book), known);
        let folder = tempfile::tempdir().unwrap();
        book.add(added("c", 1), &known).unwrap();
        book.write(folder.path()).unwrap();
        assert_eq!(Book::read(folder.path()), Ok(book));
        fs::write(folder.path().join(FILE), "[").unwrap();
        assert!(Book::read(folder.path()).unwrap_err().contains(FILE));
        Book::put_aside(folder.path());
        assert_eq!(Book::read(folder.path()), Ok(Book::default()));
    }

    #[test]
    fn what_the_configuration_names_itself_is_not_there_twice() {
        let mut book = Book::default();
        book.add(added("a", 1), &[]).unwrap();
        assert_eq!(ids(&book), ["a@1", "b@1"]);
        let mut none = added("a", 5);
        none.share = 0.0;
        assert!(book.add(none, &[]).is_err());
    }
}
