use std::collections::BTreeMap;

use crate::grammar::Grammar;
use crate::lexeme::{Lexeme, lexemes};

/// How like a reference a candidate is, as `CodeBLEU` tells it (Ren et al. 2020, arXiv 2009.10297): by runs of
/// lexemes, by the same with keywords weighing more, and by the shape of the code.
///
/// All three are in [0, 1]. Data flow, the paper's fourth part, is left out: proposals are a few lines of a
/// function, in which hardly any variable is both set and used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodeBleu {
    /// BLEU over runs of one to four lexemes, with a penalty for brevity (section 3.1).
    pub ngram: f64,
    /// The same as recall, where keywords weigh five times as much as other lexemes (section 3.1), without
    /// the penalty, since what is missing costs already; the authors' program does not apply it either.
    pub weighted: f64,
    /// Share of the reference's subtrees that the candidate has (equation 4); `None` for a language that is
    /// not parsed.
    pub syntax: Option<f64>,
}

impl CodeBleu {
    /// Compares a `candidate` with a `reference` in a language known by its usual name.
    ///
    /// Lexemes are words of letters, digits and `_`, and other characters that are not white space. Counts
    /// of runs that never agree are 0.1, the first of the smoothings of Chen & Cherry (2014), as in the
    /// authors' program. Lengths of which a text has no runs are left out (the effective order of `SacreBLEU`,
    /// Post 2018, arXiv 1804.08771), so that a text of fewer than four lexemes agrees with itself; the
    /// authors' program counts them as runs that never agree. Subtrees are compared by the types of their
    /// nodes.
    pub fn compare(candidate: &str, reference: &str, language: Option<&str>) -> Self {
        let grammar = language.and_then(Grammar::of);
        let keywords = grammar.as_ref().map_or(&[][..], |grammar| grammar.keywords);
        let (found, wanted) = (lexemes(candidate), lexemes(reference));
        let weight = |lexeme: &str| {
            if keywords.contains(&lexeme) {
                1.0
            } else {
                PLAIN
            }
        };
        let brevity = brevity(found.len(), wanted.len());
        Self {
            ngram: brevity
                * mean(|length| {
                    let of = counts(&wanted, length);
                    agreement(&counts(&found, length), &of, |_| 1.0)
                }),
            weighted: mean(|length| {
                let of = counts(&found, length);
                let weight = |run: &[&str]| if length == 1 { weight(run[0]) } else { 1.0 };
                agreement(&counts(&wanted, length), &of, weight)
            }),
            syntax: grammar.and_then(|grammar| syntax(&grammar, candidate, reference)),
        }
    }

    /// The mean of the parts, in [0, 1].
    pub fn score(&self) -> f64 {
        let parts = [Some(self.ngram), Some(self.weighted), self.syntax];
        let parts: Vec<f64> = parts.into_iter().flatten().collect();
        parts.iter().sum::<f64>() / parts.len() as f64
    }
}

/// Weight of a lexeme that is no keyword.
const PLAIN: f64 = 0.2;

/// Longest run of lexemes.
const LONGEST: usize = 4;

/// What runs that never agree count.
const SMOOTHING: f64 = 0.1;

/// How often each run of so many lexemes occurs.
fn counts<'a>(lexemes: &[Lexeme<'a>], length: usize) -> BTreeMap<Vec<&'a str>, u32> {
    let mut counts = BTreeMap::new();
    for run in lexemes.windows(length) {
        let run: Vec<&str> = run.iter().map(|lexeme| lexeme.text).collect();
        *counts.entry(run).or_default() += 1;
    }
    counts
}

/// Weight of the runs of `all` that `other` has as often, and weight of them all: 0 where there are none.
fn agreement(
    all: &BTreeMap<Vec<&str>, u32>,
    other: &BTreeMap<Vec<&str>, u32>,
    weight: impl Fn(&[&str]) -> f64,
) -> (f64, f64) {
    let (mut agreeing, mut total) = (0.0, 0.0);
    for (run, count) in all {
        let shared = other.get(run).copied().unwrap_or(0).min(*count);
        agreeing += weight(run) * f64::from(shared);
        total += weight(run) * f64::from(*count);
    }
    (agreeing, total)
}

/// The geometric mean over all lengths of which there are runs; 0 when not even one lexeme agrees.
fn mean(agreement: impl Fn(usize) -> (f64, f64)) -> f64 {
    let (mut logarithms, mut lengths) = (0.0, 0.0);
    for length in 1..=LONGEST {
        let (agreeing, total) = agreement(length);
        if length == 1 && agreeing <= 0.0 {
            return 0.0;
        }
        if total <= 0.0 {
            break;
        }
        let agreeing = if agreeing > 0.0 { agreeing } else { SMOOTHING };
        logarithms += (agreeing / total).ln();
        lengths += 1.0;
    }
    (logarithms / lengths).exp()
}

fn brevity(found: usize, wanted: usize) -> f64 {
    if found > wanted {
        1.0
    } else if found == 0 {
        0.0
    } else {
        (1.0 - wanted as f64 / found as f64).exp()
    }
}

fn syntax(grammar: &Grammar, candidate: &str, reference: &str) -> Option<f64> {
    let wanted = subtrees(grammar, reference)?;
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    for tree in subtrees(grammar, candidate)? {
        *found.entry(tree).or_default() += 1;
    }
    let all = wanted.len();
    let mut agreeing = 0;
    for tree in wanted {
        if let Some(left) = found.get_mut(&tree).filter(|left| **left > 0) {
            *left -= 1;
            agreeing += 1;
        }
    }
    Some(f64::from(agreeing) / all as f64)
}

/// The types of each subtree that has nodes below it, and of the whole.
fn subtrees(grammar: &Grammar, text: &str) -> Option<Vec<String>> {
    let tree = grammar.parse(text.trim())?;
    let mut waiting = vec![tree.root_node()];
    let mut found = Vec::new();
    while let Some(node) = waiting.pop() {
        found.push(node.to_sexp());
        let mut cursor = node.walk();
        waiting.extend(
            node.children(&mut cursor)
                .filter(|child| child.child_count() > 0),
        );
        if found.len() > SUBTREES {
            return None;
        }
    }
    Some(found)
}

/// A text with more subtrees is not compared by them: their types are as long as it is deep.
const SUBTREES: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn like_text_and_like_shape_are_told_apart() {
        let shape = CodeBleu::compare("a = b + c", "x = y + z", Some("python"));
        assert_eq!(shape.syntax, Some(1.0));
        assert!(shape.ngram < 0.5);
        let unknown = CodeBleu::compare("a = b + c", "a = b + c", Some("klingon"));
        assert_eq!((unknown.syntax, unknown.score()), (None, 1.0));
        let none = CodeBleu::compare("", "x = 1", Some("python"));
        assert_eq!((none.ngram, none.weighted), (0.0, 0.0));
    }

    #[test]
    fn a_text_of_few_lexemes_agrees_with_itself_alone() {
        for text in [")", "return x", "( a } ."] {
            let itself = CodeBleu::compare(text, text, Some("rust")).score();
            assert!(itself > 1.0 - 1e-12, "{text}: {itself}");
        }
        let other = CodeBleu::compare("return x", "return y", Some("rust"));
        assert!(other.ngram < 0.5 && other.weighted < 0.5, "{other:?}");
    }

    proptest! {
        #[test]
        fn scores_are_shares(a in any::<String>(), b in any::<String>()) {
            for language in [None, Some("rust"), Some("python"), Some("tsx")] {
                let compared = CodeBleu::compare(&a, &b, language);
                prop_assert!((0.0..=1.0).contains(&compared.score()), "{:?}", compared);
            }
        }

        #[test]
        fn itself_is_most_like_itself(words in prop::collection::vec("[a-z(){};.=+]{1,6}", 1..20)) {
            let text = words.join(" ");
            let itself = CodeBleu::compare(&text, &text, Some("c"));
            prop_assert!(itself.score() > 1.0 - 1e-12, "{:?}", itself);
        }
    }
}
