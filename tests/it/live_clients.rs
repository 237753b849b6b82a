//! Real clients, driven by scripts in Python.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::patience::soon;
use crate::server::{Home, Launch, Server, profile_folder};
use crate::upstream::Upstream;

/// The folder where `tests/run` puts what it fetches.
fn target() -> PathBuf {
    profile_folder().parent().unwrap().to_owned()
}

/// Runs a script of `clients` with these arguments, the first of which is the server's address.
async fn run(home: &Home, script: &str, arguments: &[&str]) -> String {
    let python = target().join("python/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: tests/run makes it, with the packages of tests/clients/requirements.txt",
        python.display()
    );
    let script = format!("{}/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let arguments = [&[script.as_str()], arguments].concat();
    let client = Launch::of(home, python.to_str().unwrap(), &arguments);
    let finished = soon("the client's end", client.finish()).await;
    assert!(
        finished.status.success(),
        "{}\n{}",
        finished.stdout,
        finished.stderr
    );
    finished.stdout
}

async fn embedded() -> (Home, Server) {
    let home = Home::new();
    let server = home.embedded().start().await;
    (home, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_is_served_streaming_and_not() {
    let (home, server) = embedded().await;
    let base = format!("http://{}/v1", server.address());
    print!("{}", run(&home, "openai_client.py", &[&base]).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ollama_package_is_served_streaming_and_not() {
    let (home, server) = embedded().await;
    let base = format!("http://{}", server.address());
    print!("{}", run(&home, "ollama_client.py", &[&base]).await);
    server.stop().await;
}

/// The fate on record of every decision, when its server has stopped.
async fn fates(home: &Home) -> BTreeMap<String, String> {
    let data = home.data();
    let outcomes = home.command("outcomes");
    let outcomes = outcomes.args(["--json", "--data-dir", data.to_str().unwrap()]);
    let outcomes = outcomes.finish().await;
    assert!(outcomes.status.success(), "{outcomes:?}");
    let outcomes = outcomes.stdout.lines();
    let outcomes = outcomes.map(|line| serde_json::from_str::<Value>(line).unwrap());
    outcomes
        .map(|outcome| {
            let text = |key: &str| outcome[key].as_str().unwrap().to_owned();
            (text("decision_id"), text("fate"))
        })
        .collect()
}

/// Compares what a script says that it did, a line for each decision, with what is on record; returns the number of lines.
fn compare(done: &str, fates: &BTreeMap<String, String>) -> usize {
    for line in done.lines() {
        let (decision, truth) = line.split_once(' ').unwrap();
        assert_eq!(fates[decision], truth, "{line}");
    }
    done.lines().count()
}

const PROPOSED: &str = "\n    result = a - b\n    return result";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_openai_package_does_with_proposals_is_read_from_its_requests() {
    let upstream = Upstream::saying(PROPOSED).await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", "")).start().await;
    let base = format!("http://{}/v1", server.address());
    let done = run(&home, "openai_typing.py", &[&base]).await;
    server.stop().await;
    assert_eq!(compare(&done, &fates(&home).await), 6, "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tabbys_agent_does_and_tells_is_on_record() {
    let agent = target().join("tabby-agent-1.5.0/package/dist/cli.js");
    assert!(
        agent.is_file(),
        "{} is missing: tests/run fetches it from npm",
        agent.display()
    );
    let upstream = Upstream::saying(PROPOSED).await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", "")).start().await;
    let base = format!("http://{}", server.address());
    let done = run(&home, "tabby_typing.py", &[&base, agent.to_str().unwrap()]).await;
    server.stop().await;
    assert_eq!(compare(&done, &fates(&home).await), 4, "{done}");
}
