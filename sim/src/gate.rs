//! May a candidate take over from the policy that runs?

use std::path::Path;

use serde::Serialize;

use crate::error::ReplayError;
use crate::estimators::anytime;
use crate::evaluate::{EvaluationSettings, evaluate};
use crate::report::Evaluation;
use crate::{Interval, Target};

/// What a candidate must show.
#[derive(Clone, Debug)]
pub struct GateSettings {
    /// The candidate is the target, and the policy that runs the baseline; `latest` where none is given.
    pub evaluation: EvaluationSettings,
    /// How much the candidate may lose against what runs, in units of the reward; 0 asks for a gain.
    pub margin: f64,
    /// The greatest share of decisions that one arm may get, in (0, 1].
    pub share_most: f64,
    /// The least share of decisions that each arm must get, in [0, 1).
    pub share_least: f64,
}

impl GateSettings {
    /// Asks a candidate for a gain over the policy that runs.
    pub fn new(candidate: Target) -> Self {
        Self {
            evaluation: EvaluationSettings {
                baseline: Some(Target::Latest),
                ..EvaluationSettings::new(candidate)
            },
            margin: 0.0,
            share_most: 1.0,
            share_least: 0.0,
        }
    }
}

/// What the gate says: the fields of `policy gate --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether the candidate may take over.
    pub accepted: bool,
    /// The candidate, every key written out.
    pub candidate: String,
    /// What it was compared with.
    pub against: String,
    /// The candidate's value minus that of what runs, by the doubly robust estimator.
    pub difference: f64,
    /// The confidence sequence of the difference: it may be asked every night.
    pub interval: Interval,
    /// Rows it rests on.
    pub rows: u64,
    /// Effective rows.
    pub effective_sample_size: f64,
    /// Why, in whole sentences: each ground for a refusal, or the one for acceptance.
    pub reasons: Vec<String>,
}

/// Compares a candidate with the policy that runs on the part of the log that neither has learned from.
///
/// It is accepted if the whole confidence sequence of the difference lies above minus the margin, no arm's share leaves
/// its limits, and the logged probabilities are those that the log was drawn with. The sequence is asymptotic
/// (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2024, theorem 2.2) on the doubly robust difference, with the larger of
/// the errors by row and by user; it holds however often it is looked at, so that a schedule may ask again and again.
/// The effective sample size of both policies must reach the least one of the settings.
///
/// # Errors
/// [`ReplayError`]: the log cannot be read, or no honest estimate can be made. That is a refusal, too, whose message
/// says what is missing.
pub fn gate(path: &Path, settings: &GateSettings) -> Result<Verdict, ReplayError> {
    let mut how = settings.evaluation.clone();
    let against = how.baseline.get_or_insert(Target::Latest).to_string();
    let evaluation = evaluate(path, &how)?;
    let Some(difference) = evaluation.difference.clone() else {
        return Err(ReplayError::NoPublication);
    };
    let by_user = difference
        .by_user
        .map_or(0.0, |by_user| by_user.standard_error);
    let error = difference.standard_error.max(by_user);
    let level = how.estimates.level;
    let interval = anytime(difference.value, error, difference.rows, level);
    let mut reasons = refusals(settings, &evaluation, &interval);
    let accepted = reasons.is_empty();
    if accepted {
        reasons.push(format!(
            "It is worth {:+.4} more than what runs, and at least {:+.4} by its confidence sequence, which is above \
             {:+.4}.",
            difference.value, interval.lo, 0.0 - settings.margin
        ));
    }
    Ok(Verdict {
        accepted,
        candidate: evaluation.fitted.spec,
        against,
        difference: difference.value,
        interval,
        rows: difference.rows,
        effective_sample_size: difference.effective_sample_size,
        reasons,
    })
}

fn refusals(settings: &GateSettings, evaluation: &Evaluation, interval: &Interval) -> Vec<String> {
    let mut reasons = Vec::new();
    if evaluation.optimistic {
        reasons.push(
            "It would be judged by rows that it has learned from: give a split, or wait for rows that came after it."
                .to_owned(),
        );
    }
    if interval.lo <= -settings.margin {
        let what = if interval.hi < -settings.margin {
            "It is worth less than what runs"
        } else {
            "It is not shown to be worth more than what runs"
        };
        reasons.push(format!(
            "{what}: the confidence sequence of the difference is {:+.4} to {:+.4}, and its lower end must lie above \
             {:+.4}.",
            interval.lo, interval.hi, 0.0 - settings.margin
        ));
    }
    for arm in &evaluation.arms {
        if arm.target_share > settings.share_most {
            reasons.push(format!(
                "It would give {} {:.1} % of the decisions; at most {:.1} % are allowed.",
                arm.arm,
                100.0 * arm.target_share,
                100.0 * settings.share_most
            ));
        }
        if arm.target_share < settings.share_least {
            reasons.push(format!(
                "It would give {} {:.2} % of the decisions; at least {:.2} % are asked for.",
                arm.arm,
                100.0 * arm.target_share,
                100.0 * settings.share_least
            ));
        }
    }
    if evaluation
        .weights
        .mean_z
        .is_some_and(|z| z.abs() > MEAN_WEIGHT_Z)
    {
        reasons.push(format!(
            "The mean importance weight is {:.3}, too far from 1 for chance: the logged probabilities cannot be \
             trusted.",
            evaluation.weights.mean
        ));
    }
    reasons
}

/// Mean weights further than this many standard errors from 1 are no chance.
const MEAN_WEIGHT_Z: f64 = 4.0;
