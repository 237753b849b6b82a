//! Decision logs of Vowpal Wabbit (`--dsjson`): one JSON object a line, a contextual-bandit decision each.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::columns::{Arms, ColumnMap};
use super::reader::{Batch, Column};

/// A line, as far as evaluation needs it. Context and actions are not read: the probabilities are on record.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "_label_cost")]
    cost: Option<f64>,
    #[serde(rename = "_label_Action")]
    label_action: Option<usize>,
    #[serde(rename = "_labelIndex")]
    label_index: Option<usize>,
    /// Actions from 1 on, the one taken first.
    #[serde(default)]
    a: Vec<usize>,
    /// Their probabilities, in the same order.
    #[serde(default)]
    p: Vec<f64>,
    /// Outcomes of slates and of conditional bandits.
    #[serde(default, rename = "_outcomes")]
    outcomes: Option<serde::de::IgnoredAny>,
}

/// One decision.
struct Decision {
    /// From 0.
    taken: usize,
    reward: f64,
    /// In the order of the actions.
    probabilities: Vec<f64>,
}

/// What the columns of a decision log are called here.
const ACTION: &str = "action";
const REWARD: &str = "reward";
const PROBABILITY: &str = "p_";

/// Whether a file that is neither Parquet nor CSV is one: its first character opens an object.
pub(super) fn is_meant(start: &[u8]) -> bool {
    start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// The map of its columns: rewards are costs with the other sign; a map that was given says what their range is and
/// what targets there are.
///
/// # Errors
/// In words, with the line: what is no decision, actions that differ in number, rewards out of a range that was given.
pub(super) fn map(path: &Path, given: Option<&ColumnMap>) -> Result<ColumnMap, String> {
    let (mut least, mut greatest, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0);
    decisions(path, |line, decision| {
        let actions = decision.probabilities.len();
        if count != 0 && actions != count {
            return Err(format!(
                "line {line}: {actions} actions, where the lines before have {count}: a policy over sets of actions that \
                 change cannot be named here"
            ));
        }
        count = actions;
        least = least.min(decision.reward);
        greatest = greatest.max(decision.reward);
        Ok(())
    })?;
    let range = given.and_then(|map| map.reward_range);
    let reward_range = match range {
        Some(range) => range,
        None if count == 0 || (least >= 0.0 && greatest <= 1.0) => [0.0, 1.0],
        None if least >= -1.0 && greatest <= 0.0 => [-1.0, 0.0],
        None => {
            return Err(format!(
                "its rewards, which are its costs with the other sign, go from {least} to {greatest}: give \
                 `reward_range` in a map of columns"
            ));
        }
    };
    Ok(ColumnMap {
        action: ACTION.to_owned(),
        reward: REWARD.to_owned(),
        reward_range: Some(reward_range),
        arms: Some(Arms::Names(
            (1..=count).map(|action| action.to_string()).collect(),
        )),
        logged: Some(format!("{PROBABILITY}{{arm}}")),
        propensity: None,
        balanced: false,
        predictions: None,
        features: Vec::new(),
        categories: Vec::new(),
        position: None,
        user: None,
        targets: given.map(|map| map.targets.clone()).unwrap_or_default(),
    })
}

/// The names of the columns, by the first line.
pub(super) fn header(path: &Path) -> Result<Vec<String>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut lines = BufReader::new(file).lines().map_while(Result::ok);
    let first = lines.find(|line| !line.trim().is_empty());
    let first: Option<Line> = first.and_then(|line| serde_json::from_str(&line).ok());
    let mut names = vec![ACTION.to_owned(), REWARD.to_owned()];
    let count = first.map_or(0, |line| line.a.len());
    names.extend((1..=count).map(|action| format!("{PROBABILITY}{action}")));
    Ok(names)
}

/// Hands the rows on, a batch at a time, with the columns wanted.
pub(super) fn batches(
    path: &Path,
    wanted: &[String],
    texts: &[String],
    mut each: impl FnMut(&Batch) -> Result<(), String>,
) -> Result<(), String> {
    let empty = || {
        let column = |name: &String| {
            if texts.contains(name) {
                Column::Texts(Vec::new())
            } else {
                Column::Numbers(Vec::new())
            }
        };
        wanted.iter().map(column).collect()
    };
    let mut batch = Batch {
        first: 1,
        rows: 0,
        columns: empty(),
    };
    decisions(path, |line, decision| {
        for (name, column) in wanted.iter().zip(&mut batch.columns) {
            let action = name
                .strip_prefix(PROBABILITY)
                .and_then(|action| action.parse::<usize>().ok());
            let number = match (name.as_str(), action) {
                (ACTION, _) => (decision.taken + 1) as f64,
                (REWARD, _) => decision.reward,
                (_, Some(action)) => {
                    let probability = decision.probabilities.get(action.wrapping_sub(1));
                    *probability.ok_or_else(|| format!("line {line}: no action {action}"))?
                }
                _ => return Err(format!("it has no column {name:?}")),
            };
            match column {
                Column::Numbers(numbers) => numbers.push(number),
                Column::Texts(texts) => texts.push(number.to_string()),
            }
        }
        batch.rows += 1;
        if batch.rows == ROWS {
            each(&batch)?;
            let first = batch.first + ROWS as u64;
            batch = Batch {
                first,
                rows: 0,
                columns: empty(),
            };
        }
        Ok(())
    })?;
    if batch.rows > 0 {
        each(&batch)?;
    }
    Ok(())
}

const ROWS: usize = 4_096;

fn decisions(
    path: &Path,
    mut each: impl FnMut(usize, Decision) -> Result<(), String>,
) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.map_err(|error| format!("line {number}: {error}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let read: Line =
            serde_json::from_str(&line).map_err(|error| format!("line {number}: {error}"))?;
        let decision = decision(&read).map_err(|what| format!("line {number}: {what}"))?;
        each(number, decision)?;
    }
    Ok(())
}

fn decision(line: &Line) -> Result<Decision, String> {
    if line.outcomes.is_some() {
        return Err(
            "a slate or a conditional bandit, of which each outcome would need its own row"
                .to_owned(),
        );
    }
    let cost = line.cost.ok_or("no `_label_cost`")?;
    if line.a.is_empty() || line.a.len() != line.p.len() {
        return Err(format!(
            "{} actions in `a`, and {} probabilities in `p`",
            line.a.len(),
            line.p.len()
        ));
    }
    let count = line.a.len();
    let mut probabilities = vec![f64::NAN; count];
    for (action, probability) in line.a.iter().zip(&line.p) {
        match action
            .checked_sub(1)
            .and_then(|place| probabilities.get_mut(place))
        {
            Some(slot) if slot.is_nan() => *slot = *probability,
            _ => return Err(format!("`a` is no order of the actions 1 to {count}")),
        }
    }
    let taken = match (line.label_index, line.label_action) {
        (Some(index), _) => index,
        (None, Some(action)) => action.wrapping_sub(1),
        (None, None) => line.a[0] - 1,
    };
    if taken >= count {
        return Err(format!("the action taken is none of the {count}"));
    }
    Ok(Decision {
        taken,
        reward: 0.0 - cost,
        probabilities,
    })
}
