//! Everything that can be refused here, with the value that was refused.

use std::error::Error;
use std::fmt;

use crate::FeatureSchema;

/// A vector that is no context of the given schema.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureError {
    /// The vector has another length than the schema asks for.
    Dimension {
        /// The schema's dimension.
        expected: usize,
        /// The length that was given.
        actual: usize,
    },
    /// A value is not finite or lies outside [-1, 1].
    Value {
        /// Its place in the vector.
        index: usize,
        /// The value.
        value: f32,
    },
}

impl fmt::Display for FeatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimension { expected, actual } => {
                write!(
                    f,
                    "the context has {actual} features, the schema {expected}"
                )
            }
            Self::Value { index, value } => {
                write!(f, "feature {index} is {value}, not a number in [-1, 1]")
            }
        }
    }
}

impl Error for FeatureError {}

/// Numbers that are no probability distribution.
#[derive(Debug, Clone, PartialEq)]
pub enum DistributionError {
    /// There is no arm to give a probability to.
    Empty,
    /// A probability is negative or not finite.
    Value {
        /// Its place in the list.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The probabilities do not sum to one.
    Sum(f64),
}

impl fmt::Display for DistributionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "there are no probabilities"),
            Self::Value { index, value } => {
                write!(f, "probability {index} is {value}, not a number in [0, 1]")
            }
            Self::Sum(sum) => write!(f, "the probabilities sum to {sum}, not to 1"),
        }
    }
}

impl Error for DistributionError {}

/// A policy's description that cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub enum SpecError {
    /// No policy has this name.
    UnknownPolicy(String),
    /// The policy does not know this key.
    UnknownKey {
        /// The policy's name.
        policy: &'static str,
        /// The key that was given.
        key: String,
        /// The keys it knows.
        known: String,
    },
    /// A key stands twice.
    Repeated(String),
    /// A part is not of the form `key=value`.
    NotKeyValue(String),
    /// A value is not a number in the range allowed.
    Value {
        /// The key.
        key: String,
        /// The value as given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The policy needs the name of an arm, or weights, and has none.
    NoArm(&'static str),
    /// The policy has no probability floor, so live traffic would leave a log that nobody can
    /// evaluate.
    NoFloor(String),
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPolicy(name) => write!(
                f,
                "unknown policy \"{name}\"; known are {}",
                crate::spec_text::POLICIES
            ),
            Self::UnknownKey { policy, key, known } => {
                write!(
                    f,
                    "policy {policy} knows no key \"{key}\"; it knows {known}"
                )
            }
            Self::Repeated(key) => write!(f, "\"{key}\" is given twice"),
            Self::NotKeyValue(part) => write!(f, "\"{part}\" is not of the form key=value"),
            Self::Value {
                key,
                value,
                allowed,
            } => write!(f, "{key} is \"{value}\", but must be {allowed}"),
            Self::NoArm(policy) => write!(
                f,
                "policy {policy} names no arm; write always:ARM or fixed:ARM=WEIGHT,ARM=WEIGHT"
            ),
            Self::NoFloor(spec) => write!(
                f,
                "policy {spec} has no probability floor; live traffic needs one, such as floor=0.05"
            ),
        }
    }
}

impl Error for SpecError {}

/// An event that cannot be added to a [`RewardState`](crate::RewardState).
#[derive(Debug, Clone, PartialEq)]
pub enum StateError {
    /// The context does not have the state's dimension.
    Dimension {
        /// The state's dimension.
        expected: usize,
        /// The context's.
        actual: usize,
    },
    /// The reward is not a number in [0, 1].
    Reward(f64),
    /// A reward is taken back from an arm that has none.
    NothingLearned(String),
    /// The other state was made under another feature schema.
    Schema {
        /// This state's schema hash.
        expected: String,
        /// The other's.
        actual: String,
    },
    /// The other state tells other things apart.
    Memory,
    /// A widening factor below one, or not finite.
    Widen(f64),
    /// An arm would inherit from itself, directly or through others.
    InheritsItself(String),
    /// An arm already inherits from another one, or by another factor.
    InheritsOther {
        /// The arm.
        arm: String,
        /// Whom it inherits from.
        from: String,
    },
    /// A sum is not finite, or of the wrong length.
    Malformed(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimension { expected, actual } => {
                write!(f, "the context has {actual} features, the state {expected}")
            }
            Self::Reward(reward) => write!(f, "reward {reward} is not a number in [0, 1]"),
            Self::NothingLearned(arm) => {
                write!(f, "arm {arm} has learned nothing that could be taken back")
            }
            Self::Schema { expected, actual } => {
                write!(f, "feature schema {actual} is not {expected}")
            }
            Self::Memory => write!(f, "the two states do not tell the same things apart"),
            Self::Widen(widen) => {
                write!(
                    f,
                    "widening factor {widen} is not a finite number from 1 up"
                )
            }
            Self::InheritsItself(arm) => write!(f, "arm {arm} would inherit from itself"),
            Self::InheritsOther { arm, from } => {
                write!(f, "arm {arm} already inherits otherwise, from {from}")
            }
            Self::Malformed(arm) => write!(f, "the sums of arm {arm} are malformed"),
        }
    }
}

impl Error for StateError {}

/// A decision that a [`Policy`](crate::Policy) cannot make.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyError {
    /// There is no eligible arm.
    NoArms,
    /// An arm stands twice in the list.
    RepeatedArm(String),
    /// The context does not have the policy's dimension.
    Dimension {
        /// The policy's dimension.
        expected: usize,
        /// The context's.
        actual: usize,
    },
    /// The score of an arm is not finite.
    Score {
        /// The arm.
        arm: String,
        /// Its score.
        score: f64,
    },
    /// The policy is defined by weights, and no eligible arm has one.
    NoWeight,
    /// The sums of an arm are not finite.
    Sums(String),
    /// The sums of an arm (or of all, if empty) are not those of any set of events: their matrix
    /// has no Cholesky factor.
    NotPositive(String),
    /// The state does not tell apart what this policy needs told apart.
    Memory(String),
    /// The probabilities computed are no distribution.
    Distribution(DistributionError),
}

impl PolicyError {
    /// Whether an arm can still be drawn uniformly: the arms are fine, the scores are not.
    pub fn degrades(&self) -> bool {
        matches!(
            self,
            Self::Score { .. } | Self::NoWeight | Self::Distribution(_)
        )
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoArms => write!(f, "there is no eligible arm"),
            Self::RepeatedArm(arm) => write!(f, "arm {arm} stands twice among the eligible arms"),
            Self::Dimension { expected, actual } => {
                write!(
                    f,
                    "the context has {actual} features, the policy {expected}"
                )
            }
            Self::Score { arm, score } => write!(f, "the score of arm {arm} is {score}"),
            Self::NoWeight => write!(f, "no eligible arm has a weight in this policy"),
            Self::Sums(arm) => write!(f, "the sums of arm {arm} are not finite"),
            Self::NotPositive(arm) => {
                write!(f, "the sums of arm {arm} are not those of any events")
            }
            Self::Memory(spec) => write!(
                f,
                "what was learned was not learned for {spec}, which must learn from the log from its start"
            ),
            Self::Distribution(error) => error.fmt(f),
        }
    }
}

impl Error for PolicyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Distribution(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DistributionError> for PolicyError {
    fn from(error: DistributionError) -> Self {
        Self::Distribution(error)
    }
}

/// An event that a [`Learner`](crate::Learner) refuses.
#[derive(Debug, Clone, PartialEq)]
pub enum LearnerError {
    /// A decision with this id is already waiting for its reward.
    RepeatedDecision(u128),
    /// The state refuses the event.
    State(StateError),
}

impl fmt::Display for LearnerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepeatedDecision(id) => write!(f, "decision {id:032x} is already known"),
            Self::State(error) => error.fmt(f),
        }
    }
}

impl Error for LearnerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::State(error) => Some(error),
            Self::RepeatedDecision(_) => None,
        }
    }
}

impl From<StateError> for LearnerError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Bytes that are no snapshot this program can use.
#[derive(Debug, Clone, PartialEq)]
pub enum SnapshotError {
    /// The bytes end before the snapshot does.
    Truncated {
        /// Bytes needed, as far as known.
        needed: u64,
        /// Bytes given.
        actual: u64,
    },
    /// The bytes go on after the snapshot's end.
    Trailing {
        /// Bytes the snapshot declares.
        declared: u64,
        /// Bytes given.
        actual: u64,
    },
    /// The bytes do not begin like a snapshot.
    Foreign,
    /// The snapshot was written in a newer format.
    Newer {
        /// The snapshot's format.
        format: u32,
        /// The newest one this program reads.
        newest: u32,
    },
    /// The SHA-256 of the bytes is not the recorded one.
    Checksum,
    /// A sum, reward or feature is not a usable number; says where.
    Number(String),
    /// The dimension is zero or above the bound.
    Dimension(u64),
    /// The snapshot was made under another feature schema.
    Schema {
        /// The schema hash needed.
        expected: String,
        /// The snapshot's.
        actual: String,
        /// The version of its rules, if they are older ones.
        older: Option<u32>,
    },
    /// A part of the content contradicts itself; says which.
    Malformed(&'static str),
    /// The policy recorded cannot be read.
    Spec(SpecError),
    /// A signature is asked for, and the snapshot has none.
    Unsigned,
    /// The signature was not made with this key.
    Signature,
    /// This program decides otherwise than the one that wrote the snapshot; says in which of its examples.
    Golden(usize),
    /// No policy can be built from it.
    Policy(PolicyError),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, actual } => {
                write!(
                    f,
                    "the snapshot is cut: {actual} bytes of at least {needed}"
                )
            }
            Self::Trailing { declared, actual } => {
                write!(f, "the snapshot has {declared} bytes, {actual} were given")
            }
            Self::Foreign => write!(f, "this is no policy snapshot"),
            Self::Newer { format, newest } => write!(
                f,
                "the snapshot has format {format}, this program reads up to {newest}"
            ),
            Self::Checksum => write!(f, "the snapshot's checksum does not match its content"),
            Self::Number(place) => write!(f, "the snapshot holds an unusable number: {place}"),
            Self::Dimension(dimension) => {
                write!(f, "the snapshot's dimension {dimension} is out of range")
            }
            Self::Schema {
                older: Some(older), ..
            } => write!(
                f,
                "the snapshot was made under version {older} of the rules for features, and its weights mean something else \
                 under version {}: learn or train it anew",
                FeatureSchema::VERSION
            ),
            Self::Schema {
                expected, actual, ..
            } => write!(
                f,
                "the snapshot was made under feature schema {actual}, not {expected}"
            ),
            Self::Malformed(part) => write!(f, "the snapshot is malformed: {part}"),
            Self::Spec(error) => write!(f, "the snapshot's policy: {error}"),
            Self::Unsigned => write!(
                f,
                "the snapshot is not signed, and only signed ones are taken here"
            ),
            Self::Signature => write!(f, "the snapshot's signature was made with another key"),
            Self::Golden(index) => write!(
                f,
                "the snapshot's example {index} comes out otherwise here: it was written by a program or on a \
                 machine that computes differently"
            ),
            Self::Policy(error) => write!(f, "the snapshot's policy: {error}"),
        }
    }
}

impl Error for SnapshotError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Spec(error) => Some(error),
            Self::Policy(error) => Some(error),
            _ => None,
        }
    }
}

impl From<SpecError> for SnapshotError {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}

/// Why no reward model can be trained.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainingError {
    /// There are no rows.
    NoRows,
    /// No arm has enough rows.
    TooFew {
        /// Rows of the arm that has most.
        most: usize,
        /// Rows that an arm needs.
        needed: usize,
    },
    /// Contexts of several dimensions.
    Dimension {
        /// That of the first row.
        expected: usize,
        /// That of another.
        actual: usize,
    },
    /// A reward that is not in [0, 1].
    Reward(f64),
    /// The solver failed; says how.
    Solver(String),
    /// The text is no recipe.
    Recipe(String),
}

impl fmt::Display for TrainingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRows => write!(f, "there are no rows with a reward to train on"),
            Self::TooFew { most, needed } => write!(
                f,
                "no arm has enough rows to train on: the most that one has is {most}, {needed} are needed"
            ),
            Self::Dimension { expected, actual } => {
                write!(
                    f,
                    "a context has {actual} features, the first has {expected}"
                )
            }
            Self::Reward(reward) => write!(f, "the reward {reward} is not in [0, 1]"),
            Self::Solver(message) => write!(f, "the solver failed: {message}"),
            Self::Recipe(text) => write!(
                f,
                "{text:?} is no recipe: linear, elastic-net, logistic or ftrl, each with `:penalty=P` above 0 if that \
                 is not to be chosen by cross-validation"
            ),
        }
    }
}

impl Error for TrainingError {}
