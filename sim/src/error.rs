use echo_experience::LogError;
use echo_policy::{LearnerError, PolicyError, SnapshotError, StateError, TrainingError};
use std::fmt;
use std::path::PathBuf;

/// Why a row cannot be used by an estimator.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RowError {
    /// The weight of the row is not a number above 0.
    SampleWeight {
        /// Value given.
        weight: f64,
    },
    /// The chosen arm is not one of the arms.
    Chosen {
        /// Index given.
        chosen: usize,
        /// Number of arms.
        arms: usize,
    },
    /// The reward is outside [0, 1].
    Reward {
        /// Reward given.
        reward: f64,
    },
    /// The chosen arm had no probability of being chosen.
    Propensity {
        /// Probability logged.
        propensity: f64,
    },
    /// A list has not one entry per arm.
    Length {
        /// Which list.
        name: &'static str,
        /// Its length.
        length: usize,
        /// Number of arms.
        arms: usize,
    },
    /// A probability is outside [0, 1].
    Probability {
        /// Which list.
        name: &'static str,
        /// The value.
        value: f64,
    },
    /// Probabilities do not sum to 1.
    Sum {
        /// Which list.
        name: &'static str,
        /// Their sum.
        sum: f64,
    },
    /// A prediction is not finite.
    Prediction {
        /// The value.
        value: f64,
    },
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleWeight { weight } => {
                write!(f, "the row's weight {weight} is no number above 0")
            }
            Self::Chosen { chosen, arms } => write!(f, "chosen arm {chosen} of {arms} arms"),
            Self::Reward { reward } => write!(f, "reward {reward} is outside [0, 1]"),
            Self::Propensity { propensity } => {
                write!(
                    f,
                    "propensity {propensity} of the chosen arm is not above 0"
                )
            }
            Self::Length { name, length, arms } => {
                write!(f, "{name} has {length} entries for {arms} arms")
            }
            Self::Probability { name, value } => {
                write!(f, "{name} probability {value} is outside [0, 1]")
            }
            Self::Sum { name, sum } => write!(f, "{name} probabilities sum to {sum}, not to 1"),
            Self::Prediction { value } => write!(f, "predicted reward {value} is not finite"),
        }
    }
}

impl std::error::Error for RowError {}

/// Why an estimate cannot be made. Each message says what would help.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EstimateError {
    /// No usable row.
    NoRows,
    /// A single row has no interval.
    OneRow,
    /// All weights are zero: the target never agrees with what was served.
    NoMatch {
        /// Rows seen.
        rows: u64,
    },
    /// The policy gives probability to arms the log could not have chosen.
    NoSupport {
        /// Mean share of its probability that is supported.
        coverage: f64,
        /// Rows in which some of it is not.
        rows_without: u64,
        /// Rows seen.
        rows: u64,
    },
    /// The result would rest on too few rows.
    FewEffectiveRows {
        /// Effective sample size.
        effective: f64,
        /// The least that is accepted.
        minimum: f64,
        /// Rows seen.
        rows: u64,
        /// Share of the heaviest row.
        largest_share: f64,
    },
    /// A doubly robust estimate without predicted rewards.
    NoPredictions {
        /// Rows that lack them.
        rows: u64,
    },
    /// A difference without a baseline policy.
    NoBaseline {
        /// Rows that lack one.
        rows: u64,
    },
    /// A confidence level outside (0, 1).
    Level {
        /// Level given.
        level: f64,
    },
}

impl fmt::Display for EstimateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRows => f.write_str(
                "no usable row: the log holds no routed decision with a known outcome in the part \
                 looked at; wait for more traffic or look at a longer part",
            ),
            Self::OneRow => f.write_str("one row has no interval: wait for more traffic"),
            Self::NoMatch { rows } => write!(
                f,
                "in none of {rows} rows was an arm served that this policy would choose: \
                 evaluate a policy closer to the logged one"
            ),
            Self::NoSupport {
                coverage,
                rows_without,
                rows,
            } => write!(
                f,
                "no support: in {rows_without} of {rows} rows this policy gives probability to arms \
                 that were never going to be chosen (coverage {:.1} %); evaluate a policy that keeps \
                 to the logged arms, or log with a probability floor for all of them",
                100.0 * coverage
            ),
            Self::FewEffectiveRows {
                effective,
                minimum,
                rows,
                largest_share,
            } => write!(
                f,
                "the result would rest on {effective:.1} effective rows of {rows} (at least {minimum:.0} \
                 are needed; the heaviest row alone holds {:.0} % of the weight): collect more traffic, \
                 or evaluate a policy closer to the logged one",
                100.0 * largest_share
            ),
            Self::NoPredictions { rows } => write!(
                f,
                "{rows} rows have no predicted rewards: fit a reward model first"
            ),
            Self::NoBaseline { rows } => write!(f, "{rows} rows have no baseline probabilities"),
            Self::Level { level } => {
                write!(
                    f,
                    "confidence level {level} is not strictly between 0 and 1"
                )
            }
        }
    }
}

impl std::error::Error for EstimateError {}

/// Why a reward model cannot be fitted or asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RewardModelError {
    /// Feature vectors of another length.
    Dimension {
        /// Length of the model's vectors.
        expected: usize,
        /// Length given.
        got: usize,
    },
    /// A feature or a reward is not finite.
    NotFinite {
        /// The value.
        value: f64,
    },
    /// Settings that allow no cross-fitting, or that differ between parts to be merged.
    Settings {
        /// Folds given.
        folds: usize,
        /// Ridge penalty given.
        lambda: f64,
    },
}

impl fmt::Display for RewardModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimension { expected, got } => {
                write!(f, "{got} features where the reward model has {expected}")
            }
            Self::NotFinite { value } => write!(f, "value {value} is not finite"),
            Self::Settings { folds, lambda } => write!(
                f,
                "reward model with {folds} folds and penalty {lambda}: at least 2 folds and a penalty \
                 above 0 are needed, the same in all parts"
            ),
        }
    }
}

impl std::error::Error for RewardModelError {}

/// An entry that cannot be learned from: the log holds something that a server never writes.
#[derive(Debug, Clone, PartialEq)]
pub enum FoldError {
    /// The decision's id is no UUID.
    Id(String),
    /// The fate or its measures are none.
    Evidence(String),
    /// The policy crate refuses it.
    Learner(LearnerError),
    /// The features are not of the length that the schema has.
    Features(String),
}

impl fmt::Display for FoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id:?} is no decision's id"),
            Self::Evidence(fate) => write!(f, "{fate:?} is no fate"),
            Self::Learner(error) => error.fmt(f),
            Self::Features(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for FoldError {}

impl From<LearnerError> for FoldError {
    fn from(error: LearnerError) -> Self {
        Self::Learner(error)
    }
}

/// Why a log cannot be replayed or a policy not evaluated on it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError {
    /// The log cannot be read.
    Log(LogError),
    /// A policy cannot be built.
    Policy(PolicyError),
    /// A snapshot cannot be used.
    Snapshot(SnapshotError),
    /// A snapshot's file cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A published snapshot's file is not the one that the log names.
    OtherFile {
        /// The file.
        path: PathBuf,
    },
    /// The target policy is not understood.
    Target {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The split is not strictly between 0 and 1.
    Split {
        /// Share given.
        split: f64,
    },
    /// No policy was published in the part of the log that it may be taken from.
    NoPublication,
    /// No policy was published under this version.
    NoVersion {
        /// Version asked for.
        version: u64,
        /// The newest there is.
        newest: Option<u64>,
    },
    /// The target has none of its arms to choose from in too many rows.
    Undefined {
        /// Such rows.
        undefined: u64,
        /// All rows.
        rows: u64,
    },
    /// No honest estimate can be made.
    Estimate(EstimateError),
    /// The reward model cannot be fitted.
    RewardModel(RewardModelError),
    /// No candidate can be trained.
    Training(TrainingError),
    /// An event cannot be learned from.
    State(StateError),
    /// A policy that was let loose on a log has made next to no decisions.
    TooFewAccepted {
        /// The policy.
        policy: String,
        /// Decisions, on average over the runs.
        decisions: f64,
        /// Rows of the log.
        rows: u64,
    },
    /// A program that was asked about rows failed; says how.
    Process(String),
    /// The work was broken off before its end.
    BrokenOff,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(error) => error.fmt(f),
            Self::Policy(error) => error.fmt(f),
            Self::Snapshot(error) => error.fmt(f),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::OtherFile { path } => {
                write!(f, "{}: not the file that was published", path.display())
            }
            Self::Target { text, reason } => write!(f, "target policy {text:?}: {reason}"),
            Self::Split { split } => {
                write!(f, "split {split} is not strictly between 0 and 1")
            }
            Self::NoPublication => f.write_str(
                "no policy was published in the part of the log that is set aside for fitting; \
                 evaluate without a split, or name a policy",
            ),
            Self::NoVersion { version, newest } => match newest {
                Some(newest) => write!(
                    f,
                    "no policy of version {version} was published; the newest is {newest}"
                ),
                None => write!(
                    f,
                    "no policy of version {version} was published, nor any other"
                ),
            },
            Self::Undefined { undefined, rows } => write!(
                f,
                "in {undefined} of {rows} rows the policy has none of its arms to choose from: \
                 name arms that the log's decisions offer"
            ),
            Self::Estimate(error) => error.fmt(f),
            Self::RewardModel(error) => error.fmt(f),
            Self::Training(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::TooFewAccepted {
                policy,
                decisions,
                rows,
            } => write!(
                f,
                "{policy} would have made {decisions:.0} decisions of the {rows} in the log: too few to say how it \
                 learns. A log drawn more evenly has more, and so has a greater acceptance"
            ),
            Self::Process(what) => f.write_str(what),
            Self::BrokenOff => f.write_str("the work was broken off before its end"),
        }
    }
}

impl std::error::Error for ReplayError {}

impl From<LogError> for ReplayError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<StateError> for ReplayError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<PolicyError> for ReplayError {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl From<SnapshotError> for ReplayError {
    fn from(error: SnapshotError) -> Self {
        Self::Snapshot(error)
    }
}

impl From<EstimateError> for ReplayError {
    fn from(error: EstimateError) -> Self {
        Self::Estimate(error)
    }
}

impl From<RewardModelError> for ReplayError {
    fn from(error: RewardModelError) -> Self {
        Self::RewardModel(error)
    }
}

impl From<TrainingError> for ReplayError {
    fn from(error: TrainingError) -> Self {
        Self::Training(error)
    }
}
