//! Policies that an operator publishes, has refused, and rolls back, on a running server.

use serde_json::{Value, json};

use crate::client::Client;
use crate::patience::eventually;
use crate::server::{Finished, Home, Server};
use crate::upstream::Upstream;

/// Two arms, the first of which alone is ever accepted.
async fn two_arms() -> (Upstream, Upstream, String) {
    let good = Upstream::saying("total += value;").await;
    let bad = Upstream::saying("unreachable!()").await;
    let config = [good.arm("good", ""), bad.arm("bad", "")].concat();
    (good, bad, config)
}

/// Sends requests of many users, and tells what became of each answer.
async fn live(client: &Client, requests: usize) {
    for number in 0..requests {
        let user = format!("user {}", number % 40);
        let prompt = format!("for value in values[{number}] {{\n    ");
        let request = json!({"model": "echo", "prompt": prompt, "user": user});
        let answer = client.complete(&request).await;
        let kind = if answer.completion() == "total += value;" {
            "accepted"
        } else {
            "rejected"
        };
        let event = json!({"decision_id": answer.decision(), "type": kind});
        assert_eq!(client.event(&event).await.status, 200);
    }
}

async fn policy(home: &Home, arguments: &[&str]) -> Finished {
    let data = home.data();
    let launch = home.command("policy").args(arguments.iter().copied());
    launch
        .args(["--data-dir", data.to_str().unwrap()])
        .finish()
        .await
}

async fn status(home: &Home) -> Value {
    let told = policy(home, &["status", "--json"]).await;
    serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"))
}

/// What was put into force, refused and rolled back: what and why.
async fn history(home: &Home) -> Vec<(String, String)> {
    let told = policy(home, &["history", "--json"]).await;
    let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let events = told
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .map(|event| (text(&event, "what"), text(&event, "why")))
        .collect()
}

async fn verified(home: &Home) {
    let data = home.data();
    let replay = home
        .command("replay")
        .args([data.to_str().unwrap(), "--verify", "--json"]);
    let found: Value = serde_json::from_str(&replay.finish().await.stdout).unwrap();
    assert_eq!(found["first_mismatch"], Value::Null, "{found}");
    assert_eq!(found["identical"], found["checked"], "{found}");
    assert!(found["checked"].as_u64().unwrap() > 0);
}

async fn learned(home: &Home, server: &Server) {
    let client = server.client();
    live(&client, 400).await;
    eventually("every reward learned", async || {
        (status(home).await["learned"].as_u64().unwrap() >= 400).then_some(())
    })
    .await;
}

/// Publishes what no server may take.
async fn refused(home: &Home, candidate: &std::path::Path) {
    let bytes = std::fs::read(candidate).unwrap();
    let damaged = home.path().join("damaged.policy");
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    for (content, complaint) in [
        (&changed[..], "checksum"),
        (&bytes[..bytes.len() / 2], "is cut"),
        (&b"PAR1"[..], "no policy snapshot"),
    ] {
        std::fs::write(&damaged, content).unwrap();
        let refused = policy(
            home,
            &[
                "publish",
                &format!("snapshot:{}", damaged.display()),
                "--force",
            ],
        )
        .await;
        assert!(refused.complaint().contains(complaint), "{refused:?}");
    }
    let no_floor = policy(home, &["publish", "squarecb:floor=0", "--force"]).await;
    assert!(no_floor.complaint().contains("floor"), "{no_floor:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trained_policy_is_refused_or_accepted_published_and_rolled_back() {
    let (_good, _bad, arms) = two_arms().await;
    let home = Home::new();
    let config = format!("[policy]\nspec = \"uniform\"\npublish_ms = 100\n{arms}");
    let server = home.configured(&config).start().await;
    learned(&home, &server).await;

    // What is the same as what runs is refused.
    let same = policy(&home, &["publish", "uniform"]).await;
    assert!(
        same.complaint().contains("not shown to be worth more"),
        "{same:?}"
    );
    assert_eq!(status(&home).await["policy"], "uniform");

    // What was trained on the first half passes on the second, and takes over.
    let data = home.data();
    let candidate = home.path().join("candidate.policy");
    let train =
        home.command("train")
            .args([data.to_str().unwrap(), "--recipe", "linear", "--json"]);
    let trained = train
        .args(["--out", candidate.to_str().unwrap()])
        .finish()
        .await;
    assert!(trained.status.success(), "{trained:?}");
    let report: Value = serde_json::from_str(&trained.stdout).unwrap();
    assert_eq!(report["report"]["arms"][0]["arm"], "bad@1");
    let named = format!("snapshot:{}", candidate.display());
    let gate = policy(&home, &["gate", &named]).await;
    assert!(
        gate.status.success() && gate.stdout.contains("accepted"),
        "{gate:?}"
    );
    let published = policy(&home, &["publish", &named]).await;
    assert!(
        published.stdout.contains("accepted by the gate"),
        "{published:?}"
    );
    let after = status(&home).await;
    assert_eq!(
        (&after["learning"], &after["before"]),
        (&json!(false), &json!(["uniform"]))
    );
    live(&server.client(), 60).await;

    // It stays in force over a restart, and its decisions can be repeated.
    server.stop().await;
    verified(&home).await;
    let server = home.configured(&config).start().await;
    let again = status(&home).await;
    assert_eq!(again["in_force"], after["in_force"]);
    live(&server.client(), 20).await;

    // Damaged, foreign and unlike snapshots are refused, and what runs stays.
    refused(&home, &candidate).await;
    assert_eq!(status(&home).await["in_force"], after["in_force"]);

    // Back to what was in force before, and to a version as it was.
    let back = policy(&home, &["rollback"]).await;
    assert!(back.stdout.contains("rolled back to uniform"), "{back:?}");
    let version = status(&home).await["version"].as_u64().unwrap();
    let nothing = policy(&home, &["rollback"]).await;
    assert!(
        nothing.complaint().contains("no other policy"),
        "{nothing:?}"
    );
    let missing = policy(&home, &["rollback", "999999"]).await;
    assert!(missing.complaint().contains("999999"), "{missing:?}");
    let as_it_was = policy(&home, &["rollback", &version.to_string()]).await;
    assert!(
        as_it_was.stdout.contains("rolled back to version"),
        "{as_it_was:?}"
    );
    live(&server.client(), 20).await;
    server.stop().await;
    verified(&home).await;

    let told = history(&home).await;
    let count = |what: &str, why: &str| {
        told.iter()
            .filter(|event| event.0 == what && event.1.contains(why))
            .count()
    };
    assert_eq!(
        count("refused", "not shown to be worth more"),
        1,
        "{told:?}"
    );
    assert_eq!(count("accepted", "worth +"), 1, "{told:?}");
    assert_eq!(count("policy", "accepted by the gate"), 1, "{told:?}");
    assert_eq!(
        count("refused", "checksum") + count("refused", "is cut") + count("refused", "no policy"),
        3
    );
    assert_eq!(count("policy", "rolled back"), 2, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_publishes_what_passes_the_gate() {
    let (_good, _bad, arms) = two_arms().await;
    let home = Home::new();
    let gate = "[gate]\nevery_s = 1\ncandidates = [\"always:bad,floor=0.01\", \"always:good,floor=0.01\"]\n";
    let config = format!("[policy]\nspec = \"uniform\"\npublish_ms = 100\n{gate}{arms}");
    let server = home.configured(&config).start().await;
    learned(&home, &server).await;
    eventually("the better candidate in force", async || {
        let now = status(&home).await;
        now["policy"]
            .as_str()
            .unwrap()
            .starts_with("always:good")
            .then_some(())
    })
    .await;
    server.stop().await;
    verified(&home).await;
    let told = history(&home).await;
    assert!(
        told.iter()
            .any(|event| event.0 == "policy" && event.1.contains("on schedule")),
        "{told:?}"
    );
    assert!(told.iter().any(|event| event.0 == "refused"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_only_signed_snapshots_are_taken() {
    let (_good, _bad, arms) = two_arms().await;
    let home = Home::new();
    let config = format!(
        "[policy]\nspec = \"uniform\"\npublish_ms = 100\nsign_key_env = \"SIGN_KEY\"\n{arms}"
    );
    let launch = || {
        home.configured(&config)
            .env("SIGN_KEY", "a key of many bytes")
    };
    let server = launch().start().await;
    learned(&home, &server).await;
    let data = home.data();
    let file = home.path().join("candidate.policy");
    let named = format!("snapshot:{}", file.display());
    for (key, complaint) in [
        (None, Some("not signed")),
        (Some("another key, long enough"), Some("another key")),
        (Some("a key of many bytes"), None),
    ] {
        let train = home
            .command("train")
            .args([data.to_str().unwrap(), "--recipe", "linear"]);
        let train = train.args(["--out", file.to_str().unwrap()]);
        let train = match key {
            Some(key) => train
                .args(["--sign-key-env", "OWN_KEY"])
                .env("OWN_KEY", key),
            None => train,
        };
        assert!(train.finish().await.status.success());
        let published = policy(&home, &["publish", &named]).await;
        match complaint {
            Some(complaint) => assert!(published.complaint().contains(complaint), "{published:?}"),
            None => assert!(published.status.success(), "{published:?}"),
        }
    }
    // What goes on from here is signed as well; under another key nothing is trusted, and nothing is lost.
    let version = status(&home).await["version"].as_u64().unwrap();
    server.stop().await;
    let other = home
        .configured(&config)
        .env("SIGN_KEY", "yet another key, long enough")
        .start()
        .await;
    let now = status(&home).await;
    assert_eq!(now["policy"], "uniform", "{now}");
    assert!(
        now["reason"].as_str().unwrap().contains("cannot be used"),
        "{now}"
    );
    assert!(
        now["version"].as_u64().unwrap() > version && now["learned"].as_u64().unwrap() >= 400,
        "{now}"
    );
    other.stop().await;
    verified(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_address_asks_for_its_token() {
    let (_good, _bad, arms) = two_arms().await;
    let home = Home::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config =
        format!("[admin]\nsocket = false\nlisten = \"{free}\"\ntoken_env = \"TOKEN\"\n{arms}");
    let server = home
        .configured(&config)
        .env("TOKEN", "open sesame")
        .start()
        .await;
    let ask = |token: &'static str| {
        let url = format!("http://{free}");
        let launch = home
            .command("policy")
            .args(["status", "--json", "--admin", &url]);
        launch.env("ECHO_ADMIN_TOKEN", token).finish()
    };
    let refused = ask("open").await;
    assert!(refused.complaint().contains("Authorization"), "{refused:?}");
    let told = ask("open sesame").await;
    assert!(
        told.status.success() && told.stdout.contains("randucb"),
        "{told:?}"
    );
    // The users' address knows nothing of it, and there is no socket.
    assert_eq!(server.client().get("/policy").await.status, 404);
    let none = policy(&home, &["status"]).await;
    assert!(none.complaint().contains("no server runs on"), "{none:?}");
    server.stop().await;
}

/// Policies that forget, resample or keep a budget need other sums than the default one: the log is learned anew for
/// each, and for the old one when it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_needs_other_sums_learns_the_log_anew() {
    let (_good, _bad, config) = two_arms().await;
    let home = Home::new();
    let server = home.configured(&config).start().await;
    learned(&home, &server).await;
    let known = async || status(&home).await["learned"].as_u64().unwrap();
    for spec in [
        "randucb:floor=0.01,halflife=1h,change=0.001",
        "bootstrap:replicates=4,floor=0.01",
        "squarecb:floor=0.01,ipcw=client",
        "randucb:floor=0.01,budget=0.2,cost:good=1",
    ] {
        let before = known().await;
        let published = policy(&home, &["publish", spec, "--force"]).await;
        assert!(published.status.success(), "{published:?}");
        assert_eq!(known().await, before, "{spec}");
        live(&server.client(), 20).await;
        let learned_more = async || (known().await >= before + 20).then_some(());
        eventually("more rewards learned", learned_more).await;
        let back = policy(&home, &["rollback"]).await;
        assert!(back.status.success(), "{back:?}");
        let again = policy(&home, &["publish", spec, "--force"]).await;
        assert!(again.status.success(), "{again:?}");
        assert_eq!(known().await, before + 20, "{spec}");
    }
    // Nearly all decisions so far were for the dear arm.
    let price = status(&home).await["price"].as_f64().unwrap();
    assert!(price > 1.0, "{price}");
    server.stop().await;
    verified(&home).await;
    let mut server = home.configured(&config).start().await;
    live(&server.client(), 20).await;
    server.kill();
    server.wait().await;
    let server = home.configured(&config).start().await;
    assert!(
        status(&home).await["policy"]
            .as_str()
            .unwrap()
            .contains("budget=0.2")
    );
    server.stop().await;
    verified(&home).await;
}
