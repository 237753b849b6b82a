//! One family's reading of a prompt.

use std::sync::LazyLock;

use super::family::FimTemplate;
use super::file::{file_named_in, split_files};
use super::parse::Parsed;
use super::scan::Tokens;

/// One representative of each spelling; the first wins a tie.
pub(super) const SPELLED_APART: [FimTemplate; 8] = [
    FimTemplate::SeedCoder,
    FimTemplate::DeepSeekCoder,
    FimTemplate::Glm,
    FimTemplate::SantaCoder,
    FimTemplate::Qwen,
    FimTemplate::StarCoder,
    FimTemplate::CodeLlama,
    FimTemplate::Codestral,
];

#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    at: usize,
    token: &'static str,
}

impl Mark {
    fn end(self) -> usize {
        self.at + self.token.len()
    }
}

/// Every begin, suffix and middle token of any family, in order.
pub(super) fn marks(prompt: &str) -> Vec<Mark> {
    static PARTS: LazyLock<Tokens> = LazyLock::new(|| {
        Tokens::of(SPELLED_APART.into_iter().flat_map(|family| {
            let spelling = family.spelling();
            [spelling.begin, spelling.hole]
                .into_iter()
                .chain(spelling.middle)
        }))
    });
    PARTS
        .places(prompt)
        .map(|(at, token)| Mark { at, token })
        .collect()
}

/// How well the tokens stand; the least is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    LeadingSuffix,
    EndsWithMiddle,
    Elsewhere,
}

/// A family whose tokens stand in a possible order, with the byte ranges of its parts.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    family: FimTemplate,
    pub rank: Rank,
    /// How many tokens of the family there are.
    pub occurrences: usize,
    header: &'a str,
    before: &'a str,
    suffix: &'a str,
    after: &'a str,
    suffix_first: bool,
}

impl<'a> Candidate<'a> {
    pub(super) fn find(family: FimTemplate, prompt: &'a str, marks: &[Mark]) -> Option<Self> {
        let spelling = family.spelling();
        let own = |mark: &&Mark| {
            mark.token == spelling.begin
                || mark.token == spelling.hole
                || Some(mark.token) == spelling.middle
        };
        let marks: Vec<Mark> = marks.iter().filter(own).copied().collect();
        let first_hole = marks.iter().position(|mark| mark.token == spelling.hole)?;
        let begin = marks[..first_hole]
            .iter()
            .rfind(|mark| mark.token == spelling.begin);
        let hole = marks[first_hole];
        let candidate = if let Some(begin) = begin {
            Self::prefix_first(family, prompt, *begin, hole, &marks[first_hole + 1..])?
        } else {
            Self::suffix_first(family, prompt, hole, &marks[first_hole + 1..])?
        };
        Some(Self {
            occurrences: marks.len(),
            ..candidate
        })
    }

    fn prefix_first(
        family: FimTemplate,
        prompt: &'a str,
        begin: Mark,
        hole: Mark,
        rest: &[Mark],
    ) -> Option<Self> {
        let middle = middle_mark(family, prompt, rest)?;
        let (before, after) = (&prompt[begin.end()..hole.at], tail(family, prompt, middle));
        if !before.trim_matches(' ').is_empty() && after.contains('\n') {
            return None;
        }
        let rank = if after.is_empty() {
            Rank::EndsWithMiddle
        } else {
            Rank::Elsewhere
        };
        let (header, suffix) = (&prompt[..begin.at], &prompt[hole.end()..middle.at]);
        Some(Self {
            family,
            rank,
            occurrences: 0,
            header,
            before,
            suffix,
            after,
            suffix_first: false,
        })
    }

    fn suffix_first(
        family: FimTemplate,
        prompt: &'a str,
        hole: Mark,
        rest: &[Mark],
    ) -> Option<Self> {
        let spelling = family.spelling();
        let at = rest.iter().position(|mark| mark.token == spelling.begin)?;
        let begin = rest[at];
        let (end, after, rank) = if spelling.middle.is_some() {
            let middle = middle_mark(family, prompt, &rest[at + 1..])?;
            (
                middle.at,
                tail(family, prompt, middle),
                Rank::EndsWithMiddle,
            )
        } else {
            let leads = matches!(prompt[..hole.at].trim(), "" | "<s>");
            (
                prompt.len(),
                "",
                if leads {
                    Rank::LeadingSuffix
                } else {
                    Rank::Elsewhere
                },
            )
        };
        if !after.is_empty() {
            return None;
        }
        let (header, before, suffix) = (
            &prompt[..hole.at],
            &prompt[begin.end()..end],
            &prompt[hole.end()..begin.at],
        );
        Some(Self {
            family,
            rank,
            occurrences: 0,
            header,
            before,
            suffix,
            after,
            suffix_first: true,
        })
    }

    pub(super) fn parsed(self, prompt: &str) -> Parsed {
        let (header, prefix, suffix) = match self.family {
            FimTemplate::CodeLlama => self.code_llama(),
            FimTemplate::Codestral => self.codestral(),
            _ => (
                self.header.to_owned(),
                [self.before, self.after].concat(),
                self.suffix.to_owned(),
            ),
        };
        let file = file_named_in(&header, &prefix);
        Parsed {
            family: self.family_told_by_context(prompt),
            prefix,
            suffix,
            header_context: header,
            file,
        }
    }

    /// Takes the template's own spaces away. Twinny writes one more, after `<SUF>`, and a line end (or
    /// its context) where others write the first character of the prefix.
    fn code_llama(&self) -> (String, String, String) {
        let without = |text: &'a str| text.strip_suffix(' ').unwrap_or(text);
        let suffix = without(self.suffix);
        if matches!(self.before, "" | " ") && !self.after.is_empty() {
            let prefix = self.after.strip_prefix(' ').unwrap_or(self.after);
            return (self.header.to_owned(), prefix.to_owned(), suffix.to_owned());
        }
        let twinny = !self.before.starts_with(' ') || self.before.starts_with(" \n");
        let suffix = if twinny {
            suffix.strip_prefix(' ').unwrap_or(suffix)
        } else {
            suffix
        };
        let before = without(self.before.strip_prefix(' ').unwrap_or(self.before));
        (
            self.header.to_owned(),
            [before, self.after].concat(),
            suffix.to_owned(),
        )
    }

    /// Cuts the quoted files, and the line that names this one, off the prefix.
    fn codestral(&self) -> (String, String, String) {
        let header = if self.header.trim() == "<s>" {
            ""
        } else {
            self.header
        };
        let (quoted, prefix) = split_files(self.before);
        (
            [header, quoted].concat(),
            prefix.to_owned(),
            self.suffix.to_owned(),
        )
    }

    fn family_told_by_context(&self, prompt: &str) -> FimTemplate {
        let context = |token: &str| prompt.contains(token);
        match self.family {
            FimTemplate::Qwen if context("<|file_separator|>") => FimTemplate::CodeGemma,
            FimTemplate::Qwen if context("<|filename|>") || context("<|end_of_text|>") => {
                FimTemplate::Granite
            }
            FimTemplate::Glm if self.suffix_first => FimTemplate::CodeGeeX,
            family => family,
        }
    }
}

/// The middle token: the one that ends the prompt, else the first.
fn middle_mark(family: FimTemplate, prompt: &str, rest: &[Mark]) -> Option<Mark> {
    let middle = family.spelling().middle?;
    let mut middles = rest.iter().filter(|mark| mark.token == middle);
    let first = *middles.next()?;
    let last = *middles.next_back().unwrap_or(&first);
    Some(if tail(family, prompt, last).is_empty() {
        last
    } else {
        first
    })
}

/// What stands after the middle token, without the turn that a chat template opens there and without
/// white space that is all there is.
fn tail(family: FimTemplate, prompt: &str, middle: Mark) -> &str {
    let text = &prompt[middle.end()..];
    let turn = matches!(family, FimTemplate::Glm) && text.trim() == "<|assistant|>";
    if turn || text.trim().is_empty() {
        ""
    } else {
        text
    }
}
