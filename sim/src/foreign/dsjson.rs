//! Decision logs of Vowpal Wabbit (`--dsjson`): one JSON object a line, a contextual-bandit decision each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::columns::{Arms, ColumnMap};
use super::reader::{Batch, Column};

/// A line, as far as evaluation needs it. What stands in `_multi`, the features of each action, is not read: the
/// probabilities are on record.
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
    /// The context: namespaces of features, and `_multi`.
    #[serde(default)]
    c: Map<String, Value>,
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
    /// Features of the context by their path, such as `User.age`.
    context: BTreeMap<String, Value>,
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
        features: given.map(|map| map.features.clone()).unwrap_or_default(),
        categories: given.map(|map| map.categories.clone()).unwrap_or_default(),
        position: None,
        user: None,
        epoch: None,
        targets: given.map(|map| map.targets.clone()).unwrap_or_default(),
    })
}

/// The names of the columns: those of every decision, and the features that occur in any context.
pub(super) fn header(path: &Path) -> Result<Vec<String>, String> {
    let (mut count, mut features) = (0, BTreeSet::new());
    decisions(path, |line, decision| {
        count = decision.probabilities.len();
        features.extend(decision.context.into_keys());
        if features.len() > FEATURES_MOST {
            return Err(format!(
                "line {line}: more than {FEATURES_MOST} features by now, which are no columns of a table"
            ));
        }
        Ok(())
    })?;
    let mut names = vec![ACTION.to_owned(), REWARD.to_owned()];
    names.extend((1..=count).map(|action| format!("{PROBABILITY}{action}")));
    names.extend(features);
    Ok(names)
}

/// Features that a decision log may have in all of its contexts together.
const FEATURES_MOST: usize = 10_000;

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
                _ => {
                    // The layout has found it in the header; a context may lack it.
                    let feature = decision.context.get(name);
                    match column {
                        Column::Numbers(numbers) => numbers.push(number_of(feature)),
                        Column::Texts(texts) => texts.push(text_of(feature)),
                    }
                    continue;
                }
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
        context: flat(&line.c),
    })
}

/// The features of a context by their path. Names that begin with an underscore are no features.
fn flat(context: &Map<String, Value>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut open: Vec<(String, &Value)> = Vec::new();
    let is_feature = |name: &&String| !name.starts_with('_');
    for name in context.keys().filter(is_feature) {
        open.push((name.clone(), &context[name]));
    }
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(object) => {
                for name in object.keys().filter(is_feature) {
                    open.push((format!("{path}.{name}"), &object[name]));
                }
            }
            Value::Array(array) => {
                for (place, value) in array.iter().enumerate() {
                    open.push((format!("{path}.{place}"), value));
                }
            }
            Value::Null => {}
            value => {
                all.insert(path, value.clone());
            }
        }
    }
    all
}

/// A feature as a number: one that is not there is 0, as Vowpal Wabbit has it, and a text is none.
fn number_of(feature: Option<&Value>) -> f64 {
    match feature {
        None => 0.0,
        Some(Value::Bool(is)) => f64::from(u8::from(*is)),
        Some(Value::String(text)) => text.trim().parse().unwrap_or(f64::NAN),
        Some(value) => value.as_f64().unwrap_or(f64::NAN),
    }
}

fn text_of(feature: Option<&Value>) -> String {
    match feature {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
