use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use echo_policy::{FeatureSchema, Policy, PolicySpec, Snapshot};

use super::columns::{ColumnMap, TargetColumns, expand};
use super::layout::Wanted;
use super::reader::Source;
use crate::policy_process::PolicyProcess;

/// The policy to be evaluated, with its columns found.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Uniform,
    Logged,
    Always(usize),
    /// A column for each arm.
    Columns(Vec<usize>),
    Greedy {
        column: usize,
        epsilon: f64,
    },
    /// Probability of each arm, for one position or for each.
    Table(Vec<Vec<f64>>),
    /// Probability of each arm for each row, one row after the other.
    Rows {
        /// The first row, from 1.
        from: u64,
        probabilities: Arc<Vec<f64>>,
    },
    /// The arm that earned most in the first half.
    BestFixed,
    /// One of Echo's policies, which learns from the first half.
    Spec(PolicySpec),
    Process(Arc<PolicyProcess>),
    /// A snapshot of one of Echo's policies.
    Policy(Arc<Policy>),
}

impl Target {
    /// Whether it takes something from the first half of the log, and must be made ready by that.
    pub(crate) fn learns(&self) -> bool {
        matches!(self, Self::BestFixed | Self::Spec(_))
    }

    /// From what the command line says: `uniform`, `logged`, `always:ARM`, `best-fixed`, a policy that learns,
    /// `process:COMMAND`, `snapshot:FILE`, or the name of a target in the map.
    pub(crate) fn find(
        text: &str,
        map: &ColumnMap,
        folder: &Path,
        arms: &[String],
        header: &[String],
        wanted: &mut Wanted,
    ) -> Result<Self, String> {
        if let Some(columns) = map.targets.get(text) {
            return Self::of_columns(columns, folder, arms, header, wanted);
        }
        match text.split_once(':') {
            None if text == "uniform" => Ok(Self::Uniform),
            None if text == "logged" => Ok(Self::Logged),
            None if text == "best-fixed" => Ok(Self::BestFixed),
            Some(("always", arm)) => {
                let place = arms.iter().position(|known| known == arm);
                let unknown = || format!("no arm is called {arm:?}; there are {}", arms.join(", "));
                place.map(Self::Always).ok_or_else(unknown)
            }
            Some(("process", command)) => {
                let process = PolicyProcess::start(command)?;
                Ok(Self::Process(Arc::new(process)))
            }
            Some(("snapshot", file)) => policy(Path::new(file)).map(Self::Policy),
            _ => {
                let reason = match text.parse::<PolicySpec>() {
                    Ok(spec) if spec.rule().learns() => return Ok(Self::Spec(spec)),
                    Ok(_) => "it learns nothing".to_owned(),
                    Err(error) => error.to_string(),
                };
                let named: Vec<&str> = map.targets.keys().map(String::as_str).collect();
                Err(format!(
                    "unknown target {text:?}: give uniform, logged, always:ARM, best-fixed, a policy that learns such as \
                     squarecb:gamma=2, process:COMMAND, snapshot:FILE, or one of [targets] in the map ({}). As a \
                     policy: {reason}",
                    named.join(", ")
                ))
            }
        }
    }

    fn of_columns(
        columns: &TargetColumns,
        folder: &Path,
        arms: &[String],
        header: &[String],
        wanted: &mut Wanted,
    ) -> Result<Self, String> {
        match columns {
            TargetColumns::Columns(pattern) => {
                let named = expand(pattern, Some(arms), header)?;
                let places = named.into_iter().map(|(_, column)| wanted.number(&column));
                Ok(Self::Columns(places.collect()))
            }
            TargetColumns::Greedy { greedy, epsilon } => {
                if !(0.0..=1.0).contains(epsilon) {
                    return Err(format!("epsilon is {epsilon}, but must be in [0, 1]"));
                }
                Ok(Self::Greedy {
                    column: wanted.text(greedy),
                    epsilon: *epsilon,
                })
            }
            TargetColumns::Rows {
                rows,
                probabilities,
            } => Ok(Self::Rows {
                from: 1,
                probabilities: rows_of(&folder.join(rows), probabilities, arms)?,
            }),
            TargetColumns::Process { process } => {
                let process = PolicyProcess::start(process)?;
                Ok(Self::Process(Arc::new(process)))
            }
            TargetColumns::File {
                file,
                arm,
                probabilities,
            } => table(&folder.join(file), arm, probabilities, arms).map(Self::Table),
        }
    }
}

fn policy(path: &Path) -> Result<Arc<Policy>, String> {
    let at = |what: String| format!("{}: {what}", path.display());
    let bytes = std::fs::read(path).map_err(|error| at(error.to_string()))?;
    let snapshot = Snapshot::from_bytes(&bytes).map_err(|error| at(error.to_string()))?;
    let schema = FeatureSchema::default();
    snapshot
        .check_schema(&schema)
        .map_err(|error| at(error.to_string()))?;
    let policy = snapshot.policy(snapshot.version);
    Ok(Arc::new(policy.map_err(|error| at(error.to_string()))?))
}

/// Probabilities of every arm in a file of its own, a row for each row of the log.
fn rows_of(path: &Path, pattern: &str, arms: &[String]) -> Result<Arc<Vec<f64>>, String> {
    let at = |what: String| format!("{}: {what}", path.display());
    let source = Source::open(path).map_err(at)?;
    let header = source.header().map_err(at)?;
    let columns = expand(pattern, Some(arms), &header).map_err(at)?;
    let names: Vec<String> = columns.into_iter().map(|(_, column)| column).collect();
    let all = source.fold(
        &names,
        &[],
        Vec::new,
        |all: &mut Vec<f64>, batch| {
            for row in 0..batch.rows {
                let mut sum = 0.0;
                for (column, name) in batch.columns.iter().zip(&names) {
                    let value = column.number(row);
                    if !(0.0..=1.0).contains(&value) {
                        let number = batch.first + row as u64;
                        return Err(format!(
                            "row {number}, column {name:?}: {value} is no probability"
                        ));
                    }
                    sum += value;
                    all.push(value);
                }
                if (sum - 1.0).abs() > ROW_TOLERANCE {
                    let number = batch.first + row as u64;
                    return Err(format!(
                        "row {number}: the probabilities sum to {sum}, not to 1"
                    ));
                }
            }
            Ok(())
        },
        |all, more| all.extend_from_slice(more),
    );
    Ok(Arc::new(all.map_err(at)?))
}

/// How far the probabilities of a row may be from 1.
const ROW_TOLERANCE: f64 = 1e-6;

/// Probabilities of every arm, by position, from a CSV file.
fn table(
    path: &Path,
    arm: &str,
    probabilities: &[String],
    arms: &[String],
) -> Result<Vec<Vec<f64>>, String> {
    let at = |what: String| format!("{}: {what}", path.display());
    let mut reader = csv::Reader::from_path(path).map_err(|error| at(error.to_string()))?;
    let header = reader
        .headers()
        .map_err(|error| at(error.to_string()))?
        .clone();
    let place = |name: &str| {
        let place = header.iter().position(|column| column == name);
        place.ok_or_else(|| at(format!("there is no column {name:?}")))
    };
    let arm = place(arm)?;
    let columns = probabilities
        .iter()
        .map(|name| place(name))
        .collect::<Result<Vec<_>, _>>()?;
    let known: BTreeMap<&str, usize> = arms
        .iter()
        .enumerate()
        .map(|(place, arm)| (arm.as_str(), place))
        .collect();
    let mut table = vec![vec![0.0; arms.len()]; columns.len()];
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|error| at(error.to_string()))?;
        let name = &record[arm];
        let place = known
            .get(name)
            .ok_or_else(|| at(format!("row {}: unknown arm {name:?}", row + 1)))?;
        for (probabilities, column) in table.iter_mut().zip(&columns) {
            let value: f64 = record[*column].trim().parse().unwrap_or(f64::NAN);
            if !(0.0..=1.0).contains(&value) {
                return Err(at(format!(
                    "row {}, column {:?}: {:?} is no probability",
                    row + 1,
                    &header[*column],
                    &record[*column]
                )));
            }
            probabilities[*place] = value;
        }
    }
    for (probabilities, name) in table.iter_mut().zip(probabilities) {
        let sum: f64 = probabilities.iter().sum();
        if (sum - 1.0).abs() > TABLE_TOLERANCE {
            return Err(at(format!("column {name:?} sums to {sum}, not to 1")));
        }
    }
    Ok(table)
}

/// A table may have been written with few digits.
const TABLE_TOLERANCE: f64 = 1e-3;
