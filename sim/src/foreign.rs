//! Off-policy evaluation of a log that another system wrote: CSV or Parquet, with a map of its columns, or a decision
//! log of Vowpal Wabbit.

mod columns;
mod dsjson;
mod layout;
mod model;
mod reader;
mod target;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::EstimateError;
use crate::estimators::{Suite, SuiteSettings, Terms, Value};
use crate::evaluate::spread;
use crate::weights::{MINIMUM_EFFECTIVE_ROWS, WeightSummary, Weights};
use layout::{Layout, Logged};
use model::{Counts, Tabular};
use reader::{Batch, Column, Source};
use target::Target;

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
    /// `uniform`, `logged`, `always:ARM`, or the name of a target in the map.
    pub target: String,
    /// Where predicted rewards come from; `None`: the log's columns if the map names them, else a table fitted to
    /// the log.
    pub predictions: Option<PredictionSource>,
    /// What the estimators are to do.
    pub suite: SuiteSettings,
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
            predictions: None,
            suite: SuiteSettings::default(),
            minimum_effective: MINIMUM_EFFECTIVE_ROWS,
        }
    }
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
    let layout = Layout::new(
        &map,
        &settings.folder,
        &settings.target,
        &header,
        with_columns,
    );
    let layout = layout.map_err(at)?;
    if !settings.suite.has_predictions {
        predictions = PredictionSource::None;
    }
    let (positions, tabular) = first_pass(&source, &layout, predictions, progress).map_err(at)?;
    let mut suite = settings.suite.clone();
    suite.has_predictions = predictions != PredictionSource::None;
    let folds = match predictions {
        PredictionSource::Tabular { folds, .. } => folds,
        _ => 1,
    };
    let pass = Pass {
        layout: &layout,
        positions,
        tabular,
        folds,
    };
    if let Target::Table(table) = &layout.target
        && table.len() > 1
        && table.len() != pass.positions.len()
    {
        return Err(at(format!(
            "the target has probabilities for {} positions, and the log has {}",
            table.len(),
            pass.positions.len()
        )));
    }
    let sums = source.fold(
        &layout.wanted.names,
        &layout.wanted.texts,
        || Sums::new(&suite),
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
    let weights = sums.weights.checked(settings.minimum_effective)?;
    let mut estimates = sums.suite.finish()?;
    for value in &mut estimates {
        unscale(value, &layout);
    }
    let mut evaluation = ForeignEvaluation {
        input: settings.input.display().to_string(),
        target: settings.target.clone(),
        rows: sums.suite.rows(),
        arms: layout.arms.len(),
        logged: layout.unscaled(sums.rewards / sums.suite.rows() as f64),
        predictions: predictions.to_string(),
        weights,
        match_rate: sums.suite.match_rate(),
        estimates,
        notes: Vec::new(),
    };
    evaluation.notes = notes(&evaluation, &layout, predictions);
    Ok(evaluation)
}

/// What is told how many rows were read.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// Positions in their order, and the fitted table, if either is needed.
fn first_pass(
    source: &Source<'_>,
    layout: &Layout,
    predictions: PredictionSource,
    progress: Progress<'_>,
) -> Result<(BTreeMap<i64, usize>, Option<Tabular>), String> {
    let fitted = match predictions {
        PredictionSource::Tabular { prior, folds } => Some((prior, folds)),
        PredictionSource::Columns | PredictionSource::None => None,
    };
    if fitted.is_none() && layout.position.is_none() {
        return Ok((BTreeMap::from([(0, 0)]), None));
    }
    let folds = fitted.map_or(1, |(_, folds)| folds);
    let counts = source.fold(
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
    )?;
    let tabular = fitted.map(|(prior, folds)| counts.tabular(prior, folds, layout.arms.len()));
    Ok((counts.positions(), tabular))
}

/// Rows go to the folds in turn.
fn fold_of(batch: &Batch, row: usize, folds: usize) -> usize {
    usize::try_from((batch.first + row as u64) % folds as u64).unwrap_or(0)
}

struct Pass<'a> {
    layout: &'a Layout,
    positions: BTreeMap<i64, usize>,
    tabular: Option<Tabular>,
    folds: usize,
}

struct Sums {
    suite: Suite,
    weights: Weights,
    rewards: f64,
    logged: Vec<f64>,
    target: Vec<f64>,
}

impl Sums {
    fn new(settings: &SuiteSettings) -> Self {
        Self {
            suite: Suite::new(settings),
            weights: Weights::default(),
            rewards: 0.0,
            logged: Vec::new(),
            target: Vec::new(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.suite.merge(&other.suite);
        self.weights.merge(&other.weights);
        self.rewards += other.rewards;
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
        let position = self
            .positions
            .get(&layout.position(batch, row)?)
            .copied()
            .unwrap_or(0);
        let (propensity, column) = match &layout.logged {
            Logged::All(columns) => {
                layout.probabilities(batch, row, columns, &mut sums.logged)?;
                (sums.logged[served], columns[served])
            }
            Logged::Served(column) => (layout.probability(batch, row, *column)?, *column),
        };
        if propensity <= 0.0 {
            let what = "the arm served had no probability of being served";
            return Err(layout.fault(batch, row, column, what));
        }
        self.target(sums, batch, row, position)?;
        let target = &sums.target;
        let weight = target[served] / propensity;
        let (predicted, expected) = self.predicted(batch, row, position, served, target)?;
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
            Logged::Served(_) => sums.weights.push(weight, &[1.0], &[1.0]),
        }
        sums.suite.push(batch.first + row as u64, &terms);
        sums.rewards += reward;
        Ok(())
    }

    /// The target's probability of every arm.
    fn target(
        &self,
        sums: &mut Sums,
        batch: &Batch,
        row: usize,
        position: usize,
    ) -> Result<(), String> {
        let layout = self.layout;
        let arms = layout.arms.len();
        let target = &mut sums.target;
        match &layout.target {
            Target::Columns(columns) => return layout.probabilities(batch, row, columns, target),
            Target::Logged => target.clone_from(&sums.logged),
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
        }
        Ok(())
    }

    /// Predicted reward of the arm served, and the mean of the predictions under the target.
    fn predicted(
        &self,
        batch: &Batch,
        row: usize,
        position: usize,
        served: usize,
        target: &[f64],
    ) -> Result<(f64, f64), String> {
        if let Some(tabular) = &self.tabular {
            let predictions = tabular.predict(fold_of(batch, row, self.folds), position);
            let expected = target.iter().zip(predictions).map(|(p, q)| p * q).sum();
            return Ok((predictions[served], expected));
        }
        let Some(columns) = &self.layout.predictions else {
            return Ok((0.0, 0.0));
        };
        let (mut predicted, mut expected) = (0.0, 0.0);
        for (arm, column) in columns.iter().enumerate() {
            let prediction = self.layout.prediction(batch, row, *column)?;
            expected += target[arm] * prediction;
            if arm == served {
                predicted = prediction;
            }
        }
        Ok((predicted, expected))
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
    let weights = &evaluation.weights;
    if weights.mean_z.is_some_and(|z| z.abs() > MEAN_WEIGHT_Z) {
        notes.push(format!(
            "The mean importance weight is {:.3}, too far from 1 for chance: the logged probabilities are not those \
             that the log was drawn with, or it could not have served what the target asks for.",
            weights.mean
        ));
    }
    if matches!(predictions, PredictionSource::Tabular { folds: 1, .. }) {
        notes.push(
            "Each row helped to predict itself (folds=1): the doubly robust values are a little too sure.".to_owned(),
        );
    }
    if evaluation.estimate("replay").is_some() {
        notes.push(
            "`replay` holds only if the log was drawn uniformly; compare it with `snips`, which knows how it was \
             drawn."
                .to_owned(),
        );
    }
    notes
}
