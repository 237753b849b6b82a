//! Policies that learn, let loose on a log: how would each have done, had it learned from nothing but its own decisions?

use std::sync::Arc;

use echo_policy::{DrawKey, Event, FeatureSchema, Features, Policy, PolicySpec, RewardState};
use serde::Serialize;

use crate::error::ReplayError;
use crate::log_rows::{LogRows, RowOptions, Used};
use crate::random::Random;
use crate::{Interval, Level};
use std::path::Path;

/// Which policies are let loose, and how.
#[derive(Clone, Debug)]
pub struct RolloutSettings {
    /// The policies, each of which learns by itself from nothing.
    pub policies: Vec<PolicySpec>,
    /// Runs of each policy over the log; they differ in which rows are accepted.
    pub runs: usize,
    /// Seed of the acceptances.
    pub seed: u64,
    /// A row is accepted with probability `acceptance * target / logged`, at most 1, in (0, 1]. `None`: the least logged
    /// probability, but at least [`ACCEPTANCE_LEAST`].
    pub acceptance: Option<f64>,
    /// Level of the intervals.
    pub level: Level,
}

impl RolloutSettings {
    /// Ten runs of each policy.
    pub fn new(policies: Vec<PolicySpec>) -> Self {
        Self {
            policies,
            runs: 10,
            seed: 0,
            acceptance: None,
            level: Level::default(),
        }
    }
}

/// How a policy did that was let loose on a log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolledOut {
    /// The policy in full.
    pub policy: String,
    /// Mean reward of the decisions that it made: all accepted rows, from the first on.
    pub value: f64,
    /// Its standard error in one run. That of the mean over the runs is not known, since all runs use one log.
    pub standard_error: f64,
    /// The interval of one run.
    pub interval: Interval,
    /// Decisions that it made, on average over the runs.
    pub decisions: f64,
    /// Mean reward in each tenth of its decisions, in their order.
    pub tenths: Vec<f64>,
    /// Share of the rows that would have had to be accepted more often than always.
    pub cut_share: f64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rollout {
    /// Rows of the log.
    pub rows: u64,
    /// The factor of the acceptance.
    pub acceptance: f64,
    /// Mean reward in the log itself.
    pub logged: f64,
    /// The policies, in the order given.
    pub policies: Vec<RolledOut>,
    /// What a reader must know to judge the figures, in whole sentences.
    pub notes: Vec<String>,
}

/// A row to be accepted or passed over.
#[derive(Clone, Debug)]
pub(crate) struct RolloutRow {
    pub(crate) number: u64,
    pub(crate) at_ms: i64,
    pub(crate) arms: Arc<Vec<String>>,
    pub(crate) chosen: usize,
    pub(crate) propensity: f64,
    pub(crate) reward: f64,
    pub(crate) features: Features,
}

/// Lets policies learn on the rows of Echo's own log at `path`.
///
/// Rejection sampling as by Li, Chu, Langford, Wang (2011), "Unbiased offline evaluation of contextual-bandit-based news
/// article recommendation algorithms", algorithm 2, made to fit logs that were not drawn uniformly by Dudik, Erhan,
/// Langford, Li (2012), "Sample-efficient nonstationary policy evaluation": with the target's probability p of what was
/// served, and the logged one e, a row is accepted with probability `c p / e`. The accepted rows are then decisions of the
/// target, and it learns from these alone. Where `c p / e` is above 1 the row is accepted too seldom, which biases; the
/// share of such rows is told.
///
/// `progress` is told the share done.
///
/// # Errors
/// [`ReplayError`]: the log cannot be read, or too few rows are accepted to say anything.
pub fn rollout(
    path: &Path,
    rows: &RowOptions,
    settings: &RolloutSettings,
    progress: &mut dyn FnMut(f64),
) -> Result<Rollout, ReplayError> {
    let log = LogRows::scan(path, rows.clone())?;
    let mut kept: Vec<RolloutRow> = Vec::new();
    log.rows(0, |row| {
        let arms = match kept.last() {
            Some(last) if *last.arms == row.arms => Arc::clone(&last.arms),
            _ => Arc::new(row.arms),
        };
        kept.push(RolloutRow {
            number: row.seq,
            at_ms: row.at_ms,
            arms,
            chosen: row.chosen,
            propensity: row.probabilities[row.chosen],
            reward: row.reward,
            features: row.features,
        });
        Ok(Used::Row)
    })?;
    roll(&kept, &rows.schema, settings, progress)
}

/// The same for any rows.
pub(crate) fn roll(
    rows: &[RolloutRow],
    schema: &FeatureSchema,
    settings: &RolloutSettings,
    progress: &mut dyn FnMut(f64),
) -> Result<Rollout, ReplayError> {
    let least = rows.iter().map(|row| row.propensity).fold(1.0, f64::min);
    let acceptance = settings
        .acceptance
        .unwrap_or_else(|| least.max(ACCEPTANCE_LEAST));
    let (runs, total) = (settings.runs.max(1), rows.len().max(1) as f64);
    let mut policies = Vec::new();
    let steps = (settings.policies.len() * runs) as f64;
    for (place, spec) in settings.policies.iter().enumerate() {
        let mut all = Run::default();
        for run in 0..runs {
            let random = Random::new(settings.seed, run as u64);
            all.add(&once(rows, spec, schema, acceptance, random)?);
            progress((place * runs + run + 1) as f64 / steps);
        }
        policies.push(all.finish(spec, runs, rows.len(), settings.level)?);
    }
    let cut = policies.iter().map(|p| p.cut_share).fold(0.0, f64::max);
    let mut notes = vec![
        "Each policy has learned from its own decisions alone. The interval is that of one run: all runs use one log."
            .to_owned(),
    ];
    if cut > CUT_MOST {
        notes.push(format!(
            "{:.1} % of the rows would have had to be accepted more often than always: the values lean to what the log \
             did. A smaller acceptance has less of this, and fewer decisions.",
            100.0 * cut
        ));
    }
    Ok(Rollout {
        rows: rows.len() as u64,
        acceptance,
        logged: rows.iter().map(|row| row.reward).sum::<f64>() / total,
        policies,
        notes,
    })
}

/// What one run came to, or all of them together.
#[derive(Default)]
struct Run {
    decisions: f64,
    reward: f64,
    squared: f64,
    cut: f64,
    /// Of each tenth, rewards and decisions.
    tenths: [(f64, f64); TENTHS],
}

fn once(
    rows: &[RolloutRow],
    spec: &PolicySpec,
    schema: &FeatureSchema,
    acceptance: f64,
    mut random: Random,
) -> Result<Run, ReplayError> {
    let mut state = RewardState::remembering(schema, spec.memory());
    let mut policy = Policy::online(spec, &state, 0)?;
    let seed = random.below(usize::MAX) as u64;
    let mut run = Run::default();
    let mut rewards = Vec::new();
    for row in rows {
        let arms: Vec<&str> = row.arms.iter().map(String::as_str).collect();
        let key = DrawKey {
            seed,
            decision: u128::from(row.number),
        };
        let choice = policy.decide(&row.features, &arms, key)?;
        let target = choice.distribution.probabilities()[row.chosen];
        let wanted = acceptance * target / row.propensity;
        run.cut += f64::from(u8::from(wanted > 1.0 + 1e-9));
        if !random.chance(wanted) {
            continue;
        }
        let event = Event::new(arms[row.chosen], &row.features)
            .with_id(u128::from(row.number))
            .at(row.at_ms);
        state.decided(&event)?;
        state.update(&event, row.reward)?;
        policy.learn(&state, &event, row.reward)?;
        rewards.push(row.reward);
    }
    for (place, reward) in rewards.iter().enumerate() {
        run.decisions += 1.0;
        run.reward += reward;
        run.squared += reward * reward;
        let tenth = &mut run.tenths[place * TENTHS / rewards.len()];
        tenth.0 += reward;
        tenth.1 += 1.0;
    }
    Ok(run)
}

impl Run {
    fn add(&mut self, other: &Self) {
        self.decisions += other.decisions;
        self.reward += other.reward;
        self.squared += other.squared;
        self.cut += other.cut;
        for (ours, theirs) in self.tenths.iter_mut().zip(&other.tenths) {
            ours.0 += theirs.0;
            ours.1 += theirs.1;
        }
    }

    fn finish(
        &self,
        spec: &PolicySpec,
        runs: usize,
        rows: usize,
        level: Level,
    ) -> Result<RolledOut, ReplayError> {
        let decisions = self.decisions / runs as f64;
        if decisions < DECISIONS_LEAST {
            return Err(ReplayError::TooFewAccepted {
                policy: spec.to_string(),
                decisions,
                rows: rows as u64,
            });
        }
        let value = self.reward / self.decisions;
        let variance = (self.squared / self.decisions - value * value).max(0.0);
        let standard_error = (variance / decisions).sqrt();
        let tenth = |(reward, count): &(f64, f64)| reward / count.max(1.0);
        Ok(RolledOut {
            policy: spec.to_string(),
            value,
            standard_error,
            interval: Interval::normal(value, standard_error, level),
            decisions,
            tenths: self.tenths.iter().map(tenth).collect(),
            cut_share: self.cut / (runs * rows.max(1)) as f64,
        })
    }
}

const TENTHS: usize = 10;

/// A smaller factor would accept next to nothing.
pub const ACCEPTANCE_LEAST: f64 = 0.01;

/// Fewer decisions say nothing of how a policy learns.
const DECISIONS_LEAST: f64 = 100.0;

/// A larger share of rows accepted too seldom calls for a note.
const CUT_MOST: f64 = 0.001;
