//! Taking a rendered prompt apart.

use super::candidate::{Candidate, SPELLED_APART, marks};
use super::family::FimTemplate;
use super::file::file_named_in;

/// A prompt taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The family; where families share their tokens, the one that the context's tokens point to,
    /// else the most used.
    pub family: FimTemplate,
    /// Text before the cursor.
    pub prefix: String,
    /// Text after the cursor.
    pub suffix: String,
    /// What stood before the template, or before the last `+++++ name` line of Codestral, that line
    /// included.
    pub header_context: String,
    /// The file's name, where the prompt tells it.
    pub file: Option<String>,
}

/// Takes `prompt` apart; `None` where it holds no complete template, so that it is a plain prefix.
///
/// Code may quote tokens, even of other families. So the family that ends the prompt with its middle
/// token wins (or Codestral, where the prompt starts with `[SUFFIX]`), else the one whose tokens are
/// rarest in it. The prefix begins at the *last* begin token before the first suffix token. Both
/// orders are read for every family. Text after the middle token belongs to the prefix: all of it
/// when the part before the suffix is empty (Code Llama's suffix-first form), else only when it is
/// the rest of one line (llama.cpp).
///
/// Tabby's one token is looked for where no family is found: it stands in a prompt once.
pub fn parse(prompt: &str) -> Option<Parsed> {
    let marks = marks(prompt);
    if marks.is_empty() {
        return tabby(prompt);
    }
    let found = SPELLED_APART
        .into_iter()
        .filter_map(|family| Candidate::find(family, prompt, &marks));
    let best = found.min_by_key(|candidate| (candidate.rank, candidate.occurrences));
    best.map_or_else(|| tabby(prompt), |best| Some(best.parsed(prompt)))
}

fn tabby(prompt: &str) -> Option<Parsed> {
    let family = FimTemplate::Tabby;
    let hole = family.spelling().hole;
    let (prefix, suffix) = prompt.split_once(hole)?;
    (!suffix.contains(hole)).then(|| Parsed {
        family,
        prefix: prefix.to_owned(),
        suffix: suffix.to_owned(),
        header_context: String::new(),
        file: file_named_in("", prefix),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prompt: &str, family: FimTemplate, header: &str, prefix: &str, suffix: &str) {
        let found = parse(prompt).unwrap_or_else(|| panic!("no template in {prompt:?}"));
        assert_eq!(found.family, family, "{prompt:?}");
        let parts = (
            found.header_context.as_str(),
            found.prefix.as_str(),
            found.suffix.as_str(),
        );
        assert_eq!(parts, (header, prefix, suffix), "{prompt:?}");
    }

    #[test]
    fn each_spelling_is_read() {
        check("<PRE> a <SUF>b <MID>", FimTemplate::CodeLlama, "", "a", "b");
        check(
            "<fim_prefix>a<fim_suffix>b<fim_middle>",
            FimTemplate::StarCoder,
            "",
            "a",
            "b",
        );
        check(
            "<fim-prefix>a<fim-suffix>b<fim-middle>",
            FimTemplate::SantaCoder,
            "",
            "a",
            "b",
        );
        check(
            "<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜>",
            FimTemplate::DeepSeekCoder,
            "",
            "a",
            "b",
        );
        check(
            "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>",
            FimTemplate::Qwen,
            "",
            "a",
            "b",
        );
        check("[SUFFIX]b[PREFIX]a", FimTemplate::Codestral, "", "a", "b");
        check(
            "<s>[SUFFIX]b[PREFIX]a",
            FimTemplate::Codestral,
            "",
            "a",
            "b",
        );
        check(
            "<[fim-suffix]>b<[fim-prefix]>a<[fim-middle]>",
            FimTemplate::SeedCoder,
            "",
            "a",
            "b",
        );
        check(
            "<[fim-prefix]>a<[fim-suffix]>b<[fim-middle]>",
            FimTemplate::SeedCoder,
            "",
            "a",
            "b",
        );
        check(
            "<|code_prefix|>a<|code_suffix|>b<|code_middle|>",
            FimTemplate::Glm,
            "",
            "a",
            "b",
        );
    }

    #[test]
    fn code_llama_is_read_in_every_spacing() {
        check("<PRE>  <SUF> <MID>", FimTemplate::CodeLlama, "", "", "");
        check(
            "<PRE>  a  <SUF> b  <MID>",
            FimTemplate::CodeLlama,
            "",
            " a ",
            " b ",
        );
        check(
            "<PRE> <SUF>b <MID> a\nc",
            FimTemplate::CodeLlama,
            "",
            "a\nc",
            "b",
        );
        check(
            "<PRE>ctx \n# head\na <SUF> b <MID>",
            FimTemplate::CodeLlama,
            "",
            "ctx \n# head\na",
            "b",
        );
        check(
            "<PRE> \na <SUF> b <MID>",
            FimTemplate::CodeLlama,
            "",
            "\na",
            "b",
        );
    }

    #[test]
    fn context_before_the_template_is_kept_apart() {
        let header = "<|repo_name|>r\n<|file_sep|>a.py\nx = 1\n<|file_sep|>b.py\n";
        check(
            &format!("{header}<|fim_prefix|>y<|fim_suffix|>z<|fim_middle|>"),
            FimTemplate::Qwen,
            header,
            "y",
            "z",
        );
        let quoting = "see <fim_prefix> and\n";
        check(
            &format!("{quoting}<fim_prefix>y<fim_suffix>z<fim_middle>"),
            FimTemplate::StarCoder,
            quoting,
            "y",
            "z",
        );
        let context = "a.rs\n<|file_separator|>b.rs\n";
        check(
            &format!("{context}<|fim_prefix|>y<|fim_suffix|>z<|fim_middle|>"),
            FimTemplate::CodeGemma,
            context,
            "y",
            "z",
        );
        check(
            "[SUFFIX]z[PREFIX]+++++ a\nx\n\n+++++ b.rs\ny",
            FimTemplate::Codestral,
            "+++++ a\nx\n\n+++++ b.rs\n",
            "y",
            "z",
        );
    }

    #[test]
    fn chat_turns_and_line_ends_after_the_middle_are_ignored() {
        let head = "<|user|>\n###PATH:a/b.py\n###LANGUAGE:Python\n###MODE:BLOCK\n";
        let prompt =
            format!("{head}<|code_suffix|>z<|code_prefix|>y<|code_middle|><|assistant|>\n");
        check(&prompt, FimTemplate::CodeGeeX, head, "y", "z");
        assert_eq!(
            parse(&prompt).and_then(|parsed| parsed.file).as_deref(),
            Some("a/b.py")
        );
        check(
            "<fim_prefix>y<fim_suffix>z<fim_middle>\n",
            FimTemplate::StarCoder,
            "",
            "y",
            "z",
        );
    }

    /// The ways in which the clients that are known write each family's template.
    #[test]
    fn every_variant_of_a_known_client_is_read() {
        use FimTemplate::{
            CodeGeeX, CodeGemma, CodeLlama, Codestral, DeepSeekCoder, Glm, Granite, Qwen,
            SantaCoder, SeedCoder, StarCoder, Tabby,
        };
        let repository = "<|repo_name|>r\n<|file_sep|>a.py\nx = 1\n<|file_sep|>b.py\n";
        let snippets = "<file_sep>a.py\nx = 1\n<file_sep>b.py\n";
        let files = "<reponame>r<filename>a.py\n";
        let mercury = "<|file_sep|>a.py\nx\n<|file_sep|>b.py\n";
        let gemma = "<|file_separator|>a.py\n";
        let granite = "<|reponame|>r<|filename|>a.py\n";
        let geex = "###REFERENCE:\n###PATH:b.py\n###LANGUAGE:Python\n###MODE:BLOCK\n";
        let plus = "+++++ a.py\nx = 1\n\n+++++ b.py\n";
        let cases: [(String, FimTemplate, &str); 19] = [
            ("<PRE> p <SUF>s <MID>".into(), CodeLlama, ""),
            ("<PRE>p <SUF> s <MID>".into(), CodeLlama, ""),
            ("<PRE> <SUF>s <MID> p".into(), CodeLlama, ""),
            (
                "<fim_prefix>p<fim_suffix>s<fim_middle>".into(),
                StarCoder,
                "",
            ),
            (
                format!("{snippets}<fim_prefix>p<fim_suffix>s<fim_middle>"),
                StarCoder,
                snippets,
            ),
            (
                format!("{files}<fim_prefix>p<fim_suffix>s<fim_middle>"),
                StarCoder,
                files,
            ),
            (
                "<fim-prefix>p<fim-suffix>s<fim-middle>".into(),
                SantaCoder,
                "",
            ),
            (
                "<｜fim▁begin｜>p<｜fim▁hole｜>s<｜fim▁end｜>".into(),
                DeepSeekCoder,
                "",
            ),
            (
                format!("{repository}<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>"),
                Qwen,
                repository,
            ),
            (
                format!("{mercury}<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>"),
                Qwen,
                mercury,
            ),
            (
                "<|fim_prefix|><|fim_suffix|>s<|fim_middle|>p".into(),
                Qwen,
                "",
            ),
            (
                format!("{gemma}<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>"),
                CodeGemma,
                gemma,
            ),
            (
                format!("{granite}<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>"),
                Granite,
                granite,
            ),
            ("[SUFFIX]s[PREFIX]p".into(), Codestral, ""),
            (format!("[SUFFIX]s[PREFIX]{plus}p"), Codestral, plus),
            (
                "<[fim-prefix]>p<[fim-suffix]>s<[fim-middle]>".into(),
                SeedCoder,
                "",
            ),
            (
                "<|code_prefix|>p<|code_suffix|>s<|code_middle|>".into(),
                Glm,
                "",
            ),
            (
                format!("{geex}<|code_suffix|>s<|code_prefix|>p<|code_middle|><|assistant|>"),
                CodeGeeX,
                geex,
            ),
            ("p<|FIM|>s".into(), Tabby, ""),
        ];
        for (prompt, family, header) in cases {
            check(&prompt, family, header, "p", "s");
        }
    }

    #[test]
    fn tabbys_token_counts_where_it_stands_alone() {
        assert_eq!(parse("'<|FIM|>' and '<|FIM|>'"), None);
        let quoting = "<fim_prefix>'<|FIM|>'<fim_suffix>s<fim_middle>";
        check(quoting, FimTemplate::StarCoder, "", "'<|FIM|>'", "s");
    }

    #[test]
    fn a_recorded_prompt_of_continue_tells_its_file() {
        let prompt = "<fim_prefix>\n# calc.py\ndef add(a, b):\n    return a + b\n\n\ndef sub(a, b):<fim_suffix>\n<fim_middle>";
        let prefix = "\n# calc.py\ndef add(a, b):\n    return a + b\n\n\ndef sub(a, b):";
        check(prompt, FimTemplate::StarCoder, "", prefix, "\n");
        let file = parse(prompt).and_then(|parsed| parsed.file);
        assert_eq!(file.as_deref(), Some("calc.py"));
    }

    #[test]
    fn a_line_after_the_middle_belongs_to_the_prefix() {
        check(
            "<|fim_prefix|>a\n<|fim_suffix|>c<|fim_middle|>    x.",
            FimTemplate::Qwen,
            "",
            "a\n    x.",
            "c",
        );
    }

    #[test]
    fn text_without_a_complete_template_is_none() {
        for prompt in [
            "",
            "fn main() {",
            "<fim_prefix>a",
            "<fim_prefix>a<fim_suffix>b",
            "<fim_middle><fim_suffix>",
            "[PREFIX] x [SUFFIX]",
        ] {
            assert_eq!(parse(prompt), None, "{prompt:?}");
        }
        let listing = "A = '<fim_prefix>'\nB = '<fim_suffix>'\nC = '<fim_middle>'\nfor x in";
        assert_eq!(parse(listing), None);
    }

    #[test]
    fn quoted_tokens_of_other_families_are_text() {
        let code = "T = ['<PRE>', '<SUF>', '<MID>', '[SUFFIX]', '[PREFIX]', '<fim_prefix><fim_suffix><fim_middle>']\n";
        let prompt = format!("<|fim_prefix|>{code}<|fim_suffix|>{code}<|fim_middle|>");
        check(&prompt, FimTemplate::Qwen, "", code, code);
    }
}
