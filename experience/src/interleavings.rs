//! The learner, requests and the log's writer, let run in orders that are drawn by shuttle
//! (<https://docs.rs/shuttle>): the log is the real one, and so is the cell that the policy in force lies in. What is
//! checked is that every decision names a version that was on record before it, that nobody waits for ever, and that what
//! was promised is in the log.
//!
//! Shuttle changes threads where they lock, wait or start; the cell's own instructions are one step to it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use serde_json::json;
use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};
use tokio::sync::{mpsc, oneshot};

use crate::{Log, LogError, LogOptions, LogReader, Record, Step};

/// A server's log, and the version of the policy that decides.
struct Server {
    log: Log,
    in_force: ArcSwap<u64>,
    order: Order,
}

/// In which order a version goes on record and into force.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// As the proxy's learner has it.
    RecordFirst,
    /// The mistake that the test must notice.
    ForceFirst,
}

impl Server {
    async fn publish(&self, version: u64) -> Result<u64, LogError> {
        if self.order == Order::ForceFirst {
            self.in_force.store(Arc::new(version));
        }
        self.log.append(published(version)).durable().await?;
        self.in_force.store(Arc::new(version));
        Ok(version)
    }

    async fn decide(&self, number: u64) -> Result<u64, LogError> {
        let version = **self.in_force.load();
        let seq = self.log.append(decision(number, version)).durable().await;
        self.log.note(event(number));
        seq
    }
}

fn published(version: u64) -> Record {
    serde_json::from_value(json!({"policy_published": {
        "at_ms": 0, "version": version, "through": 0, "seed": 0, "cohort": "treatment", "spec": "uniform",
        "sha256": "", "reason": "test",
    }}))
    .unwrap()
}

fn id(number: u64) -> String {
    format!("00000000-0000-7000-8000-{number:012}")
}

fn decision(number: u64, version: u64) -> Record {
    serde_json::from_value(json!({"decision": {
        "id": id(number), "at_ms": 0, "tenant": "t", "user": "u", "client": "c", "cohort": "treatment", "facts": "{}",
        "features": [], "schema": "", "arms": ["a@1"], "probabilities": [1.0], "chosen": 0, "routed": true,
        "degraded": false, "policy_version": version, "model": "echo",
    }}))
    .unwrap()
}

fn event(number: u64) -> Record {
    serde_json::from_value(json!({"event": {
        "decision": id(number), "choice": 0, "at_ms": 0, "kind": "shown",
    }}))
    .unwrap()
}

const VERSIONS: u64 = 2;
const REQUESTS: u64 = 2;
const DECISIONS: u64 = 2;

/// One run: an operator orders versions of the learner, which publishes them, while requests decide. Returns how many
/// decisions name a version that was not on record before them.
fn run(order: Order, options: LogOptions) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(directory.path(), options).unwrap();
    let server = Arc::new(Server {
        log,
        in_force: ArcSwap::from_pointee(0),
        order,
    });
    block_on(server.log.append(published(0)).durable()).unwrap();
    let (orders, mut queue) = mpsc::channel::<(u64, oneshot::Sender<Result<u64, LogError>>)>(1);
    let learner = {
        let server = Arc::clone(&server);
        thread::spawn(move || {
            block_on(async {
                while let Some((version, reply)) = queue.recv().await {
                    let _ = reply.send(server.publish(version).await);
                }
            });
        })
    };
    let operator = {
        let server = Arc::clone(&server);
        thread::spawn(move || {
            for version in 1..=VERSIONS {
                let (reply, answer) = oneshot::channel();
                block_on(orders.send((version, reply))).unwrap();
                if let Ok(version) = block_on(answer).unwrap() {
                    assert!(
                        **server.in_force.load() >= version,
                        "answered, not in force"
                    );
                }
            }
        })
    };
    let requests = (0..REQUESTS).map(|request| {
        let server = Arc::clone(&server);
        thread::spawn(move || {
            let (mut last, mut promised) = (0, Vec::new());
            for turn in 0..DECISIONS {
                let seen = **server.in_force.load();
                assert!(seen >= last, "a version came back");
                last = seen;
                let number = request * DECISIONS + turn;
                if let Ok(seq) = block_on(server.decide(number)) {
                    promised.push((number, seq));
                }
            }
            promised
        })
    });
    let requests: Vec<_> = requests.collect();
    let promised: Vec<_> = requests
        .into_iter()
        .flat_map(|r| r.join().unwrap())
        .collect();
    operator.join().unwrap();
    learner.join().unwrap();
    drop(server);

    let mut on_record = BTreeSet::new();
    let mut early = 0;
    let mut reader = LogReader::open(directory.path()).unwrap();
    let entries: Vec<_> = reader.entries().map(|entry| entry.unwrap()).collect();
    for entry in &entries {
        match &entry.record {
            Record::PolicyPublished(published) => {
                on_record.insert(published.version);
            }
            Record::Decision(decision) => {
                early += u64::from(!on_record.contains(&decision.policy_version));
            }
            _ => {}
        }
    }
    for (number, seq) in promised {
        let kept = entries.iter().find(|entry| entry.seq == seq).unwrap();
        assert!(matches!(&kept.record, Record::Decision(kept) if kept.id == id(number)));
    }
    early
}

/// Runs under a scheduler, and adds up what [`run`] returns.
fn explore(
    scheduler: impl Scheduler + 'static,
    order: Order,
    options: impl Fn() -> LogOptions + Send + Sync + 'static,
) -> u64 {
    let early = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&early);
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    Runner::new(scheduler, config).run(move || {
        seen.fetch_add(run(order, options()), Ordering::Relaxed);
    });
    early.load(Ordering::Relaxed)
}

const SEED: u64 = 20_261_129;
const RUNS: usize = 150;

#[test]
fn every_decision_names_a_version_that_was_on_record_before_it() {
    let random = RandomScheduler::new_from_seed(SEED, RUNS);
    assert_eq!(explore(random, Order::RecordFirst, LogOptions::default), 0);
    let pct = PctScheduler::new_from_seed(SEED, 3, RUNS);
    assert_eq!(explore(pct, Order::RecordFirst, LogOptions::default), 0);
}

#[test]
fn a_server_that_decides_before_it_records_is_noticed() {
    let random = RandomScheduler::new_from_seed(SEED, RUNS);
    assert!(explore(random, Order::ForceFirst, LogOptions::default) > 0);
}

#[test]
fn a_disk_that_fails_at_any_commit_leaves_nobody_waiting() {
    let runs = AtomicU64::new(0);
    let failing = move || {
        let failing = 1 + runs.fetch_add(1, Ordering::Relaxed) % 8;
        let commits = AtomicU64::new(0);
        let fail_point = move |step| {
            let fails = step == Step::Commit && commits.fetch_add(1, Ordering::Relaxed) == failing;
            if fails {
                Err(io::Error::other("full"))
            } else {
                Ok(())
            }
        };
        LogOptions {
            revive_after: None,
            fail_point: Some(Arc::new(fail_point)),
            ..LogOptions::default()
        }
    };
    let random = RandomScheduler::new_from_seed(SEED, RUNS);
    assert_eq!(explore(random, Order::RecordFirst, failing), 0);
}
