//! What became of proposals, as the command line tells it: counted, listed, told one by one, and as Parquet.

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::{Finished, Home};
use crate::upstream::Upstream;

const PREFIX: &str = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):";
const PROPOSED: &str = "\n    result = a - b\n    return result";

/// Asks at the end of `prefix`; returns the decision's id.
async fn ask(client: &Client, prefix: &str) -> String {
    let body = json!({"model": "echo", "prompt": prefix, "suffix": "\n"});
    client.complete(&body).await.decision()
}

async fn outcomes(home: &Home, arguments: &[&str]) -> Finished {
    let data = home.data();
    let command = home
        .command("outcomes")
        .args(["--data-dir", data.to_str().unwrap()]);
    command.args(arguments.iter().copied()).finish().await
}

async fn told(home: &Home, arguments: &[&str]) -> String {
    let finished = outcomes(home, arguments).await;
    assert!(finished.status.success(), "{finished:?}");
    finished.stdout
}

async fn ids(home: &Home, arguments: &[&str]) -> Vec<String> {
    let json = told(home, &[&["--json"], arguments].concat()).await;
    let objects = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    objects
        .map(|object| object["decision_id"].as_str().unwrap().to_owned())
        .collect()
}

/// One user takes the proposal, another writes something else; each asks a second time.
async fn scene() -> (Home, [String; 4]) {
    let upstream = Upstream::saying(PROPOSED).await;
    let home = Home::new();
    let server = home
        .configured(&upstream.arm("arm", ""))
        .pace(60)
        .start()
        .await;
    let (ada, bob) = (server.client().user("ada"), server.client().user("bob"));
    let first = [ask(&ada, PREFIX).await, ask(&bob, PREFIX).await];
    // Later than any editor would ask by itself: half a second is half a minute here.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let taken = format!("{PREFIX}{PROPOSED}\n\n\n");
    let own = format!("{PREFIX}\n    raise NotImplementedError\n\n\n");
    let second = [ask(&ada, &taken).await, ask(&bob, &own).await];
    server.stop().await;
    let [a, b] = first;
    let [c, d] = second;
    (home, [a, b, c, d])
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_chosen_listed_and_told() {
    let (home, [taken, rejected, third, fourth]) = scene().await;
    assert_eq!(ids(&home, &[]).await.len(), 4);
    let accepted = ids(&home, &["--fate", "accepted"]).await;
    assert_eq!(accepted, std::slice::from_ref(&taken));
    assert_eq!(
        ids(&home, &["--fate", "rejected", "--arm", "arm"]).await,
        [rejected]
    );
    assert_eq!(
        ids(&home, &["--user", "bob", "--limit", "1"]).await,
        [fourth]
    );
    assert_eq!(
        ids(&home, &["--user", "ada", "--since", "7d"]).await,
        [taken.clone(), third]
    );
    for nothing in [
        ["--arm", "other"],
        ["--client", "emacs"],
        ["--since", "2999-01-01T00:00:00Z"],
    ] {
        assert!(ids(&home, &nothing).await.is_empty(), "{nothing:?}");
    }

    let list = told(&home, &["--list", "--scorer", "retained@1"]).await;
    assert_eq!(list.lines().count(), 5, "{list}");
    let line = list.lines().find(|line| line.contains(&taken)).unwrap();
    assert!(
        line.contains("accepted") && line.contains("1.000"),
        "{line}"
    );
    assert!(line.contains("result = a - b return result"), "{line}");

    let arguments = ["--list", "--scorer", "codebleu@1", "--fate", "accepted"];
    let liked = told(&home, &arguments).await;
    assert!(liked.contains("1.000"), "{liked}");
    let paid = told(
        &home,
        &[&arguments[..], &["--latency-cost", "1e9"]].concat(),
    )
    .await;
    assert!(paid.contains("0.000"), "waiting costs: {paid}");

    let story = told(&home, &["--show", &taken]).await;
    for part in [
        "def sub(a, b):",
        "proposed",
        "by request: accepted, 100 % kept",
        "return result",
    ] {
        assert!(story.contains(part), "{part}: {story}");
    }
    assert!(
        !story.contains('\u{1b}'),
        "no colours where nobody looks: {story:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_written_as_parquet_once() {
    let (home, _) = scene().await;
    let file = home.path().join("outcomes.parquet");
    let file = file.to_str().unwrap();
    told(&home, &["--parquet", file, "--scorer", "chars@1"]).await;
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let again = outcomes(&home, &["--parquet", file]).await;
    assert!(again.complaint().contains("exists already"), "{again:?}");
    assert_eq!(std::fs::read(file).unwrap(), bytes, "nothing was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_is_complained_of() {
    let (home, _) = scene().await;
    let complaint = |arguments: Vec<&'static str>| {
        let home = &home;
        async move { outcomes(home, &arguments).await.stderr }
    };
    assert!(
        complaint(vec!["--show", "zz"])
            .await
            .contains("no proposal's id starts with")
    );
    assert!(
        complaint(vec!["--show", "0"])
            .await
            .contains("more than one proposal's id")
    );
    assert!(
        complaint(vec!["--since", "yesterday"])
            .await
            .contains("neither a moment")
    );
    assert!(
        complaint(vec!["--fate", "declined"])
            .await
            .contains("no fate is called")
    );
}
