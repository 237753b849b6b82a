//! Rebuilding every policy from the log, and repeating every decision with it.

use std::collections::BTreeMap;

use echo_experience::{Entry, Record};
use echo_policy::{DrawKey, FeatureSchema, Features, Policy};
use echo_reward::Scorer;
use echo_sim::learning::{Fold, id_of};

use crate::records;

/// The policies that a log says were published, rebuilt from nothing.
pub(crate) struct Policies {
    by_version: BTreeMap<u64, Policy>,
    /// Rewards in the state of the last one that was published at a start.
    pub(crate) rewards_at_last_start: u64,
}

/// Folds the log from its first entry, and builds each published policy at its place.
///
/// # Panics
///
/// When the state at any of them is another than the log says.
pub(crate) fn policies(entries: &[Entry]) -> Policies {
    let mut fold = Fold::new(&FeatureSchema::default(), Scorer::Retained1, PENDING);
    let (mut by_version, mut rewards_at_last_start) = (BTreeMap::new(), 0);
    let mut unread = entries.iter();
    for published in records::policies(entries) {
        while fold.through() < published.through {
            fold.entry(unread.next().unwrap()).unwrap();
        }
        let version = published.version;
        assert_eq!(
            fold.state_sha256(),
            published.sha256,
            "the state of policy {version} ({})",
            published.reason
        );
        let policy = fold
            .policy(&published.spec.parse().unwrap(), version)
            .unwrap();
        let known = by_version.insert(version, policy);
        assert!(known.is_none(), "version {version} was published twice");
        if published.reason == "start" {
            rewards_at_last_start = fold.learner().state().total();
        }
    }
    Policies {
        by_version,
        rewards_at_last_start,
    }
}

/// As `policy.pending` is in the configuration.
const PENDING: usize = 65_536;

/// Repeats every decision of a log; returns how many.
///
/// # Panics
///
/// When a probability differs in any bit, or another arm is drawn.
pub(crate) fn reproduce(entries: &[Entry]) -> usize {
    let policies = policies(entries);
    let schema = FeatureSchema::default();
    let uniform = Fold::new(&schema, Scorer::Retained1, 1)
        .policy(&"uniform".parse().unwrap(), 0)
        .unwrap();
    // One process has one seed, and names it before its first decision.
    let (mut seed, mut repeated) = (None, 0);
    for entry in entries {
        let decision = match &entry.record {
            Record::PolicyPublished(published) => {
                seed = Some(published.seed);
                continue;
            }
            Record::Decision(decision) if decision.routed => decision,
            _ => continue,
        };
        let version = decision.policy_version;
        let policy = if decision.cohort == "control" {
            assert_eq!(version, 0, "the control cohort keeps its policy");
            &uniform
        } else {
            &policies.by_version[&version]
        };
        let features = Features::from_logged(decision.features.clone(), &schema).unwrap();
        let arms: Vec<&str> = decision.arms.iter().map(String::as_str).collect();
        let key = DrawKey {
            seed: seed.unwrap(),
            decision: id_of(&decision.id).unwrap(),
        };
        let choice = policy.decide(&features, &arms, key).unwrap();
        let bits = |probabilities: &[f64]| {
            probabilities
                .iter()
                .map(|p| p.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            bits(choice.distribution.probabilities()),
            bits(&decision.probabilities),
            "{decision:?}"
        );
        assert_eq!(
            (choice.chosen, choice.degraded),
            (decision.chosen as usize, decision.degraded),
            "{decision:?}"
        );
        repeated += 1;
    }
    repeated
}
