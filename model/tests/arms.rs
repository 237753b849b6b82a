//! What each arm is good at, and what all of them keep to.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{ops::ControlFlow, sync::Arc};

use echo_model::{
    CompletionModel, Document, Ending, Language, Limits, ProjectCache, Prompt, TrainedModels,
    Trainer, TrainingLimits, arms,
    quality::{Sampling, Score, Spot, assess, trials},
};
use proptest::prelude::*;

/// This crate's own sources, as a small corpus.
const CORPUS: [&str; 8] = [
    include_str!("../src/language.rs"),
    include_str!("../src/lexer.rs"),
    include_str!("../src/layout.rs"),
    include_str!("../src/outlet.rs"),
    include_str!("../src/format.rs"),
    include_str!("../src/table.rs"),
    include_str!("../src/trainer.rs"),
    include_str!("../src/vocabulary.rs"),
];

fn trained() -> TrainedModels {
    let mut trainer = Trainer::new(TrainingLimits::default());
    for text in CORPUS {
        trainer.add(Document {
            path: "own.rs",
            language: Language::Rust,
            text,
        });
    }
    trainer.train("own", &mut |_| {})
}

struct Arms {
    all: Vec<(&'static str, Arc<dyn CompletionModel>)>,
    project: Arc<ProjectCache>,
}

impl Arms {
    fn new(trained: TrainedModels) -> Self {
        let project = Arc::new(ProjectCache::default());
        Self {
            all: arms(Arc::new(trained), project.clone()),
            project,
        }
    }

    fn get(&self, name: &str) -> &dyn CompletionModel {
        &*self.all.iter().find(|(arm, _)| *arm == name).unwrap().1
    }

    fn complete(&self, name: &str, prefix: &str, suffix: &str) -> String {
        complete(self.get(name), &prompt(prefix, suffix), 64, &[])
            .0
            .concat()
    }
}

fn prompt<'a>(prefix: &'a str, suffix: &'a str) -> Prompt<'a> {
    Prompt {
        prefix,
        suffix,
        language: Some("rust"),
        file: Some("here.rs"),
        user: "ann",
    }
}

fn complete(
    model: &dyn CompletionModel,
    prompt: &Prompt,
    max_tokens: usize,
    stop: &[&str],
) -> (Vec<String>, Ending) {
    let stop: Vec<String> = stop.iter().map(|&stop| stop.to_owned()).collect();
    let mut pieces = Vec::new();
    let ending = model.complete(
        prompt,
        &Limits {
            max_tokens,
            stop: &stop,
        },
        &mut |piece| {
            pieces.push(piece.to_owned());
            ControlFlow::Continue(())
        },
    );
    (pieces, ending)
}

#[test]
fn ngram_knows_the_language_where_the_file_says_nothing() {
    let arms = Arms::new(trained());
    assert_eq!(arms.complete("ngram", "#[cfg", ""), "(test)]");
    assert_eq!(arms.complete("ngram", "#[cfg(test)]\nmod te", ""), "sts {");
    assert_eq!(arms.complete("file", "#[cfg", ""), "");
    assert_eq!(arms.complete("blend", "#[cfg", ""), "(test)]");
    let python = Prompt {
        language: Some("python"),
        file: None,
        ..prompt("#[cfg", "")
    };
    assert!(complete(arms.get("ngram"), &python, 9, &[]).0.is_empty());
}

#[test]
fn file_knows_the_names_of_the_file() {
    let arms = Arms::new(trained());
    let prefix = "let qux = frobnicate(wibble, wobble)?;\nlet quux = frob";
    assert_eq!(
        arms.complete("file", prefix, ""),
        "nicate(wibble, wobble)?;"
    );
    assert_eq!(arms.complete("ngram", prefix, ""), "");
    // What stands below counts too.
    let below = "\n}\n\nfn other() {\n    frobnicate(wibble, wobble)?;\n}\n";
    assert_eq!(
        arms.complete("file", "fn main() {\n    frobnicate(", below),
        "wibble, wobble)?;"
    );
}

#[test]
fn project_knows_the_other_files_of_the_user_and_no_one_elses() {
    let arms = Arms::new(TrainedModels::empty(""));
    let text = "pub fn frobnicate(wibble: &Wobble) -> Result<(), Wubble> {\n}\n";
    arms.project.observe("bob", "other.rs", text);
    assert_eq!(arms.complete("project", "pub fn frobnicate(", ""), "");
    arms.project.observe("ann", "here.rs", text);
    assert_eq!(arms.complete("project", "pub fn frobnicate(", ""), "");
    arms.project.observe("ann", "other.rs", text);
    let expected = "wibble: &Wobble) -> Result<(), Wubble> {";
    assert_eq!(arms.complete("project", "pub fn frobnicate(", ""), expected);
    assert_eq!(arms.complete("file", "pub fn frobnicate(", ""), "");
}

#[test]
fn copy_goes_on_for_several_lines_and_renames() {
    let arms = Arms::new(TrainedModels::empty(""));
    let conversion = |name: &str| {
        format!(
            "impl From<{name}Error> for Error {{\n    fn from(error: {name}Error) -> Self {{\n        \
             Self::{name}(error)\n    }}\n}}\n\n"
        )
    };
    let prefix = conversion("Baz") + &conversion("Foo") + "impl From<BarError> for Error {";
    let expected = "\n    fn from(error: BarError) -> Self {\n        Self::Bar(error)\n    }\n}";
    assert_eq!(arms.complete("copy", &prefix, ""), expected);
    assert!(!arms.complete("file", &prefix, "").contains('\n'));
}

#[test]
fn copy_recites_what_the_corpus_says_again_and_again() {
    let arms = Arms::new(trained());
    let prefix = "impl Error {\n}\n\n#[cfg(test)]\nmod tests {\n    use proptest::prelude::*;\n";
    assert_eq!(arms.complete("copy", prefix, "").trim(), "use super::*;");
}

#[test]
fn indentation_is_the_files_own() {
    let arms = Arms::new(TrainedModels::empty(""));
    let block = "for item in items:\n\tif item.ready:\n\t\titem.send()\n\t\tcount += 1\n";
    let prefix = format!("{block}\ndef main():\n\tfor item in items:\n\t\tif item.ready:");
    let python = Prompt {
        language: Some("python"),
        ..prompt(&prefix, "")
    };
    let text = complete(arms.get("copy"), &python, 64, &[]).0.concat();
    assert_eq!(text, "\n\t\t\titem.send()\n\t\t\tcount += 1");
}

#[test]
fn what_stands_after_the_cursor_is_not_written_again() {
    let arms = Arms::new(TrainedModels::empty(""));
    let before = "total = add(first, second);\ntotal = add(";
    assert_eq!(arms.complete("file", before, ");\n"), "first, second");
    assert_eq!(arms.complete("file", before, ""), "first, second);");
    let nested = "push(name(first), second);\npush(";
    assert_eq!(arms.complete("file", nested, ");\n"), "name(first), second");
    let repeated = "a {\n    begin(x);\n    finish(y);\n}\nb {\n    begin(x);\n    ";
    assert_eq!(arms.complete("file", repeated, ""), "finish(y);");
    assert_eq!(arms.complete("file", repeated, "\n    finish(y);\n}\n"), "");
    assert_eq!(arms.complete("file", "value = 1;\nva", "lue = 1;"), "");
}

#[test]
fn limits_are_kept() {
    let arms = Arms::new(TrainedModels::empty(""));
    let here = prompt("let a = one(two, three);\nlet b = one(", "");
    let file = arms.get("file");
    assert_eq!(
        complete(file, &here, 64, &[]),
        (words("two|,| three|)|;"), Ending::Stop)
    );
    assert_eq!(
        complete(file, &here, 2, &[]),
        (words("two|,"), Ending::Length)
    );
    assert_eq!(complete(file, &here, 0, &[]), (vec![], Ending::Length));
    assert_eq!(
        complete(file, &here, 64, &[", three"]),
        (words("two"), Ending::Stop)
    );
    let mut count = 0;
    let limits = Limits {
        max_tokens: 64,
        stop: &[],
    };
    let ending = file.complete(&here, &limits, &mut |_| {
        count += 1;
        if count == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!((ending, count), (Ending::Cancelled, 2));
}

fn words(text: &str) -> Vec<String> {
    text.split('|').map(str::to_owned).collect()
}

/// Each arm wins where it should: on real code, written from top to bottom.
#[test]
fn arms_differ_in_what_they_are_good_at() {
    let arms = Arms::new(trained());
    let language = Language::Rust;
    let new = "use std::fmt;\n\n/// Something else.\npub struct Thing {\n}\n\n#[cfg(test)]\nmod tests {\n    \
               use super::*;\n\n    #[test]\n    fn it_holds() {\n        let text = String::new();\n    }\n}\n";
    let repetitive = [
        "plum",
        "pear",
        "fig",
        "quince",
        "medlar",
        "sloe",
        "damson",
        "greengage",
    ]
    .map(|name| {
        format!("orchard.plant(Tree::sapling({name}), Soil::loamy(depth)).water(litres);\n")
    })
    .concat();
    let exact = |arm: &str, text: &str, spot: Spot| {
        let document = Document {
            path: "new.rs",
            language,
            text,
        };
        let sampling = Sampling {
            seed: 7,
            per_document: 40,
            with_suffix: false,
        };
        let trials = trials(&[document], &sampling);
        assess(arms.get(arm), &trials, "ann")[&(language, spot)]
            .exact_share()
            .unwrap()
    };
    assert!(exact("ngram", new, Spot::MidWord) > exact("file", new, Spot::MidWord) + 0.1);
    assert!(
        exact("file", &repetitive, Spot::MidLine)
            > exact("ngram", &repetitive, Spot::MidLine) + 0.2
    );
    assert!(exact("blend", new, Spot::MidWord) >= exact("file", new, Spot::MidWord));
}

#[test]
fn knowing_the_project_helps_on_a_held_out_file() {
    let arms = Arms::new(trained());
    let held_out = include_str!("../src/situation.rs");
    let document = Document {
        path: "src/situation.rs",
        language: Language::Rust,
        text: held_out,
    };
    let sampling = Sampling {
        seed: 11,
        per_document: 60,
        with_suffix: false,
    };
    let trials = trials(&[document], &sampling);
    let kept = |arm: &str| {
        let scores = assess(arms.get(arm), &trials, "ann");
        scores
            .values()
            .map(|score: &Score| score.kept_chars)
            .sum::<u64>()
    };
    let before = kept("project");
    for (name, text) in [
        ("src/walk.rs", include_str!("../src/walk.rs")),
        ("src/source.rs", include_str!("../src/source.rs")),
        ("src/sequence.rs", include_str!("../src/sequence.rs")),
    ] {
        arms.project.observe("ann", name, text);
    }
    assert!(
        kept("project") > before + before / 10,
        "{before} {}",
        kept("project")
    );
    assert!(kept("blend") > kept("ngram"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_asked_the_answer_keeps_to_the_rules(
        prefix in "([a-c]{1,2}[ (=.;]|\n {0,4}|\\PC){0,60}",
        suffix in "([a-c]{1,2}[ )=.;]|\n {0,4}){0,20}",
        other in "([a-c]{1,2}[ (=.;]|\n {0,4}){0,80}",
        stop in prop::collection::vec("[a-c);\n ]{1,2}", 0..3),
        max_tokens in 0_usize..20,
    ) {
        let arms = Arms::new(trained());
        arms.project.observe("ann", "other.rs", &other);
        let stop: Vec<&str> = stop.iter().map(String::as_str).collect();
        let prompt = prompt(&prefix, &suffix);
        for (name, arm) in &arms.all {
            let (pieces, ending) = complete(&**arm, &prompt, max_tokens, &stop);
            let text = pieces.concat();
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
            prop_assert!(pieces.len() <= max_tokens);
            prop_assert!(text.is_empty() || !text.trim().is_empty(), "{name}: {text:?}");
            prop_assert!(text.trim_end() == text, "{name}: {text:?}");
            prop_assert!(stop.iter().all(|stop| !text.contains(stop)), "{name}: {text:?}");
            prop_assert!(*name == "copy" || !text.trim_start().contains('\n'), "{name}: {text:?}");
            prop_assert!(ending != Ending::Cancelled);
            prop_assert_eq!(complete(&**arm, &prompt, max_tokens, &stop).0, pieces, "{}", name);
        }
    }
}
