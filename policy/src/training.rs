//! Fitting reward models to many rows at once, with linfa.

mod fit;
mod recipe;
mod report;

use std::collections::BTreeMap;

use ndarray::{Array1, Array2};

use crate::{Features, LinearModel, TrainingError};
use fit::fit;

pub use fit::regression;
pub use recipe::{Family, Recipe};
pub use report::{ArmReport, CalibrationBin, PenaltyReport, TrainingReport};

/// A decision with its reward.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingRow {
    /// The decision's id: which fold the row is in follows from it.
    pub id: u128,
    /// The arm that was served.
    pub arm: String,
    /// The context.
    pub features: Features,
    /// The reward, in [0, 1].
    pub reward: f64,
}

/// How reward models are trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSettings {
    /// What is fitted.
    pub recipe: Recipe,
    /// Folds of the cross-validation, at least 2.
    pub folds: usize,
    /// An arm with fewer rows gets no weights, and is expected to earn the mean of all.
    pub rows_least: usize,
}

impl TrainingSettings {
    /// Five folds, and arms of at least 50 rows.
    pub fn new(recipe: Recipe) -> Self {
        Self {
            recipe,
            folds: 5,
            rows_least: 50,
        }
    }
}

/// A reward model, and how well it foretells rewards that it has not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// The model, fitted on all rows. Which part of a log they are is for the caller to set.
    pub model: LinearModel,
    /// Out-of-fold figures.
    pub report: TrainingReport,
}

/// Fits one regression an arm, and says by cross-validation how good they are. A recipe without a penalty gets the one
/// of the least squared error out of fold.
///
/// Logistic families need labels: a reward r in (0, 1) becomes 1 with probability r, by one draw keyed by the
/// decision's id, so that the expected label is the expected reward. The same rows give the same model, bit for bit,
/// in any order. `progress` is told the share done.
///
/// # Errors
/// [`TrainingError`]: too few rows, contexts of several dimensions, or a solver that fails.
pub fn train(
    rows: &[TrainingRow],
    settings: &TrainingSettings,
    progress: &mut dyn FnMut(f64),
) -> Result<Training, TrainingError> {
    let arms = tables(rows, settings)?;
    let family = settings.recipe.family;
    let penalties = match settings.recipe.penalty {
        Some(penalty) => vec![penalty],
        None => family.penalties().to_vec(),
    };
    let steps = (penalties.len() * arms.len() * settings.folds + arms.len()) as f64;
    let mut done = 0.0;
    let mut step = || {
        done += 1.0;
        progress(done / steps);
    };
    let mut best: Option<(f64, f64, Vec<Vec<f64>>)> = None;
    let mut compared = Vec::new();
    for penalty in penalties {
        let mut predicted = Vec::with_capacity(arms.len());
        for table in arms.values() {
            predicted.push(out_of_fold(
                table,
                family,
                penalty,
                settings.folds,
                &mut step,
            )?);
        }
        let squared_error = mean_squared_error(arms.values().zip(&predicted));
        compared.push(PenaltyReport {
            penalty,
            squared_error,
        });
        if best
            .as_ref()
            .is_none_or(|(least, ..)| squared_error < *least)
        {
            best = Some((squared_error, penalty, predicted));
        }
    }
    let (_, penalty, predicted) = best.ok_or(TrainingError::NoRows)?;
    let mut weights = BTreeMap::new();
    for (arm, table) in &arms {
        weights.insert(
            arm.clone(),
            fit(family, penalty, &table.x, &table.target(family))?,
        );
        step();
    }
    let count: usize = arms.values().map(|table| table.y.len()).sum();
    let total: f64 = arms.values().map(|table| table.y.sum()).sum();
    let model = LinearModel {
        recipe: Recipe {
            family,
            penalty: Some(penalty),
        }
        .to_string(),
        trained_on: (0, 0),
        rows: count as u64,
        link: family.link(),
        mean: total / count as f64,
        arms: weights,
    };
    let report = TrainingReport::new(&model, compared, &arms, &predicted);
    Ok(Training { model, report })
}

/// The rows of one arm, in the order of their decisions.
#[derive(Debug)]
struct Table {
    ids: Vec<u128>,
    x: Array2<f64>,
    y: Array1<f64>,
}

impl Table {
    /// Rewards, or labels for families that need them.
    fn target(&self, family: Family) -> Array1<f64> {
        if !family.is_logistic() {
            return self.y.clone();
        }
        let label = |(id, reward): (&u128, &f64)| f64::from(u8::from(chance(*id, b'l') < *reward));
        self.ids.iter().zip(&self.y).map(label).collect()
    }

    fn fold(&self, row: usize, folds: usize) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number in [0, folds)"
        )]
        let fold = (chance(self.ids[row], b'f') * folds as f64) as usize;
        fold.min(folds - 1)
    }

    fn part(&self, rows: &[usize]) -> Self {
        Self {
            ids: rows.iter().map(|&row| self.ids[row]).collect(),
            x: self.x.select(ndarray::Axis(0), rows),
            y: self.y.select(ndarray::Axis(0), rows),
        }
    }
}

fn tables(
    rows: &[TrainingRow],
    settings: &TrainingSettings,
) -> Result<BTreeMap<String, Table>, TrainingError> {
    let dimension = rows
        .first()
        .ok_or(TrainingError::NoRows)?
        .features
        .dimension();
    let mut by_arm: BTreeMap<&str, Vec<&TrainingRow>> = BTreeMap::new();
    for row in rows {
        if row.features.dimension() != dimension {
            return Err(TrainingError::Dimension {
                expected: dimension,
                actual: row.features.dimension(),
            });
        }
        if !(0.0..=1.0).contains(&row.reward) {
            return Err(TrainingError::Reward(row.reward));
        }
        by_arm.entry(&row.arm).or_default().push(row);
    }
    let most = by_arm.values().map(Vec::len).max().unwrap_or(0);
    by_arm.retain(|_, rows| rows.len() >= settings.rows_least.max(2 * settings.folds));
    if by_arm.is_empty() {
        return Err(TrainingError::TooFew {
            most,
            needed: settings.rows_least.max(2 * settings.folds),
        });
    }
    let table = |(arm, mut rows): (&str, Vec<&TrainingRow>)| {
        rows.sort_by_key(|row| row.id);
        let values = rows.iter().flat_map(|row| row.features.as_slice());
        let values: Vec<f64> = values.map(|&x| f64::from(x)).collect();
        let x = Array2::from_shape_vec((rows.len(), dimension), values);
        let table = Table {
            ids: rows.iter().map(|row| row.id).collect(),
            x: x.map_err(|error| TrainingError::Solver(error.to_string()))?,
            y: rows.iter().map(|row| row.reward).collect(),
        };
        Ok((arm.to_owned(), table))
    };
    by_arm.into_iter().map(table).collect()
}

/// What each row's reward is foretold to be by a fit of the other folds.
fn out_of_fold(
    table: &Table,
    family: Family,
    penalty: f64,
    folds: usize,
    step: &mut dyn FnMut(),
) -> Result<Vec<f64>, TrainingError> {
    let mut predicted = vec![0.0; table.y.len()];
    for fold in 0..folds {
        let (out, rest): (Vec<usize>, Vec<usize>) =
            (0..table.y.len()).partition(|&row| table.fold(row, folds) == fold);
        if !out.is_empty() && !rest.is_empty() {
            let rest = table.part(&rest);
            let weights = fit(family, penalty, &rest.x, &rest.target(family))?;
            for row in out {
                let sum =
                    weights.intercept + table.x.row(row).dot(&ndarray::aview1(&weights.weights));
                predicted[row] = family.link().reward(sum).clamp(0.0, 1.0);
            }
        }
        step();
    }
    Ok(predicted)
}

fn mean_squared_error<'a>(arms: impl Iterator<Item = (&'a Table, &'a Vec<f64>)>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (table, predicted) in arms {
        let errors = table.y.iter().zip(predicted);
        sum += errors.map(|(y, p)| (y - p) * (y - p)).sum::<f64>();
        count += table.y.len() as f64;
    }
    sum / count
}

/// A number in [0, 1) that follows from a decision and a purpose.
fn chance(id: u128, purpose: u8) -> f64 {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.push(purpose);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    let bits = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(bits) / 2f64.powi(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FeatureSchema, Link};

    const SCHEMA: FeatureSchema = FeatureSchema {
        dimension: 4,
        version: 1,
    };

    /// Rewards of arm a rise with the second feature, those of arm b fall; the third tells nothing.
    fn rows(count: u128) -> Vec<TrainingRow> {
        let row = |id: u128| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a multiple of 1/4096 in [-1, 1]"
            )]
            let grid = |salt| ((chance(id, salt) * 8192.0).floor() / 4096.0 - 1.0) as f32;
            let (x, noise) = (grid(1), grid(2));
            let arm = if id.is_multiple_of(2) { "a@1" } else { "b@1" };
            let slope = if id.is_multiple_of(2) { 0.3 } else { -0.3 };
            let likely = 0.5 + slope * f64::from(x);
            TrainingRow {
                id,
                arm: arm.to_owned(),
                features: Features::from_logged(vec![1.0, x, noise, 0.0], &SCHEMA).unwrap(),
                reward: f64::from(u8::from(chance(id, 3) < likely)),
            }
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn every_family_finds_what_the_rewards_depend_on() {
        let rows = rows(4_000);
        let mut reversed = rows.clone();
        reversed.reverse();
        for family in Family::ALL {
            let settings = TrainingSettings::new(Recipe {
                family,
                penalty: None,
            });
            let mut told = Vec::new();
            let training = train(&rows, &settings, &mut |share| told.push(share)).unwrap();
            assert!(
                told.is_sorted() && (told.last().unwrap() - 1.0).abs() < 1e-9,
                "{family}"
            );
            let again = train(&reversed, &settings, &mut |_| ()).unwrap();
            assert_eq!(training, again, "{family}: the order of rows matters");
            let model = &training.model;
            for (x, salt) in [(0.75, 1.0), (-0.75, -1.0), (0.0, 0.0)] {
                let context = [1.0, x, 0.25, 0.0];
                for (arm, sign) in [("a@1", 1.0), ("b@1", -1.0)] {
                    let expected = 0.5 + sign * 0.3 * 0.75 * salt;
                    let predicted = model.prediction(arm, &context);
                    assert!(
                        (predicted - expected).abs() < 0.06,
                        "{family} {arm} {x}: {predicted} {expected}"
                    );
                }
            }
            let report = &training.report;
            for arm in &report.arms {
                assert!(
                    arm.squared_error < arm.squared_error_of_mean,
                    "{family} {arm:?}"
                );
                // Of labels with chances from 0.2 to 0.8, uniformly: about 0.67.
                assert!((arm.auc.unwrap() - 0.67).abs() < 0.05, "{family} {arm:?}");
                assert_eq!(arm.weights[0].0, "mid_line", "{family} {arm:?}");
            }
            let rows: u64 = report.calibration.iter().map(|bin| bin.rows).sum();
            assert_eq!(rows, 4_000);
            for bin in report.calibration.iter().filter(|bin| bin.rows > 200) {
                assert!((bin.predicted - bin.reward).abs() < 0.1, "{family} {bin:?}");
            }
            assert_eq!(model.link == Link::Logit, family.is_logistic());
        }
    }

    #[test]
    fn arms_that_never_or_always_earn_are_no_trouble() {
        let mut rows = rows(400);
        for row in &mut rows {
            row.reward = if row.arm == "a@1" { 1.0 } else { 0.0 };
        }
        for family in Family::ALL {
            let settings = TrainingSettings::new(Recipe {
                family,
                penalty: Some(0.01),
            });
            let training = train(&rows, &settings, &mut |_| ()).unwrap();
            let at = |arm| training.model.prediction(arm, &[1.0, 0.0, 0.0, 0.0]);
            assert!(
                at("a@1") > 0.9 && at("b@1") < 0.1,
                "{family}: {} {}",
                at("a@1"),
                at("b@1")
            );
            assert!(training.report.arms.iter().all(|arm| arm.auc.is_none()));
        }
    }

    #[test]
    fn too_little_is_refused_in_words() {
        let settings = TrainingSettings::new("logistic".parse().unwrap());
        let refusal =
            |rows: &[TrainingRow]| train(rows, &settings, &mut |_| ()).unwrap_err().to_string();
        assert!(refusal(&[]).contains("no rows"), "{}", refusal(&[]));
        let few = refusal(&rows(40));
        assert!(few.contains("20") && few.contains("50"), "{few}");
        let mut bad = rows(200);
        bad[3].reward = 1.5;
        assert!(refusal(&bad).contains("1.5"));
        bad[3].reward = f64::NAN;
        assert!(refusal(&bad).contains("NaN"));
    }
}
