//! Damaged files: what is lost is told, what can be rebuilt is.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::client::Client;
use crate::patience::eventually;
use crate::records;
use crate::replay;
use crate::server::Home;
use crate::upstream::Upstream;

/// A way to damage a file, and what it is called.
type Damage = (&'static str, fn(&Path));

/// A home whose server has learned something and was then stopped or killed.
async fn learned(kill: bool) -> (Home, String, Upstream) {
    let upstream = Upstream::saying("total += value;").await;
    let home = Home::new();
    let config = format!(
        "[reward]\nquiet_ms = 1000\n{}{}",
        upstream.arm("a", ""),
        upstream.arm("b", "")
    );
    let mut server = home.configured(&config).pace(100).start().await;
    say_accepted(&server.client(), 30).await;
    eventually("a snapshot", async || {
        (!snapshots(&home).is_empty()).then_some(())
    })
    .await;
    if kill {
        server.kill();
    } else {
        server.stop().await;
    }
    (home, config, upstream)
}

async fn say_accepted(client: &Client, times: usize) {
    for number in 0..times {
        let client = client.user(&format!("u{number}"));
        let answer = client
            .complete(&json!({"model": "echo", "prompt": "for value in values {\n    "}))
            .await;
        let said = client
            .event(&json!({"decision_id": answer.decision(), "type": "accepted"}))
            .await;
        assert_eq!(said.status, 200, "{said:?}");
    }
}

/// The policy's snapshots, oldest first.
fn snapshots(home: &Home) -> Vec<PathBuf> {
    let files = fs::read_dir(home.data().join("policy").join("retained@1"))
        .into_iter()
        .flatten();
    let paths = files.map(|file| file.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "policy"))
        .collect();
    paths.sort();
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_snapshot_is_reported_and_the_state_rebuilt() {
    let damages: [Damage; 4] = [
        ("a bit flipped", |path| flip_middle(path)),
        ("cut short", |path| cut(path, 40)),
        ("empty", |path| fs::write(path, b"").unwrap()),
        ("something else", |path| {
            fs::write(path, b"not a policy").unwrap();
        }),
    ];
    let (home, config, _upstream) = learned(false).await;
    for (what, damage) in damages {
        let paths = snapshots(&home);
        assert!(!paths.is_empty());
        for path in &paths {
            damage(path);
        }
        let server = home.configured(&config).start().await;
        assert_eq!(
            server
                .client()
                .complete(&json!({"model": "echo", "prompt": "x"}))
                .await
                .status,
            200
        );
        let said = server.stop().await;
        let reports = said
            .lines()
            .filter(|line| line.contains("WARN") && line.contains("snapshot"));
        assert_eq!(reports.count(), paths.len(), "{what}: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
        let entries = records::entries(&home.data());
        let started = replay::policies(&entries);
        assert!(
            started.rewards_at_last_start >= 30,
            "{what}: the state is rebuilt"
        );
    }
}

fn flip_middle(path: &Path) {
    let middle = fs::metadata(path).unwrap().len() / 2;
    overwrite(path, middle, |byte| byte ^ 0x10);
}

fn overwrite(path: &Path, at: u64, change: impl Fn(u8) -> u8) {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[change(byte[0])]).unwrap();
}

fn cut(path: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(bytes)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_of_the_log_costs_its_last_records_only() {
    let (home, config, _upstream) = learned(true).await;
    let before = records::entries(&home.data()).len();
    cut(&home.data().join("journal.sqlite-wal"), 100);
    let server = home.configured(&config).start().await;
    let answer = server
        .client()
        .complete(&json!({"model": "echo", "prompt": "x"}))
        .await;
    assert_eq!(answer.header("x-echo-logged"), "1");
    let said = server.stop().await;
    assert!(!said.contains("panicked"), "{said}");
    let entries = records::entries(&home.data());
    assert!(
        entries.len() + 20 > before,
        "{} of {before} entries are left",
        entries.len()
    );
    replay::reproduce(&entries);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_reported_and_serving_goes_on() {
    let damages: [Damage; 2] = [
        ("a byte of a record", |path| {
            let bytes = fs::read(path).unwrap();
            let place = bytes
                .windows(12)
                .rposition(|window| window == b"total += val")
                .unwrap();
            overwrite(path, place as u64, |_| b'#');
        }),
        ("garbage", |path| {
            fs::write(path, b"garbage ".repeat(2000)).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let (home, config, _upstream) = learned(true).await;
        let data = home.data();
        // What lies in the write-ahead file is moved into the journal by the next opening.
        drop(home.configured(&config).start().await);
        damage(&data.join("journal.sqlite"));
        let _absent = fs::remove_file(data.join("journal.sqlite-wal"));
        let server = home.configured(&config).start().await;
        let answer = server
            .client()
            .complete(&json!({"model": "echo", "prompt": "x"}))
            .await;
        assert_eq!(answer.header("x-echo-logged"), "1", "{what}");
        let said = server.stop().await;
        let report = said.lines().find(|line| line.contains("WARN"));
        assert!(
            report.is_some_and(|line| line.contains("journal") || line.contains("put aside")),
            "{what}: {said}"
        );
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_journal_is_reported() {
    let (home, config, _upstream) = learned(true).await;
    fs::write(home.data().join("journal.sqlite"), b"").unwrap();
    fs::remove_file(home.data().join("journal.sqlite-wal")).unwrap();
    let said = home.configured(&config).start().await.stop().await;
    assert!(
        said.lines()
            .any(|line| line.contains("WARN") && line.contains("journal")),
        "{said}"
    );
}

/// What a snapshot has learned from records that are lost is not in the log: it cannot be gone on from.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_more_than_the_log_still_holds_is_passed_over() {
    let (home, config, _upstream) = learned(true).await;
    assert!(!snapshots(&home).is_empty());
    fs::remove_file(home.data().join("journal.sqlite-wal")).unwrap();
    let server = home.configured(&config).start().await;
    let client = server.client();
    say_accepted(&client, 5).await;
    eventually("the new rewards are learned", async || {
        (client.metric("echo_rewards_learned_total").await >= 5.0).then_some(())
    })
    .await;
    let said = server.stop().await;
    assert!(
        said.lines()
            .any(|line| line.contains("WARN") && line.contains("snapshot")),
        "{said}"
    );
    replay::reproduce(&records::entries(&home.data()));
}
