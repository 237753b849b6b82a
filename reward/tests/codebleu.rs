//! `CodeBLEU` against an independent implementation.

use echo_reward::CodeBleu;
use serde_json::Value;

#[test]
fn an_independent_implementation_agrees() {
    let reference = include_str!("reference/codebleu.json");
    let cases: Vec<Value> = serde_json::from_str(reference).unwrap();
    assert!(cases.len() >= 10);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let compared =
            CodeBleu::compare(text("candidate"), text("reference"), Some(text("language")));
        let parts = [
            ("ngram", compared.ngram),
            ("weighted", compared.weighted),
            ("syntax_clipped", compared.syntax.unwrap()),
        ];
        let is_changed = case["grammar_changed"] == true;
        for (part, ours) in parts.into_iter().take(if is_changed { 2 } else { 3 }) {
            let theirs = case[part].as_f64().unwrap();
            assert!(
                (ours - theirs).abs() < 1e-6,
                "{part} {ours} {theirs}: {case}"
            );
        }
    }
}
