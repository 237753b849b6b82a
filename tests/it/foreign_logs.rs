//! `replay --input`, as its users call it.

use std::fs;

use serde_json::Value;

use crate::server::{Home, Launch};

/// Four hundred rows of a fair coin between two arms, of which the second earns 1 half of the time, the first never.
fn log(home: &Home) -> (String, String) {
    let row = |row: usize| format!("{},{},0.5,0.5\n", row % 2, u8::from(row % 4 == 1));
    let rows: String = (0..400).map(row).collect();
    let (input, map) = (home.path().join("log.csv"), home.path().join("map.toml"));
    fs::write(&input, format!("arm,reward,p0,p1\n{rows}")).unwrap();
    fs::write(
        &map,
        "action = 'arm'\nreward = 'reward'\nlogged = 'p{arm}'\n",
    )
    .unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    (text(&input), text(&map))
}

fn replay(home: &Home, input: &str, map: &str, more: &[&str]) -> Launch {
    home.command("replay")
        .args(["--input", input, "--columns", map])
        .args(more.iter().copied())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_another_system_is_evaluated() {
    let home = Home::new();
    let (input, map) = log(&home);
    let picture = home.path().join("values.svg");
    let more = [
        "--target",
        "always:1",
        "--estimators",
        "all",
        "--json",
        "--bootstrap",
        "40",
    ];
    let drawn = ["--svg", picture.to_str().unwrap()];
    let finished = replay(&home, &input, &map, &[&more[..], &drawn[..]].concat())
        .finish()
        .await;
    assert!(finished.status.success(), "{finished:?}");
    let found: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((&found["rows"], &found["arms"]), (&400.into(), &2.into()));
    let estimates = found["estimates"].as_array().unwrap();
    for name in ["ips", "snips", "dr", "sndr", "cressie-read", "replay"] {
        let value = estimates
            .iter()
            .find(|value| value["estimator"] == name)
            .unwrap();
        assert!(
            (value["value"].as_f64().unwrap() - 0.5).abs() < 1e-9,
            "{value}"
        );
        assert!(
            value["warning"].is_null() && value["guarantee"].is_string(),
            "{value}"
        );
    }
    let model = estimates
        .iter()
        .find(|value| value["estimator"] == "dm")
        .unwrap();
    assert!(model["warning"].as_str().unwrap().contains("bias"));
    assert!(fs::read_to_string(&picture).unwrap().contains("snips"));

    let few = replay(
        &home,
        &input,
        &map,
        &["--target", "uniform", "--estimators", "dr,snips"],
    );
    let table = few.finish().await;
    assert!(
        table.status.success() && table.stdout.contains("snips"),
        "{table:?}"
    );
    assert!(!table.stdout.contains("sg-ips"), "{table:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_evaluated_is_said_in_one_line() {
    let home = Home::new();
    let (input, map) = log(&home);
    let bad = home.path().join("bad.toml");
    fs::write(
        &bad,
        "action = 'arm'\nreward = 'reward'\nlogged = 'p{arm}'\ntargets = 3\n",
    )
    .unwrap();
    let bad = bad.to_str().unwrap();
    for (launch, words) in [
        (replay(&home, &input, bad, &[]), "bad.toml"),
        (
            replay(&home, &input, &map, &["--target", "always:7"]),
            "no arm is called \"7\"",
        ),
        (
            replay(&home, "absent.csv", &map, &["--target", "uniform"]),
            "absent.csv",
        ),
        (
            replay(
                &home,
                &input,
                &map,
                &["--target", "uniform", "--estimators", "magic"],
            ),
            "no estimator is called \"magic\"",
        ),
        (
            replay(
                &home,
                &input,
                &map,
                &["--target", "uniform", "--clips", "0"],
            ),
            "must be above 0",
        ),
    ] {
        let finished = launch.finish().await;
        let complaint = finished.complaint();
        assert!(complaint.contains(words), "{words}: {finished:?}");
    }
}
