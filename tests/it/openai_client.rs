//! The real `openai` package for Python as a client.

use crate::patience::soon;
use crate::server::{Home, Launch, profile_folder};

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_is_served_streaming_and_not() {
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
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/openai_client.py");
    let home = Home::new();
    let server = home.embedded().start().await;
    let base = format!("http://{}/v1", server.address());
    let client = Launch::of(&home, python.to_str().unwrap(), &[script, &base]);
    let finished = soon("the client's end", client.finish()).await;
    assert!(
        finished.status.success(),
        "{}\n{}",
        finished.stdout,
        finished.stderr
    );
    print!("{}", finished.stdout);
    server.stop().await;
}
