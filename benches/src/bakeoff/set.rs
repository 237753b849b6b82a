//! Data sets as contextual bandits.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::error::DataError;

/// Contexts, and what every arm would have earned in each.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// Its name: that of its file, or of its folder.
    pub name: String,
    /// Numbers of each context.
    pub contexts: Vec<Vec<f64>>,
    /// Reward of each arm in each context.
    pub rewards: Vec<Vec<f64>>,
    /// What each arm costs, as a share of the dearest; empty where there are no prices.
    pub costs: Vec<f64>,
    /// Whether rewards are 1 for the label and 0 else, so that the loss is told.
    pub is_labelled: bool,
}

impl Set {
    /// Number of arms.
    pub fn arms(&self) -> usize {
        self.rewards.first().map_or(0, Vec::len)
    }

    /// Number of numbers of a context.
    pub fn dimension(&self) -> usize {
        self.contexts.first().map_or(0, Vec::len)
    }
}

/// Every set in a folder and those below it: `ds_ID_CLASSES.vw.gz` (one row a line, `LABEL | NAME:VALUE ...`,
/// labels from 1), and folders with `scores.csv`, `models.csv` and `features64_train.csv.gz`, read with each
/// price (times what a unit of price costs).
///
/// # Errors
/// If a file cannot be read or is not of its format, or there is none at all.
pub fn read_all(folder: &Path, prices: &[f64]) -> Result<Vec<Set>, DataError> {
    let mut sets = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|e| at(&folder, &e))?;
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|e| at(&folder, &e))?.path());
        }
        paths.sort();
        for path in paths {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(name) = name.strip_suffix(".vw.gz") {
                sets.push(read_labels(&path, name)?);
            } else if name == "scores.csv" {
                for price in prices {
                    sets.push(read_scores(&folder, *price)?);
                }
            }
        }
    }
    if sets.is_empty() {
        return Err(DataError(format!(
            "{}: no *.vw.gz and no scores.csv in it or below",
            folder.display()
        )));
    }
    sets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sets)
}

fn read_labels(path: &Path, name: &str) -> Result<Set, DataError> {
    let classes = name.rsplit('_').next().and_then(|n| n.parse().ok());
    let classes: usize = classes.ok_or_else(|| at(path, &"its name does not end in _CLASSES"))?;
    let mut rows: Vec<(usize, Vec<(usize, f64)>)> = Vec::new();
    for (number, line) in lines(path)?.enumerate() {
        let line = line.map_err(|e| at(path, &e))?;
        let row = row(&line, classes).ok_or_else(|| {
            at(
                path,
                &format!("line {}: not LABEL | xI:VALUE ...", number + 1),
            )
        })?;
        rows.push(row);
    }
    let indices = rows.iter().flat_map(|(_, values)| values);
    let dimension = indices.map(|(index, _)| index + 1).max().unwrap_or(0);
    if dimension > DENSE_MOST {
        for (_, values) in &mut rows {
            hash(values);
        }
    }
    let dimension = if dimension > DENSE_MOST {
        HASHED
    } else {
        dimension
    };
    let mut set = Set {
        name: name.to_owned(),
        contexts: Vec::with_capacity(rows.len()),
        rewards: Vec::with_capacity(rows.len()),
        costs: Vec::new(),
        is_labelled: true,
    };
    for (label, values) in rows {
        let mut context = vec![0.0; dimension];
        for (index, value) in values {
            context[index] += value;
        }
        let mut rewards = vec![0.0; classes];
        rewards[label] = 1.0;
        set.contexts.push(context);
        set.rewards.push(rewards);
    }
    Ok(set)
}

fn row(line: &str, classes: usize) -> Option<(usize, Vec<(usize, f64)>)> {
    let (label, values) = line.split_once('|')?;
    let label: usize = label.trim().parse().ok()?;
    let label = label.checked_sub(1).filter(|label| *label < classes)?;
    let values = values.split_whitespace().map(|pair| {
        let (name, value) = pair.split_once(':')?;
        let index: usize = name.strip_prefix('x')?.parse().ok()?;
        let value: f64 = value.parse().ok()?;
        (index < FEATURES_MOST && value.is_finite()).then_some((index, value))
    });
    Some((label, values.collect::<Option<_>>()?))
}

fn read_scores(folder: &Path, price: f64) -> Result<Set, DataError> {
    let models = table(&folder.join("models.csv"))?;
    let scores = table(&folder.join("scores.csv"))?;
    let features = table(&folder.join("features64_train.csv.gz"))?;
    let path = folder.join("scores.csv");
    let mut columns = Vec::new();
    for model in &models.rows {
        let cost: f64 = models.number(model, "input_price").ok_or_else(|| {
            at(
                &folder.join("models.csv"),
                &"no input_price, or it is no number",
            )
        })?;
        columns.push((model[0].clone(), cost));
    }
    let dearest = columns.iter().map(|(_, cost)| *cost).fold(0.0, f64::max);
    if scores.rows.len() != features.rows.len() {
        return Err(at(&path, &"not as many rows as features"));
    }
    let mut set = Set {
        name: format!(
            "{}, price {price}",
            folder
                .file_name()
                .map_or_else(Default::default, |n| n.to_string_lossy())
        ),
        contexts: Vec::new(),
        rewards: Vec::new(),
        costs: columns.iter().map(|(_, cost)| cost / dearest).collect(),
        is_labelled: false,
    };
    for (scored, shape) in scores.rows.iter().zip(&features.rows) {
        let rewards = columns.iter().map(|(model, cost)| {
            let score = scores.number(scored, model)?;
            Some(score - price * cost / dearest)
        });
        let rewards: Option<Vec<f64>> = rewards.collect();
        let shape = shape.iter().take(SHAPE).map(|value| value.parse().ok());
        let shape: Option<Vec<f64>> = shape.collect();
        set.rewards
            .push(rewards.ok_or_else(|| at(&path, &"a score is missing"))?);
        set.contexts
            .push(shape.ok_or_else(|| at(&path, &"a feature is no number"))?);
    }
    Ok(set)
}

/// A comma-separated file without quotes.
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn number(&self, row: &[String], name: &str) -> Option<f64> {
        let column = self.names.iter().position(|known| known == name)?;
        let value: f64 = row.get(column)?.parse().ok()?;
        value.is_finite().then_some(value)
    }
}

fn table(path: &Path) -> Result<Table, DataError> {
    let mut lines = lines(path)?;
    let cells = |line: String| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let first = lines.next().ok_or_else(|| at(path, &"it is empty"))?;
    let names = cells(first.map_err(|e| at(path, &e))?);
    let mut rows = Vec::new();
    for line in lines {
        rows.push(cells(line.map_err(|e| at(path, &e))?));
    }
    Ok(Table { names, rows })
}

fn lines(path: &Path) -> Result<Box<dyn Iterator<Item = std::io::Result<String>>>, DataError> {
    let file = File::open(path).map_err(|e| at(path, &e))?;
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if is_packed {
        Box::new(BufReader::new(GzDecoder::new(file)).lines())
    } else {
        Box::new(BufReader::new(file).lines())
    })
}

fn at(path: &Path, what: &dyn std::fmt::Display) -> DataError {
    DataError(format!("{}: {what}", path.display()))
}

/// Features of a prompt's shape; those after them are hashed words.
const SHAPE: usize = 16;

/// No set has more features than this.
const FEATURES_MOST: usize = 100_000;

/// With more features than these, they are hashed to [`HASHED`].
const DENSE_MOST: usize = 256;

/// Features that stand for many.
const HASHED: usize = 200;

/// Puts each feature at one of [`HASHED`] places, with a sign of its own, by the logarithm of its value
/// (Weinberger et al. 2009, "Feature hashing for large scale multitask learning"): counts of words.
fn hash(values: &mut [(usize, f64)]) {
    for (index, value) in values {
        // Knuth's multiplicative hash, volume 3, section 6.4.
        let mixed = (*index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        let sign = if mixed & 1 == 0 { 1.0 } else { -1.0 };
        *value = sign * value.signum() * value.abs().ln_1p();
        *index = (mixed >> 1) as usize % HASHED;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_and_a_broken_one_is_not() {
        assert_eq!(
            row("2 | x0:1.5 x3:-2", 3),
            Some((1, vec![(0, 1.5), (3, -2.0)]))
        );
        for broken in [
            "4 | x0:1",
            "0 | x0:1",
            "1 x0:1",
            "1 | x0:nan",
            "1 | y0:1",
            "1 | x500000:1",
        ] {
            assert_eq!(row(broken, 3), None, "{broken}");
        }
    }
}
