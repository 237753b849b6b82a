use crate::drift::{Drift, DriftSums};
use crate::error::ReplayError;
use crate::estimate::{EstimateSettings, Estimator};
use crate::estimators::{
    Dr, DrDifference, Ips, Selection, Snips, SplitRow, Suite, SuiteSettings, Terms,
};
use crate::exclusion::Exclusion;
use crate::log_rows::{LogRows, LoggedRow, RowOptions, Used};
use crate::report::{ArmShare, Evaluation};
use crate::reward_model::{RewardModel, RewardModelFit, RewardModelSettings};
use crate::row::{Row, RowParts};
use crate::target::{Preparation, Prepared, Target, split_at};
use crate::weights::Weights;
use echo_policy::Learner;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is evaluated, and how.
#[derive(Clone, Debug)]
pub struct EvaluationSettings {
    /// The policy to evaluate.
    pub target: Target,
    /// A policy to compare it with.
    pub baseline: Option<Target>,
    /// What of the log becomes rows.
    pub rows: RowOptions,
    /// Policies that learn are fitted on this first share of the log's time, in (0, 1), and evaluated
    /// on the rest. `None`: fitted and evaluated on all of it, which flatters them; the result says so.
    pub split: Option<f64>,
    /// Rows of decisions before this record are left out, whatever the targets.
    pub from_seq: u64,
    /// Level of the intervals and least effective sample size.
    pub estimates: EstimateSettings,
    /// Constants of the other estimators, and their bootstrap; their level is that of `estimates`.
    pub suite: SuiteSettings,
    /// The reward model of the doubly robust estimators.
    pub reward_model: RewardModelSettings,
    /// Whether the target's own reward model predicts, in place of one that is fitted to the rows evaluated.
    pub uses_policy_model: bool,
    /// Whether the estimators are compared on splits of the log, see [`Selected`](crate::estimators::Selected).
    pub selects: bool,
    /// Seed of posterior draws, for a policy that was not published with one.
    pub seed: u64,
    /// Decisions that may wait for their reward while fitting, as the server was configured.
    pub pending: usize,
}

impl EvaluationSettings {
    /// The defaults, for one target.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            baseline: None,
            rows: RowOptions::default(),
            split: Some(0.5),
            from_seq: 0,
            estimates: EstimateSettings::default(),
            suite: SuiteSettings::default(),
            reward_model: RewardModelSettings::default(),
            uses_policy_model: false,
            selects: false,
            seed: 0,
            pending: Learner::PENDING_MAX,
        }
    }
}

/// Evaluates a policy on the log at `path`.
///
/// A policy evaluated on the rows it learned from looks better than it is: it has seen their noise. So
/// a policy that learns is fitted on the first part of the log's time and evaluated on the second; a
/// published or kept one is evaluated on what came after the last record it learned from. Policies
/// that do not learn are evaluated on everything.
///
/// # Errors
/// [`ReplayError`]: the log cannot be read, the target is not in it, or no honest estimate can be made
/// (no rows, no support, too few effective rows).
pub fn evaluate(path: &Path, settings: &EvaluationSettings) -> Result<Evaluation, ReplayError> {
    if let Some(split) = settings
        .split
        .filter(|split| !(*split > 0.0 && *split < 1.0))
    {
        return Err(ReplayError::Split { split });
    }
    let log = LogRows::scan(path, settings.rows.clone())?;
    let targets = [Some(&settings.target), settings.baseline.as_ref()];
    let split_seq = split_seq(&log, settings, targets.into_iter().flatten())?;
    let how = Preparation {
        schema: &settings.rows.schema,
        scoring: settings.rows.scoring,
        pending: settings.pending,
        fit_through: split_seq.map_or(log.through(), |seq| seq - 1),
    };
    let target = settings.target.prepare(&log, how)?;
    let baseline = settings.baseline.as_ref();
    let baseline = baseline
        .map(|baseline| baseline.prepare(&log, how))
        .transpose()?;
    let learned = [Some(&target), baseline.as_ref()].into_iter().flatten();
    let learned_through = learned.map(|p| p.fitted.through).max().unwrap_or(0);
    let from = match settings.split {
        Some(_) => split_seq.unwrap_or(0).max(learned_through + 1),
        None => 0,
    };
    let from = from.max(settings.from_seq);
    if settings.uses_policy_model && !target.has_model() {
        return Err(ReplayError::Target {
            text: settings.target.to_string(),
            reason: "it has no reward model of its own to predict by".to_owned(),
        });
    }
    let model = fit_reward_model(&log, from, settings)?;
    let suite = SuiteSettings {
        level: settings.estimates.level,
        has_predictions: true,
        ..settings.suite.clone()
    };
    let mut pass = Pass {
        settings,
        target: &target,
        baseline: baseline.as_ref(),
        model: &model,
        sums: Sums::default(),
        suite: Suite::new(&suite),
        selection: settings
            .selects
            .then(|| Selection::new(&suite, settings.suite.seed)),
    };
    let rows = log.rows(from, |row| pass.take(&row))?;
    let (sums, suite, selection) = (pass.sums, pass.suite, pass.selection);
    let undefined = rows
        .excluded
        .get(Exclusion::TargetUndefined.as_str())
        .copied()
        .unwrap_or(0);
    if undefined as f64 > UNDEFINED_SHARE_MAX * (rows.rows + undefined) as f64 {
        return Err(ReplayError::Undefined {
            undefined,
            rows: rows.rows + undefined,
        });
    }
    let how = &settings.estimates;
    let mut evaluation = Evaluation {
        target: settings.target.to_string(),
        baseline: settings.baseline.as_ref().map(ToString::to_string),
        scorer: settings.rows.scoring.to_string(),
        split: split_seq.and(settings.split),
        from_seq: from.max(1),
        through_seq: log.through(),
        optimistic: from <= learned_through && learned_through > 0,
        users: sums.users.len() as u64,
        lost_records: log.lost(),
        logged: sums.logged.finish(how)?.renamed("logged"),
        estimates: vec![
            sums.ips.finish(how)?,
            sums.snips.finish(how)?,
            sums.dr.finish(how)?,
        ],
        match_rate: suite.match_rate(),
        values: suite.finish()?,
        difference: baseline
            .as_ref()
            .map(|_| sums.difference.finish(how))
            .transpose()?,
        weights: sums.weights.summary()?,
        arms: sums.arms(rows.rows),
        drift: sums.drift.finish(),
        selection: selection.map(|selection| selection.finish()).transpose()?,
        is_weighed: settings.rows.weighs_censoring,
        rows,
        fitted: target.fitted,
        baseline_fitted: baseline.map(|baseline| baseline.fitted),
        notes: Vec::new(),
    };
    evaluation.notes = notes(&evaluation, undefined);
    Ok(evaluation)
}

/// Rows in which the target's arms are not eligible are left out, up to this share: the estimate is
/// then one of the rows in which it could have decided.
pub const UNDEFINED_SHARE_MAX: f64 = 0.05;

/// Mean weights further than this many standard errors from 1 call for a note.
const MEAN_WEIGHT_Z: f64 = 4.0;

/// Where the evaluated part begins, for targets that learn.
pub(crate) fn split_seq<'a>(
    log: &LogRows,
    settings: &EvaluationSettings,
    mut targets: impl Iterator<Item = &'a Target>,
) -> Result<Option<u64>, ReplayError> {
    let needed = targets.any(Target::needs_split);
    let (Some(split), Some(_), true) = (settings.split, log.span_ms(), needed) else {
        return Ok(None);
    };
    split_at(log, split).map(Some)
}

pub(crate) fn fit_reward_model(
    log: &LogRows,
    from: u64,
    settings: &EvaluationSettings,
) -> Result<RewardModel, ReplayError> {
    let mut fit = RewardModelFit::new(settings.rows.schema.dimension, settings.reward_model)?;
    log.rows(from, |row| {
        fit.push(
            row.id,
            &row.arms[row.chosen],
            row.features.as_slice(),
            row.reward,
        )?;
        Ok(Used::Row)
    })?;
    Ok(fit.finish())
}

/// The pass over the rows that feeds the estimators.
struct Pass<'a> {
    settings: &'a EvaluationSettings,
    target: &'a Prepared,
    baseline: Option<&'a Prepared>,
    model: &'a RewardModel,
    sums: Sums,
    suite: Suite,
    selection: Option<Selection>,
}

#[derive(Default)]
struct Sums {
    logged: Ips,
    ips: Ips,
    snips: Snips,
    dr: Dr,
    difference: DrDifference,
    weights: Weights,
    users: BTreeSet<u64>,
    arms: BTreeMap<String, ArmSums>,
    /// Places of the arms, in the order of their first appearance.
    places: BTreeMap<String, usize>,
    drift: DriftSums,
}

#[derive(Default)]
struct ArmSums {
    rows: u64,
    reward: f64,
    target: f64,
}

impl Pass<'_> {
    fn take(&mut self, logged: &LoggedRow) -> Result<Used, ReplayError> {
        let seed = self.settings.seed;
        let Some(target) = self.target.probabilities(logged, seed)? else {
            return Ok(Used::Not(Exclusion::TargetUndefined));
        };
        let baseline = match self.baseline {
            Some(baseline) => match baseline.probabilities(logged, seed)? {
                Some(probabilities) => Some(probabilities),
                None => return Ok(Used::Not(Exclusion::TargetUndefined)),
            },
            None => None,
        };
        let own = if self.settings.uses_policy_model {
            self.target.predictions(logged)
        } else {
            None
        };
        let q = match own {
            Some(q) => q,
            None => self
                .model
                .predict(logged.id, &logged.arms, logged.features.as_slice())?,
        };
        let mut parts = RowParts {
            chosen: logged.chosen,
            reward: logged.reward,
            logged: logged.probabilities.clone(),
            target,
            baseline,
            q: Some(q),
            cluster: logged.user,
            sample_weight: logged.weight,
        };
        let Ok(row) = Row::new(parts.clone()) else {
            return Ok(Used::Not(Exclusion::Malformed));
        };
        self.sums.push(logged, &row);
        self.suite.push(logged.seq, &terms(&row, logged.epoch));
        if let Some(selection) = &mut self.selection {
            selection.push(&SplitRow {
                number: logged.seq,
                chosen: logged.chosen,
                reward: logged.reward,
                logged: &parts.logged,
                target: &parts.target,
                predictions: parts.q.as_deref().unwrap_or_default(),
            });
        }
        parts.target.clone_from(&parts.logged);
        if let Ok(row) = Row::new(parts) {
            self.sums.logged.push(&row);
        }
        Ok(Used::Row)
    }
}

/// The row as every estimator sees it.
fn terms(row: &Row, epoch: u64) -> Terms {
    let parts = row.parts();
    let q = parts.q.as_deref().unwrap_or_default();
    let is_certain = parts
        .target
        .iter()
        .any(|probability| *probability >= 1.0 - 1e-12);
    Terms {
        weight: row.weight(),
        reward: row.reward(),
        predicted: q.get(parts.chosen).copied().unwrap_or(0.0),
        expected: parts.sample_weight * parts.target.iter().zip(q).map(|(p, q)| p * q).sum::<f64>(),
        spread: Some(spread(&parts.target, &parts.logged)),
        epoch: Some(epoch),
        user: Some(parts.cluster),
        is_match: is_certain.then(|| parts.target[parts.chosen] > 0.5),
    }
}

/// Sum of p^2 / e over the arms that the target may choose; infinite where the log could not have served one.
pub(crate) fn spread(target: &[f64], logged: &[f64]) -> f64 {
    let arms = target.iter().zip(logged).filter(|(p, _)| **p > 0.0);
    arms.map(|(p, e)| p * p / e).sum()
}

impl Sums {
    fn push(&mut self, logged: &LoggedRow, row: &Row) {
        self.ips.push(row);
        self.snips.push(row);
        self.dr.push(row);
        if row.parts().baseline.is_some() {
            self.difference.push(row);
        }
        self.weights
            .push(row.weight(), &row.parts().target, &row.parts().logged);
        self.users.insert(logged.user);
        let shares = logged
            .arms
            .iter()
            .zip(&logged.probabilities)
            .map(|(arm, share)| {
                let next = self.places.len();
                let place = match self.places.get(arm) {
                    Some(place) => *place,
                    None => *self.places.entry(arm.clone()).or_insert(next),
                };
                (place, *share)
            });
        self.drift.push(logged.seq, logged.reward, shares);
        for (at, arm) in logged.arms.iter().enumerate() {
            let sums = self.arms.entry(arm.clone()).or_default();
            sums.target += row.parts().target[at];
            if at == logged.chosen {
                sums.rows += 1;
                sums.reward += logged.reward;
            }
        }
    }

    fn arms(&self, rows: u64) -> Vec<ArmShare> {
        let share = |part: f64| if rows > 0 { part / rows as f64 } else { 0.0 };
        self.arms
            .iter()
            .map(|(arm, sums)| ArmShare {
                arm: arm.clone(),
                rows: sums.rows,
                logged_share: share(sums.rows as f64),
                target_share: share(sums.target),
                mean_reward: (sums.rows > 0).then(|| sums.reward / sums.rows as f64),
            })
            .collect()
    }
}

fn notes(evaluation: &Evaluation, undefined: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if evaluation.optimistic {
        notes.push(
            "Optimistic: the policy was evaluated on rows it has learned from. Evaluate with a split \
             to see what it is worth on others."
                .to_owned(),
        );
    } else if let Some(split) = evaluation.split {
        notes.push(format!(
            "Fitted on the first {:.0} % of the log's time, evaluated on the rest.",
            100.0 * split
        ));
    } else if evaluation.fitted.through > 0 {
        notes.push(format!(
            "Evaluated on what came after record {}, the last the policy has learned from.",
            evaluation.fitted.through
        ));
    }
    if undefined > 0 {
        notes.push(format!(
            "{undefined} rows in which the policy had none of its arms to choose from are left out."
        ));
    }
    if evaluation
        .weights
        .mean_z
        .is_some_and(|z| z.abs() > MEAN_WEIGHT_Z)
    {
        notes.push(format!(
            "The mean importance weight is {:.3}, too far from 1 for chance: the logged \
             probabilities are not those that the log was drawn with.",
            evaluation.weights.mean
        ));
    }
    if evaluation
        .estimates
        .first()
        .is_some_and(|estimate| estimate.by_user.is_none())
    {
        notes.push(format!(
            "Intervals take rows as independent; with {} users none can be given that takes users as \
             the units.",
            evaluation.users
        ));
    }
    notes.extend(evaluation.drift.iter().flat_map(Drift::notes));
    if evaluation.is_weighed {
        notes.push(
            "Each reward counts for one over the share of the rewards seen of its kind of client and arm. That mends \
             what hangs on these two, and nothing else."
                .to_owned(),
        );
    }
    if evaluation.lost_records > 0 {
        notes.push(format!(
            "{} records of the log are lost to damage.",
            evaluation.lost_records
        ));
    }
    notes
}

impl crate::Estimate {
    fn renamed(mut self, estimator: &'static str) -> Self {
        self.estimator = estimator;
        self
    }
}
