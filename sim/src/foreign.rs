//! Off-policy evaluation of a log that another system wrote: CSV or Parquet, with a map of its columns, or a decision
//! log of Vowpal Wabbit.

mod balance;
mod columns;
mod compared;
mod dsjson;
mod evaluation;
mod fitted;
mod layout;
mod learned;
mod model;
mod notes;
mod pass;
mod probabilities;
mod reader;
mod regression;
mod rollout;
mod target;

use crate::drift::Drift;
use crate::error::EstimateError;
use crate::estimators::Value;
use compared::compared;
use fitted::Fitted;
use layout::{Layout, Logged};
use learned::learn;
use notes::notes;
use pass::{Pass, Sums};
use target::Target;

pub use columns::{Arms, ColumnMap, TargetColumns};
pub use evaluation::{ForeignCompared, ForeignError, ForeignEvaluation, ForeignSettings};
pub use model::PredictionSource;
pub use rollout::roll_out_foreign;

pub(crate) use columns::expand;
pub(crate) use reader::{Column, Source};

/// What is told how many rows were read.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// Evaluates a policy on a foreign log in one pass, or in two where something of the whole log must be known first
/// (a fitted table, the positions of a slate, what a policy learns from). Memory does not grow with the rows, unless the
/// target learns. `progress` is told how many rows
/// have been read since it was told last.
///
/// # Errors
/// [`ForeignError`]: the log cannot be read, a row of it cannot be right, or it does not support the target.
pub fn evaluate_foreign(
    settings: &ForeignSettings,
    progress: Progress<'_>,
) -> Result<ForeignEvaluation, ForeignError> {
    let at = |what: String| ForeignError::File {
        path: settings.input.clone(),
        what,
    };
    let source = Source::open(&settings.input).map_err(at)?;
    let map = source.map(settings.map.as_ref()).map_err(at)?;
    let header = source.header().map_err(at)?;
    let mut predictions = settings
        .predictions
        .unwrap_or(if map.predictions.is_some() {
            PredictionSource::Columns
        } else {
            PredictionSource::Tabular {
                prior: 20.0,
                folds: 5,
            }
        });
    if predictions == PredictionSource::Columns && map.predictions.is_none() {
        return Err(at(
            "predictions from columns need `predictions` in the map".to_owned()
        ));
    }
    let with_columns = predictions == PredictionSource::Columns;
    let others = settings.compare.iter().map(String::as_str);
    let targets: Vec<&str> = std::iter::once(settings.target.as_str())
        .chain(others)
        .collect();
    let layout = Layout::new(&map, &settings.folder, &targets, &header, with_columns);
    let mut layout = layout.map_err(at)?;
    let learned = learn(&source, &mut layout).map_err(at)?;
    if !settings.suite.has_predictions {
        predictions = PredictionSource::None;
    }
    let mut suite = settings.suite.clone();
    suite.has_predictions = predictions != PredictionSource::None;
    let fitted = Fitted::new(&source, &layout, predictions, progress).map_err(at)?;
    let pass = Pass {
        layout: &layout,
        fitted,
        folds: predictions.folds(),
    };
    check(settings, &layout, &pass.fitted).map_err(at)?;
    let compared = if layout.others.is_empty() {
        0
    } else {
        1 + layout.others.len()
    };
    let sums = source.fold(
        &layout.wanted.names,
        &layout.wanted.texts,
        || Sums::new(&suite, settings.selects, compared),
        |sums, batch| {
            progress(batch.rows as u64);
            pass.take(sums, batch)
        },
        Sums::merge,
    );
    let sums = sums.map_err(at)?;
    if sums.suite.rows() == 0 {
        return Err(EstimateError::NoRows.into());
    }
    check_rows(&layout, sums.suite.rows()).map_err(at)?;
    let mut evaluation = evaluation(settings, &layout, predictions, sums)?;
    evaluation.notes.splice(0..0, learned);
    Ok(evaluation)
}

/// Whether layout and target fit what is asked.
fn check(settings: &ForeignSettings, layout: &Layout, fitted: &Fitted) -> Result<(), String> {
    if !settings.compare.is_empty() && matches!(layout.logged, Logged::Unknown) {
        return Err("weights that are estimated are those of one target".to_owned());
    }
    if settings.selects && !matches!(layout.logged, Logged::All(_)) {
        return Err("to choose an estimator needs the logged probabilities of all arms".to_owned());
    }
    let positions = fitted.positions.len();
    for target in std::iter::once(&layout.target).chain(&layout.others) {
        match target {
            Target::Table(table) if table.len() > 1 && table.len() != positions => {
                return Err(format!(
                    "a target has probabilities for {} positions, and the log has {positions}",
                    table.len()
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a target that has a row of its own for each of the log has as many.
fn check_rows(layout: &Layout, rows: u64) -> Result<(), String> {
    let (arms, all) = (layout.arms.len(), rows + layout.from - 1);
    for target in std::iter::once(&layout.target).chain(&layout.others) {
        match target {
            Target::Rows {
                from,
                probabilities,
            } if probabilities.len() as u64 != (all + 1 - from) * arms as u64 => {
                return Err(format!(
                    "the target has probabilities for {} rows, and the log has {all}",
                    probabilities.len() / arms
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the sums come to, in the units of the log's rewards.
fn evaluation(
    settings: &ForeignSettings,
    layout: &Layout,
    predictions: PredictionSource,
    sums: Sums,
) -> Result<ForeignEvaluation, EstimateError> {
    let weights = sums.weights.checked(settings.minimum_effective)?;
    let mut selection = match &sums.selection {
        Some(selection) => Some(selection.finish()?),
        None => None,
    };
    for selected in selection.iter_mut().flatten() {
        selected.rmse *= layout.span();
    }
    let mut estimates = sums.suite.finish()?;
    for value in &mut estimates {
        unscale(value, layout);
        if matches!(layout.logged, Logged::Unknown) {
            (value.guarantee, value.warning) = ("none", Some(BALANCED));
        }
    }
    let compared = compared(settings, layout, &sums)?;
    let mut evaluation = ForeignEvaluation {
        compared,
        input: settings.input.display().to_string(),
        target: settings.target.clone(),
        rows: sums.suite.rows(),
        from_row: layout.from,
        arms: layout.arms.len(),
        logged: layout.unscaled(sums.rewards / sums.suite.rows() as f64),
        predictions: predictions.to_string(),
        weights,
        match_rate: sums.suite.match_rate(),
        selection,
        drift: sums
            .drift
            .finish()
            .map(|drift| unscaled_drift(drift, layout)),
        estimates,
        notes: Vec::new(),
    };
    evaluation.notes = notes(&evaluation, layout, predictions);
    Ok(evaluation)
}

fn unscaled_drift(mut drift: Drift, layout: &Layout) -> Drift {
    drift.reward_shift *= layout.span();
    for quarter in &mut drift.quarters {
        quarter.mean_reward = layout.unscaled(quarter.mean_reward);
    }
    drift
}

fn unscale(value: &mut Value, layout: &Layout) {
    value.value = layout.unscaled(value.value);
    value.standard_error *= layout.span();
    let by_user = value.by_user.as_mut().map(|by_user| {
        by_user.standard_error *= layout.span();
        &mut by_user.interval
    });
    let intervals = [
        Some(&mut value.interval),
        by_user,
        value.anytime.as_mut(),
        value.bootstrap.as_mut(),
    ];
    for interval in intervals.into_iter().flatten() {
        interval.lo = layout.unscaled(interval.lo);
        interval.hi = layout.unscaled(interval.hi);
    }
}

/// What is known of intervals by weights that are estimated.
const BALANCED: &str = "the logged probabilities are not known: weights are estimated by balancing, and the interval leaves \
                        out their error";
