//! The configuration: what is refused and how, and what a reload changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use echo_experience::Record;
use serde_json::json;
use tokio::task::JoinSet;

use crate::patience::{eventually, soon};
use crate::records;
use crate::server::Home;
use crate::upstream::Upstream;

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_configuration_is_accepted() {
    let home = Home::new();
    let printed = home.command("config").finish().await;
    assert!(printed.status.success());
    home.configure(&printed.stdout);
    let path = home.config();
    let checked = home
        .command("check-config")
        .args([path.to_str().unwrap()])
        .finish()
        .await;
    assert!(checked.status.success(), "{checked:?}");
    assert!(checked.stdout.contains("fine"), "{checked:?}");
    let server = home
        .embedded()
        .args(["--config", path.to_str().unwrap()])
        .start()
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_with_the_key_at_fault() {
    let home = Home::new();
    let arm = "[[arm]]\nname = \"a\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:1/v1\"\n";
    let twice = format!("{arm}{arm}");
    let with = |line: &str| format!("{arm}{line}\n");
    let cases = [
        ("[server]\nlisten_to = \"x\"".to_owned(), "listen_to"),
        (
            "[server]\nlisten = \"everywhere\"".to_owned(),
            "server.listen",
        ),
        ("[server]\nconnections = 0".to_owned(), "server.connections"),
        ("[server]\nbody_bytes = \"many\"".to_owned(), "body_bytes"),
        ("[server]\nlisten = \"0.0.0.0:4141\"".to_owned(), "[[key]]"),
        ("[policy]\nspec = \"best\"".to_owned(), "policy.spec"),
        (
            "[policy]\nspec = \"squarecb:floor=0\"".to_owned(),
            "policy.spec",
        ),
        ("[policy]\nspec = \"always:a\"".to_owned(), "policy.spec"),
        ("[control]\nshare = 1.5".to_owned(), "control.share"),
        ("[reward]\nscorer = \"liked@1\"".to_owned(), "reward.scorer"),
        (
            "[reward]\nquiet_ms = 10\nlongest_ms = 5".to_owned(),
            "reward.longest_ms",
        ),
        (
            "[server]\norigins = [\"vscode.dev\"]".to_owned(),
            "server.origins",
        ),
        ("[arm]\nname = \"a\"".to_owned(), "arm"),
        ("[[arm]]\nname = \"a\"\nkind = \"vllm\"".to_owned(), "kind"),
        (
            "[[arm]]\nname = \"echo\"\nkind = \"embedded\"".to_owned(),
            "arm.name",
        ),
        ("[[arm]]\nname = \"a\"\nkind = \"openai\"".to_owned(), "url"),
        (
            "[[arm]]\nname = \"a\"\nkind = \"openai\"\nurl = \"http://u:canary@h/v1\"".to_owned(),
            "url",
        ),
        (twice, "twice"),
        (with("template = \"jinja\""), "template"),
        (with("key_env = \"NOT_SET\""), "NOT_SET"),
        (with("key_file = \"missing\""), "missing"),
        (with("concurrency = 0"), "concurrency"),
        (
            "[[key]]\nname = \"a\"\ntenant = \"t\"\nsha256 = \"canary\"".to_owned(),
            "sha256",
        ),
        ("[server\n".to_owned(), "line 1"),
    ];
    for (text, named) in cases {
        home.configure(&text);
        let path = home.config();
        let checked = home
            .command("check-config")
            .args([path.to_str().unwrap()])
            .finish()
            .await;
        assert!(checked.complaint().contains(named), "{text}: {checked:?}");
        let served = home.configured(&text).finish().await;
        assert!(served.complaint().contains(named), "{text}: {served:?}");
        assert!(!served.stderr.contains("canary"), "{served:?}");
    }
    let missing = home
        .command("check-config")
        .args(["nowhere.toml"])
        .finish()
        .await;
    assert!(missing.complaint().contains("nowhere.toml"), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_swaps_the_arms_without_a_failed_request() {
    let [left, right] = [
        Upstream::saying("left").await,
        Upstream::saying("right").await,
    ];
    let home = Home::new();
    let configs = [
        left.arm("left", ""),
        right.arm("right", ""),
        format!("{}{}", left.arm("left", ""), right.arm("right", "")),
    ];
    let server = home.configured(&configs[0]).start().await;
    let (client, over, answered) = (
        server.client(),
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut load = JoinSet::new();
    for number in 0..4 {
        let client = client.user(&format!("u{number}"));
        let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
        load.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let answer = client
                    .complete(&json!({"model": "echo", "prompt": "x"}))
                    .await;
                assert_eq!(answer.header("x-echo-fallback"), "0");
                let arm = answer.header("x-echo-arm").to_owned();
                assert!(arm.starts_with(&answer.completion()), "{answer:?}");
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for reload in 1..=SWAPS {
        let (before, config) = (
            answered.load(Ordering::SeqCst),
            &configs[reload % configs.len()],
        );
        home.configure(config);
        server.hang_up();
        eventually("the reload", async || {
            (client.metric("echo_reloads_total{kind=\"accepted\"}").await == reload as f64)
                .then_some(())
        })
        .await;
        eventually("answers after it", async || {
            (answered.load(Ordering::SeqCst) > before + 8).then_some(())
        })
        .await;
        let listed = client.get("/v1/models").await.text();
        assert_eq!(
            listed.contains("\"right\""),
            config.contains("right"),
            "{listed}"
        );
    }
    home.configure("[policy]\nspec = \"best\"\n");
    server.hang_up();
    eventually("the refusal", async || {
        (client.metric("echo_reloads_total{kind=\"refused\"}").await == 1.0).then_some(())
    })
    .await;
    assert_eq!(
        client
            .complete(&json!({"model": "echo", "prompt": "x"}))
            .await
            .status,
        200,
        "the old one stays"
    );
    over.store(true, Ordering::SeqCst);
    while let Some(done) = soon("the end of the load", load.join_next()).await {
        done.unwrap();
    }
    let said = server.stop().await;
    assert!(
        said.lines()
            .any(|line| line.contains("ERROR") && line.contains("policy.spec")),
        "{said}"
    );
    println!(
        "{} requests over {SWAPS} reloads, none failed",
        answered.load(Ordering::SeqCst)
    );
    let entries = records::entries(&home.data());
    let changes = entries.iter().filter_map(|entry| match &entry.record {
        Record::ConfigurationChanged(change) => Some(change.accepted),
        _ => None,
    });
    let changes: Vec<bool> = changes.collect();
    assert_eq!(changes.iter().filter(|accepted| **accepted).count(), SWAPS);
    assert_eq!(changes.last(), Some(&false));
}

const SWAPS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_would_leave_no_arm_is_refused() {
    let upstream = Upstream::saying("fine").await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", "")).start().await;
    let client = server.client();
    // Without an arm, all embedded models are meant: but none were trained when this server started.
    home.configure("");
    server.hang_up();
    let reloads = async |kind: &str| {
        client
            .metric(&format!("echo_reloads_total{{kind=\"{kind}\"}}"))
            .await
    };
    eventually("the reload", async || {
        (reloads("accepted").await + reloads("refused").await == 1.0).then_some(())
    })
    .await;
    assert_eq!(
        client
            .complete(&json!({"model": "echo", "prompt": "x"}))
            .await
            .completion(),
        "fine",
        "the old one stays"
    );
    assert_eq!(reloads("refused").await, 1.0);
    server.stop().await;
}
