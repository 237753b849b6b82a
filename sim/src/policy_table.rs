use std::collections::BTreeMap;
use std::path::Path;

use crate::foreign::{Column, Source, expand};
use crate::learning::id_of;
use crate::log_rows::LoggedRow;

/// The probabilities of a policy for decisions of Echo's own log, from a CSV or Parquet file with the columns that
/// [`export`](crate::export) writes: `decision`, and `p_ARM` for every arm.
#[derive(Debug)]
pub(crate) struct PolicyTable {
    arms: BTreeMap<String, usize>,
    /// Where the probabilities of a decision begin.
    starts: BTreeMap<u128, usize>,
    probabilities: Vec<f64>,
}

impl PolicyTable {
    /// Reads the whole file.
    ///
    /// # Errors
    /// In words: it cannot be read, lacks a column, names a decision twice, or has a row that is no distribution.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let source = Source::open(path)?;
        let columns = expand("p_{arm}", None, &source.header()?)?;
        let mut wanted = vec![DECISION.to_owned()];
        wanted.extend(columns.iter().map(|(_, column)| column.clone()));
        let table = source.fold(
            &wanted,
            &[DECISION.to_owned()],
            Vec::new,
            |rows: &mut Vec<(u64, u128, Vec<f64>)>, batch| {
                for row in 0..batch.rows {
                    let number = batch.first + row as u64;
                    let Column::Texts(decisions) = &batch.columns[0] else {
                        return Err("its decisions are not texts".to_owned());
                    };
                    let id = id_of(decisions[row].trim()).map_err(|_| {
                        format!(
                            "row {number}: {:?} is no id of a decision, 32 hexadecimal digits",
                            decisions[row]
                        )
                    })?;
                    let own = batch.columns[1..].iter().map(|column| column.number(row));
                    rows.push((number, id, own.collect()));
                }
                Ok(())
            },
            |rows, more| rows.extend_from_slice(more),
        )?;
        let mut starts = BTreeMap::new();
        let mut probabilities = Vec::with_capacity(table.len() * columns.len());
        for (number, id, own) in table {
            let sum: f64 = own.iter().sum();
            let are_in_range = own.iter().all(|p| (0.0..=1.0).contains(p));
            if !are_in_range || (sum - 1.0).abs() > TOLERANCE {
                return Err(format!(
                    "row {number}: its probabilities {own:?} are no distribution"
                ));
            }
            if starts.insert(id, probabilities.len()).is_some() {
                return Err(format!("row {number}: decision {id:032x} comes again"));
            }
            probabilities.extend(own);
        }
        let arms = columns.into_iter().map(|(arm, _)| arm);
        Ok(Self {
            arms: arms.zip(0..).collect(),
            starts,
            probabilities,
        })
    }

    /// The probability of each of a row's arms; `None` for a decision that the file does not have.
    ///
    /// # Errors
    /// In words, if it gives probability to an arm that was not eligible.
    pub(crate) fn of(&self, row: &LoggedRow) -> Result<Option<Vec<f64>>, String> {
        let Some(start) = self.starts.get(&row.id) else {
            return Ok(None);
        };
        let own = &self.probabilities[*start..start + self.arms.len()];
        let of = |arm: &String| self.arms.get(arm).map_or(0.0, |place| own[*place]);
        let mut all: Vec<f64> = row.arms.iter().map(of).collect();
        let sum: f64 = all.iter().sum();
        if (sum - 1.0).abs() > TOLERANCE {
            return Err(format!(
                "decision {:032x}: the arms that were eligible ({}) have {sum} together, not 1",
                row.id,
                row.arms.join(", ")
            ));
        }
        for probability in &mut all {
            *probability /= sum;
        }
        Ok(Some(all))
    }
}

const DECISION: &str = "decision";

/// Tables are written with few digits.
const TOLERANCE: f64 = 1e-6;
