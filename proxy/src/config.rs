//! Configuration: the file as written, and the checked form that the program uses.

mod check;
mod file;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use echo_experience::LogOptions;
use echo_policy::training::Recipe;
use echo_policy::{PolicySpec, SnapshotKey};
use echo_reward::{Scoring, TrackerLimits};
use echo_sim::Level;
use sha2::{Digest, Sha256};

use crate::arm::{ArmKind, ArmSettings, Secret};
use crate::auth::Keys;

pub use check::ConfigError;
pub(crate) use check::ROUTED;
pub use file::{
    AdminFile, ArmDefaultsFile, ArmFile, ConfigFile, ControlFile, EmbeddedFile, GateFile, KeyFile,
    LogFile, PassthroughFile, PolicyFile, RewardFile, ServerFile,
};

/// The whole configuration as a commented file, with every key at its default.
pub const DEFAULT_TOML: &str = include_str!("../config/echo.toml");

/// A configuration that has been checked: no other code reads files or variables for settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bounds of the server.
    pub server: ServerFile,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The API keys that are accepted; none on a loopback address means that none is asked for.
    pub keys: Keys,
    /// How a decision's text is kept and waited for.
    pub log: LogFile,
    /// The policy of the routed traffic.
    pub policy: PolicySpec,
    /// Periods and bounds of learning.
    pub learning: PolicyFile,
    /// The key that snapshots are signed with, and must be.
    pub sign_key: Option<SnapshotKey>,
    /// What a candidate must show to take over.
    pub gate: Gate,
    /// Where an operator is listened to.
    pub admin: Admin,
    /// The share of users outside of learning.
    pub control: ControlFile,
    /// What an outcome is worth.
    pub scoring: Scoring,
    /// Periods and bounds of following proposals.
    pub reward: RewardFile,
    /// The embedded models' corpus.
    pub embedded: EmbeddedFile,
    /// Where requests that are none of Echo's go.
    pub passthrough: PassthroughFile,
    /// The key for that upstream.
    pub passthrough_key: Option<Secret>,
    /// The arms, by name, in the order of the file; none means all embedded models.
    pub arms: Vec<ArmSettings>,
    /// Bounds of arms that do not set their own.
    pub arm_defaults: ArmDefaultsFile,
    /// SHA-256 of the file's text, in hexadecimal.
    pub sha256: String,
}

/// What a candidate must show to take over.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The section of the file.
    pub file: GateFile,
    /// Who is judged on schedule.
    pub candidates: Vec<Candidate>,
    /// The policy that decides by a trained model.
    pub trained_spec: PolicySpec,
    /// Nominal coverage.
    pub level: Level,
}

/// Who is judged on schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum Candidate {
    /// A policy that learns, or does not.
    Policy(PolicySpec),
    /// A policy by a model that is trained for the occasion.
    Trained(Recipe),
}

/// Where an operator is listened to.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Whether there is a socket in the data directory, for the user that the server runs as.
    pub socket: bool,
    /// An address besides.
    pub listen: Option<SocketAddr>,
    /// The token that is asked for there.
    pub token: Option<Secret>,
    /// Largest body in bytes.
    pub body_bytes: usize,
}

impl Config {
    /// Reads and checks a file; the defaults where there is none.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong and where.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let text = match path {
            None => String::new(),
            Some(path) => {
                std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                    path: path.to_owned(),
                    source,
                })?
            }
        };
        let environment = |name: &str| std::env::var(name).ok();
        Self::parse(&text, &environment)
    }

    /// Checks the text of a file. Keys of upstreams come from files, or from the `environment`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong and where.
    pub fn parse(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let file: ConfigFile =
            toml::from_str(text).map_err(|e| ConfigError::Syntax(e.to_string()))?;
        check::check(file, digest(text), environment)
    }

    /// Whether `listen` may be served without keys.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeysMissing`] for an address that others can reach.
    pub fn check_listen(&self, listen: SocketAddr) -> Result<(), ConfigError> {
        if listen.ip().is_loopback() || !self.keys.is_empty() {
            return Ok(());
        }
        Err(ConfigError::KeysMissing(listen))
    }

    /// Bounds of the experience log.
    pub fn log_options(&self) -> LogOptions {
        LogOptions {
            queue_records: self.log.queue_records,
            queue_bytes: self.log.queue_bytes,
            seal_records: self.log.seal_records,
            seal_after: std::time::Duration::from_secs(self.log.seal_s),
            ..LogOptions::default()
        }
    }

    /// Bounds of following one user's proposals.
    pub fn tracker_limits(&self) -> TrackerLimits {
        TrackerLimits {
            open: self.reward.open_per_user,
            quiet_ms: self.reward.quiet_ms,
            longest_ms: self.reward.longest_ms,
        }
    }

    /// The settings of an arm as the file would have it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong with it.
    pub fn arm(&self, arm: &ArmFile) -> Result<ArmSettings, ConfigError> {
        let environment = |name: &str| std::env::var(name).ok();
        check::arm_settings(arm, &self.arm_defaults, &environment)
    }

    /// Whether any arm is an embedded model.
    pub fn needs_embedded(&self) -> bool {
        self.arms.is_empty() || self.arms.iter().any(|arm| arm.kind == ArmKind::Embedded)
    }

    /// The corpus folders named, as paths.
    pub fn corpus(&self) -> Vec<PathBuf> {
        self.embedded.corpus.iter().map(PathBuf::from).collect()
    }
}

fn digest(text: &str) -> String {
    crate::ids::hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        let environment = |name: &str| (name == "THE_KEY").then(|| "secret".to_owned());
        Config::parse(text, &environment)
    }

    #[test]
    fn the_commented_file_states_the_defaults() {
        let written: ConfigFile = toml::from_str(DEFAULT_TOML).unwrap();
        assert_eq!(written, ConfigFile::default());
        let keys = |value: &toml::Table| -> Vec<String> {
            let section = |(name, value): (&String, &toml::Value)| match value {
                toml::Value::Table(table) => {
                    table.keys().map(|key| format!("{name}.{key}")).collect()
                }
                _ => vec![name.clone()],
            };
            value.iter().flat_map(section).collect()
        };
        let all = toml::Table::try_from(ConfigFile::default()).unwrap();
        let commented: toml::Table = toml::from_str(DEFAULT_TOML).unwrap();
        assert_eq!(
            keys(&commented),
            keys(&all),
            "every key stands in the commented file"
        );
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let arm = "[[arm]]\nname = \"a\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\n";
        let cases = [
            ("[server]\nlisten_to = \"x\"", "listen_to"),
            ("[server]\nlisten = \"nowhere\"", "nowhere"),
            ("[server]\nconnections = 0", "connections"),
            ("[server]\nconnections = \"many\"", "line 2"),
            ("[policy]\nspec = \"best\"", "best"),
            ("[policy]\nspec = \"squarecb:floor=0\"", "floor"),
            ("[control]\nshare = 1.0", "share"),
            ("[policy]\nsign_key_env = \"NO_KEY\"", "NO_KEY"),
            ("[policy]\nsign_key_env = \"THE_KEY\"", "16 bytes"),
            ("[gate]\ncandidates = [\"best\"]", "best"),
            ("[gate]\ncandidates = [\"train:forest\"]", "forest"),
            ("[gate]\ntrained_spec = \"squarecb:floor=0\"", "floor"),
            ("[gate]\nlevel = 1.0", "level"),
            ("[gate]\nsplit = 0.0", "split"),
            ("[gate]\ntrial_share = 0.0", "trial_share"),
            ("[admin]\nlisten = \"127.0.0.1:1\"", "token_env"),
            (
                "[admin]\nlisten = \"here\"\ntoken_env = \"THE_KEY\"",
                "here",
            ),
            ("[reward]\nscorer = \"liked@1\"", "liked@1"),
            (
                "[reward]\nscorer = \"codebleu@1\"",
                "can only be asked of outcomes",
            ),
            ("[passthrough]\nurl = \"ftp://x\"", "passthrough.url"),
            ("[passthrough]\nkey_env = \"NO_KEY\"", "NO_KEY"),
            (
                "[passthrough]\nkey_env = \"THE_KEY\"\nforward_authorization = true",
                "not both",
            ),
            ("[[arm]]\nname = \"a\"\nkind = \"vllm\"", "vllm"),
            (
                "[[arm]]\nname = \"echo\"\nkind = \"embedded\"\nmodel = \"ngram\"",
                "echo",
            ),
            (
                "[[arm]]\nname = \"a@b\"\nkind = \"embedded\"\nmodel = \"ngram\"",
                "a@b",
            ),
            ("[[arm]]\nname = \"a\"\nkind = \"openai\"", "url"),
            (
                "[[arm]]\nname = \"a\"\nkind = \"openai\"\nurl = \"ftp://x\"",
                "ftp",
            ),
            (&format!("{arm}{arm}"), "twice"),
            (&format!("{arm}key_env = \"NO_KEY\""), "NO_KEY"),
            (&format!("{arm}template = \"jinja\""), "jinja"),
            (
                "[[key]]\nname = \"a\"\ntenant = \"t\"\nsha256 = \"12\"",
                "sha256",
            ),
        ];
        for (text, expected) in cases {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text:?} says {error:?}");
        }
    }

    #[test]
    fn a_key_never_shows() {
        let text = "[[arm]]\nname = \"a\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\nkey_env = \"THE_KEY\"";
        let config = parse(text).unwrap();
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn an_open_address_needs_keys() {
        let config = parse("").unwrap();
        assert!(config.check_listen("127.0.0.1:0".parse().unwrap()).is_ok());
        assert!(config.check_listen("0.0.0.0:80".parse().unwrap()).is_err());
    }
}
