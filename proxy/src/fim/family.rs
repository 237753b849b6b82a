//! The families and their names.

use std::fmt;
use std::str::FromStr;

use super::spelling::{
    CODE_GEEX, CODE_GEMMA, CODE_LLAMA, CODESTRAL, DEEP_SEEK_CODER, GLM, GRANITE, QWEN, SANTA_CODER,
    SEED_CODER, STAR_CODER, Spelling, TABBY,
};

/// A model family's way to write a fill-in-the-middle prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FimTemplate {
    /// Code Llama, and Twinny's default: `<PRE> p <SUF>s <MID>`.
    CodeLlama,
    /// `StarCoder`, `StarCoder2`, `StableCode`: `<fim_prefix>p<fim_suffix>s<fim_middle>`.
    StarCoder,
    /// `SantaCoder`: as [`FimTemplate::StarCoder`], written with hyphens.
    SantaCoder,
    /// DeepSeek-Coder: `<｜fim▁begin｜>p<｜fim▁hole｜>s<｜fim▁end｜>` (full-width bars).
    DeepSeekCoder,
    /// Qwen2.5-Coder and Mercury: `<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>`.
    Qwen,
    /// `CodeGemma`: Qwen's tokens with another file separator.
    CodeGemma,
    /// Granite 3.3 and 4: Qwen's tokens with another end of text.
    Granite,
    /// Codestral: `[SUFFIX]s[PREFIX]p`.
    Codestral,
    /// Seed-Coder: `<[fim-suffix]>s<[fim-prefix]>p<[fim-middle]>`.
    SeedCoder,
    /// GLM-4 and 4.5: `<|code_prefix|>p<|code_suffix|>s<|code_middle|>`.
    Glm,
    /// `CodeGeeX4`: GLM's tokens, suffix first, inside a chat turn.
    CodeGeeX,
    /// Tabby's server, whatever its model: `p<|FIM|>s`.
    Tabby,
}

impl FimTemplate {
    /// Every family, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::CodeLlama,
        Self::StarCoder,
        Self::SantaCoder,
        Self::DeepSeekCoder,
        Self::Qwen,
        Self::CodeGemma,
        Self::Granite,
        Self::Codestral,
        Self::SeedCoder,
        Self::Glm,
        Self::CodeGeeX,
        Self::Tabby,
    ];

    /// The name that a configuration uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CodeLlama => "codellama",
            Self::StarCoder => "starcoder",
            Self::SantaCoder => "santacoder",
            Self::DeepSeekCoder => "deepseek-coder",
            Self::Qwen => "qwen",
            Self::CodeGemma => "codegemma",
            Self::Granite => "granite",
            Self::Codestral => "codestral",
            Self::SeedCoder => "seed-coder",
            Self::Glm => "glm",
            Self::CodeGeeX => "codegeex",
            Self::Tabby => "tabby",
        }
    }

    /// Whether both families write the same three tokens, so that a prompt alone may not tell them
    /// apart.
    pub fn spelled_like(self, other: Self) -> bool {
        self.spelling().begin == other.spelling().begin
    }

    pub(super) fn spelling(self) -> &'static Spelling {
        match self {
            Self::CodeLlama => &CODE_LLAMA,
            Self::StarCoder => &STAR_CODER,
            Self::SantaCoder => &SANTA_CODER,
            Self::DeepSeekCoder => &DEEP_SEEK_CODER,
            Self::Qwen => &QWEN,
            Self::CodeGemma => &CODE_GEMMA,
            Self::Granite => &GRANITE,
            Self::Codestral => &CODESTRAL,
            Self::SeedCoder => &SEED_CODER,
            Self::Glm => &GLM,
            Self::CodeGeeX => &CODE_GEEX,
            Self::Tabby => &TABBY,
        }
    }
}

impl fmt::Display for FimTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for FimTemplate {
    type Err = UnknownTemplate;

    /// Reads [`FimTemplate::as_str`]'s names, and the usual names of models that share a family.
    fn from_str(name: &str) -> Result<Self, UnknownTemplate> {
        let lower = name.to_ascii_lowercase();
        if let Some(found) = Self::ALL
            .into_iter()
            .find(|family| family.as_str() == lower)
        {
            return Ok(found);
        }
        match lower.as_str() {
            "starcoder2" | "stable-code" | "stablecode" => Ok(Self::StarCoder),
            "deepseek" => Ok(Self::DeepSeekCoder),
            "qwen2.5-coder" | "mercury" => Ok(Self::Qwen),
            "granite-4" => Ok(Self::Granite),
            "codegeex4" => Ok(Self::CodeGeeX),
            _ => Err(UnknownTemplate(name.to_owned())),
        }
    }
}

/// No family has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownTemplate(pub String);

impl fmt::Display for UnknownTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no template is called {:?}; there are", self.0)?;
        let mut separator = " ";
        for family in FimTemplate::ALL {
            write!(formatter, "{separator}{family}")?;
            separator = ", ";
        }
        Ok(())
    }
}

impl std::error::Error for UnknownTemplate {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_read_back_from_its_name() {
        for family in FimTemplate::ALL {
            assert_eq!(family.as_str().parse::<FimTemplate>().unwrap(), family);
            assert_eq!(
                family
                    .to_string()
                    .to_uppercase()
                    .parse::<FimTemplate>()
                    .unwrap(),
                family
            );
        }
        assert_eq!(
            "starcoder2".parse::<FimTemplate>().unwrap(),
            FimTemplate::StarCoder
        );
    }

    #[test]
    fn an_unknown_name_is_refused_and_named() {
        let error = "gpt-5".parse::<FimTemplate>().unwrap_err();
        assert_eq!(error, UnknownTemplate("gpt-5".into()));
        assert!(error.to_string().contains("gpt-5") && error.to_string().contains("codestral"));
    }
}
