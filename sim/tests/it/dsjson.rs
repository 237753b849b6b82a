//! Decision logs in Vowpal Wabbit's format, out of Echo's log and back in.

use std::path::Path;

use echo_sim::foreign::{ForeignError, ForeignEvaluation, ForeignSettings, evaluate_foreign};
use echo_sim::{EvaluationSettings, RowOptions, evaluate, export_dsjson};

use crate::world::{Life, World};

fn read(input: &Path, target: &str) -> Result<ForeignEvaluation, ForeignError> {
    let settings = ForeignSettings::new(input, None, Path::new(""), target);
    evaluate_foreign(&settings, &|_| ())
}

#[test]
fn what_is_written_as_decision_log_is_evaluated_alike() {
    let world = World::new(2_000, "squarecb", Life::Mixed, 51);
    let file = world.path().join("log.dsjson");
    let exported = export_dsjson(world.path(), &RowOptions::default(), &file).unwrap();
    assert_eq!(exported.arms, ["copy@1", "ngram@1", "silence@1"]);
    for (place, arm) in (1..).zip(["copy", "ngram"]) {
        let theirs = read(&file, &format!("always:{place}")).unwrap();
        assert_eq!(theirs.rows, exported.rows.rows);
        let ours = evaluate(
            world.path(),
            &EvaluationSettings::new(format!("always:{arm}").parse().unwrap()),
        );
        let ours = ours.unwrap();
        for estimator in ["ips", "snips"] {
            let (a, b) = (
                theirs.estimate(estimator).unwrap().value,
                ours.estimate(estimator).unwrap().value,
            );
            assert!((a - b).abs() < 1e-9, "{estimator} {arm}: {a} {b}");
        }
    }
}

#[test]
fn lines_that_are_no_decisions_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"{"_label_cost":-1,"_label_probability":0.8,"_label_Action":1,"_labelIndex":0,"a":[1,2],"p":[0.8,0.2]}"#;
    let refusal = |text: &str| {
        let file = folder.path().join("log.dsjson");
        std::fs::write(&file, format!("{good}\n{text}\n")).unwrap();
        read(&file, "uniform").unwrap_err().to_string()
    };
    for (line, complaint) in [
        (r#"{"a":[1,2],"p":[0.8,0.2]}"#, "line 2: no `_label_cost`"),
        (
            r#"{"_label_cost":0,"a":[1,2],"p":[0.8]}"#,
            "2 actions in `a`, and 1 probabilities",
        ),
        (
            r#"{"_label_cost":0,"a":[1,1],"p":[0.8,0.2]}"#,
            "no order of the actions",
        ),
        (
            r#"{"_label_cost":0,"a":[1,2,3],"p":[0.8,0.1,0.1]}"#,
            "3 actions, where the lines before have 2",
        ),
        (
            r#"{"_label_cost":0,"_labelIndex":5,"a":[1,2],"p":[0.8,0.2]}"#,
            "none of the 2",
        ),
        (
            r#"{"_label_cost":7,"a":[1,2],"p":[0.8,0.2]}"#,
            "reward_range",
        ),
        (r#"{"_label_cost":0,"a":[1,2],"p":[0.8,0.9]}"#, "sum"),
        (
            r#"{"_label_cost":0,"a":[1,2],"p":[0,1],"_labelIndex":0}"#,
            "no probability",
        ),
        (
            r#"{"_label_cost":0,"_outcomes":[],"a":[1,2],"p":[0.8,0.2]}"#,
            "slate",
        ),
        ("{", "line 2"),
    ] {
        let told = refusal(line);
        assert!(told.contains(complaint), "{line}: {told}");
    }
}

#[test]
fn contexts_predict_rewards() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.dsjson");
    // The first action earns where the user is grown up, the second elsewhere; half of the lines lack the age, which is 0.
    let line = |row: usize| {
        let (is_adult, action) = (row.is_multiple_of(2), row / 2 % 2 + 1);
        let age = if is_adult { r#""age":1,"# } else { "" };
        let cost = -i32::from(is_adult == (action == 1));
        format!(
            r#"{{"_label_cost":{cost},"_label_Action":{action},"_labelIndex":{},"a":[{action},{}],"p":[0.5,0.5],"c":{{"User":{{{age}"language":"l{}","tags":[1,2]}},"_multi":[{{}},{{}}]}}}}"#,
            action - 1,
            3 - action,
            row % 3,
        )
    };
    let lines: Vec<String> = (0..2_000).map(line).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let value = |features: &str, name: &str| {
        let map = format!(
            "action = ''\nreward = ''\nfeatures = [{features}]\ncategories = ['User.language']"
        );
        let map = toml::from_str(&map).unwrap();
        let mut settings = ForeignSettings::new(&file, Some(map), Path::new(""), "always:1");
        settings.predictions = Some("linear:by=arm".parse().unwrap());
        let found = evaluate_foreign(&settings, &|_| ());
        found.map(|found| found.estimate(name).unwrap().clone())
    };
    let without = value("'User.tags.0'", "dr").unwrap();
    let with = value("'User.*'", "dr").unwrap();
    assert!((with.value - 0.5).abs() < 0.01, "{with:?}");
    // What the age foretells needs no luck: the first arm's reward is known but for its mean.
    assert!(
        with.standard_error < 0.8 * without.standard_error,
        "{with:?} {without:?}"
    );
    for (wrong, words) in [
        ("'User.language'", "no number"),
        ("'User.height'", "there is no column \"User.height\""),
        ("'Place.*'", "no column begins"),
    ] {
        let told = value(wrong, "dr").unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }
}
