//! `policy list`, `show`, `diff` and `gate`, on what a server has kept.

use serde_json::{Value, json};

use crate::server::Home;
use crate::upstream::Upstream;

/// A server that answers some requests, is told that each was taken, and stops.
async fn learn(home: &Home, config: &str, requests: usize) {
    let server = home.configured(config).start().await;
    let client = server.client();
    for number in 0..requests {
        let request =
            json!({"model": "echo", "prompt": format!("for value in values[{number}] {{\n    ")});
        let answer = client.complete(&request).await;
        let event = json!({"decision_id": answer.decision(), "type": "accepted"});
        assert_eq!(client.event(&event).await.status, 200);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_can_be_listed_shown_and_compared() {
    let upstream = Upstream::saying("total += value;").await;
    let home = Home::new();
    let config = upstream.arm("arm", "");
    learn(&home, &config, 3).await;
    learn(&home, &config, 2).await;
    let data = home.data();
    let policy = |arguments: &[&str]| {
        let launch = home.command("policy").args(arguments.iter().copied());
        launch.args(["--data-dir", data.to_str().unwrap()])
    };
    let listed = policy(&["list", "--json"]).finish().await;
    assert!(listed.status.success(), "{listed:?}");
    let kept: Vec<Value> = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let rewards: Vec<u64> = kept
        .iter()
        .map(|one| one["rewards"].as_u64().unwrap())
        .collect();
    assert_eq!(rewards.last(), Some(&5), "{kept:?}");
    assert!(rewards.contains(&3), "{kept:?}");
    let version = |rewards: u64| {
        let one = kept.iter().find(|one| one["rewards"] == rewards).unwrap();
        one["version"].to_string()
    };
    let shown = policy(&["show", &version(5)]).finish().await;
    assert!(
        shown.stdout.contains("arm@1") && shown.stdout.contains("1.0000"),
        "{shown:?}"
    );
    let differ = policy(&["diff", &version(3), &version(5), "--json"])
        .finish()
        .await;
    let differ: Value = serde_json::from_str(&differ.stdout).unwrap();
    assert_eq!(differ["arms"][0]["rewards"], json!([3, 5]));
    let missing = policy(&["show", "99999"]).finish().await;
    assert!(
        missing
            .complaint()
            .contains("no snapshot has version 99999"),
        "{missing:?}"
    );

    // Five rows say nothing: the gate does not open.
    let refused = policy(&["gate", "uniform"]).finish().await;
    assert!(
        refused.complaint().contains("effective rows"),
        "{refused:?}"
    );

    // A damaged snapshot is named, and not read.
    let file = kept.last().unwrap()["file"].as_str().unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
    let damaged = policy(&["show", file]).finish().await;
    assert!(damaged.complaint().contains(file), "{damaged:?}");
}
