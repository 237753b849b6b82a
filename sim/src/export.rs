//! A log as one flat table, for other tools: a row a decision, every column a number or a text.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Serialize;

use crate::error::ReplayError;
use crate::exclusion::RowCounts;
use crate::log_rows::{LogRows, LoggedRow, RowOptions, Used};

/// What was exported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Export {
    /// Rows written, and what was left out.
    pub rows: RowCounts,
    /// Arms, in the order of their columns.
    pub arms: Vec<String>,
    /// Records known to be lost to damage.
    pub lost_records: u64,
}

/// Writes the rows of the log at `path` to a Parquet file: `seq`, `decision`, `at_ms`, `epoch`, `user`, `arm`, `reward`,
/// `propensity`, a column `eligible_ARM` and a column `p_ARM` for every arm, and the features `x_0` ...
///
/// An arm that was not eligible has a probability of 0. The table can be read back by
/// [`evaluate_foreign`](crate::foreign::evaluate_foreign).
///
/// # Errors
/// [`ReplayError`]: the log cannot be read, or the file cannot be written.
pub fn export(path: &Path, options: &RowOptions, output: &Path) -> Result<Export, ReplayError> {
    let log = LogRows::scan(path, options.clone())?;
    let mut arms = BTreeSet::new();
    log.rows(0, |row| {
        arms.extend(row.arms);
        Ok(Used::Row)
    })?;
    let arms: Vec<String> = arms.into_iter().collect();
    let mut table = Table {
        output,
        arms: &arms,
        dimension: options.schema.dimension,
        rows: Vec::with_capacity(ROWS),
        writer: None,
    };
    let rows = log.rows(0, |row| {
        table.push(row)?;
        Ok(Used::Row)
    })?;
    table.close()?;
    Ok(Export {
        rows,
        arms,
        lost_records: log.lost(),
    })
}

/// The file as it grows.
struct Table<'a> {
    output: &'a Path,
    arms: &'a [String],
    dimension: usize,
    rows: Vec<LoggedRow>,
    writer: Option<ArrowWriter<File>>,
}

impl Table<'_> {
    fn push(&mut self, row: LoggedRow) -> Result<(), ReplayError> {
        self.rows.push(row);
        if self.rows.len() == ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn fails(&self, error: impl std::error::Error + Send + Sync + 'static) -> ReplayError {
        ReplayError::File {
            path: self.output.to_owned(),
            error: std::io::Error::other(error),
        }
    }

    fn flush(&mut self) -> Result<(), ReplayError> {
        let batch = self.batch().map_err(|error| self.fails(error))?;
        let mut writer = if let Some(writer) = self.writer.take() {
            writer
        } else {
            let file = File::create(self.output).map_err(|error| self.fails(error))?;
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .build();
            ArrowWriter::try_new(file, batch.schema(), Some(properties))
                .map_err(|error| self.fails(error))?
        };
        writer.write(&batch).map_err(|error| self.fails(error))?;
        self.writer = Some(writer);
        self.rows.clear();
        Ok(())
    }

    fn close(mut self) -> Result<(), ReplayError> {
        if self.writer.is_none() || !self.rows.is_empty() {
            self.flush()?;
        }
        match self.writer.take() {
            Some(writer) => writer.close().map(drop).map_err(|error| self.fails(error)),
            None => Ok(()),
        }
    }

    fn batch(&self) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let rows = &self.rows;
        let ids = rows.iter().map(|row| format!("{:032x}", row.id));
        let served = rows.iter().map(|row| row.arms[row.chosen].as_str());
        let propensities = rows.iter().map(|row| row.probabilities[row.chosen]);
        let column = |name: &str, array: ArrayRef| (name.to_owned(), array);
        let mut columns = vec![
            column(
                "seq",
                Arc::new(UInt64Array::from_iter_values(
                    rows.iter().map(|row| row.seq),
                )),
            ),
            column("decision", Arc::new(StringArray::from_iter_values(ids))),
            column(
                "at_ms",
                Arc::new(Int64Array::from_iter_values(
                    rows.iter().map(|row| row.at_ms),
                )),
            ),
            column(
                "epoch",
                Arc::new(UInt64Array::from_iter_values(
                    rows.iter().map(|row| row.epoch),
                )),
            ),
            column(
                "user",
                Arc::new(UInt64Array::from_iter_values(
                    rows.iter().map(|row| row.user),
                )),
            ),
            column("arm", Arc::new(StringArray::from_iter_values(served))),
            column(
                "reward",
                Arc::new(Float64Array::from_iter_values(
                    rows.iter().map(|row| row.reward),
                )),
            ),
            column(
                "propensity",
                Arc::new(Float64Array::from_iter_values(propensities)),
            ),
        ];
        for arm in self.arms {
            let place = |row: &LoggedRow| row.arms.iter().position(|known| known == arm);
            let eligible: BooleanArray =
                rows.iter().map(|row| Some(place(row).is_some())).collect();
            columns.push(column(&format!("eligible_{arm}"), Arc::new(eligible)));
        }
        for arm in self.arms {
            let probability = |row: &LoggedRow| {
                let place = row.arms.iter().position(|known| known == arm);
                place.map_or(0.0, |place| row.probabilities[place])
            };
            let values = Float64Array::from_iter_values(rows.iter().map(probability));
            columns.push(column(&format!("p_{arm}"), Arc::new(values)));
        }
        for feature in 0..self.dimension {
            let values = rows.iter().map(|row| row.features.as_slice()[feature]);
            let values = Float32Array::from_iter_values(values);
            columns.push(column(&format!("x_{feature}"), Arc::new(values)));
        }
        RecordBatch::try_from_iter(columns)
    }
}

/// Rows of a batch.
const ROWS: usize = 8_192;
