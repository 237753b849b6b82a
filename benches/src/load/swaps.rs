use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use echo_experience::{LogReader, Record};
use echo_sim::{VerifySettings, verify};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::behaviour::Behaviour;
use super::connection::Connection;
use super::contender::{Contender, Site};
use super::echo::ARM;
use super::quantile::Quantiles;
use super::typing::Typing;
use crate::error::LoadError;

/// A load at a fixed rate, in windows with swaps and without in turn.
#[derive(Debug, Clone, Copy)]
pub struct Swaps {
    /// Requests a second.
    pub rate: u64,
    /// Pairs of windows, one with swaps and one without.
    pub pairs: usize,
    /// Length of a window.
    pub window: Duration,
    /// Policies published in all windows together.
    pub policies: usize,
    /// Changes of an arm's version in all windows together.
    pub models: usize,
    /// Whether users go on typing, so that proposals are followed and learned from; else every request comes from
    /// another user.
    pub learning: bool,
}

/// What a run of swaps came to.
#[derive(Debug, Clone, Serialize)]
pub struct SwapReport {
    /// Requests a second that were asked for.
    pub rate: u64,
    /// Policies published.
    pub policies: usize,
    /// Changes of an arm's version.
    pub models: usize,
    /// Requests that failed: another status than 200, or a broken connection.
    pub failed: u64,
    /// Latencies of requests in windows without swaps, from the time when each was due.
    pub quiet: Quantiles,
    /// The same in windows with swaps.
    pub swapping: Quantiles,
    /// Median over the pairs of the ratio of their 99th percentiles.
    pub ratio_of_p99: f64,
    /// Decisions on record.
    pub decisions: u64,
    /// Those whose probabilities a replay repeats, bit for bit, from the one policy version that they name.
    pub identical: u64,
    /// Answers of another arm version than the one drawn, but for those marked as fallbacks.
    pub mixed: u64,
    /// Versions of policies that decided.
    pub policy_versions: usize,
    /// Versions of arms that answered.
    pub arm_versions: usize,
}

/// Connections that share the rate.
const CONNECTIONS: usize = 128;

/// A small model that thinks for a moment.
const BEHAVIOUR: Behaviour = Behaviour {
    text: 0,
    pieces: 16,
    first_us: 5_000,
    every_ms: 0,
};

/// Users who go on typing.
const USERS: usize = 1_024;

impl Swaps {
    fn contender(&self) -> Contender {
        if self.learning {
            Contender::EchoLearning
        } else {
            Contender::EchoRouted
        }
    }

    /// Runs the load and the swaps.
    ///
    /// # Errors
    /// [`LoadError`] when the proxy fails as a whole, or does not swap.
    pub async fn run(&self, site: &Site) -> Result<SwapReport, LoadError> {
        let running = site.start(self.contender(), false)?;
        let data_dir = running
            .data_dir()
            .ok_or_else(|| LoadError::program("echo-proxy", "it has no data directory"))?;
        let operator = Operator::new(&data_dir, site)?;
        let typing = self.contender().typing(BEHAVIOUR, false, USERS);
        let mut load = Load::open(running.address, typing, self.rate).await?;
        // Connections, caches and the log's files are warm before anything counts.
        load.window(self.window.min(Duration::from_secs(3))).await;
        load.failed.store(0, Ordering::Relaxed);
        let (mut quiet, mut swapping, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let each =
            |all: usize, pair: usize| all * (pair + 1) / self.pairs - all * pair / self.pairs;
        for pair in 0..self.pairs {
            eprintln!("windows {} of {} ...", pair + 1, self.pairs);
            let (policies, models) = (each(self.policies, pair), each(self.models, pair));
            let mut windows = [Vec::new(), Vec::new()];
            // Which of the two comes first changes from pair to pair.
            for with in [pair % 2 == 0, pair % 2 == 1] {
                let swaps = async {
                    if with {
                        operator.swap(policies, models, self.window).await
                    } else {
                        Ok(())
                    }
                };
                let (latencies, swapped) = tokio::join!(load.window(self.window), swaps);
                swapped?;
                windows[usize::from(with)] = latencies;
            }
            let [without, with] = windows;
            let p99 = |latencies: &Vec<f64>| {
                Quantiles::of(latencies.clone()).map(|quantiles| quantiles.p99_us)
            };
            if let (Some(without), Some(with)) = (p99(&without), p99(&with)) {
                ratios.push(with / without);
            }
            quiet.extend(without);
            swapping.extend(with);
        }
        let failed = load.failed.load(Ordering::Relaxed);
        drop(load);
        eprintln!("replaying every decision ...");
        let record = Recorded::read(&data_dir)?;
        let none = || LoadError::program("swaps", "nothing was measured");
        let report = SwapReport {
            rate: self.rate,
            policies: operator.policies.load(Ordering::Relaxed),
            models: operator.models.load(Ordering::Relaxed),
            failed,
            quiet: Quantiles::of(quiet).ok_or_else(none)?,
            swapping: Quantiles::of(swapping).ok_or_else(none)?,
            ratio_of_p99: super::quantile::median(ratios).ok_or_else(none)?,
            decisions: record.decisions,
            identical: record.identical,
            mixed: record.mixed,
            policy_versions: record.policy_versions,
            arm_versions: record.arm_versions,
        };
        running.stop()?;
        Ok(report)
    }
}

/// Requests that come at their time, whether or not those before them are answered.
struct Load {
    connections: Vec<Connection>,
    typing: Typing,
    rate: u64,
    sent: usize,
    address: std::net::SocketAddr,
    failed: Arc<AtomicU64>,
}

impl Load {
    async fn open(
        address: std::net::SocketAddr,
        typing: Typing,
        rate: u64,
    ) -> Result<Self, LoadError> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(connect(address).await?);
        }
        Ok(Self {
            connections,
            typing,
            rate,
            sent: 0,
            address,
            failed: Arc::default(),
        })
    }

    /// Keeps the rate up for a while. Returns microseconds from each request's time to its answer's end.
    async fn window(&mut self, length: Duration) -> Vec<f64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of requests"
        )]
        let count = (self.rate as f64 * length.as_secs_f64()) as usize;
        let start = Instant::now();
        let (first, gap) = (
            self.sent,
            Duration::from_secs(1) / u32::try_from(self.rate).unwrap_or(u32::MAX),
        );
        self.sent += count;
        let next = AtomicUsize::new(0);
        let (typing, address, failed) = (&self.typing, self.address, &self.failed);
        let workers = self.connections.iter_mut().map(|connection| {
            let next = &next;
            async move {
                let mut latencies = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return latencies;
                    }
                    let due = start + gap * u32::try_from(number).unwrap_or(u32::MAX);
                    sleep_until(due).await;
                    let status = connection
                        .ask(typing, first + number)
                        .await
                        .map(super::answer::Answer::status);
                    if matches!(status, Ok(200)) {
                        latencies.push(due.elapsed().as_secs_f64() * 1e6);
                        continue;
                    }
                    failed.fetch_add(1, Ordering::Relaxed);
                    if status.is_err()
                        && let Ok(again) = Connection::open(address).await
                    {
                        *connection = again;
                    }
                }
            }
        });
        futures_util::future::join_all(workers).await.concat()
    }
}

async fn connect(address: std::net::SocketAddr) -> Result<Connection, LoadError> {
    let opened = Connection::open(address).await;
    opened.map_err(|source| LoadError::Connection {
        target: "echo-proxy".to_owned(),
        source,
    })
}

/// Publishes policies and changes arms through the admin socket.
struct Operator {
    client: reqwest::Client,
    upstream: String,
    policies: AtomicUsize,
    models: AtomicUsize,
}

impl Operator {
    fn new(data_dir: &Path, site: &Site) -> Result<Self, LoadError> {
        // Another part of the process may have chosen a provider first: then that one stays.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .unix_socket(data_dir.join("admin/socket"))
            .no_proxy()
            .build()
            .map_err(|error| LoadError::program("reqwest", error))?;
        Ok(Self {
            client,
            upstream: format!("http://{}/v1", site.upstream.address),
            policies: AtomicUsize::new(0),
            models: AtomicUsize::new(0),
        })
    }

    /// So many swaps, evenly over a window.
    async fn swap(
        &self,
        policies: usize,
        models: usize,
        window: Duration,
    ) -> Result<(), LoadError> {
        let start = Instant::now();
        let at = |number: usize, of: usize| {
            start + window.mul_f64((number as f64 + 0.5) / of.max(1) as f64)
        };
        let publish = async {
            for number in 0..policies {
                sleep_until(at(number, policies)).await;
                let spec = [
                    "randucb:floor=0.01",
                    "squarecb:floor=0.02",
                    "linucb:floor=0.01",
                ][number % 3];
                self.post(
                    "/policy/publish",
                    &json!({"candidate": spec, "force": true}),
                )
                .await?;
                self.policies.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let change = async {
            for number in 0..models {
                sleep_until(at(number, models)).await;
                // A version is tried, and then stands in the place of the one before.
                let made = self.models.fetch_add(1, Ordering::Relaxed);
                let version = 2 + made / 2;
                if made.is_multiple_of(2) {
                    let arm = json!({
                        "name": ARM,
                        "kind": "openai",
                        "url": self.upstream,
                        "model": "bench",
                        "version": version,
                        "concurrency": 8192,
                    });
                    self.post("/models", &json!({"arm": arm, "share": 0.5}))
                        .await?;
                } else {
                    let path = format!("/models/{ARM}@{version}/publish");
                    self.post(&path, &json!({"force": true})).await?;
                }
            }
            Ok(())
        };
        let (published, changed) = tokio::join!(publish, change);
        published.and(changed)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(), LoadError> {
        let failed =
            |reason: String| LoadError::program("the admin socket", format!("{path}: {reason}"));
        let sent = self
            .client
            .post(format!("http://echo{path}"))
            .body(body.to_string())
            .send()
            .await;
        let response = sent.map_err(|error| failed(error.to_string()))?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(failed(response.text().await.unwrap_or_default()))
    }
}

/// What the log says of the run.
struct Recorded {
    decisions: u64,
    identical: u64,
    mixed: u64,
    policy_versions: usize,
    arm_versions: usize,
}

impl Recorded {
    fn read(data_dir: &Path) -> Result<Self, LoadError> {
        let failed = |error: String| LoadError::program("the log", error);
        let found = verify(data_dir, &VerifySettings::default())
            .map_err(|error| failed(error.to_string()))?;
        if let Some(mismatch) = &found.first_mismatch {
            return Err(failed(format!(
                "record {}: {}",
                mismatch.seq, mismatch.reason
            )));
        }
        let mut reader = LogReader::open(data_dir).map_err(|error| failed(error.to_string()))?;
        let mut drawn = std::collections::BTreeMap::new();
        let (mut policies, mut arms) = (
            std::collections::BTreeSet::new(),
            std::collections::BTreeSet::new(),
        );
        let mut mixed = 0;
        for entry in reader.entries() {
            match entry.map_err(|error| failed(error.to_string()))?.record {
                Record::Decision(decision) => {
                    policies.insert(decision.policy_version);
                    drawn.insert(decision.id, decision.arms[decision.chosen as usize].clone());
                }
                Record::Served(served) => {
                    let expected = drawn.remove(&served.decision);
                    mixed += u64::from(
                        !served.fallback && expected.is_some_and(|arm| arm != served.arm),
                    );
                    arms.insert(served.arm);
                }
                _ => {}
            }
        }
        Ok(Self {
            decisions: found.decisions,
            identical: found.identical,
            mixed,
            policy_versions: policies.len(),
            arm_versions: arms.len(),
        })
    }
}
