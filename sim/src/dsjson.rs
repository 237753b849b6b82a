//! A log in the format of Vowpal Wabbit's decision logs, to learn from it or evaluate it there.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use echo_policy::FeatureSchema;
use serde_json::{Map, Value, json};

use crate::error::ReplayError;
use crate::export::Export;
use crate::log_rows::{LogRows, LoggedRow, RowOptions, Used};

/// Writes the rows of the log at `path` as `--dsjson` lines: costs are rewards with the other sign, actions are the
/// eligible arms by their ids, the context is the features that are not zero.
///
/// # Errors
/// [`ReplayError`]: the log cannot be read, or the file cannot be written.
pub fn export_dsjson(
    path: &Path,
    options: &RowOptions,
    output: &Path,
) -> Result<Export, ReplayError> {
    let log = LogRows::scan(path, options.clone())?;
    let failed = |error: std::io::Error| ReplayError::File {
        path: output.to_owned(),
        error,
    };
    let mut file = BufWriter::new(File::create(output).map_err(failed)?);
    let mut arms = std::collections::BTreeSet::new();
    let rows = log.rows(0, |row| {
        writeln!(file, "{}", line(&row)).map_err(failed)?;
        arms.extend(row.arms);
        Ok(Used::Row)
    })?;
    file.flush().map_err(failed)?;
    Ok(Export {
        rows,
        arms: arms.into_iter().collect(),
        lost_records: log.lost(),
    })
}

fn line(row: &LoggedRow) -> Value {
    let mut order: Vec<usize> = (0..row.arms.len()).collect();
    // The action taken comes first, the others by probability.
    order.sort_by(|a, b| {
        let is_other = |place: &usize| *place != row.chosen;
        is_other(a)
            .cmp(&is_other(b))
            .then(row.probabilities[*b].total_cmp(&row.probabilities[*a]))
    });
    let set = row
        .features
        .as_slice()
        .iter()
        .enumerate()
        .filter(|(_, x)| **x != 0.0);
    let features: Map<String, Value> = set
        .map(|(place, x)| (FeatureSchema::name(place), json!(x)))
        .collect();
    let actions: Vec<Value> = row
        .arms
        .iter()
        .map(|arm| json!({"Arm": {arm.as_str(): 1}}))
        .collect();
    let probability = row.probabilities[row.chosen];
    json!({
        "_label_cost": 0.0 - row.reward,
        "_label_probability": probability,
        "_label_Action": row.chosen + 1,
        "_labelIndex": row.chosen,
        "Version": "1",
        "EventId": format!("{:032x}", row.id),
        "a": order.iter().map(|place| place + 1).collect::<Vec<_>>(),
        "c": {"Request": features, "_multi": actions},
        "p": order.iter().map(|place| row.probabilities[*place]).collect::<Vec<_>>(),
    })
}
