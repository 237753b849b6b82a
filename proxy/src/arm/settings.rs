//! What a configuration says of an arm.

use std::fmt;
use std::str::FromStr;

use super::breaker::BreakerSettings;
use crate::fim::FimTemplate;
use crate::upstream::Secret;

/// One arm of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmSettings {
    /// Its name, unique in a configuration.
    pub name: String,
    /// Goes up when the model behind the name changes, so that its rewards start anew.
    pub version: u32,
    /// How its upstream is spoken to.
    pub kind: ArmKind,
    /// Address of the server, with `/v1` where the server wants it; empty for an embedded model.
    pub url: String,
    /// The model's name at the server; may be empty.
    pub model: String,
    /// Folders of source code that an embedded model is trained from, in place of the configured ones.
    pub corpus: Vec<std::path::PathBuf>,
    /// The template to render requests with; without one the server gets prefix and suffix.
    pub template: Option<FimTemplate>,
    /// The server's key.
    pub key: Option<Secret>,
    /// Deadline for the connection, in milliseconds.
    pub connect_ms: u64,
    /// Deadline for the first text of a streamed answer since the start, in milliseconds.
    pub first_byte_ms: u64,
    /// Longest pause between two pieces, in milliseconds.
    pub idle_ms: u64,
    /// Deadline for the whole answer since the start, in milliseconds; a client that reads slowly
    /// counts.
    pub total_ms: u64,
    /// Requests that it may answer at the same time, at least 1.
    pub concurrency: usize,
    /// Upper bound of every request's `max_tokens`.
    pub max_tokens: Option<u32>,
    /// When the arm is left alone.
    pub breaker: BreakerSettings,
}

impl ArmSettings {
    /// An arm with every other setting at its default.
    pub fn new(name: impl Into<String>, kind: ArmKind) -> Self {
        Self {
            name: name.into(),
            version: 1,
            kind,
            url: String::new(),
            model: String::new(),
            corpus: Vec::new(),
            template: None,
            key: None,
            connect_ms: 2_000,
            first_byte_ms: 10_000,
            idle_ms: 10_000,
            total_ms: 60_000,
            concurrency: 32,
            max_tokens: None,
            breaker: BreakerSettings::default(),
        }
    }
}

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArmKind {
    /// `POST {url}/completions`.
    OpenAi,
    /// `POST {url}/infill`.
    LlamaCpp,
    /// `POST {url}/api/generate`.
    Ollama,
    /// A model inside this process.
    Embedded,
}

impl ArmKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::LlamaCpp, Self::Ollama, Self::Embedded];

    /// The name that a configuration uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::LlamaCpp => "llama-cpp",
            Self::Ollama => "ollama",
            Self::Embedded => "embedded",
        }
    }
}

impl fmt::Display for ArmKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for ArmKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// No kind of arm has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind(pub String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "one of openai, llama-cpp, ollama and embedded, not {:?}",
            self.0
        )
    }
}

impl std::error::Error for UnknownKind {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_name() {
        for kind in ArmKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        let error = "vllm".parse::<ArmKind>();
        assert_eq!(error, Err(UnknownKind("vllm".into())));
    }

    #[test]
    fn settings_do_not_show_the_key() {
        let mut settings = ArmSettings::new("a", ArmKind::OpenAi);
        settings.key = Some(Secret::new("canary".into()));
        assert!(!format!("{settings:?}").contains("canary"));
    }
}
