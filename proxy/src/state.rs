//! What every request shares.

use std::sync::Arc;

use arc_swap::ArcSwap;
use echo_experience::{Evidence, Log, Record};
use echo_policy::{FeatureSchema, Policy, ShareBound};
use echo_reward::{Change, Source};

use crate::arm::Arm;
use crate::arms::Arms;
use crate::clock::Clock;
use crate::config::Config;
use crate::devdata::SentAnswers;
use crate::ids::DecisionId;
use crate::in_force::InForce;
use crate::learner::Orders;
use crate::metrics::{KindLabel, Metrics};
use crate::passthrough::Passthrough;
use crate::project::Projects;
use crate::registry::Registry;
use crate::roster::Roster;
use crate::slates::Slates;
use crate::watch::Watch;

/// The running server's parts.
#[derive(Debug)]
pub struct Echo {
    /// When the server started, in milliseconds.
    pub started_ms: i64,
    /// Set when the server is to stop.
    pub stopping: tokio_util::sync::CancellationToken,
    /// Set when all requests in flight are answered and their proposals settled.
    pub drained: tokio_util::sync::CancellationToken,
    /// Tells the time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Metrics,
    /// Keeps every fact.
    pub log: Log,
    /// Follows open proposals.
    pub watch: Watch,
    /// Requests for one place at one time.
    pub slates: Slates,
    /// Recent answers to clients that tell their fate by their text.
    pub sent: SentAnswers,
    /// Shows the users' code to the embedded models.
    pub projects: Projects,
    /// What arms are made of, and what was said of them at run time.
    pub roster: Roster,
    /// The policies on disk.
    pub registry: Registry,
    /// Where the learner is told what to put into force.
    pub orders: Orders,
    /// How facts become features.
    pub schema: FeatureSchema,
    /// The hash of that, as decisions name it.
    pub schema_hash: String,
    /// Configuration and arms: swapped as one on reload.
    pub live: ArcSwap<Live>,
    /// The policies that decide: swapped as one when something was learned.
    pub policies: ArcSwap<Policies>,
}

/// What a configuration makes.
#[derive(Debug)]
pub struct Live {
    /// The configuration.
    pub config: Config,
    /// The arms that it names.
    pub arms: Arms,
    /// Where requests for unknown paths go.
    pub passthrough: Option<Passthrough>,
    /// The bounds on the shares of arms on trial.
    pub bounds: Vec<ShareBound>,
}

impl Live {
    /// Arms that can take a request that this policy decides: one on trial only if the policy keeps its bound.
    pub fn eligible(&self, policy: &Policy) -> Vec<Arc<Arm>> {
        let mut arms = self.arms.eligible();
        let kept = policy.spec().bounds();
        for bound in self.bounds.iter().filter(|bound| !kept.contains(bound)) {
            arms.retain(|arm| arm.id() != bound.pattern);
        }
        arms
    }
}

/// The policies in force.
#[derive(Debug, Clone)]
pub struct Policies {
    /// Seed of every draw.
    pub seed: u64,
    /// Decides for everybody else.
    pub treatment: Arc<Policy>,
    /// Decides for the control cohort: uniform, and the same for ever.
    pub control: Arc<Policy>,
    /// How the treatment's policy came into force.
    pub in_force: Arc<InForce>,
}

impl Echo {
    /// Whether the server is stopping and takes no new work.
    pub fn draining(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Writes news of proposals to the log and counts them.
    pub fn record_changes(&self, changes: Vec<Change>) {
        for change in changes {
            let outcome = change.outcome;
            if change.source == Source::Eviction {
                self.metrics.evictions.inc();
            }
            if outcome.settled && change.source != Source::Survival {
                let label = KindLabel {
                    kind: outcome.fate.as_str(),
                };
                self.metrics.fates.get_or_create(&label).inc();
            }
            self.record(Record::Evidence(Evidence {
                decision: DecisionId::from(change.decision).to_string(),
                choice: change.choice,
                at_ms: self.clock.now_ms(),
                fate: outcome.fate.as_str().to_owned(),
                kept_share: outcome.kept_share,
                accepted_chars: outcome.accepted_chars,
                shown_chars: outcome.shown_chars,
                edit_distance: outcome.edit_distance,
                settled: outcome.settled,
                source: change.source.as_str().to_owned(),
                kept_text: change.stands,
            }));
        }
    }

    /// Writes a record that nobody waits for: if the log is down, it is lost, and the log counts it.
    pub fn record(&self, record: Record) {
        self.log.note(record);
    }
}
