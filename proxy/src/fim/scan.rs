//! Finding tokens in text, in one pass over its brackets.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::family::FimTemplate;

/// `text` without any token of any family, also none that taking one out would bring together.
///
/// One pass, at most one comparison with each token per closing bracket.
pub fn strip_tokens(text: &str) -> Cow<'_, str> {
    if Tokens::every_family().find_in(text, 0).is_none() {
        return Cow::Borrowed(text);
    }
    let tokens = Tokens::every_family();
    let mut kept = String::with_capacity(text.len());
    for character in text.chars() {
        kept.push(character);
        if matches!(character, '>' | ']')
            && let Some(token) = tokens.all.iter().find(|token| kept.ends_with(**token))
        {
            kept.truncate(kept.len() - token.len());
        }
    }
    Cow::Owned(kept)
}

/// A set of tokens to look for.
#[derive(Debug)]
pub(super) struct Tokens {
    all: Vec<&'static str>,
}

impl Tokens {
    pub(super) fn of(tokens: impl Iterator<Item = &'static str>) -> Self {
        let mut all: Vec<_> = tokens.collect();
        all.sort_unstable();
        all.dedup();
        Self { all }
    }

    pub(super) fn every_family() -> &'static Self {
        static EVERY: LazyLock<Tokens> = LazyLock::new(|| {
            Tokens::of(
                FimTemplate::ALL
                    .into_iter()
                    .flat_map(|family| family.spelling().tokens()),
            )
        });
        &EVERY
    }

    pub(super) fn of_family(family: FimTemplate) -> &'static Self {
        static EACH: LazyLock<Vec<Tokens>> = LazyLock::new(|| {
            FimTemplate::ALL
                .into_iter()
                .map(|family| Tokens::of(family.spelling().tokens()))
                .collect()
        });
        &EACH[family as usize]
    }

    /// The first token at or after byte `from`, with its place.
    pub(super) fn find_in(&self, text: &str, from: usize) -> Option<(usize, &'static str)> {
        let bytes = text.as_bytes();
        let mut at = from;
        while let Some(step) = bytes
            .get(at..)?
            .iter()
            .position(|byte| matches!(byte, b'<' | b'['))
        {
            at += step;
            let rest = &bytes[at..];
            if let Some(token) = self
                .all
                .iter()
                .find(|token| rest.starts_with(token.as_bytes()))
            {
                return Some((at, token));
            }
            at += 1;
        }
        None
    }

    /// Every token of `text` in order.
    pub(super) fn places<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = (usize, &'static str)> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            let (at, token) = self.find_in(text, from)?;
            from = at + token.len();
            Some((at, token))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stripping_takes_out_tokens_of_every_family() {
        assert_eq!(
            strip_tokens("a<fim_prefix>b[SUFFIX]c<｜fim▁end｜>d"),
            "abcd"
        );
        assert_eq!(strip_tokens("plain <T> [i] ="), "plain <T> [i] =");
    }

    #[test]
    fn stripping_leaves_no_token_that_it_brought_together() {
        assert_eq!(strip_tokens("<fim_<fim_prefix>prefix>x"), "x");
        assert_eq!(
            strip_tokens(&("<fim_".repeat(500) + &"prefix>".repeat(500))),
            ""
        );
    }

    proptest! {
        #[test]
        fn stripped_text_has_no_token(text in "(<|\\||fim_|prefix|suffix|>|\\[|PREFIX|\\]|<fim_middle>|<MID>|é|\n){0,40}") {
            let stripped = strip_tokens(&text);
            prop_assert_eq!(Tokens::every_family().find_in(&stripped, 0), None);
        }
    }
}
