//! What the server counts, as Prometheus reads it.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// An arm, by name and version: never text of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ArmLabel {
    /// `name@version`.
    pub arm: String,
}

/// One word of a small, fixed set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    /// The word.
    pub kind: &'static str,
}

/// An HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StatusLabel {
    /// Its number.
    pub status: u16,
}

type Latency = Family<ArmLabel, Histogram, fn() -> Histogram>;

/// All metrics of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests by the status of their answer.
    pub requests: Family<StatusLabel, Counter>,
    /// Decisions by the arm drawn.
    pub decisions: Family<ArmLabel, Counter>,
    /// Answers served by an arm that was not the one drawn.
    pub fallbacks: Family<ArmLabel, Counter>,
    /// Requests to an arm that failed.
    pub failures: Family<ArmLabel, Counter>,
    /// Seconds from the request to the first byte of its answer.
    pub first_byte_s: Latency,
    /// Answers by their ending.
    pub endings: Family<KindLabel, Counter>,
    /// Answers that went out before their decision was on disk.
    pub unlogged: Counter,
    /// Fates that settled.
    pub fates: Family<KindLabel, Counter>,
    /// Proposals settled before their time, since newer ones needed their place in memory.
    pub evictions: Counter,
    /// Events taken, by kind.
    pub events: Family<KindLabel, Counter>,
    /// Completions being served.
    pub in_flight: Gauge,
    /// Whether the log takes records: 1 or 0.
    pub log_writable: Gauge,
    /// The version of the policy that decides.
    pub policy_version: Gauge,
    /// Rewards learned, corrections included.
    pub rewards_learned: Counter,
    /// Mean settled reward of the routed traffic so far.
    pub reward_mean: Gauge<f64, AtomicU64>,
    /// What a unit of cost is worth in rewards, under a budget.
    pub budget_price: Gauge<f64, AtomicU64>,
    /// Arms whose rewards have changed, as far as the policy looks for that.
    pub reward_changes: Gauge,
    /// Candidates judged by the gate, by what came of it.
    pub verdicts: Family<KindLabel, Counter>,
    /// Configurations read again, by what came of it.
    pub reloads: Family<KindLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("echo"),
            requests: Family::default(),
            decisions: Family::default(),
            fallbacks: Family::default(),
            failures: Family::default(),
            first_byte_s: Family::new_with_constructor(latency),
            endings: Family::default(),
            unlogged: Counter::default(),
            fates: Family::default(),
            evictions: Counter::default(),
            events: Family::default(),
            in_flight: Gauge::default(),
            log_writable: Gauge::default(),
            policy_version: Gauge::default(),
            rewards_learned: Counter::default(),
            reward_mean: Gauge::default(),
            budget_price: Gauge::default(),
            reward_changes: Gauge::default(),
            verdicts: Family::default(),
            reloads: Family::default(),
        };
        metrics.register();
        metrics
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Panics
    ///
    /// Never: it is written to a string.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register(
            "requests",
            "Requests by the status of their answer",
            self.requests.clone(),
        );
        r.register(
            "decisions",
            "Decisions by the arm drawn",
            self.decisions.clone(),
        );
        r.register(
            "fallbacks",
            "Answers served by another arm than the one drawn",
            self.fallbacks.clone(),
        );
        r.register(
            "arm_failures",
            "Requests to an arm that failed",
            self.failures.clone(),
        );
        r.register(
            "first_byte_seconds",
            "Time to the first byte of an answer",
            self.first_byte_s.clone(),
        );
        r.register("endings", "Answers by their ending", self.endings.clone());
        r.register(
            "unlogged",
            "Answers sent before their decision was on disk",
            self.unlogged.clone(),
        );
        r.register(
            "fates",
            "Proposals by their settled fate",
            self.fates.clone(),
        );
        r.register(
            "evictions",
            "Proposals settled before their time, since newer ones needed their place in memory",
            self.evictions.clone(),
        );
        r.register("events", "Events taken, by kind", self.events.clone());
        r.register(
            "in_flight",
            "Completions being served",
            self.in_flight.clone(),
        );
        r.register(
            "log_writable",
            "Whether the experience log takes records",
            self.log_writable.clone(),
        );
        r.register(
            "policy_version",
            "Version of the policy that decides",
            self.policy_version.clone(),
        );
        r.register(
            "rewards_learned",
            "Rewards learned, corrections included",
            self.rewards_learned.clone(),
        );
        r.register(
            "reward_mean",
            "Mean settled reward of the routed traffic",
            self.reward_mean.clone(),
        );
        r.register(
            "budget_price",
            "What a unit of cost is worth in rewards, under a budget",
            self.budget_price.clone(),
        );
        r.register(
            "reward_changes",
            "Arms whose rewards have changed, as the policy in force sees it",
            self.reward_changes.clone(),
        );
        r.register(
            "gate_verdicts",
            "Candidates judged by the gate",
            self.verdicts.clone(),
        );
        r.register("reloads", "Configurations read again", self.reloads.clone());
    }
}

fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 17))
}
