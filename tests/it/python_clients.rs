//! Real packages for Python as clients.

use crate::patience::soon;
use crate::server::{Home, Launch, Server, profile_folder};

/// Runs a script of `clients` against the server at this address.
async fn run(home: &Home, script: &str, address: &str) {
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
    print!("{}", finished.stdout);
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
    run(&home, "openai_client.py", &base).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ollama_package_is_served_streaming_and_not() {
    let (home, server) = embedded().await;
    let base = format!("http://{}", server.address());
    run(&home, "ollama_client.py", &base).await;
    server.stop().await;
}
