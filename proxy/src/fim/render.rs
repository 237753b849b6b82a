//! Writing a prompt for one family.

use std::borrow::Cow;

use super::family::FimTemplate;
use super::scan::Tokens;
use super::spelling::Order;

/// The prompt of `family` for text before and after the cursor; `header` (quoted files, a
/// repository's name; may be empty) goes where the family's models expect context: before the
/// template, for Codestral into the prefix between `+++++ name` lines, and for Tabby nowhere.
///
/// The family's tokens in `prefix` and `suffix` are broken as [`neutralise`] says. In `header` its
/// file and repository tokens stay, other families' file separators become its own, all other tokens
/// of any family are broken.
pub fn render(family: FimTemplate, prefix: &str, suffix: &str, header: &str) -> String {
    let spelling = family.spelling();
    let header = context(family, header);
    let (prefix, suffix) = (neutralise(family, prefix), neutralise(family, suffix));
    let (begin, hole, middle) = (spelling.begin, spelling.hole, spelling.middle.unwrap_or(""));
    match family {
        FimTemplate::CodeLlama => {
            // Where Twinny's spacing would be read, Twinny's spacing is written.
            let gap = if prefix.starts_with('\n') && suffix.starts_with(' ') {
                " "
            } else {
                ""
            };
            [&header, "<PRE> ", &prefix, " <SUF>", gap, &suffix, " <MID>"].concat()
        }
        FimTemplate::Codestral => [hole, &suffix, begin, &header, &prefix].concat(),
        FimTemplate::Tabby => [&prefix, hole, &suffix].concat(),
        FimTemplate::CodeGeeX => [
            &header,
            hole,
            &suffix,
            begin,
            &prefix,
            middle,
            "<|assistant|>\n",
        ]
        .concat(),
        _ if spelling.order == Order::SuffixFirst => {
            [&header, hole, &suffix, begin, &prefix, middle].concat()
        }
        _ => [&header, begin, &prefix, hole, &suffix, middle].concat(),
    }
}

/// `text` with one space after the first character of each of `family`'s tokens in it, which its
/// tokenizer would otherwise obey. For Codestral a line that starts with `+++++ ` is such a token.
/// For Tabby, whose prompts are for a model of any family, every family's tokens are broken.
/// Applying it twice changes nothing more; text without tokens is not copied.
pub fn neutralise(family: FimTemplate, text: &str) -> Cow<'_, str> {
    let tokens = match family {
        FimTemplate::Tabby => Tokens::every_family(),
        _ => Tokens::of_family(family),
    };
    let broken = break_tokens(text, tokens, |_| false);
    if family == FimTemplate::Codestral {
        break_plus_lines(broken)
    } else {
        broken
    }
}

fn break_tokens<'a>(text: &'a str, tokens: &Tokens, keep: impl Fn(&str) -> bool) -> Cow<'a, str> {
    let mut broken = String::new();
    let mut copied = 0;
    for (at, token) in tokens.places(text) {
        if !keep(token) {
            broken.push_str(&text[copied..=at]);
            broken.push(' ');
            copied = at + 1;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    broken.push_str(&text[copied..]);
    Cow::Owned(broken)
}

fn break_plus_lines(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.starts_with(FILE_LINE) && !text.contains("\n+++++ ") {
        return text;
    }
    let mut lines = String::with_capacity(text.len() + 8);
    for line in text.split_inclusive('\n') {
        match line.strip_prefix(FILE_LINE) {
            Some(rest) => lines.extend(["+ ++++ ", rest]),
            None => lines.push_str(line),
        }
    }
    Cow::Owned(lines)
}

/// `header` as context of `family`.
fn context(family: FimTemplate, header: &str) -> String {
    if header.is_empty() {
        return String::new();
    }
    let spelling = family.spelling();
    let mut text = header.to_owned();
    for other in FimTemplate::ALL {
        if let (Some(theirs), Some(ours)) = (other.spelling().separator, spelling.separator)
            && !spelling.context.contains(&theirs)
        {
            text = text.replace(theirs, ours);
        }
    }
    let text = break_tokens(&text, Tokens::every_family(), |token| {
        spelling.context.contains(&token)
    })
    .into_owned();
    if family == FimTemplate::Codestral {
        between_file_lines(text)
    } else {
        text
    }
}

/// Makes `header` start and end with a `+++++ name` line, so that it can be told from the prefix.
fn between_file_lines(header: String) -> String {
    let last = header.lines().next_back().unwrap_or("");
    if header.starts_with(FILE_LINE) && last.starts_with(FILE_LINE) && header.ends_with('\n') {
        return header;
    }
    let start = if header.starts_with(FILE_LINE) {
        ""
    } else {
        "+++++ context\n"
    };
    let end = if header.ends_with('\n') { "" } else { "\n" };
    [start, &header, end, "\n+++++ file\n"].concat()
}

const FILE_LINE: &str = "+++++ ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fim::{parse, stop_tokens};
    use proptest::prelude::*;

    #[test]
    fn each_family_is_written_as_its_models_were_trained() {
        let cases = [
            (FimTemplate::CodeLlama, "H<PRE> p <SUF>s <MID>"),
            (
                FimTemplate::StarCoder,
                "H<fim_prefix>p<fim_suffix>s<fim_middle>",
            ),
            (
                FimTemplate::SantaCoder,
                "H<fim-prefix>p<fim-suffix>s<fim-middle>",
            ),
            (
                FimTemplate::DeepSeekCoder,
                "H<｜fim▁begin｜>p<｜fim▁hole｜>s<｜fim▁end｜>",
            ),
            (
                FimTemplate::Qwen,
                "H<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>",
            ),
            (
                FimTemplate::CodeGemma,
                "H<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>",
            ),
            (
                FimTemplate::Granite,
                "H<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>",
            ),
            (
                FimTemplate::Codestral,
                "[SUFFIX]s[PREFIX]+++++ context\nH\n\n+++++ file\np",
            ),
            (
                FimTemplate::SeedCoder,
                "H<[fim-suffix]>s<[fim-prefix]>p<[fim-middle]>",
            ),
            (
                FimTemplate::Glm,
                "H<|code_prefix|>p<|code_suffix|>s<|code_middle|>",
            ),
            (
                FimTemplate::CodeGeeX,
                "H<|code_suffix|>s<|code_prefix|>p<|code_middle|><|assistant|>\n",
            ),
            (FimTemplate::Tabby, "p<|FIM|>s"),
        ];
        assert_eq!(cases.len(), FimTemplate::ALL.len());
        for (family, expected) in cases {
            assert_eq!(render(family, "p", "s", "H"), expected, "{family}");
        }
    }

    #[test]
    fn tokens_in_code_are_broken_and_only_the_familys_own() {
        assert_eq!(
            neutralise(FimTemplate::Qwen, "'<|fim_middle|>' '<fim_middle>'"),
            "'< |fim_middle|>' '<fim_middle>'"
        );
        assert_eq!(
            neutralise(FimTemplate::Codestral, "+++++ a\nx +++++ b\n++++++ c"),
            "+ ++++ a\nx +++++ b\n++++++ c"
        );
        assert!(matches!(
            neutralise(FimTemplate::Qwen, "a < b"),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn file_separators_are_translated_and_other_tokens_of_a_header_broken() {
        let header = "<|file_sep|>a.py\nx <fim_middle>\n";
        assert_eq!(
            render(FimTemplate::StarCoder, "p", "s", header),
            "<file_sep>a.py\nx < fim_middle>\n<fim_prefix>p<fim_suffix>s<fim_middle>"
        );
    }

    /// Code in which any family's tokens, pieces of them and their seams turn up often.
    fn code() -> impl Strategy<Value = String> {
        let tokens: Vec<String> = FimTemplate::ALL
            .into_iter()
            .flat_map(|family| family.spelling().tokens())
            .map(str::to_owned)
            .chain(
                [
                    "+++++ ",
                    "\n+++++ a.py\n",
                    "<",
                    "[",
                    ">",
                    "]",
                    " ",
                    "\n",
                    "<|",
                    "|>",
                    "<|assistant|>",
                    "fim_prefix",
                    "<s>",
                ]
                .map(str::to_owned),
            )
            .collect();
        let piece = prop_oneof![2 => proptest::sample::select(tokens), 1 => "[ -~\n\té]{0,6}"];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    fn family() -> impl Strategy<Value = FimTemplate> {
        proptest::sample::select(FimTemplate::ALL.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn rendered_then_parsed_gives_the_neutralised_text_back(family in family(), prefix in code(), suffix in code(), header in code()) {
            let parsed = parse(&render(family, &prefix, &suffix, &header)).unwrap();
            prop_assert!(parsed.family.spelled_like(family), "{} read as {}", family, parsed.family);
            prop_assert_eq!(parsed.prefix, neutralise(family, &prefix).into_owned());
            prop_assert_eq!(parsed.suffix, neutralise(family, &suffix).into_owned());
        }

        #[test]
        fn text_without_tokens_comes_back_unchanged(family in family(), prefix in "[^<\\[+]{0,40}", suffix in "[^<\\[+]{0,40}") {
            let parsed = parse(&render(family, &prefix, &suffix, "")).unwrap();
            prop_assert_eq!((parsed.prefix, parsed.suffix), (prefix, suffix));
            prop_assert_eq!(parsed.header_context, "");
        }

        #[test]
        fn neutralised_text_has_no_token_left_and_stays_as_it_is(family in family(), text in code()) {
            let once = neutralise(family, &text).into_owned();
            for token in family.spelling().tokens() {
                prop_assert!(!once.contains(token));
            }
            prop_assert_eq!(neutralise(family, &once).into_owned(), once.clone());
            let spaces = once.len() - text.len();
            prop_assert!(once.chars().filter(|character| *character == ' ').count() >= spaces);
            prop_assert_eq!(once.replace(' ', ""), text.replace(' ', ""));
        }

        #[test]
        fn no_prompt_makes_the_parser_fail(prompt in code()) {
            if let Some(parsed) = parse(&prompt) {
                prop_assert!(parsed.prefix.len() + parsed.suffix.len() + parsed.header_context.len() <= prompt.len());
            }
        }
    }

    #[test]
    fn a_rendered_prompt_holds_each_stop_token_only_where_the_template_puts_it() {
        for family in FimTemplate::ALL {
            let code: String = stop_tokens(family).concat();
            let prompt = render(family, &code, &code, "");
            for token in stop_tokens(family) {
                let template = render(family, "", "", "");
                assert_eq!(
                    prompt.matches(token).count(),
                    template.matches(token).count(),
                    "{family} {token}"
                );
            }
        }
    }
}
