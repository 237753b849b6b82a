use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::columns::ColumnMap;
use super::model::PredictionSource;
use crate::MeanValue;
use crate::drift::Drift;
use crate::error::EstimateError;
use crate::estimators::{Selected, SuiteSettings, Value};
use crate::weights::{MINIMUM_EFFECTIVE_ROWS, WeightSummary};

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
    /// `uniform`, `logged`, `always:ARM`, `best-fixed`, a policy that learns as `echo-policy` writes it, `process:COMMAND`,
    /// `snapshot:FILE`, or the name of a target in the map.
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
    /// Rows evaluated.
    pub rows: u64,
    /// The first of them, from 1: a target that learns has the first half of the log to learn from.
    pub from_row: u64,
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
