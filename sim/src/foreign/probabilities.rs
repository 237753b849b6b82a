use std::fmt;

use echo_policy::{DrawKey, Features};

use super::layout::{Layout, Logged};
use super::reader::Batch;
use super::target::Target;
use crate::policy_process::Asked;

/// The logged probability of the arm served; of all arms, where they are known.
pub(super) fn logged_probability(
    layout: &Layout,
    batch: &Batch,
    row: usize,
    served: usize,
    all: &mut Vec<f64>,
) -> Result<f64, String> {
    let (propensity, column) = match &layout.logged {
        Logged::All(columns) => {
            layout.probabilities(batch, row, columns, all)?;
            (all[served], columns[served])
        }
        Logged::Served(column) => (layout.probability(batch, row, *column)?, *column),
        Logged::Unknown => return Ok(1.0),
    };
    if propensity <= 0.0 {
        let what = "the arm served had no probability of being served";
        return Err(layout.fault(batch, row, column, what));
    }
    Ok(propensity)
}

/// A target's probability of every arm. `logged` are those of the log, where they are known.
pub(super) fn target_probabilities(
    of: &Target,
    layout: &Layout,
    batch: &Batch,
    row: usize,
    position: usize,
    logged: &[f64],
    target: &mut Vec<f64>,
) -> Result<(), String> {
    let arms = layout.arms.len();
    let number = batch.first + row as u64;
    match of {
        Target::Columns(columns) => return layout.probabilities(batch, row, columns, target),
        Target::Logged => {
            target.clear();
            target.extend_from_slice(logged);
        }
        Target::Table(table) => {
            target.clone_from(&table[position.min(table.len() - 1)]);
        }
        Target::Uniform => {
            target.clear();
            target.resize(arms, 1.0 / arms as f64);
        }
        Target::Always(arm) => {
            target.clear();
            target.resize(arms, 0.0);
            target[*arm] = 1.0;
        }
        Target::Greedy { column, epsilon } => {
            let best = layout.arm(batch, row, *column)?;
            target.clear();
            target.resize(arms, epsilon / arms as f64);
            target[best] += 1.0 - epsilon;
        }
        Target::BestFixed | Target::Spec(_) => {
            return Err("the target has not learned yet".to_owned());
        }
        Target::Rows {
            from,
            probabilities: all,
        } => {
            let place = number.checked_sub(*from).map(usize::try_from);
            let start = match place {
                Some(Ok(place)) => place.saturating_mul(arms),
                _ => usize::MAX,
            };
            let own = all.get(start..start.saturating_add(arms));
            let own = own.ok_or_else(|| format!("row {number}: the target has no such row"))?;
            target.clear();
            target.extend_from_slice(own);
        }
        Target::Process(process) => {
            *target = process.probabilities(&Asked {
                row: number,
                arms: &layout.arms,
                context: layout.named_context(batch, row)?,
            })?;
        }
        Target::Policy(policy) => {
            let context = layout.context(batch, row)?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "features are written as f32"
            )]
            let values: Vec<f32> = context.numbers.iter().map(|x| *x as f32).collect();
            let of_row = |error: &dyn fmt::Display| {
                format!("row {number}: the snapshot cannot decide on its features: {error}")
            };
            let features = Features::try_from(values).map_err(|error| of_row(&error))?;
            let is_eligible = |place: &usize| logged.get(*place).is_none_or(|p| *p > 0.0);
            let eligible: Vec<usize> = (0..arms).filter(is_eligible).collect();
            let names: Vec<&str> = eligible
                .iter()
                .map(|&arm| layout.arms[arm].as_str())
                .collect();
            let key = DrawKey {
                seed: 0,
                decision: u128::from(number),
            };
            let distribution = policy.distribution(&features, &names, key);
            let distribution = distribution.map_err(|error| of_row(&error))?;
            target.clear();
            target.resize(arms, 0.0);
            for (place, probability) in eligible.iter().zip(distribution.probabilities()) {
                target[*place] = *probability;
            }
        }
    }
    Ok(())
}
