use crate::error::{EstimateError, ReplayError};
use crate::exclusion::Exclusion;
use crate::learning::Fold;
use crate::log_rows::{LogRows, LoggedRow, Publication, RowOptions, Used};
use crate::policy_process::{Asked, PolicyProcess};
use crate::policy_table::PolicyTable;
use crate::published::{published_policy, published_snapshot};
use echo_policy::{DrawKey, FeatureSchema, Memory, Policy, PolicySpec, Snapshot};
use echo_reward::Scoring;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Which policy is to be evaluated.
///
/// As text: `best-fixed`, `latest`, `logged:VERSION`, `snapshot:PATH`, `table:PATH`, `process:COMMAND`, or any policy as `echo-policy` writes it,
/// such as `uniform`, `always:ngram` or `squarecb:gamma=2`.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A policy, with what the log teaches it.
    Spec(PolicySpec),
    /// Always the arm that has earned most by the first part of the log, self-normalised.
    BestFixed,
    /// The last policy that the log says was published (before the split, if there is one).
    Latest,
    /// The policy published under this version.
    Logged(u64),
    /// A snapshot in a file.
    Snapshot(PathBuf),
    /// Its probabilities for every decision, in a file: a column `decision`, and a column `p_ARM` for every arm.
    Table(PathBuf),
    /// A program, see [`PolicyProcess`].
    Process(String),
}

impl FromStr for Target {
    type Err = ReplayError;

    fn from_str(text: &str) -> Result<Self, ReplayError> {
        let text = text.trim();
        if text == "best-fixed" {
            return Ok(Self::BestFixed);
        }
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Some(version) = text.strip_prefix("logged:") {
            let version = version.parse().map_err(|_| ReplayError::Target {
                text: text.to_owned(),
                reason: "a version is a whole number, as in logged:3".to_owned(),
            })?;
            return Ok(Self::Logged(version));
        }
        if let Some(path) = text.strip_prefix("snapshot:") {
            return Ok(Self::Snapshot(PathBuf::from(path)));
        }
        if let Some(path) = text.strip_prefix("table:") {
            return Ok(Self::Table(PathBuf::from(path)));
        }
        if let Some(command) = text.strip_prefix("process:") {
            return Ok(Self::Process(command.to_owned()));
        }
        let spec = text.parse::<PolicySpec>();
        spec.map(Self::Spec).map_err(|error| ReplayError::Target {
            text: text.to_owned(),
            reason: format!(
                "{error}; or give best-fixed, latest, logged:VERSION, snapshot:PATH, table:PATH or process:COMMAND"
            ),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec(spec) => write!(f, "{spec}"),
            Self::BestFixed => f.write_str("best-fixed"),
            Self::Latest => f.write_str("latest"),
            Self::Logged(version) => write!(f, "logged:{version}"),
            Self::Snapshot(path) => write!(f, "snapshot:{}", path.display()),
            Self::Table(path) => write!(f, "table:{}", path.display()),
            Self::Process(command) => write!(f, "process:{command}"),
        }
    }
}

/// What an evaluated policy has learned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FittedOn {
    /// The policy in full, every key written out.
    pub spec: String,
    /// Last record of the log that it has learned from; 0 for a policy that does not learn.
    pub through: u64,
    /// Rewards in its state.
    pub rewards: u64,
    /// Its version, if it was published.
    pub version: Option<u64>,
}

/// A policy ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) decider: Decider,
    pub(crate) fitted: FittedOn,
    /// Seed of its posterior draws, if it was published with one.
    pub(crate) seed: Option<u64>,
}

/// Who gives the arms their probabilities.
#[derive(Debug)]
pub(crate) enum Decider {
    Policy(Box<Policy>),
    Table(PolicyTable),
    Process(PolicyProcess),
}

impl Prepared {
    /// The probability of each of a row's arms; `None` if the policy has none of them to choose from.
    pub(crate) fn probabilities(
        &self,
        row: &LoggedRow,
        seed: u64,
    ) -> Result<Option<Vec<f64>>, ReplayError> {
        match &self.decider {
            Decider::Policy(policy) => {
                let arms: Vec<&str> = row.arms.iter().map(String::as_str).collect();
                let key = DrawKey {
                    seed: self.seed.unwrap_or(seed),
                    decision: row.id,
                };
                let distribution = policy.distribution(&row.features, &arms, key).ok();
                Ok(distribution.map(|all| all.probabilities().to_vec()))
            }
            Decider::Table(table) => {
                let given = table.of(row);
                given.map_err(|reason| ReplayError::Target {
                    text: self.fitted.spec.clone(),
                    reason,
                })
            }
            Decider::Process(process) => {
                let mut context: Map<String, Value> =
                    serde_json::from_str(&row.facts).unwrap_or_default();
                context.insert("at_ms".to_owned(), row.at_ms.into());
                context.insert("features".to_owned(), row.features.as_slice().into());
                let asked = Asked {
                    row: row.seq,
                    arms: &row.arms,
                    context,
                };
                let answered = process.probabilities(&asked);
                answered.map(Some).map_err(ReplayError::Process)
            }
        }
    }
}

impl Prepared {
    /// Whether the policy has a reward model.
    pub(crate) fn has_model(&self) -> bool {
        matches!(&self.decider, Decider::Policy(policy) if policy.spec().rule().learns())
    }

    /// What the policy expects of each arm of a row; `None` if it expects nothing, as a program does.
    pub(crate) fn predictions(&self, row: &LoggedRow) -> Option<Vec<f64>> {
        let Decider::Policy(policy) = &self.decider else {
            return None;
        };
        let of = |arm: &String| policy.prediction(&row.features, arm).ok();
        row.arms.iter().map(of).collect()
    }
}

/// How a target is prepared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preparation<'a> {
    pub(crate) schema: &'a FeatureSchema,
    pub(crate) scoring: Scoring,
    pub(crate) pending: usize,
    /// Last record that a policy may learn from.
    pub(crate) fit_through: u64,
}

impl Target {
    /// Whether it must be said which part of the log it may learn from; a version or a snapshot says
    /// itself what it has learned from.
    pub(crate) fn needs_split(&self) -> bool {
        match self {
            Self::Spec(spec) => spec.rule().learns(),
            Self::BestFixed | Self::Latest => true,
            Self::Logged(_) | Self::Snapshot(_) | Self::Table(_) | Self::Process(_) => false,
        }
    }

    pub(crate) fn prepare(
        &self,
        log: &LogRows,
        how: Preparation<'_>,
    ) -> Result<Prepared, ReplayError> {
        match self {
            Self::Spec(spec) => {
                let through = if spec.rule().learns() {
                    how.fit_through
                } else {
                    0
                };
                let fold = fold_through(log, how, through, spec.memory())?;
                prepared(&fold, spec, None, None)
            }
            Self::BestFixed => {
                let arm = best_arm(log, how.fit_through)?;
                let spec: PolicySpec =
                    format!("always:{arm}")
                        .parse()
                        .map_err(|error| ReplayError::Target {
                            text: arm.clone(),
                            reason: format!("{error}"),
                        })?;
                let fold = fold_through(log, how, 0, spec.memory())?;
                let mut prepared = prepared(&fold, &spec, None, None)?;
                prepared.fitted.through = how.fit_through;
                Ok(prepared)
            }
            Self::Latest => {
                let found = treatment(log).rfind(|p| p.seq <= how.fit_through);
                published(found.ok_or(ReplayError::NoPublication)?, log, how)
            }
            Self::Logged(version) => published(of_version(log, *version)?, log, how),
            Self::Table(path) => {
                let table = PolicyTable::read(path);
                let table = table.map_err(|reason| ReplayError::Target {
                    text: self.to_string(),
                    reason,
                })?;
                Ok(self.given(Decider::Table(table)))
            }
            Self::Process(command) => {
                let process = PolicyProcess::start(command).map_err(ReplayError::Process)?;
                Ok(self.given(Decider::Process(process)))
            }
            Self::Snapshot(path) => {
                let bytes = fs::read(path).map_err(|error| ReplayError::File {
                    path: path.clone(),
                    error,
                })?;
                let snapshot = Snapshot::from_bytes(&bytes)?;
                snapshot.check_schema(how.schema)?;
                Ok(Prepared {
                    decider: Decider::Policy(Box::new(snapshot.policy(snapshot.version)?)),
                    fitted: fitted_on(&snapshot, snapshot.version),
                    seed: None,
                })
            }
        }
    }
}

impl Target {
    /// A decider that brings its probabilities along, and learned nothing from the log.
    fn given(&self, decider: Decider) -> Prepared {
        Prepared {
            decider,
            fitted: FittedOn {
                spec: self.to_string(),
                through: 0,
                rewards: 0,
                version: None,
            },
            seed: None,
        }
    }
}

/// The arm that would have earned most in the rows up to a record, by self-normalised importance weights (Swaminathan and
/// Joachims 2015); of equals the first by name. One that was drawn fewer than 30 times is not looked at.
fn best_arm(log: &LogRows, through: u64) -> Result<String, ReplayError> {
    let mut sums: BTreeMap<String, (u64, f64, f64)> = BTreeMap::new();
    log.rows(0, |row| {
        if row.seq > through {
            return Ok(Used::Not(Exclusion::BeforeSplit));
        }
        let weight = row.weight / row.probabilities[row.chosen];
        let arm = row.arms[row.chosen].clone();
        let (rows, weights, rewards) = sums.entry(arm).or_default();
        *rows += 1;
        *weights += weight;
        *rewards += weight * row.reward;
        Ok(Used::Row)
    })?;
    let known = sums.iter().filter(|(_, (rows, ..))| *rows >= DRAWS_LEAST);
    let valued = known.map(|(arm, (_, weights, rewards))| (arm, rewards / weights));
    let mut best: Option<(&String, f64)> = None;
    for (arm, value) in valued {
        if best.is_none_or(|(_, highest)| value > highest) {
            best = Some((arm, value));
        }
    }
    best.map(|(arm, _)| arm.clone())
        .ok_or(ReplayError::Estimate(EstimateError::NoRows))
}

/// An arm that was drawn less often may be best by chance.
const DRAWS_LEAST: u64 = 30;

fn fitted_on(snapshot: &Snapshot, version: u64) -> FittedOn {
    FittedOn {
        spec: snapshot.spec.to_string(),
        through: snapshot.through,
        rewards: snapshot.state.total(),
        version: Some(version),
    }
}

/// What was learned by the policy of this version, as the log at `path` (a data directory) has it.
///
/// # Errors
/// [`ReplayError`]: the log cannot be read, or names no such version.
pub fn version_snapshot(
    path: &Path,
    version: u64,
    rows: &RowOptions,
    pending: usize,
) -> Result<Snapshot, ReplayError> {
    let log = LogRows::scan(path, rows.clone())?;
    let publication = of_version(&log, version)?;
    let published = &publication.published;
    if let Some(sha256) = &published.snapshot {
        return published_snapshot(log.path(), sha256);
    }
    let how = Preparation {
        schema: &rows.schema,
        scoring: rows.scoring,
        pending,
        fit_through: 0,
    };
    let spec = spec_of(publication)?;
    let fold = fold_through(&log, how, published.through, spec.memory())?;
    Ok(fold.snapshot(&spec, version))
}

/// The first record of the part of the log's time after this share of it.
pub(crate) fn split_at(log: &LogRows, share: f64) -> Result<u64, ReplayError> {
    if !(share > 0.0 && share < 1.0) {
        return Err(ReplayError::Split { split: share });
    }
    let Some((first, last)) = log.span_ms() else {
        return Ok(log.through() + 1);
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share of a span of time, in range"
    )]
    let at_ms = first + ((last - first) as f64 * share) as i64;
    log.first_decision_at(at_ms)
}

fn of_version(log: &LogRows, version: u64) -> Result<&Publication, ReplayError> {
    let found = treatment(log).rfind(|p| p.published.version == version);
    found.ok_or_else(|| ReplayError::NoVersion {
        version,
        newest: treatment(log).map(|p| p.published.version).max(),
    })
}

fn spec_of(publication: &Publication) -> Result<PolicySpec, ReplayError> {
    let text = &publication.published.spec;
    text.parse().map_err(|error| ReplayError::Target {
        text: text.clone(),
        reason: format!("{error}"),
    })
}

fn treatment(log: &LogRows) -> impl DoubleEndedIterator<Item = &Publication> {
    let all = log.publications().iter();
    all.filter(|publication| publication.published.cohort == "treatment")
}

fn published(
    publication: &Publication,
    log: &LogRows,
    how: Preparation<'_>,
) -> Result<Prepared, ReplayError> {
    let published = &publication.published;
    if let Some(sha256) = &published.snapshot {
        let (policy, snapshot) = published_policy(log.path(), published, sha256)?;
        return Ok(Prepared {
            decider: Decider::Policy(Box::new(policy)),
            fitted: fitted_on(&snapshot, published.version),
            seed: Some(published.seed),
        });
    }
    let spec = spec_of(publication)?;
    let fold = fold_through(log, how, published.through, spec.memory())?;
    prepared(&fold, &spec, Some(published.version), Some(published.seed))
}

fn prepared(
    fold: &Fold,
    spec: &PolicySpec,
    version: Option<u64>,
    seed: Option<u64>,
) -> Result<Prepared, ReplayError> {
    Ok(Prepared {
        decider: Decider::Policy(Box::new(fold.policy(spec, version.unwrap_or(0))?)),
        fitted: FittedOn {
            spec: spec.to_string(),
            through: if spec.rule().learns() {
                fold.through()
            } else {
                0
            },
            rewards: fold.learner().state().total(),
            version,
        },
        seed,
    })
}

fn fold_through(
    log: &LogRows,
    how: Preparation<'_>,
    through: u64,
    memory: Memory,
) -> Result<Fold, ReplayError> {
    let mut fold = Fold::remembering(how.schema, how.scoring, how.pending, memory);
    if through > 0 {
        log.entries(|entry| {
            if entry.seq <= through {
                // What the live learner passed over is passed over here.
                let _ = fold.entry(entry);
            }
            Ok(entry.seq < through)
        })?;
    }
    Ok(fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_back() {
        for text in [
            "best-fixed",
            "latest",
            "logged:12",
            "snapshot:a/b.policy",
            "table:a/b.parquet",
            "process:python3 policy.py --seed 1",
            "uniform",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        let needs_split = |text: &str| text.parse::<Target>().unwrap().needs_split();
        assert!(needs_split("squarecb") && needs_split("latest"));
        for text in [
            "uniform",
            "always:ngram",
            "logged:1",
            "snapshot:a",
            "table:a",
        ] {
            assert!(!needs_split(text), "{text}");
        }
    }

    #[test]
    fn bad_targets_say_what_is_possible() {
        for text in ["logged:x", "newest", ""] {
            let message = text.parse::<Target>().unwrap_err().to_string();
            assert!(message.contains("logged:"), "{message}");
        }
    }
}
