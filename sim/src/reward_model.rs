use crate::error::RewardModelError;
use linfa_linalg::cholesky::SolveC;
use ndarray::{Array1, Array2, ArrayView1, Axis};
use std::collections::BTreeMap;

/// How reward models are fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RewardModelSettings {
    /// Folds: each row is predicted by a model of the other folds. At least 2.
    pub folds: usize,
    /// Ridge penalty on the squared weights, in units of the residual sum of squares; above 0.
    pub lambda: f64,
}

impl Default for RewardModelSettings {
    fn default() -> Self {
        Self {
            folds: 5,
            lambda: 1.0,
        }
    }
}

/// Collects rows for a cross-fitted [`RewardModel`], as sums: memory does not grow with the rows.
///
/// Kept per fold and arm: d + 1 choose 2 products of the d features, whatever the number of rows.
#[derive(Clone, Debug)]
pub struct RewardModelFit {
    settings: RewardModelSettings,
    dimension: usize,
    folds: Vec<BTreeMap<String, RidgeSums>>,
}

impl RewardModelFit {
    /// An empty fit for feature vectors of length `dimension`.
    ///
    /// # Errors
    /// [`RewardModelError::Settings`] for fewer than two folds or a penalty that is not above 0.
    pub fn new(dimension: usize, settings: RewardModelSettings) -> Result<Self, RewardModelError> {
        if settings.folds < 2 || !(settings.lambda > 0.0 && settings.lambda.is_finite()) {
            return Err(RewardModelError::Settings {
                folds: settings.folds,
                lambda: settings.lambda,
            });
        }
        Ok(Self {
            settings,
            dimension,
            folds: vec![BTreeMap::new(); settings.folds],
        })
    }

    /// Adds one row: the features of decision `id`, the arm served and its reward.
    ///
    /// # Errors
    /// [`RewardModelError`] if the features have another length or anything is not finite.
    pub fn push(
        &mut self,
        id: u128,
        arm: &str,
        features: &[f32],
        reward: f64,
    ) -> Result<(), RewardModelError> {
        let x = checked(features, self.dimension)?;
        if !reward.is_finite() {
            return Err(RewardModelError::NotFinite { value: reward });
        }
        let fold = &mut self.folds[fold_of(id, self.settings.folds)];
        if !fold.contains_key(arm) {
            fold.insert(arm.to_owned(), RidgeSums::new(self.dimension));
        }
        if let Some(sums) = fold.get_mut(arm) {
            sums.push(&x, reward);
        }
        Ok(())
    }

    /// Adds all rows that `other` holds.
    ///
    /// # Errors
    /// [`RewardModelError::Dimension`] or [`RewardModelError::Settings`] if the two were set up
    /// differently.
    pub fn merge(&mut self, other: &Self) -> Result<(), RewardModelError> {
        if self.dimension != other.dimension {
            return Err(RewardModelError::Dimension {
                expected: self.dimension,
                got: other.dimension,
            });
        }
        if self.settings != other.settings {
            return Err(RewardModelError::Settings {
                folds: other.settings.folds,
                lambda: other.settings.lambda,
            });
        }
        for (ours, theirs) in self.folds.iter_mut().zip(&other.folds) {
            merge_arms(ours, theirs);
        }
        Ok(())
    }

    /// Fits one model per fold, from all rows of the other folds.
    pub fn finish(&self) -> RewardModel {
        let folds = (0..self.folds.len())
            .map(|left_out| {
                let mut arms = BTreeMap::new();
                for (fold, sums) in self.folds.iter().enumerate() {
                    if fold != left_out {
                        merge_arms(&mut arms, sums);
                    }
                }
                FoldModel::fit(&arms, self.settings.lambda)
            })
            .collect();
        RewardModel {
            dimension: self.dimension,
            folds,
        }
    }
}

/// Predicts the reward of every arm for a decision, never from that decision itself.
///
/// Per arm a ridge regression with unpenalised intercept; an arm with fewer rows than twice the
/// features gets its mean reward, drawn towards the mean of all arms by [`SHRINKAGE_ROWS`] rows; an
/// arm never seen gets that mean. Predictions are cut to [0, 1]. Same rows in the same order, same
/// model, bit for bit.
///
/// linfa's elastic net has no intercept that allows for the features' means, and with a pure ridge
/// penalty its stopping rule (a duality gap) never holds, so every fit takes all its sweeps over all
/// rows. The closed form on sums, solved by linfa's Cholesky factor, is exact and needs one pass; a
/// test compares both.
///
/// Source: Hoerl and Kennard (1970) for ridge; Chernozhukov et al. (2018), definition 3.1, for
/// cross-fitting.
#[derive(Clone, Debug)]
pub struct RewardModel {
    dimension: usize,
    folds: Vec<FoldModel>,
}

impl RewardModel {
    /// Predicted reward of each of `arms`, in [0, 1], for decision `id` with `features`.
    ///
    /// # Errors
    /// [`RewardModelError`] if the features have another length or are not finite.
    pub fn predict(
        &self,
        id: u128,
        arms: &[String],
        features: &[f32],
    ) -> Result<Vec<f64>, RewardModelError> {
        let x = checked(features, self.dimension)?;
        let fold = &self.folds[fold_of(id, self.folds.len())];
        Ok(arms.iter().map(|arm| fold.predict(arm, &x)).collect())
    }
}

/// Rows of the overall mean mixed into the mean of an arm with few rows.
pub const SHRINKAGE_ROWS: f64 = 10.0;

#[derive(Clone, Debug)]
struct FoldModel {
    overall: f64,
    arms: BTreeMap<String, ArmModel>,
}

#[derive(Clone, Debug)]
enum ArmModel {
    Mean(f64),
    Ridge {
        intercept: f64,
        weights: Array1<f64>,
    },
}

impl FoldModel {
    fn fit(arms: &BTreeMap<String, RidgeSums>, lambda: f64) -> Self {
        let rows: f64 = arms.values().map(|sums| sums.rows).sum();
        let rewards: f64 = arms.values().map(|sums| sums.y).sum();
        // With no row at all nothing is known: the middle of the range.
        let overall = if rows > 0.0 { rewards / rows } else { 0.5 };
        let fit = |sums: &RidgeSums| {
            sums.ridge(lambda)
                .unwrap_or_else(|| ArmModel::Mean(sums.shrunken_mean(overall)))
        };
        Self {
            overall,
            arms: arms
                .iter()
                .map(|(arm, sums)| (arm.clone(), fit(sums)))
                .collect(),
        }
    }

    fn predict(&self, arm: &str, x: &Array1<f64>) -> f64 {
        let predicted = match self.arms.get(arm) {
            None => self.overall,
            Some(ArmModel::Mean(mean)) => *mean,
            Some(ArmModel::Ridge { intercept, weights }) => intercept + weights.dot(x),
        };
        predicted.clamp(0.0, 1.0)
    }
}

/// Sums over the rows of one arm in one fold.
#[derive(Clone, Debug, PartialEq)]
struct RidgeSums {
    rows: f64,
    y: f64,
    x: Array1<f64>,
    xy: Array1<f64>,
    xx: Array2<f64>,
}

impl RidgeSums {
    fn new(dimension: usize) -> Self {
        Self {
            rows: 0.0,
            y: 0.0,
            x: Array1::zeros(dimension),
            xy: Array1::zeros(dimension),
            xx: Array2::zeros((dimension, dimension)),
        }
    }

    fn push(&mut self, x: &Array1<f64>, y: f64) {
        self.rows += 1.0;
        self.y += y;
        self.x += x;
        self.xy.scaled_add(y, x);
        for (mut row, &value) in self.xx.axis_iter_mut(Axis(0)).zip(x) {
            // Hashed features are mostly zero.
            if value != 0.0 {
                row.scaled_add(value, x);
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.y += other.y;
        self.x += &other.x;
        self.xy += &other.xy;
        self.xx += &other.xx;
    }

    fn shrunken_mean(&self, overall: f64) -> f64 {
        (self.y + SHRINKAGE_ROWS * overall) / (self.rows + SHRINKAGE_ROWS)
    }

    /// The ridge fit on centred features; `None` with too few rows.
    fn ridge(&self, lambda: f64) -> Option<ArmModel> {
        if self.rows < 2.0 * self.x.len() as f64 {
            return None;
        }
        let mean_x = &self.x / self.rows;
        let mean_y = self.y / self.rows;
        let mut scatter = &self.xx - &outer(self.x.view(), mean_x.view());
        for value in scatter.diag_mut() {
            *value += lambda;
        }
        let target = (&self.xy - &(&self.x * mean_y)).insert_axis(Axis(1));
        let weights = scatter.solvec(&target).ok()?.remove_axis(Axis(1));
        let intercept = mean_y - weights.dot(&mean_x);
        let finite = intercept.is_finite() && weights.iter().all(|w| w.is_finite());
        finite.then_some(ArmModel::Ridge { intercept, weights })
    }
}

fn merge_arms(into: &mut BTreeMap<String, RidgeSums>, from: &BTreeMap<String, RidgeSums>) {
    for (arm, sums) in from {
        match into.get_mut(arm) {
            Some(ours) => ours.merge(sums),
            None => {
                into.insert(arm.clone(), sums.clone());
            }
        }
    }
}

fn outer(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> Array2<f64> {
    a.insert_axis(Axis(1)).dot(&b.insert_axis(Axis(0)))
}

fn checked(features: &[f32], dimension: usize) -> Result<Array1<f64>, RewardModelError> {
    if features.len() != dimension {
        return Err(RewardModelError::Dimension {
            expected: dimension,
            got: features.len(),
        });
    }
    match features.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(RewardModelError::NotFinite {
            value: f64::from(value),
        }),
        None => Ok(features.iter().map(|&value| f64::from(value)).collect()),
    }
}

/// The fold of a decision: its id, mixed so that ids counting up spread evenly.
///
/// Source: the finaliser of `SplitMix64` (Steele, Lea and Flood 2014).
fn fold_of(id: u128, folds: usize) -> usize {
    let bytes = id.to_le_bytes();
    let half = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let mut z = half(0) ^ half(8).rotate_left(32);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // The remainder of a u64 by a usize fits a usize.
    usize::try_from(z % folds as u64).expect("a remainder is below its divisor")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use linfa::prelude::*;
    use linfa_elasticnet::ElasticNet;

    const DIMENSION: usize = 4;

    #[expect(clippy::cast_possible_truncation, reason = "rounding a draw to f32")]
    fn unit_f32(random: &mut Random) -> f32 {
        random.unit() as f32
    }

    fn rows(count: u64) -> Vec<(u128, Vec<f32>, f64)> {
        let mut random = Random::new(5, 0);
        (0..count)
            .map(|id| {
                let x: Vec<f32> = (0..DIMENSION).map(|_| unit_f32(&mut random)).collect();
                let reward =
                    0.2 + 0.3 * f64::from(x[0]) - 0.1 * f64::from(x[1]) + 0.1 * random.unit();
                (u128::from(id), x, reward)
            })
            .collect()
    }

    fn fitted(rows: &[(u128, Vec<f32>, f64)]) -> RewardModelFit {
        let mut fit = RewardModelFit::new(DIMENSION, RewardModelSettings::default()).unwrap();
        for (id, x, reward) in rows {
            fit.push(*id, "a@1", x, *reward).unwrap();
        }
        fit
    }

    #[test]
    fn weights_are_those_of_linfa_elastic_net() {
        let rows = rows(300);
        let mut sums = RidgeSums::new(DIMENSION);
        for (_, x, reward) in &rows {
            sums.push(&checked(x, DIMENSION).unwrap(), *reward);
        }
        let Some(ArmModel::Ridge { weights, .. }) = sums.ridge(1.0) else {
            panic!("300 rows are enough");
        };
        let mut x =
            Array2::from_shape_fn((rows.len(), DIMENSION), |(i, j)| f64::from(rows[i].1[j]));
        let mean = x.mean_axis(Axis(0)).unwrap();
        x -= &mean;
        let y = Array1::from_iter(rows.iter().map(|row| row.2));
        let model = ElasticNet::<f64>::params()
            .l1_ratio(0.0)
            .penalty(1.0 / rows.len() as f64)
            .tolerance(1e-12)
            .fit(&Dataset::new(x, y))
            .unwrap();
        for (ours, theirs) in weights.iter().zip(model.hyperplane()) {
            assert!((ours - theirs).abs() < 1e-9, "{ours} {theirs}");
        }
    }

    #[test]
    fn a_row_never_predicts_itself() {
        let mut rows = rows(200);
        let before = fitted(&rows).finish();
        rows[7].2 = 1.0 - rows[7].2;
        let after = fitted(&rows).finish();
        let arms = ["a@1".to_owned()];
        let predict = |model: &RewardModel, at: usize| {
            model.predict(rows[at].0, &arms, &rows[at].1).unwrap()[0].to_bits()
        };
        assert_eq!(predict(&before, 7), predict(&after, 7));
        let changed = (0..200)
            .filter(|&at| predict(&before, at) != predict(&after, at))
            .count();
        assert!(changed > 100, "{changed} of 200 other predictions changed");
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let rows = rows(200);
        let mut parts = fitted(&rows[..80]);
        parts.merge(&fitted(&rows[80..])).unwrap();
        let (parts, whole) = (parts.finish(), fitted(&rows).finish());
        let arms = ["a@1".to_owned()];
        for (id, x, _) in &rows {
            let (a, b) = (
                parts.predict(*id, &arms, x).unwrap(),
                whole.predict(*id, &arms, x).unwrap(),
            );
            assert!((a[0] - b[0]).abs() < 1e-12);
        }
    }

    #[test]
    fn few_rows_give_a_mean_and_none_the_overall_mean() {
        let mut fit = fitted(&rows(100));
        fit.push(1000, "b@1", &[0.0; DIMENSION], 1.0).unwrap();
        let model = fit.finish();
        let arms = ["b@1".to_owned(), "c@1".to_owned()];
        // A decision of another fold than row 1000, so that its single row counts.
        let other = (0..100)
            .find(|&id| fold_of(id, 5) != fold_of(1000, 5))
            .unwrap();
        let got = model.predict(other, &arms, &[0.5; DIMENSION]).unwrap();
        let overall = got[1];
        assert!((0.0..=1.0).contains(&overall));
        let expected = (1.0 + SHRINKAGE_ROWS * overall) / (1.0 + SHRINKAGE_ROWS);
        assert!((got[0] - expected).abs() < 1e-12, "{got:?}");
    }

    #[test]
    fn folds_are_even() {
        // Each fold of 10,000 ids holds 2,000 with standard deviation 40; five checks at 5 sd: false
        // alarm below 1 in 300,000 for random ids, and none for these fixed ones.
        let mut counts = [0_i32; 5];
        for id in 0..10_000_u128 {
            counts[fold_of(id, 5)] += 1;
        }
        assert!(
            counts.iter().all(|count| (count - 2000).abs() < 200),
            "{counts:?}"
        );
    }

    #[test]
    fn bad_rows_and_settings_are_refused() {
        let mut fit = fitted(&[]);
        assert!(fit.push(1, "a@1", &[0.0; 3], 0.5).is_err());
        assert!(fit.push(1, "a@1", &[f32::NAN; 4], 0.5).is_err());
        assert!(fit.push(1, "a@1", &[0.0; 4], f64::INFINITY).is_err());
        assert!(fit.finish().predict(1, &[], &[0.0; 3]).is_err());
        for (folds, lambda) in [(1, 1.0), (5, 0.0), (5, f64::NAN)] {
            assert!(RewardModelFit::new(4, RewardModelSettings { folds, lambda }).is_err());
        }
    }
}
