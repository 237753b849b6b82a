//! Off-policy evaluation of a log that another system wrote: CSV or Parquet, with a map of its columns, or a decision
//! log of Vowpal Wabbit.

mod balance;
mod columns;
mod dsjson;
mod layout;
mod model;
mod reader;
mod regression;
mod target;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::clusters::Clusters;
use crate::covariances::Covariances;
use crate::drift::{Drift, DriftSums};
use crate::error::EstimateError;
use crate::estimate::MINIMUM_CLUSTERS;
use crate::estimators::{Selected, Selection, SplitRow, Suite, SuiteSettings, Terms, Value};
use crate::evaluate::spread;
use crate::weights::{MINIMUM_EFFECTIVE_ROWS, WeightSummary, Weights};
use crate::{Interval, Level, MeanValue};
use balance::{Balance, drawn};
use echo_policy::{DrawKey, FeatureSchema, Features, Standardiser};
use layout::{Layout, Logged};
use model::{Counts, Tabular};
use reader::{Batch, Column, Source};
use regression::{Design, Regression, RegressionSettings, Sample, SampledRow};
use target::Target;

use crate::policy_process::Asked;
use crate::rollout::{Rollout, RolloutRow, RolloutSettings, roll};

pub use columns::{Arms, ColumnMap, TargetColumns};
pub use model::PredictionSource;

/// What is to be evaluated, on which log.
#[derive(Clone, Debug)]
pub struct ForeignSettings {
    /// The log.
    pub input: PathBuf,
    /// What its columns hold. A decision log of Vowpal Wabbit says itself: of a map for it, only the range of rewards and
    /// the targets count.
    pub map: Option<ColumnMap>,
    /// The folder that files named in the map are looked for in.
    pub folder: PathBuf,
    /// `uniform`, `logged`, `always:ARM`, `process:COMMAND`, `snapshot:FILE`, or the name of a target in the map.
    pub target: String,
    /// Policies to compare with it on the same rows, named likewise.
    pub compare: Vec<String>,
    /// Where predicted rewards come from; `None`: the log's columns if the map names them, else a table fitted to
    /// the log.
    pub predictions: Option<PredictionSource>,
    /// What the estimators are to do.
    pub suite: SuiteSettings,
    /// Whether the estimators are compared on splits of the log, see [`Selected`]; needs the logged probability of every
    /// arm.
    pub selects: bool,
    /// Effective sample size below which there is no estimate.
    pub minimum_effective: f64,
}

impl ForeignSettings {
    /// The defaults for one log and target.
    pub fn new(input: &Path, map: Option<ColumnMap>, folder: &Path, target: &str) -> Self {
        Self {
            input: input.to_owned(),
            map,
            folder: folder.to_owned(),
            target: target.to_owned(),
            compare: Vec::new(),
            predictions: None,
            suite: SuiteSettings::default(),
            selects: false,
            minimum_effective: MINIMUM_EFFECTIVE_ROWS,
        }
    }
}

/// A policy beside the target on the same rows, doubly robust. All intervals hold together (Bonferroni).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForeignCompared {
    /// The policy.
    pub target: String,
    /// Effective rows of its importance weights (Kish 1965).
    pub effective_rows: f64,
    /// Its value, by the larger of the errors by row and by user.
    pub value: MeanValue,
    /// Its value less that of the target, paired by row; `None` for the target itself.
    pub difference: Option<MeanValue>,
}

/// The value of a policy by every estimator: the fields of `replay --input FILE --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForeignEvaluation {
    /// The log.
    pub input: String,
    /// The policy evaluated.
    pub target: String,
    /// Rows read, all of them used.
    pub rows: u64,
    /// Number of arms.
    pub arms: usize,
    /// Mean logged reward: the value of the policy that wrote the log.
    pub logged: f64,
    /// Where the predicted rewards come from.
    pub predictions: String,
    /// The target's importance weights.
    pub weights: WeightSummary,
    /// Share of the rows in which a deterministic target agrees with what was served.
    pub match_rate: Option<f64>,
    /// The target's value by each estimator.
    pub estimates: Vec<Value>,
    /// The target and those that it was to be compared with.
    pub compared: Vec<ForeignCompared>,
    /// How near each estimator came on splits of the log, the best first, where that was asked for. Exploratory.
    pub selection: Option<Vec<Selected>>,
    /// Whether the log is of one piece; absent if it is too short to say.
    pub drift: Option<Drift>,
    /// What a reader must know to judge the figures, in whole sentences.
    pub notes: Vec<String>,
}

impl ForeignEvaluation {
    /// The value by one estimator, by name.
    pub fn estimate(&self, estimator: &str) -> Option<&Value> {
        self.estimates
            .iter()
            .find(|value| value.estimator == estimator)
    }
}

/// Why a log cannot be evaluated.
#[derive(Debug)]
pub enum ForeignError {
    /// The file, its map or a row of it is at fault.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with row and column.
        what: String,
    },
    /// No honest estimate can be made.
    Estimate(EstimateError),
}

impl fmt::Display for ForeignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, what } => write!(f, "{}: {what}", path.display()),
            Self::Estimate(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ForeignError {}

impl From<EstimateError> for ForeignError {
    fn from(error: EstimateError) -> Self {
        Self::Estimate(error)
    }
}

/// Evaluates a policy on a foreign log in one pass, or in two where something of the whole log must be known first
/// (a fitted table, the positions of a slate). Memory does not grow with the rows. `progress` is told how many rows
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
    let layout = layout.map_err(at)?;
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
    Ok(evaluation(settings, &layout, predictions, sums)?)
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
    let arms = layout.arms.len();
    for target in std::iter::once(&layout.target).chain(&layout.others) {
        match target {
            Target::Rows(all) if all.len() as u64 != rows * arms as u64 => {
                return Err(format!(
                    "the target has probabilities for {} rows, and the log has {rows}",
                    all.len() / arms
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

/// Lets policies learn on the rows of a foreign log, as [`rollout`](crate::rollout) does on Echo's own. Contexts are the
/// columns that the map names as features and categories, standardised as they come; a row is a second. Memory grows with
/// the rows.
///
/// # Errors
/// [`ForeignError`]: as [`evaluate_foreign`], and if too few rows are accepted to say anything.
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

fn rollout_rows(source: &Source<'_>, layout: &Layout) -> Result<Vec<RolloutRow>, String> {
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

/// What is told how many rows were read.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// What must be known of the whole log before a row can be judged.
struct Fitted {
    /// Positions in their order.
    positions: BTreeMap<i64, usize>,
    tabular: Option<Tabular>,
    regression: Option<Regression>,
    balance: Option<Balance>,
}

impl Fitted {
    /// Reads the log once for its positions and a table, if either is needed, and once for a regression.
    fn new(
        source: &Source<'_>,
        layout: &Layout,
        predictions: PredictionSource,
        progress: Progress<'_>,
    ) -> Result<Self, String> {
        let mut fitted = Self {
            positions: BTreeMap::from([(0, 0)]),
            tabular: None,
            regression: None,
            balance: None,
        };
        let is_tabular = matches!(predictions, PredictionSource::Tabular { .. });
        if is_tabular || layout.position.is_some() {
            let counts = counted(source, layout, predictions.folds(), progress)?;
            fitted.positions = counts.positions();
            if let PredictionSource::Tabular { prior, folds } = predictions {
                fitted.tabular = Some(counts.tabular(prior, folds, layout.arms.len()));
            }
        }
        if matches!(layout.logged, Logged::Unknown) {
            let (served, drawn) = paired(source, layout, &fitted.positions, progress)?;
            fitted.balance = Some(Balance::fit(served, drawn, layout.arms.len())?);
        }
        if let PredictionSource::Regression {
            family,
            penalty,
            folds,
            by_arm,
            is_more_robust,
        } = predictions
        {
            let sample = sampled(source, layout, &fitted.positions, is_more_robust, progress)?;
            let settings = RegressionSettings {
                family,
                penalty,
                folds,
                by_arm,
            };
            let arms = layout.arms.len();
            let regression = Regression::fit(sample, settings, arms, &fitted.positions)?;
            fitted.regression = Some(regression);
        }
        Ok(fitted)
    }

    fn position(&self, layout: &Layout, batch: &Batch, row: usize) -> Result<usize, String> {
        let position = layout.position(batch, row)?;
        Ok(self.positions.get(&position).copied().unwrap_or(0))
    }
}

fn counted(
    source: &Source<'_>,
    layout: &Layout,
    folds: usize,
    progress: Progress<'_>,
) -> Result<Counts, String> {
    source.fold(
        &layout.wanted.names,
        &layout.wanted.texts,
        Counts::default,
        |counts, batch| {
            progress(batch.rows as u64);
            for row in 0..batch.rows {
                let arm = layout.served(batch, row)?;
                let reward = layout.reward(batch, row)?;
                let position = layout.position(batch, row)?;
                counts.push(fold_of(batch, row, folds), position, arm, reward)?;
            }
            Ok(())
        },
        Counts::merge,
    )
}

/// The rows that a regression is fitted to.
fn sampled(
    source: &Source<'_>,
    layout: &Layout,
    positions: &BTreeMap<i64, usize>,
    is_more_robust: bool,
    progress: Progress<'_>,
) -> Result<Sample, String> {
    source.fold(
        &layout.wanted.names,
        &layout.wanted.texts,
        Sample::default,
        |sample, batch| {
            progress(batch.rows as u64);
            let (mut logged, mut target) = (Vec::new(), Vec::new());
            for row in 0..batch.rows {
                let arm = layout.served(batch, row)?;
                let position = layout.position(batch, row)?;
                let mut weight = 1.0;
                if is_more_robust {
                    let propensity = logged_probability(layout, batch, row, arm, &mut logged)?;
                    let place = positions.get(&position).copied().unwrap_or(0);
                    target_probabilities(
                        &layout.target,
                        layout,
                        batch,
                        row,
                        place,
                        &logged,
                        &mut target,
                    )?;
                    weight = target[arm] * (1.0 - propensity) / (propensity * propensity);
                }
                if weight > 0.0 {
                    sample.push(SampledRow {
                        number: batch.first + row as u64,
                        position,
                        arm,
                        reward: layout.reward(batch, row)?,
                        weight,
                        context: layout.context(batch, row)?,
                    });
                }
            }
            Ok(())
        },
        Sample::merge,
    )
}

/// Rows of the log, and the same with an arm that the target draws.
fn paired(
    source: &Source<'_>,
    layout: &Layout,
    positions: &BTreeMap<i64, usize>,
    progress: Progress<'_>,
) -> Result<(Sample, Sample), String> {
    source.fold(
        &layout.wanted.names,
        &layout.wanted.texts,
        || (Sample::of(BALANCED_ROWS), Sample::of(BALANCED_ROWS)),
        |(served, by_target), batch| {
            progress(batch.rows as u64);
            let mut target = Vec::new();
            for row in 0..batch.rows {
                let number = batch.first + row as u64;
                let position = layout.position(batch, row)?;
                let place = positions.get(&position).copied().unwrap_or(0);
                target_probabilities(&layout.target, layout, batch, row, place, &[], &mut target)?;
                let sampled = SampledRow {
                    number,
                    position,
                    arm: layout.served(batch, row)?,
                    reward: layout.reward(batch, row)?,
                    weight: 1.0,
                    context: layout.context(batch, row)?,
                };
                by_target.push(SampledRow {
                    arm: drawn(number, &target),
                    ..sampled.clone()
                });
                served.push(sampled);
            }
            Ok(())
        },
        |(served, by_target), (more, more_by_target)| {
            served.merge(more);
            by_target.merge(more_by_target);
        },
    )
}

/// Rows that weights are estimated from.
const BALANCED_ROWS: usize = 20_000;

/// Rows go to the folds in turn.
fn fold_of(batch: &Batch, row: usize, folds: usize) -> usize {
    fold_of_row(batch.first + row as u64, folds)
}

fn fold_of_row(number: u64, folds: usize) -> usize {
    usize::try_from(number % folds as u64).unwrap_or(0)
}

/// The logged probability of the arm served; of all arms, where they are known.
fn logged_probability(
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
fn target_probabilities(
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
        Target::Rows(all) => {
            let start = usize::try_from(number - 1)
                .unwrap_or(usize::MAX)
                .saturating_mul(arms);
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

struct Pass<'a> {
    layout: &'a Layout,
    fitted: Fitted,
    folds: usize,
}

struct Sums {
    suite: Suite,
    weights: Weights,
    rewards: f64,
    logged: Vec<f64>,
    target: Vec<f64>,
    predictions: Vec<f64>,
    drift: DriftSums,
    selection: Option<Selection>,
    /// The target, then those that it is compared with.
    compared: Vec<ComparedSums>,
}

/// Doubly robust terms of one policy, beside those of the first.
#[derive(Clone, Default)]
struct ComparedSums {
    terms: Covariances<2>,
    by_user: [Clusters; 2],
    weights: Weights,
}

impl ComparedSums {
    fn push(&mut self, term: f64, first: f64, user: Option<u64>) {
        self.terms.push([term, first]);
        if let Some(user) = user {
            self.by_user[0].push(user, 1.0, term);
            self.by_user[1].push(user, 1.0, term - first);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.terms.merge(&other.terms);
        self.weights.merge(&other.weights);
        for (ours, theirs) in self.by_user.iter_mut().zip(&other.by_user) {
            ours.merge(theirs);
        }
    }

    /// The mean of the terms, less that of the first if `is_difference`.
    fn mean(&self, is_difference: bool, level: Level) -> Result<MeanValue, EstimateError> {
        let factor = if is_difference { -1.0 } else { 0.0 };
        let by_row = self.terms.standard_error([1.0, factor]);
        let by_row = by_row.ok_or(EstimateError::OneRow)?;
        let clusters = &self.by_user[usize::from(is_difference)];
        let by_user = clusters
            .ratio_standard_error()
            .filter(|_| clusters.count() >= MINIMUM_CLUSTERS);
        let value = self.terms.mean(0) + factor * self.terms.mean(1);
        let standard_error = by_row.max(by_user.unwrap_or(0.0));
        let interval = match by_user {
            Some(_) => {
                let degrees = clusters.count() as f64 - 1.0;
                Interval::student(value, standard_error, degrees, level)
            }
            None => Interval::normal(value, standard_error, level),
        };
        Ok(MeanValue {
            value,
            standard_error,
            interval,
        })
    }
}

impl Sums {
    fn new(settings: &SuiteSettings, selects: bool, compared: usize) -> Self {
        Self {
            compared: vec![ComparedSums::default(); compared],
            selection: selects.then(|| Selection::new(settings, settings.seed)),
            suite: Suite::new(settings),
            weights: Weights::default(),
            rewards: 0.0,
            logged: Vec::new(),
            target: Vec::new(),
            predictions: Vec::new(),
            drift: DriftSums::default(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.suite.merge(&other.suite);
        self.weights.merge(&other.weights);
        self.rewards += other.rewards;
        self.drift.merge(&other.drift);
        for (ours, theirs) in self.compared.iter_mut().zip(&other.compared) {
            ours.merge(theirs);
        }
        if let (Some(ours), Some(theirs)) = (&mut self.selection, &other.selection) {
            ours.merge(theirs);
        }
    }
}

impl Pass<'_> {
    fn take(&self, sums: &mut Sums, batch: &Batch) -> Result<(), String> {
        for row in 0..batch.rows {
            self.row(sums, batch, row)?;
        }
        Ok(())
    }

    fn row(&self, sums: &mut Sums, batch: &Batch, row: usize) -> Result<(), String> {
        let layout = self.layout;
        let served = layout.served(batch, row)?;
        let reward = layout.reward(batch, row)?;
        let position = self.fitted.position(layout, batch, row)?;
        let propensity = logged_probability(layout, batch, row, served, &mut sums.logged)?;
        let (logged, target) = (&sums.logged, &mut sums.target);
        target_probabilities(&layout.target, layout, batch, row, position, logged, target)?;
        self.predict(batch, row, position, &mut sums.predictions)?;
        let target = &sums.target;
        let weight = match &self.fitted.balance {
            Some(balance) => {
                let context = layout.context(batch, row)?;
                balance.weight(batch.first + row as u64, &context, served)
            }
            None => target[served] / propensity,
        };
        let predictions = &sums.predictions;
        let expected: f64 = target.iter().zip(predictions).map(|(p, q)| p * q).sum();
        let predicted = predictions.get(served).copied().unwrap_or(0.0);
        let certain = target.iter().any(|probability| *probability >= 1.0 - 1e-12);
        let terms = Terms {
            weight,
            reward,
            predicted,
            expected,
            spread: matches!(layout.logged, Logged::All(_)).then(|| spread(target, &sums.logged)),
            user: layout.user.map(|column| user(&batch.columns[column], row)),
            is_match: certain.then(|| target[served] > 0.5),
        };
        match layout.logged {
            Logged::All(_) => sums.weights.push(weight, target, &sums.logged),
            Logged::Served(_) | Logged::Unknown => sums.weights.push(weight, &[1.0], &[1.0]),
        }
        sums.suite.push(batch.first + row as u64, &terms);
        if !sums.compared.is_empty() {
            let first = expected + weight * (reward - predicted);
            self.compare(
                sums,
                batch,
                row,
                (served, position),
                propensity,
                first,
                &terms,
            )?;
        }
        sums.rewards += reward;
        if let Some(selection) = &mut sums.selection {
            selection.push(&SplitRow {
                number: batch.first + row as u64,
                chosen: served,
                reward,
                logged: &sums.logged,
                target: &sums.target,
                predictions: &sums.predictions,
            });
        }
        let number = batch.first + row as u64;
        match layout.logged {
            Logged::All(_) => {
                let shares = sums.logged.iter().copied().enumerate();
                sums.drift.push(number, reward, shares);
            }
            Logged::Served(_) | Logged::Unknown => {
                sums.drift.push(number, reward, [(served, 1.0)]);
            }
        }
        Ok(())
    }

    /// The terms of the policies that the target is compared with.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that is known of the row"
    )]
    fn compare(
        &self,
        sums: &mut Sums,
        batch: &Batch,
        row: usize,
        (served, position): (usize, usize),
        propensity: f64,
        first: f64,
        terms: &Terms,
    ) -> Result<(), String> {
        let layout = self.layout;
        sums.compared[0].push(first, first, terms.user);
        sums.compared[0].weights.push(terms.weight, &[1.0], &[1.0]);
        let mut target = Vec::new();
        for (other, of) in sums.compared[1..].iter_mut().zip(&layout.others) {
            target_probabilities(of, layout, batch, row, position, &sums.logged, &mut target)?;
            let weight = target[served] / propensity;
            let expected: f64 = target
                .iter()
                .zip(&sums.predictions)
                .map(|(p, q)| p * q)
                .sum();
            let term = expected + weight * (terms.reward - terms.predicted);
            other.push(term, first, terms.user);
            match &layout.logged {
                Logged::All(_) => other.weights.push(weight, &target, &sums.logged),
                Logged::Served(_) | Logged::Unknown => other.weights.push(weight, &[1.0], &[1.0]),
            }
        }
        Ok(())
    }

    /// Predicted reward of every arm; none without a source of predictions.
    fn predict(
        &self,
        batch: &Batch,
        row: usize,
        position: usize,
        into: &mut Vec<f64>,
    ) -> Result<(), String> {
        let (fold, arms) = (fold_of(batch, row, self.folds), self.layout.arms.len());
        if let Some(tabular) = &self.fitted.tabular {
            into.clear();
            into.extend_from_slice(tabular.predict(fold, position));
        } else if let Some(regression) = &self.fitted.regression {
            let context = self.layout.context(batch, row)?;
            regression.predict(fold, position, &context, into, arms);
        } else if let Some(columns) = &self.layout.predictions {
            into.clear();
            for column in columns {
                into.push(self.layout.prediction(batch, row, *column)?);
            }
        }
        Ok(())
    }
}

/// A number for a user's name (Fowler, Noll, Vo 1991, FNV-1a).
fn user(column: &Column, row: usize) -> u64 {
    let bytes = match column {
        Column::Texts(texts) => texts[row].as_bytes(),
        Column::Numbers(numbers) => return numbers[row].to_bits(),
    };
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn compared(
    settings: &ForeignSettings,
    layout: &Layout,
    sums: &Sums,
) -> Result<Vec<ForeignCompared>, EstimateError> {
    let intervals = (2 * sums.compared.len()).saturating_sub(1).max(1);
    let level = settings.suite.level.value();
    let level = Level::new(1.0 - (1.0 - level) / intervals as f64)?;
    let names = std::iter::once(&settings.target).chain(&settings.compare);
    let unscaled = |mut mean: MeanValue, origin: f64| {
        let scaled = |x: f64| x * layout.span() + origin;
        mean.value = scaled(mean.value);
        mean.standard_error *= layout.span();
        (mean.interval.lo, mean.interval.hi) = (scaled(mean.interval.lo), scaled(mean.interval.hi));
        mean
    };
    let all = names
        .zip(&sums.compared)
        .enumerate()
        .map(|(place, (name, sums))| {
            let weights = sums.weights.checked(settings.minimum_effective)?;
            let difference = if place > 0 {
                Some(unscaled(sums.mean(true, level)?, 0.0))
            } else {
                None
            };
            Ok(ForeignCompared {
                target: name.clone(),
                effective_rows: weights.effective_sample_size,
                value: unscaled(sums.mean(false, level)?, layout.unscaled(0.0)),
                difference,
            })
        });
    all.collect()
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

/// Mean weights further than this many standard errors from 1 call for a note.
const MEAN_WEIGHT_Z: f64 = 4.0;

fn notes(
    evaluation: &ForeignEvaluation,
    layout: &Layout,
    predictions: PredictionSource,
) -> Vec<String> {
    let mut notes = Vec::new();
    if matches!(layout.logged, Logged::Served(_)) {
        notes.push(
            "Only the probability of the arm served is known: whether the log could have served every arm that the \
             target asks for cannot be checked, but by the mean weight, which is 1 if it could."
                .to_owned(),
        );
    }
    if matches!(layout.logged, Logged::Unknown) {
        notes.push(
            "The logged probabilities are not known. Weights are the odds that a context and an arm are the target's and not \
             the log's, by a logistic regression: right only if the features hold all that the arms were chosen by."
                .to_owned(),
        );
    }
    let weights = &evaluation.weights;
    if weights.mean_z.is_some_and(|z| z.abs() > MEAN_WEIGHT_Z) {
        notes.push(format!(
            "The mean importance weight is {:.3}, too far from 1 for chance: the logged probabilities are not those \
             that the log was drawn with, or it could not have served what the target asks for.",
            weights.mean
        ));
    }
    if predictions.folds() == 1
        && !matches!(
            predictions,
            PredictionSource::Columns | PredictionSource::None
        )
    {
        notes.push(
            "Each row helped to predict itself (folds=1): the doubly robust values are a little too sure.".to_owned(),
        );
    }
    notes.extend(evaluation.drift.iter().flat_map(Drift::notes));
    if evaluation.estimate("replay").is_some() {
        notes.push(
            "`replay` holds only if the log was drawn uniformly; compare it with `snips`, which knows how it was \
             drawn."
                .to_owned(),
        );
    }
    notes
}
