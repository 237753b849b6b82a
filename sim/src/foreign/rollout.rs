use std::sync::Arc;

use echo_policy::{FeatureSchema, Standardiser};

use super::evaluation::{ForeignError, ForeignSettings};
use super::layout::{Layout, Logged};
use super::probabilities::logged_probability;
use super::reader::Source;
use super::regression::{Design, SampledRow};
use crate::error::EstimateError;
use crate::rollout::{Rollout, RolloutRow, RolloutSettings, roll};

/// Lets policies learn on the rows of a foreign log, as [`rollout`](crate::rollout) does on Echo's own. Contexts are the
/// columns that the map names as features and categories, standardised as they come; a row is a second. Memory grows with
/// the rows.
///
/// # Errors
/// [`ForeignError`]: as [`evaluate_foreign`](super::evaluate_foreign), and if too few rows are accepted to say anything.
pub fn roll_out_foreign(
    settings: &ForeignSettings,
    policies: &RolloutSettings,
    progress: &mut dyn FnMut(f64),
) -> Result<Rollout, ForeignError> {
    let at = |what: String| ForeignError::File {
        path: settings.input.clone(),
        what,
    };
    let source = Source::open(&settings.input).map_err(at)?;
    let map = source.map(settings.map.as_ref()).map_err(at)?;
    let header = source.header().map_err(at)?;
    let layout = Layout::new(&map, &settings.folder, &["uniform"], &header, false);
    let layout = layout.map_err(at)?;
    let rows = rollout_rows(&source, &layout).map_err(at)?;
    let Some(schema) = rows.first().map(|row| FeatureSchema {
        dimension: row.features.dimension(),
        ..FeatureSchema::default()
    }) else {
        return Err(EstimateError::NoRows.into());
    };
    let mut rolled =
        roll(&rows, &schema, policies, progress).map_err(|error| at(error.to_string()))?;
    if layout.position.is_some() {
        rolled.notes.push(
            "A slate's positions are taken one by one, as decisions of their own: what a policy would make of a whole slate \
             is not told."
                .to_owned(),
        );
    }
    rolled.logged = layout.unscaled(rolled.logged);
    for policy in &mut rolled.policies {
        policy.value = layout.unscaled(policy.value);
        policy.standard_error *= layout.span();
        policy.interval.lo = layout.unscaled(policy.interval.lo);
        policy.interval.hi = layout.unscaled(policy.interval.hi);
        for tenth in &mut policy.tenths {
            *tenth = layout.unscaled(*tenth);
        }
    }
    Ok(rolled)
}

/// The rows of the log as a policy would have met them.
pub(super) fn rollout_rows(
    source: &Source<'_>,
    layout: &Layout,
) -> Result<Vec<RolloutRow>, String> {
    if matches!(layout.logged, Logged::Unknown) {
        return Err(
            "rows are accepted by their logged probabilities, which are not known".to_owned(),
        );
    }
    let rows = source.fold(
        &layout.wanted.names,
        &layout.wanted.texts,
        Vec::new,
        |rows: &mut Vec<(SampledRow, f64)>, batch| {
            let mut logged = Vec::new();
            for row in 0..batch.rows {
                let arm = layout.served(batch, row)?;
                let propensity = logged_probability(layout, batch, row, arm, &mut logged)?;
                let sampled = SampledRow {
                    number: batch.first + row as u64,
                    position: layout.position(batch, row)?,
                    arm,
                    reward: layout.reward(batch, row)?,
                    weight: 1.0,
                    context: layout.context(batch, row)?,
                };
                rows.push((sampled, propensity));
            }
            Ok(())
        },
        |rows, more| rows.extend_from_slice(more),
    )?;
    let design = Design::new(&rows.iter().map(|(row, _)| &row.context));
    let dimension = design.dimension();
    let mut standard = Standardiser::new(dimension, dimension <= PRODUCTS_UP_TO);
    if standard.dimension() > FeatureSchema::DIMENSION_MAX {
        return Err(format!(
            "its features and categories are {} numbers, more than the {} that a policy takes",
            standard.dimension(),
            FeatureSchema::DIMENSION_MAX
        ));
    }
    let arms = Arc::new(layout.arms.clone());
    let mut raw = vec![0.0; dimension];
    let row = |(row, propensity): &(SampledRow, f64)| {
        raw.fill(0.0);
        design.fill(&row.context, &mut raw);
        standard.observe(&raw).map_err(|error| error.to_string())?;
        Ok(RolloutRow {
            number: row.number,
            at_ms: i64::try_from(row.number)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000),
            arms: Arc::clone(&arms),
            chosen: row.arm,
            propensity: *propensity,
            reward: row.reward,
            features: standard.features(&raw).map_err(|error| error.to_string())?,
        })
    };
    rows.iter().map(row).collect()
}

/// Products of features are features as well, where there are few.
const PRODUCTS_UP_TO: usize = 10;
