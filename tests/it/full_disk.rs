//! A disk that is full: answers go on, the log says that it does not, and comes back.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::patience::eventually;
use crate::records;
use crate::server::{Home, Launch, Server};
use crate::upstream::Upstream;

/// A server whose data lies on a small disk of its own: a file system in memory, mounted where only the
/// server sees it.
async fn on_small_disk(home: &Home, config: &str) -> Server {
    let data = home.data();
    fs::create_dir_all(&data).unwrap();
    home.configure(config);
    let mount = format!("mount -t tmpfs -o size={DISK_BYTES} tmpfs \"$1\" && shift && exec \"$@\"");
    let unshare = |flags: &'static str| {
        let server = crate::server::binary();
        let arguments = [
            flags,
            "sh",
            "-c",
            &mount,
            "sh",
            data.to_str().unwrap(),
            server.to_str().unwrap(),
        ];
        Launch::of(home, "unshare", &arguments)
    };
    let flags = ["-m", "-Urm"];
    for flags in flags {
        if unshare(flags)
            .args(["config"])
            .finish()
            .await
            .status
            .success()
        {
            let serve = [
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--config",
                home.config().to_str().unwrap(),
            ]
            .map(str::to_owned);
            let launch = unshare(flags).args(serve.iter().map(String::as_str));
            return launch
                .args(["--data-dir", data.to_str().unwrap()])
                .start()
                .await;
        }
    }
    panic!(
        "no small disk can be had for this test: `unshare -m` needs root, `unshare -Urm` user namespaces"
    );
}

const DISK_BYTES: usize = 8 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_log_and_not_the_answers() {
    let upstream = Upstream::saying("total += value;").await;
    let home = Home::new();
    let server = on_small_disk(&home, &upstream.arm("arm", "")).await;
    let client = server.client();
    let request = json!({"model": "echo", "prompt": "for value in values {\n    ".repeat(60)});
    let before = client.complete(&request).await;
    assert_eq!(before.header("x-echo-logged"), "1");

    // The server's view of the disk, from outside.
    let data = PathBuf::from(format!(
        "/proc/{}/root{}",
        server.id(),
        home.data().display()
    ));
    let ballast = data.join("ballast");
    fill(&ballast);
    let unlogged = eventually("an unlogged answer", async || {
        let answer = client.complete(&request).await;
        fill(&ballast);
        (answer.header("x-echo-logged") == "0").then_some(answer)
    })
    .await;
    assert_eq!(unlogged.completion(), "total += value;");
    let health = eventually("ill health", async || {
        let health = client.health().await;
        (health["status"] == "degraded").then_some(health)
    })
    .await;
    assert_ne!(health["log"], "writable", "{health}");
    assert_eq!(
        client.get("/readyz").await.status,
        200,
        "it can still serve"
    );
    assert_eq!(client.metric("echo_log_writable").await, 0.0);
    let event = json!({"decision_id": before.decision(), "type": "accepted"});
    let refused = client.event(&event).await;
    assert_eq!(refused.error(503)["code"], "log_unavailable");
    assert!(refused.header("retry-after").parse::<u32>().is_ok());

    fs::remove_file(&ballast).unwrap();
    let after = eventually("a logged answer", async || {
        let answer = client.complete(&request).await;
        (answer.header("x-echo-logged") == "1").then_some(answer)
    })
    .await;
    assert_eq!(client.health().await["status"], "ok");
    let again = client.event(&event).await;
    assert_eq!(
        (again.status, again.json()),
        (200, json!({"recorded": true, "late": false})),
        "it was not taken before"
    );
    let logged = [before.decision(), after.decision()];
    let copy = home.path().join("copy");
    eventually("a copy in which no file went away meanwhile", async || {
        copy_folder(&data, &copy).ok()
    })
    .await;
    let entries = records::entries(&copy);
    let ids: BTreeSet<_> = records::decisions(&entries)
        .map(|decision| decision.id.clone())
        .collect();
    assert!(
        logged.iter().all(|id| ids.contains(id)),
        "what was called logged is there"
    );
    let events = records::events(&entries).filter(|event| event.decision == before.decision());
    assert_eq!(events.count(), 1, "an event that is called recorded is");
    fill(&ballast);
    eventually("an unlogged answer", async || {
        let answer = client.complete(&request).await;
        fill(&ballast);
        (answer.header("x-echo-logged") == "0").then_some(())
    })
    .await;
    server.stop().await;
}

/// Copies a folder anew: the journal's library cannot open what lies behind another process's root. It fails if
/// the server moves a file meanwhile.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        let kind = file.file_type()?;
        if kind.is_dir() {
            copy_folder(&file.path(), &target)?;
        } else if kind.is_file() {
            // And not the operator's socket.
            fs::copy(file.path(), target)?;
        }
    }
    Ok(())
}

/// Fills the disk to the last byte.
fn fill(path: &Path) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    for block in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![b'x'; block]).is_ok() {}
    }
}
