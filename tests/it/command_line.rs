//! Command lines that cannot be served: one clear line each.

use crate::server::{Home, Launch};
use crate::setting::CANARY;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_cannot_be_served_fails_with_one_line() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = home.data();
    let serve = |arguments: &[&str]| -> Launch {
        home.command("serve")
            .args(["--data-dir", data.to_str().unwrap()])
            .args(arguments.iter().copied())
    };
    let missing = home.path().join("missing");
    let file = home.path().join("file");
    std::fs::write(&file, CANARY).unwrap();
    let (missing, file) = (missing.to_str().unwrap(), file.to_str().unwrap());
    let cases = [
        (serve(&["--listen", &address]), address.as_str()),
        (
            serve(&["--listen", "127.0.0.1:0", "--config", missing]),
            missing,
        ),
        (
            serve(&["--listen", "127.0.0.1:0", "--corpus", missing]),
            missing,
        ),
        (
            home.command("serve")
                .args(["--listen", "127.0.0.1:0", "--data-dir", file]),
            file,
        ),
        (
            home.command("outcomes").args(["--data-dir", missing]),
            missing,
        ),
    ];
    for (launch, named) in cases {
        let finished = launch.finish().await;
        let complaint = finished.complaint();
        assert!(complaint.contains(named), "{named}: {finished:?}");
        assert_eq!(complaint.lines().count(), 1, "{finished:?}");
        assert!(!finished.stderr.contains(CANARY), "{finished:?}");
    }
    drop(taken);
}

#[test]
fn a_reader_that_has_had_enough_ends_a_command_quietly() {
    let binary = crate::server::binary();
    // More than a pipe holds.
    let command = format!("'{}' completions bash | head -n 1", binary.display());
    let finished = std::process::Command::new("sh")
        .args(["-c", &command])
        .output()
        .unwrap();
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(String::from_utf8_lossy(&finished.stderr), "");
}
