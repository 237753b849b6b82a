//! What is acknowledged is on disk: kill -9 under load, and a second process.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::patience::{eventually, soon};
use crate::records;
use crate::server::Home;
use crate::upstream::Upstream;

/// Chooses the moments of the kills; another seed is another test.
const SEED: u64 = 20_251_122;

const KILLS: usize = 12;

const CLIENTS: usize = 6;

/// Answers of one life, at the most.
const ANSWERS: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_decision_is_lost_by_a_kill_at_any_moment() {
    let upstream = Upstream::saying("total += value;").await;
    let home = Home::new();
    // Small segments, so that kills fall into sealing too.
    let config = format!(
        "[log]\nseal_records = 200\n[reward]\nopen_per_user = 4\n{}",
        upstream.arm("arm", "")
    );
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let (mut acknowledged, mut unlogged) = (BTreeSet::new(), 0);
    for kill in 0..KILLS {
        let mut server = home.configured(&config).start().await;
        let moment = 1 + usize::try_from(random.next_u64() % ANSWERS).unwrap();
        let answers = Arc::new(AtomicUsize::new(0));
        let mut load = JoinSet::new();
        for number in 0..CLIENTS {
            load.spawn(ask_until_broken(
                server.client().user(&format!("u{number}")),
                Arc::clone(&answers),
            ));
        }
        eventually("enough answers", async || {
            (answers.load(Ordering::SeqCst) >= moment).then_some(())
        })
        .await;
        server.kill();
        while let Some(seen) = soon("the end of the load", load.join_next()).await {
            let (logged, not) = seen.unwrap();
            acknowledged.extend(logged);
            unlogged += not;
        }
        let kept = on_disk(&home.data());
        let lost = acknowledged.difference(&kept).count();
        assert_eq!(
            lost,
            0,
            "of {} acknowledged after kill {kill} of seed {SEED}",
            acknowledged.len()
        );
    }
    let server = home.configured(&config).start().await;
    server
        .client()
        .complete(&json!({"model": "echo", "prompt": "x"}))
        .await;
    server.stop().await;
    let kept = on_disk(&home.data());
    let lost = acknowledged.difference(&kept).count();
    println!(
        "{KILLS} kills (seed {SEED}): {lost} of {} acknowledged decisions lost, {} on disk, {unlogged} answers unlogged",
        acknowledged.len(),
        kept.len()
    );
    assert_eq!(lost, 0);
    assert!(
        acknowledged.len() >= 10 * KILLS,
        "too little load to show anything: {}",
        acknowledged.len()
    );
}

/// The ids of all decisions on disk; the numbers of the entries are dense.
fn on_disk(data: &Path) -> BTreeSet<String> {
    let entries = records::entries(data);
    let ids: BTreeSet<String> = records::decisions(&entries)
        .map(|decision| decision.id.clone())
        .collect();
    assert_eq!(
        ids.len(),
        records::decisions(&entries).count(),
        "a decision is there once"
    );
    ids
}

/// Asks until the server is gone; the ids of the answers that it called logged, and how many it did not.
async fn ask_until_broken(client: Client, answers: Arc<AtomicUsize>) -> (Vec<String>, usize) {
    let (mut logged, mut unlogged) = (Vec::new(), 0);
    for number in 0_u64.. {
        let body = json!({"model": "echo", "prompt": format!("let x{number} = "), "stream": number % 2 == 0});
        let request = client
            .request(reqwest::Method::POST, "/v1/completions")
            .header("content-type", "application/json");
        let Ok(response) = request.body(body.to_string()).send().await else {
            break;
        };
        assert_eq!(response.status(), 200);
        // What counts is the answer's head: it says that the decision is on disk.
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        match header("x-echo-logged").as_str() {
            "1" => logged.push(header("x-echo-decision")),
            _ => unlogged += 1,
        }
        answers.fetch_add(1, Ordering::SeqCst);
        if response.bytes().await.is_err() {
            break;
        }
    }
    (logged, unlogged)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_is_turned_away() {
    let upstream = Upstream::saying("x").await;
    let home = Home::new();
    let config = upstream.arm("arm", "");
    let server = home.configured(&config).start().await;
    let second = home.configured(&config).finish().await;
    let complaint = second.complaint();
    assert!(
        complaint.contains(home.data().to_str().unwrap()) && complaint.contains("another process"),
        "{second:?}"
    );
    assert_eq!(complaint.lines().count(), 1, "{second:?}");
    let answer = server
        .client()
        .complete(&json!({"model": "echo", "prompt": "x"}))
        .await;
    assert_eq!(answer.header("x-echo-logged"), "1");
    let live = home
        .command("outcomes")
        .args(["--data-dir", home.data().to_str().unwrap(), "--json"])
        .finish()
        .await;
    assert!(live.status.success(), "reading is no writing: {live:?}");
}
