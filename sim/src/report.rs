use crate::drift::Drift;
use crate::estimate::Estimate;
use crate::estimators::{Selected, Value};
use crate::exclusion::RowCounts;
use crate::target::FittedOn;
use crate::weights::WeightSummary;
use serde::Serialize;

/// An off-policy evaluation: the fields of `replay --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The target as it was given.
    pub target: String,
    /// What the target has learned from.
    pub fitted: FittedOn,
    /// The policy compared with, as it was given.
    pub baseline: Option<String>,
    /// What that one has learned from.
    pub baseline_fitted: Option<FittedOn>,
    /// The scorer, with its version.
    pub scorer: String,
    /// Share of the log's time that was set aside for fitting; absent if nothing was.
    pub split: Option<f64>,
    /// First record of the part evaluated.
    pub from_seq: u64,
    /// Last record of the log when the evaluation began.
    pub through_seq: u64,
    /// Whether a policy was evaluated on rows that it had learned from: its value is then too high.
    pub optimistic: bool,
    /// How near each estimator came on splits of the log, the best first, where that was asked for. Exploratory.
    pub selection: Option<Vec<Selected>>,
    /// Whether rewards were weighed against censoring.
    #[serde(rename = "ipcw")]
    pub is_weighed: bool,
    /// Whether the log is of one piece; absent if it is too short to say.
    pub drift: Option<Drift>,
    /// Decisions used and left out.
    pub rows: RowCounts,
    /// Users among the rows.
    pub users: u64,
    /// Records known to be lost to damage.
    pub lost_records: u64,
    /// Mean reward of what was served: the value of the policies that wrote the log.
    pub logged: Estimate,
    /// The target's value by each estimator.
    pub estimates: Vec<Estimate>,
    /// The target's value by every estimator there is, with what each interval is worth.
    pub values: Vec<Value>,
    /// Share of the rows in which a deterministic target agrees with what was served.
    pub match_rate: Option<f64>,
    /// The target's value minus the baseline's.
    pub difference: Option<Estimate>,
    /// The target's importance weights.
    pub weights: WeightSummary,
    /// Each arm's part, by id.
    pub arms: Vec<ArmShare>,
    /// What a reader must know to judge the figures, in whole sentences.
    pub notes: Vec<String>,
}

/// How often an arm was served and would have been.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmShare {
    /// `name@version`.
    pub arm: String,
    /// Rows in which it was served.
    pub rows: u64,
    /// Share of the rows in which it was served.
    pub logged_share: f64,
    /// Mean probability under the target.
    pub target_share: f64,
    /// Mean reward where it was served, not weighted; absent if it never was.
    pub mean_reward: Option<f64>,
}

impl Evaluation {
    /// The estimate of one estimator, by name.
    pub fn estimate(&self, estimator: &str) -> Option<&Estimate> {
        self.estimates.iter().find(|e| e.estimator == estimator)
    }
}
