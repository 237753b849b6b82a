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

#[tokio::test(flavor = "multi_thread")]
async fn echos_own_log_goes_out_as_decision_log_and_comes_back() {
    let upstream = crate::upstream::Upstream::saying("total += value;").await;
    let home = Home::new();
    let config = format!(
        "[policy]\nspec = \"uniform\"\n{}{}",
        upstream.arm("a", ""),
        upstream.arm("b", "")
    );
    let server = home.configured(&config).start().await;
    let client = server.client();
    // Who is served by arm `a` accepts.
    let mut accepted = 0;
    for number in 0..120 {
        let prompt = format!("for value in values[{number}] {{\n    ");
        let request = serde_json::json!({"model": "echo", "prompt": prompt, "user": format!("u{}", number % 30)});
        let answer = client.complete(&request).await;
        let taken = answer.header("x-echo-arm") == "a@1";
        accepted += u32::from(taken);
        let kind = if taken { "accepted" } else { "rejected" };
        let event = serde_json::json!({"decision_id": answer.decision(), "type": kind});
        assert_eq!(client.event(&event).await.status, 200);
    }
    server.stop().await;
    let (data, file) = (home.data(), home.path().join("log.dsjson"));
    let (data, file) = (data.to_str().unwrap(), file.to_str().unwrap());
    let exported = home
        .command("export")
        .args([data, "--output", file])
        .finish()
        .await;
    assert!(
        exported.stdout.starts_with("120 of 120 decisions"),
        "{exported:?}"
    );
    let read = |arguments: &[&str]| {
        home.command("replay")
            .args(arguments.iter().copied())
            .args(["--json"])
            .finish()
    };
    let back = read(&["--input", file, "--target", "uniform"]).await;
    let back: Value = serde_json::from_str(&back.stdout).unwrap();
    assert_eq!(back["rows"], 120);
    let share = f64::from(accepted) / 120.0;
    assert!((back["logged"].as_f64().unwrap() - share).abs() < 1e-12);
    // Many policies on the same rows.
    let compared = read(&[
        data,
        "--policy",
        "uniform",
        "--compare",
        "always:a",
        "--compare",
        "always:b",
    ])
    .await;
    let compared: Value =
        serde_json::from_str(&compared.stdout).unwrap_or_else(|_| panic!("{compared:?}"));
    let policies = compared["policies"].as_array().unwrap();
    assert_eq!((policies.len(), &compared["intervals"]), (3, &5.into()));
    // One arm is worth 1, the other 0, uniform half of that. With fewer than 30 of the 120 draws an arm is not evaluated:
    // by chance that is so with a probability below 1e-7.
    let difference = |policy: usize| &policies[policy]["difference"]["interval"];
    assert!(difference(1)["lo"].as_f64().unwrap() > 0.0, "{compared}");
    assert!(difference(2)["hi"].as_f64().unwrap() < 0.0, "{compared}");
    let table = home
        .command("replay")
        .args([data, "--policy", "uniform", "--compare", "always:a"])
        .finish()
        .await;
    assert!(table.stdout.contains("hold together"), "{table:?}");
}
