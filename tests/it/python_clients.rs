//! Real packages for Python as clients.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::patience::soon;
use crate::server::{Home, Launch, Server, profile_folder};
use crate::upstream::Upstream;

/// Runs a script of `clients` against the server at this address.
async fn run(home: &Home, script: &str, address: &str) -> String {
    let python = profile_folder()
        .parent()
        .unwrap()
        .join("python")
        .join("bin")
        .join("python");
    assert!(
        python.is_file(),
        "{} is missing: tests/run makes it, with the packages of tests/clients/requirements.txt",
        python.display()
    );
    let script = format!("{}/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let client = Launch::of(home, python.to_str().unwrap(), &[&script, address]);
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
    print!("{}", run(&home, "openai_client.py", &base).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ollama_package_is_served_streaming_and_not() {
    let (home, server) = embedded().await;
    let base = format!("http://{}", server.address());
    print!("{}", run(&home, "ollama_client.py", &base).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_openai_package_does_with_proposals_is_read_from_its_requests() {
    let upstream = Upstream::saying("\n    result = a - b\n    return result").await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", "")).start().await;
    let base = format!("http://{}/v1", server.address());
    let done = run(&home, "openai_typing.py", &base).await;
    server.stop().await;
    let data = home.data();
    let outcomes = home.command("outcomes");
    let outcomes = outcomes.args(["--json", "--data-dir", data.to_str().unwrap()]);
    let outcomes = outcomes.finish().await;
    assert!(outcomes.status.success(), "{outcomes:?}");
    let outcomes = outcomes.stdout.lines();
    let outcomes = outcomes.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let fates: BTreeMap<String, String> = outcomes
        .map(|outcome| {
            let text = |key: &str| outcome[key].as_str().unwrap().to_owned();
            (text("decision_id"), text("fate"))
        })
        .collect();
    let mut told = 0;
    for line in done.lines() {
        let (decision, truth) = line.split_once(' ').unwrap();
        assert_eq!(fates[decision], truth, "{line}");
        told += 1;
    }
    assert_eq!(told, 6, "{done}");
}
