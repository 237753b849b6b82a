//! The Open Bandit Data as they are distributed, by the command lines of docs/replay.md, against Open Bandit Pipeline's figures.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::server::{Home, profile_folder};

const MAP: &str = r#"
action = "item_id"
reward = "click"
propensity = "propensity_score"
position = "position"
arms = 80

[targets]
bts = { file = "bts_action_dist_all.csv", arm = "item_id", probabilities = ["pos0", "pos1", "pos2"] }
"#;

/// Evaluates a policy on the log that another one wrote.
async fn replayed(
    home: &Home,
    logging: &str,
    campaign: &str,
    target: &str,
) -> Result<Value, String> {
    let data = profile_folder()
        .parent()
        .unwrap()
        .join("obp-0.5.7/obp/dataset/obd");
    assert!(
        data.is_dir(),
        "{} is missing: tests/run fetches it from PyPI",
        data.display()
    );
    let input = data
        .join(logging)
        .join(campaign)
        .join(format!("{campaign}.csv"));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("bandit_data");
    let map = home.path().join("obd.toml");
    fs::write(&map, MAP).unwrap();
    fs::copy(
        own.join("bts_action_dist_all.csv"),
        home.path().join("bts_action_dist_all.csv"),
    )
    .unwrap();
    let finished = home
        .command("replay")
        .args([
            "--input",
            input.to_str().unwrap(),
            "--columns",
            map.to_str().unwrap(),
        ])
        .args([
            "--target",
            target,
            "--predictions",
            "tabular:prior=20,folds=1",
        ])
        .args([
            "--slope",
            "10,50,100,500,1000,5000,10000,inf",
            "--estimators",
            "all",
            "--json",
        ])
        .finish()
        .await;
    if finished.status.success() {
        Ok(serde_json::from_str(&finished.stdout).unwrap())
    } else {
        Err(finished.stderr)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_those_of_open_bandit_pipeline_in_both_directions() {
    let home = Home::new();
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("bandit_data/obp_0.5.7_all.json");
    let reference: Value = serde_json::from_str(&fs::read_to_string(reference).unwrap()).unwrap();
    for (logging, target) in [("random", "bts"), ("bts", "uniform")] {
        let expected = &reference[logging];
        let found = replayed(&home, logging, "all", target).await.unwrap();
        let close = |got: &Value, expected: &Value, what: &str| {
            let (got, expected) = (got.as_f64().unwrap(), expected.as_f64().unwrap());
            // Effective rows are hundreds, the others are below 1.
            let tolerance = 1e-12 * expected.abs().max(1.0);
            assert!(
                (got - expected).abs() < tolerance,
                "{what}: {got} {expected}"
            );
        };
        assert_eq!(found["rows"], expected["rows"]);
        close(&found["logged"], &expected["logged"], "logged");
        close(
            &found["weights"]["mean"],
            &expected["mean_weight"],
            "mean weight",
        );
        close(
            &found["weights"]["effective_sample_size"],
            &expected["effective_rows"],
            "effective rows",
        );
        let estimate = |name: &str| {
            let all = found["estimates"].as_array().unwrap().iter();
            all.clone()
                .find(|value| value["estimator"] == name)
                .unwrap()
        };
        let values = expected["values"].as_object().unwrap();
        assert_eq!(values.len(), 12);
        for (name, value) in values {
            close(&estimate(name)["value"], value, name);
        }
        for (name, constant) in expected["chosen"].as_object().unwrap() {
            assert_eq!(&estimate(name)["chosen"], constant, "{name}");
        }
        for (name, normal) in expected["normal"].as_object().unwrap() {
            let value = estimate(name);
            close(&value["standard_error"], &normal[0], name);
            close(&value["interval"]["lo"], &normal[1], name);
            close(&value["interval"]["hi"], &normal[2], name);
            // Each holds the mean reward of the log that the target wrote itself.
            let truth = expected["truth"].as_f64().unwrap();
            let end = |end: &str| value["interval"][end].as_f64().unwrap();
            assert!(end("lo") < truth && truth < end("hi"), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_says_nothing_of_the_target_is_refused() {
    let home = Home::new();
    let refused = replayed(&home, "bts", "women", "uniform")
        .await
        .unwrap_err();
    assert!(refused.contains("2.1"), "{refused}");
}
