//! What would a completion model have earned that was never deployed?

use echo_policy::training::{Family, regression};
use echo_policy::{ArmWeights, TrainingError};
use ndarray::{Array1, Array2};
use serde::Serialize;

use crate::clusters::Clusters;
use crate::{Interval, Level};

/// A logged decision, with the text that another model gives in the same context.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterfactualRow {
    /// The decision: which fold the row is in follows from it.
    pub id: u128,
    /// Number of the user.
    pub user: u64,
    /// What is known of the context and of the other model's text; as many numbers for every row.
    pub context: Vec<f64>,
    /// What the text earned that was shown, in [0, 1].
    pub reward: f64,
    /// How much of the other model's text stands in what the user finally had there, in [0, 1]; `None` where that is not
    /// known, as after a plain dismissal.
    pub score: Option<f64>,
    /// Whether both texts are the same.
    pub is_match: bool,
    /// The probability with which the log would have shown this very text: that of all arms that give it, together. `None`
    /// where it is not known what the arms give that were not drawn.
    pub chance: Option<f64>,
}

/// What a model that was never deployed would have earned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counterfactual {
    /// Decisions.
    pub rows: u64,
    /// Users among them.
    pub users: u64,
    /// Decisions in which the very text of the model had been shown.
    pub matches: u64,
    /// Kish's effective number of these, as they are weighted.
    pub effective_matches: f64,
    /// Share of the decisions in which the model's text was never, or hardly ever, shown: there is nothing to correct by.
    pub unsupported_share: f64,
    /// Whether the chance of a match is known for every decision, and not foretold.
    pub is_chance_known: bool,
    /// Mean reward of what was shown.
    pub logged: MeanValue,
    /// Decisions in which what the user finally had is known.
    pub scored: u64,
    /// Mean score against that: no correction. Too low, since users keep what they were shown; too high, where more is known
    /// of those who kept something. `None` if it is never known.
    pub kept: Option<MeanValue>,
    /// Mean reward of the matches, weighted to stand for all decisions; `None` with fewer than thirty effective ones.
    pub matched: Option<MeanValue>,
    /// Doubly robust: scores foretell, matches correct; `None` likewise, and with fewer than thirty scores.
    pub robust: Option<MeanValue>,
    /// The same less what was logged, paired by decision.
    pub difference: Option<MeanValue>,
}

/// A mean, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeanValue {
    /// The mean.
    pub value: f64,
    /// Its standard error: the larger of those by decision and by user.
    pub standard_error: f64,
    /// The interval that follows.
    pub interval: Interval,
}

/// Estimates what another model would have earned in the contexts of a log.
///
/// Of a text n that a model would have shown, two things may be known. Where the log showed the same text, its reward R. In
/// all others the score S of n against what the user finally had in its place; but users keep what they were shown, so
/// that S is too low for whatever was not shown. The estimate is the doubly robust one (Robins, Rotnitzky, Zhao 1994;
/// Dudik, Langford, Li 2011, equation 2), self-normalised, with "n was shown" for the treatment:
///
/// `mean of q(z), plus the sum of m / p(z) (R - q(z)) over that of m / p(z)`
///
/// where z is the context, m is 1 for a match, and q(z) foretells S by a linear regression on the other rows, cross-fitted
/// on five folds. p is the chance of a match: where every row knows it, that; else it is foretold from z by a logistic
/// regression. A chance that is known makes the estimate right wherever the text could have been shown. One that is
/// foretold does so only if, given z, whether n was shown does not hang on how good it is; and it does, where arms agree
/// more often when they are right: the value is then too high.
///
/// # Errors
/// [`TrainingError`]: there are no rows, contexts differ in length, or a regression fails.
pub fn counterfactual(
    rows: &[CounterfactualRow],
    level: Level,
) -> Result<Counterfactual, TrainingError> {
    let first = rows.first().ok_or(TrainingError::NoRows)?;
    let expected = first.context.len();
    if let Some(other) = rows.iter().find(|row| row.context.len() != expected) {
        return Err(TrainingError::Dimension {
            expected,
            actual: other.context.len(),
        });
    }
    let mean = |of: &dyn Fn(usize, &CounterfactualRow) -> f64| {
        let pairs = rows
            .iter()
            .enumerate()
            .map(|(place, row)| (row, of(place, row)));
        mean_of(pairs.map(|(row, value)| (row.user, 1.0, value)), level)
    };
    let matches: Vec<usize> = (0..rows.len()).filter(|&row| rows[row].is_match).collect();
    let mut found = Counterfactual {
        rows: rows.len() as u64,
        users: users(rows),
        matches: matches.len() as u64,
        effective_matches: 0.0,
        unsupported_share: 1.0,
        is_chance_known: rows.iter().all(|row| row.chance.is_some()),
        logged: mean(&|_, row| row.reward),
        scored: 0,
        kept: None,
        matched: None,
        robust: None,
        difference: None,
    };
    let scored = rows.iter().filter_map(|row| {
        let score = if row.is_match { row.reward } else { row.score? };
        row.score.map(|_| (row.user, 1.0, score))
    });
    found.scored = scored.clone().count() as u64;
    found.kept = (found.scored > 0).then(|| mean_of(scored, level));
    let others = rows
        .iter()
        .filter(|row| !row.is_match && row.score.is_some())
        .count();
    if matches.len() < LEAST || matches.len() == rows.len() {
        if matches.len() == rows.len() {
            // The model is one that was deployed, and is always drawn.
            found.matched = Some(found.logged);
            found.robust = Some(found.logged);
            found.effective_matches = matches.len() as f64;
            found.unsupported_share = 0.0;
        }
        return Ok(found);
    }
    let chance = if found.is_chance_known {
        rows.iter().filter_map(|row| row.chance).collect()
    } else {
        let of_match = |row: &CounterfactualRow| f64::from(u8::from(row.is_match));
        cross_fitted(rows, Family::Logistic, |_| true, of_match)?
    };
    let least = if found.is_chance_known {
        f64::MIN_POSITIVE
    } else {
        CHANCE_LEAST
    };
    let hardly = chance.iter().filter(|p| **p < least).count();
    found.unsupported_share = hardly as f64 / rows.len() as f64;
    let weight = |row: usize| 1.0 / chance[row].max(least);
    let (sum, squares) = matches.iter().fold((0.0, 0.0), |(sum, squares), &row| {
        (sum + weight(row), squares + weight(row) * weight(row))
    });
    found.effective_matches = sum * sum / squares;
    if found.effective_matches < LEAST as f64 {
        return Ok(found);
    }
    let of_matches = matches
        .iter()
        .map(|&row| (rows[row].user, weight(row), weight(row) * rows[row].reward));
    found.matched = Some(mean_of(of_matches, level));
    if others < LEAST {
        return Ok(found);
    }
    let is_foretold_by = |row: &CounterfactualRow| !row.is_match && row.score.is_some();
    let of_score = |row: &CounterfactualRow| row.score.unwrap_or_default();
    let foretold = cross_fitted(rows, Family::Linear, is_foretold_by, of_score)?;
    let residual = |row: usize| rows[row].reward - foretold[row];
    let correction = matches
        .iter()
        .map(|&row| weight(row) * residual(row))
        .sum::<f64>()
        / sum;
    let is_supported = |row: usize| chance[row] >= least;
    let supported = (0..rows.len()).filter(|&row| is_supported(row)).count() as f64;
    // Each row's own part of it, whose mean is the value, and whose spread is its error by the delta method.
    let robust = |place: usize, row: &CounterfactualRow| {
        let of_match = if row.is_match {
            supported / sum * weight(place) * (residual(place) - correction)
        } else {
            0.0
        };
        foretold[place] + if is_supported(place) { correction } else { 0.0 } + of_match
    };
    found.robust = Some(mean(&robust));
    found.difference = Some(mean(&|place, row| robust(place, row) - row.reward));
    Ok(found)
}

fn users(rows: &[CounterfactualRow]) -> u64 {
    let all: std::collections::BTreeSet<u64> = rows.iter().map(|row| row.user).collect();
    all.len() as u64
}

/// A ratio of two sums, of (user, below, above).
fn mean_of(rows: impl Iterator<Item = (u64, f64, f64)> + Clone, level: Level) -> MeanValue {
    let (below, above) = rows.clone().fold((0.0, 0.0), |(below, above), (_, x, y)| {
        (below + x, above + y)
    });
    let value = above / below;
    let squares: f64 = rows
        .clone()
        .map(|(_, x, y)| (y - value * x) * (y - value * x))
        .sum();
    let by_row = squares.sqrt() / below;
    let mut clusters = Clusters::default();
    for (user, x, y) in rows {
        clusters.push(user, x, y);
    }
    let by_user = clusters
        .ratio_standard_error()
        .filter(|_| clusters.count() >= USERS_LEAST);
    let standard_error = by_row.max(by_user.unwrap_or(0.0));
    let interval = match by_user {
        Some(_) => Interval::student(value, standard_error, clusters.count() as f64 - 1.0, level),
        None => Interval::normal(value, standard_error, level),
    };
    MeanValue {
        value,
        standard_error,
        interval,
    }
}

/// What each row's target is foretold to be by a regression on the other folds, in [0, 1].
fn cross_fitted(
    rows: &[CounterfactualRow],
    family: Family,
    is_used: impl Fn(&CounterfactualRow) -> bool,
    target: impl Fn(&CounterfactualRow) -> f64,
) -> Result<Vec<f64>, TrainingError> {
    let dimension = rows.first().map_or(0, |row| row.context.len());
    let fold_of = |row: &CounterfactualRow| row.id.wrapping_mul(MIX).rotate_left(17) % FOLDS;
    let mut foretold = vec![0.0; rows.len()];
    for fold in 0..FOLDS {
        let used: Vec<&CounterfactualRow> = rows
            .iter()
            .filter(|row| fold_of(row) != fold && is_used(row))
            .collect();
        let values = used
            .iter()
            .flat_map(|row| row.context.iter().copied())
            .collect();
        let x = Array2::from_shape_vec((used.len(), dimension), values)
            .map_err(|error| TrainingError::Solver(error.to_string()))?;
        let y: Array1<f64> = used.iter().map(|row| target(row)).collect();
        let ArmWeights { intercept, weights } = regression(family, PENALTY, &x, &y, None)?;
        for (row, foretold) in rows.iter().zip(&mut foretold) {
            if fold_of(row) == fold {
                let products = row.context.iter().zip(&weights).map(|(x, w)| x * w);
                let sum = intercept + products.sum::<f64>();
                *foretold = family.link().reward(sum).clamp(0.0, 1.0);
            }
        }
    }
    Ok(foretold)
}

/// An odd number that scatters ids (Steele and Vigna 2021).
const MIX: u128 = 0xda94_2042_e4dd_58b5;

const FOLDS: u128 = 5;

/// Stands beside sums over rows.
const PENALTY: f64 = 1.0;

/// Fewer effective matches correct nothing.
const LEAST: usize = 30;

/// A text that is shown less often counts no more than this allows.
const CHANCE_LEAST: f64 = 0.02;

/// With fewer users, rows are the units.
const USERS_LEAST: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix;

    /// A number in [0, 1) that follows from seed, row and purpose.
    fn chance(seed: u64, row: u64, purpose: u64) -> f64 {
        mix::unit(mix::mix(seed << 40 | row << 8 | purpose))
    }

    /// Users take a text that is right for them, and keep it; a third of those who are shown another right text than the
    /// model's keep that one, though the model's would have been taken as well. Returns rows, and what the model would have
    /// earned.
    fn world(seed: u64, rows: u64, is_known: bool) -> (Vec<CounterfactualRow>, f64) {
        let mut all = Vec::new();
        let mut truth = 0.0;
        for row in 0..rows {
            let z = chance(seed, row, 0);
            let would_earn = f64::from(u8::from(chance(seed, row, 1) < 0.2 + 0.6 * z));
            truth += would_earn / rows as f64;
            // The model's text is shown more often where z is large, whoever is right.
            let is_match = chance(seed, row, 2) < 0.1 + 0.5 * z;
            let other_earns = f64::from(u8::from(chance(seed, row, 3) < 0.4));
            let (reward, score) = if is_match {
                (would_earn, would_earn)
            } else {
                // Who keeps the other text does not have the model's.
                (other_earns, would_earn * (1.0 - other_earns))
            };
            all.push(CounterfactualRow {
                id: u128::from(row),
                user: row % 40,
                context: vec![z],
                reward,
                // Of a tenth nothing is known but that the text was dismissed.
                score: (chance(seed, row, 4) > 0.1).then_some(score),
                is_match,
                chance: is_known.then_some(0.1 + 0.5 * z),
            });
        }
        (all, truth)
    }

    #[test]
    fn matches_correct_that_users_keep_what_they_were_shown() {
        // Of 40 worlds the 95 % interval misses two; seven or more would miss by chance once in 300.
        let mut missed = 0;
        for seed in 0..40 {
            let (rows, truth) = world(seed, 2_000, seed % 2 == 0);
            let found = counterfactual(&rows, Level::default()).unwrap();
            let robust = found.robust.unwrap();
            missed += u32::from(!robust.interval.holds(truth));
            assert!(
                (robust.value - truth).abs() < 0.08,
                "{seed}: {robust:?} {truth}"
            );
            let kept = found.kept.unwrap();
            assert!(kept.value < truth - 0.05, "{seed}: {kept:?} {truth}");
            let matched = found.matched.unwrap();
            assert!(
                (matched.value - truth).abs() < 0.1,
                "{seed}: {matched:?} {truth}"
            );
            let difference = found.difference.unwrap();
            assert!((difference.value - (robust.value - found.logged.value)).abs() < 1e-12);
            assert!(found.unsupported_share < 0.05 && found.users == 40);
        }
        assert!(missed <= 6, "{missed}");
    }

    #[test]
    fn arms_that_agree_when_they_are_right_need_a_chance_that_is_known() {
        let (mut rows, truth) = world(3, 20_000, true);
        // Where the text is right, four arms of five would show it; else one.
        for (place, row) in rows.iter_mut().enumerate() {
            let would_earn = f64::from(u8::from(
                chance(3, place as u64, 1) < 0.2 + 0.6 * row.context[0],
            ));
            let p = 0.2 + 0.6 * would_earn;
            row.is_match = chance(3, place as u64, 2) < p;
            row.chance = Some(p);
            let other = f64::from(u8::from(chance(3, place as u64, 3) < 0.4));
            (row.reward, row.score) = if row.is_match {
                (would_earn, Some(would_earn))
            } else {
                (other, Some(would_earn * (1.0 - other)))
            };
        }
        let known = counterfactual(&rows, Level::default())
            .unwrap()
            .robust
            .unwrap();
        assert!(
            (known.value - truth).abs() < 4.0 * known.standard_error,
            "{known:?} {truth}"
        );
        for row in &mut rows {
            row.chance = None;
        }
        let foretold = counterfactual(&rows, Level::default())
            .unwrap()
            .robust
            .unwrap();
        assert!(foretold.value > truth + 0.1, "{foretold:?} {truth}");
    }

    #[test]
    fn without_matches_there_is_no_corrected_value() {
        let (mut rows, _) = world(1, 500, false);
        for row in &mut rows {
            row.is_match = false;
        }
        let found = counterfactual(&rows, Level::default()).unwrap();
        assert_eq!(
            (found.matched, found.robust, found.difference),
            (None, None, None)
        );
        assert_eq!(found.unsupported_share, 1.0);
        for row in &mut rows {
            row.is_match = true;
        }
        let found = counterfactual(&rows, Level::default()).unwrap();
        assert_eq!(found.robust, Some(found.logged));
        assert_eq!(
            counterfactual(&[], Level::default()),
            Err(TrainingError::NoRows)
        );
        rows[3].context.push(0.0);
        assert!(counterfactual(&rows, Level::default()).is_err());
    }
}
