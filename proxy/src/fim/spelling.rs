//! The table of each family's tokens.

/// In which order the parts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Prefix, suffix, middle.
    PrefixFirst,
    /// Suffix, prefix, middle.
    SuffixFirst,
}

/// The tokens of one family. Each starts with the only opening bracket it has and ends with the only
/// closing one, so no two occurrences overlap and none forms across a seam.
#[derive(Debug)]
pub(super) struct Spelling {
    /// Before the prefix; empty for Tabby, whose prompt begins with it.
    pub begin: &'static str,
    /// Before the suffix.
    pub hole: &'static str,
    /// Before the middle; none for Codestral.
    pub middle: Option<&'static str>,
    /// What [`super::render`] writes.
    pub order: Order,
    /// Before the name of each file of the context.
    pub separator: Option<&'static str>,
    /// Tokens that are wanted in the context and nowhere else.
    pub context: &'static [&'static str],
    /// Where an answer ends.
    pub stops: &'static [&'static str],
    /// Further control tokens of the family's tokenizer.
    pub further: &'static [&'static str],
}

impl Spelling {
    /// Every token that the family's tokenizer reads as control.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &'static str> {
        [self.begin, self.hole]
            .into_iter()
            .filter(|token| !token.is_empty())
            .chain(self.middle)
            .chain(self.context.iter().copied())
            .chain(self.stops.iter().copied())
            .chain(self.further.iter().copied())
    }
}

pub(super) const CODE_LLAMA: Spelling = Spelling {
    begin: "<PRE>",
    hole: "<SUF>",
    middle: Some("<MID>"),
    order: Order::PrefixFirst,
    separator: None,
    context: &[],
    stops: &["<EOT>", "<PRE>", "<SUF>", "<MID>"],
    further: &[],
};

pub(super) const STAR_CODER: Spelling = Spelling {
    begin: "<fim_prefix>",
    hole: "<fim_suffix>",
    middle: Some("<fim_middle>"),
    order: Order::PrefixFirst,
    separator: Some("<file_sep>"),
    context: &["<file_sep>", "<filename>", "<reponame>", "<repo_name>"],
    stops: &[
        "<|endoftext|>",
        "<file_sep>",
        "<fim_prefix>",
        "<fim_suffix>",
        "<fim_middle>",
    ],
    further: &["<fim_pad>"],
};

pub(super) const SANTA_CODER: Spelling = Spelling {
    begin: "<fim-prefix>",
    hole: "<fim-suffix>",
    middle: Some("<fim-middle>"),
    order: Order::PrefixFirst,
    separator: None,
    context: &[],
    stops: &[
        "<|endoftext|>",
        "<fim-prefix>",
        "<fim-suffix>",
        "<fim-middle>",
    ],
    further: &["<fim-pad>"],
};

pub(super) const DEEP_SEEK_CODER: Spelling = Spelling {
    begin: "<｜fim▁begin｜>",
    hole: "<｜fim▁hole｜>",
    middle: Some("<｜fim▁end｜>"),
    order: Order::PrefixFirst,
    separator: None,
    context: &[],
    stops: &[
        "<｜end▁of▁sentence｜>",
        "<｜fim▁begin｜>",
        "<｜fim▁hole｜>",
        "<｜fim▁end｜>",
    ],
    further: &["<｜begin▁of▁sentence｜>", "<|EOT|>"],
};

pub(super) const QWEN: Spelling = Spelling {
    begin: "<|fim_prefix|>",
    hole: "<|fim_suffix|>",
    middle: Some("<|fim_middle|>"),
    order: Order::PrefixFirst,
    separator: Some("<|file_sep|>"),
    context: &["<|file_sep|>", "<|repo_name|>"],
    stops: &[
        "<|endoftext|>",
        "<|file_sep|>",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|im_end|>",
    ],
    further: &["<|im_start|>"],
};

pub(super) const CODE_GEMMA: Spelling = Spelling {
    begin: "<|fim_prefix|>",
    hole: "<|fim_suffix|>",
    middle: Some("<|fim_middle|>"),
    order: Order::PrefixFirst,
    separator: Some("<|file_separator|>"),
    context: &["<|file_separator|>"],
    stops: &[
        "<|file_separator|>",
        "<end_of_turn>",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
    ],
    further: &["<start_of_turn>"],
};

pub(super) const GRANITE: Spelling = Spelling {
    begin: "<|fim_prefix|>",
    hole: "<|fim_suffix|>",
    middle: Some("<|fim_middle|>"),
    order: Order::PrefixFirst,
    separator: Some("<|filename|>"),
    context: &["<|filename|>", "<|reponame|>"],
    stops: &[
        "<|end_of_text|>",
        "<|filename|>",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|fim_pad|>",
    ],
    further: &["<|start_of_role|>", "<|end_of_role|>"],
};

pub(super) const CODESTRAL: Spelling = Spelling {
    begin: "[PREFIX]",
    hole: "[SUFFIX]",
    middle: None,
    order: Order::SuffixFirst,
    separator: None,
    context: &[],
    stops: &["[PREFIX]", "[SUFFIX]"],
    further: &["[MIDDLE]"],
};

pub(super) const SEED_CODER: Spelling = Spelling {
    begin: "<[fim-prefix]>",
    hole: "<[fim-suffix]>",
    middle: Some("<[fim-middle]>"),
    // Seed-Coder technical report (arXiv 2506.03524), section 3: suffix, prefix, middle.
    order: Order::SuffixFirst,
    separator: None,
    context: &[],
    stops: &[
        "<[end▁of▁sentence]>",
        "<[fim-prefix]>",
        "<[fim-suffix]>",
        "<[fim-middle]>",
    ],
    further: &["<[begin▁of▁sentence]>"],
};

pub(super) const GLM: Spelling = Spelling {
    begin: "<|code_prefix|>",
    hole: "<|code_suffix|>",
    middle: Some("<|code_middle|>"),
    order: Order::PrefixFirst,
    separator: None,
    context: &[],
    stops: &[
        "<|endoftext|>",
        "<|user|>",
        "<|assistant|>",
        "<|code_prefix|>",
        "<|code_suffix|>",
        "<|code_middle|>",
    ],
    further: &["<|system|>", "<|observation|>"],
};

pub(super) const CODE_GEEX: Spelling = Spelling {
    begin: "<|code_prefix|>",
    hole: "<|code_suffix|>",
    middle: Some("<|code_middle|>"),
    order: Order::SuffixFirst,
    separator: None,
    context: &["<|user|>"],
    stops: &[
        "<|endoftext|>",
        "<|user|>",
        "<|assistant|>",
        "<|code_prefix|>",
        "<|code_suffix|>",
        "<|code_middle|>",
    ],
    further: &["<|system|>", "<|observation|>"],
};

pub(super) const TABBY: Spelling = Spelling {
    begin: "",
    hole: "<|FIM|>",
    middle: None,
    order: Order::PrefixFirst,
    separator: None,
    context: &[],
    stops: &["<|FIM|>"],
    further: &[],
};

#[cfg(test)]
mod tests {
    use crate::fim::FimTemplate;

    #[test]
    fn a_token_has_its_brackets_only_at_its_ends() {
        for family in FimTemplate::ALL {
            for token in family.spelling().tokens() {
                let inner = &token[1..token.len() - 1];
                assert!(
                    token.starts_with(['<', '[']) && token.ends_with(['>', ']']),
                    "{token}"
                );
                assert!(!inner.contains(['<', '>']), "{token}");
            }
        }
    }
}
