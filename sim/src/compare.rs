//! Many policies on the same rows: values that hold together, and differences in pairs.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use crate::error::ReplayError;
use crate::estimate::{Estimate, Estimator};
use crate::estimators::{Dr, DrDifference};
use crate::evaluate::{EvaluationSettings, fit_reward_model, split_seq};
use crate::exclusion::{Exclusion, RowCounts};
use crate::interval::Level;
use crate::log_rows::{LogRows, LoggedRow, Used};
use crate::row::{Row, RowParts};
use crate::target::{FittedOn, Preparation, Prepared, Target};

/// Policies compared on one log: the fields of `replay --compare --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Every policy, in the order given.
    pub policies: Vec<Compared>,
    /// Nominal coverage of all intervals together.
    pub level: f64,
    /// How many intervals that is.
    pub intervals: usize,
    /// Rows that every policy could have decided, and what was left out.
    pub rows: RowCounts,
    /// Users among them.
    pub users: u64,
    /// First record of the part evaluated.
    pub from_seq: u64,
    /// Whether a policy was evaluated on rows that it had learned from.
    pub optimistic: bool,
}

/// One of the policies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// As it was given.
    pub target: String,
    /// What it has learned from.
    pub fitted: FittedOn,
    /// Its doubly robust value.
    pub value: Estimate,
    /// Its value minus that of the first policy, on the same rows; absent for the first.
    pub difference: Option<Estimate>,
}

/// Evaluates many policies in one pass over the rows, doubly robust with one reward model for all. The first is the one
/// that the others are compared with.
///
/// The intervals hold together at the level of the settings: each is made at `1 - (1 - level) / m` for m intervals
/// (Bonferroni; Dunn 1961), m being two for each policy less one. Each has its error by row and, where there are enough,
/// by user.
///
/// # Errors
/// [`ReplayError`], as for [`evaluate`](crate::evaluate); with no target, and where one has no support.
pub fn compare(
    path: &Path,
    targets: &[Target],
    settings: &EvaluationSettings,
) -> Result<Comparison, ReplayError> {
    let log = LogRows::scan(path, settings.rows.clone())?;
    let split = split_seq(&log, settings, targets.iter())?;
    let how = Preparation {
        schema: &settings.rows.schema,
        scoring: settings.rows.scoring,
        pending: settings.pending,
        fit_through: split.map_or(log.through(), |seq| seq - 1),
    };
    let prepared = targets
        .iter()
        .map(|target| target.prepare(&log, how))
        .collect::<Result<Vec<_>, _>>()?;
    let learned = prepared
        .iter()
        .map(|policy| policy.fitted.through)
        .max()
        .unwrap_or(0);
    let from = match settings.split {
        Some(_) => split.unwrap_or(0).max(learned + 1),
        None => 0,
    };
    let from = from.max(settings.from_seq);
    let model = fit_reward_model(&log, from, settings)?;
    let mut sums: Vec<(Dr, DrDifference)> = vec![Default::default(); prepared.len()];
    let mut users = BTreeSet::new();
    let rows = log.rows(from, |logged| {
        let q = model.predict(logged.id, &logged.arms, logged.features.as_slice())?;
        let Some(rows) = rows_of(&prepared, settings.seed, &logged, &q)? else {
            return Ok(Used::Not(Exclusion::TargetUndefined));
        };
        for ((dr, difference), row) in sums.iter_mut().zip(&rows) {
            dr.push(row);
            difference.push(row);
        }
        users.insert(logged.user);
        Ok(Used::Row)
    })?;
    let intervals = (2 * targets.len()).saturating_sub(1).max(1);
    let level = settings.estimates.level.value();
    let mut estimates = settings.estimates;
    estimates.level = Level::new(1.0 - (1.0 - level) / intervals as f64)?;
    let all = targets.iter().zip(prepared).zip(&sums).enumerate();
    let policies = all.map(|(place, ((target, prepared), (dr, difference)))| {
        Ok(Compared {
            target: target.to_string(),
            fitted: prepared.fitted,
            value: dr.finish(&estimates)?,
            difference: match place {
                0 => None,
                _ => Some(difference.finish(&estimates)?),
            },
        })
    });
    Ok(Comparison {
        policies: policies.collect::<Result<_, ReplayError>>()?,
        level,
        intervals,
        rows,
        users: users.len() as u64,
        from_seq: from.max(1),
        optimistic: from <= learned && learned > 0,
    })
}

/// The row as each policy would have it, the first as the baseline of all; `None` if one has no arm to choose from.
fn rows_of(
    prepared: &[Prepared],
    seed: u64,
    logged: &LoggedRow,
    q: &[f64],
) -> Result<Option<Vec<Row>>, ReplayError> {
    let mut all = Vec::with_capacity(prepared.len());
    for policy in prepared {
        let Some(probabilities) = policy.probabilities(logged, seed)? else {
            return Ok(None);
        };
        all.push(probabilities);
    }
    let row = |target: &Vec<f64>| {
        Row::new(RowParts {
            chosen: logged.chosen,
            reward: logged.reward,
            logged: logged.probabilities.clone(),
            target: target.clone(),
            baseline: all.first().cloned(),
            q: Some(q.to_vec()),
            cluster: logged.user,
            sample_weight: logged.weight,
        })
        .ok()
    };
    Ok(all.iter().map(row).collect())
}
