//! Versions of models that are tried, promoted, withdrawn and rolled back while requests go on.

use serde_json::{Value, json};

use crate::client::Client;
use crate::patience::eventually;
use crate::records::{decisions, entries};
use crate::server::{Finished, Home};
use crate::upstream::Upstream;

async fn models(home: &Home, arguments: &[&str]) -> Finished {
    let data = home.data();
    let launch = home.command("models").args(arguments.iter().copied());
    launch
        .args(["--data-dir", data.to_str().unwrap()])
        .finish()
        .await
}

/// The arms in force, with their standing.
async fn standing(home: &Home) -> Vec<(String, String)> {
    let told = models(home, &["list", "--json"]).await;
    let told: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
    let text = |arm: &Value, key: &str| arm[key].as_str().unwrap().to_owned();
    let all = told["models"].as_array().unwrap().iter();
    all.map(|arm| (text(arm, "arm"), text(arm, "standing")))
        .collect()
}

async fn live(client: &Client, requests: usize) {
    for number in 0..requests {
        let user = format!("user {}", number % 40);
        let prompt = format!("for value in values[{number}] {{\n    ");
        let request = json!({"model": "echo", "prompt": prompt, "user": user});
        let answer = client.complete(&request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let kind = if answer.completion() == "better" {
            "accepted"
        } else {
            "rejected"
        };
        let event = json!({"decision_id": answer.decision(), "type": kind});
        assert_eq!(client.event(&event).await.status, 200);
    }
}

fn named(arms: &[(&str, &str)]) -> Vec<(String, String)> {
    arms.iter()
        .map(|(arm, standing)| ((*arm).to_owned(), (*standing).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_gets_its_share_and_is_promoted_by_the_gate() {
    let (old, new) = (
        Upstream::saying("good").await,
        Upstream::saying("better").await,
    );
    let other = Upstream::saying("other").await;
    let home = Home::new();
    let arms = [old.arm("a", ""), other.arm("b", "")].concat();
    let config =
        format!("[policy]\nspec = \"uniform\"\npublish_ms = 100\n[gate]\nevery_s = 1\n{arms}");
    let server = home.configured(&config).start().await;
    let client = server.client();
    live(&client, 20).await;
    let added = models(
        &home,
        &[
            "add",
            "a",
            "--kind",
            "openai",
            "--url",
            &new.url("/v1"),
            "--share",
            "0.2",
        ],
    )
    .await;
    assert_eq!(added.stdout, "a@2: trial\n", "{added:?}");
    let told = standing(&home).await;
    assert_eq!(
        told,
        named(&[
            ("a@1", "configured"),
            ("b@1", "configured"),
            ("a@2", "trial")
        ])
    );
    // Nobody has asked it yet: it has not shown anything.
    let early = models(&home, &["publish", "a@2"]).await;
    assert!(early.complaint().contains("refused"), "{early:?}");
    live(&client, 700).await;
    eventually("the promotion", async || {
        let told = standing(&home).await;
        (told == named(&[("b@1", "configured"), ("a@2", "promoted")])).then_some(())
    })
    .await;
    live(&client, 20).await;
    // It is there after a restart, and can be taken back.
    server.stop().await;
    let server = home.configured(&config).start().await;
    assert_eq!(standing(&home).await.len(), 2);
    live(&server.client(), 20).await;
    let back = models(&home, &["rollback", "a"]).await;
    assert!(back.stdout.contains("a@1, b@1"), "{back:?}");
    live(&server.client(), 20).await;
    server.stop().await;

    let entries = entries(&home.data());
    let (mut tried, mut drawn) = (0, 0);
    for decision in decisions(&entries) {
        let Some(at) = decision.arms.iter().position(|arm| arm == "a@2") else {
            continue;
        };
        if decision.arms.len() == 3 {
            tried += 1;
            drawn += u64::from(decision.chosen as usize == at);
            assert!(decision.probabilities[at] <= 0.2 + 1e-12, "{decision:?}");
        }
    }
    // One request in five, within five standard deviations: beyond them but with a probability below 1e-6.
    let off = (drawn * 5).abs_diff(tried);
    assert!(
        tried >= 100 && off * off <= 100 * tried,
        "{drawn} of {tried}"
    );
    let data = home.data();
    let replay = home
        .command("replay")
        .args([data.to_str().unwrap(), "--verify", "--json"]);
    let found: Value = serde_json::from_str(&replay.finish().await.stdout).unwrap();
    assert_eq!(found["first_mismatch"], Value::Null, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_worse_is_withdrawn_and_a_bad_change_changes_nothing() {
    let (old, new) = (
        Upstream::saying("better").await,
        Upstream::saying("worse").await,
    );
    let home = Home::new();
    let config = format!(
        "[policy]\nspec = \"uniform\"\npublish_ms = 100\n[gate]\nevery_s = 1\ntrial_share = 0.5\n{}",
        old.arm("a", "")
    );
    let server = home.configured(&config).start().await;
    let url = new.url("/v1");
    for (arguments, complaint) in [
        (&["add", "a", "--kind", "vllm", "--url", &url][..], "vllm"),
        (&["add", "a", "--kind", "openai"], "url"),
        (
            &[
                "add",
                "a",
                "--kind",
                "openai",
                "--url",
                &url,
                "--version",
                "1",
            ],
            "already",
        ),
        (
            &[
                "add", "a", "--kind", "openai", "--url", &url, "--share", "2",
            ],
            "share",
        ),
        (&["add", "a@b", "--kind", "openai", "--url", &url], "a@b"),
        (&["retire", "zzz@1"], "zzz@1"),
        (&["retire", "a@1"], "no arm"),
        (&["publish", "a@1"], "not on trial"),
        (&["rollback", "a"], "no promoted version"),
    ] {
        let refused = models(&home, arguments).await;
        assert!(
            refused.complaint().contains(complaint),
            "{arguments:?}: {refused:?}"
        );
    }
    assert_eq!(standing(&home).await, named(&[("a@1", "configured")]));
    let added = models(&home, &["add", "a", "--kind", "openai", "--url", &url]).await;
    assert!(added.status.success(), "{added:?}");
    live(&server.client(), 400).await;
    eventually("the withdrawal", async || {
        let told = standing(&home).await;
        (told == named(&[("a@1", "configured"), ("a@2", "retired")])).then_some(())
    })
    .await;
    server.stop().await;
}
