//! Rows of any kind in one Parquet file, for those who read it elsewhere.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{FieldRef, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::error::LogError;

/// Writes `rows` to a new Parquet file at `path`, one column for each field.
///
/// The file appears whole or not at all: it is written beside its place under another name, and renamed.
///
/// # Errors
///
/// [`LogError`] when the file cannot be written, or a row has no columns.
pub fn write<T: Serialize + for<'de> Deserialize<'de>>(
    path: &Path,
    rows: &[T],
) -> Result<(), LogError> {
    let wrong = |reason: String| LogError::Segment {
        path: path.to_owned(),
        reason,
    };
    let io = |action| {
        move |error: std::io::Error| LogError::Io {
            action,
            path: path.to_owned(),
            reason: error.to_string(),
        }
    };
    let options = TracingOptions::default()
        .strings_as_large_utf8(false)
        .sequence_as_large_list(false);
    let fields = Vec::<FieldRef>::from_type::<T>(options).map_err(|e| wrong(e.to_string()))?;
    let columns = serde_arrow::to_record_batch(&fields, &rows).map_err(|e| wrong(e.to_string()))?;
    let level = ZstdLevel::try_new(LEVEL).map_err(|e| wrong(e.to_string()))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .build();
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    let written = File::create(part).map_err(io("create")).and_then(|file| {
        let schema = Arc::new(Schema::new(fields));
        let mut writer = ArrowWriter::try_new(file, schema, Some(properties))
            .map_err(|e| wrong(e.to_string()))?;
        writer.write(&columns).map_err(|e| wrong(e.to_string()))?;
        let file = writer.into_inner().map_err(|e| wrong(e.to_string()))?;
        file.sync_all().map_err(io("write"))?;
        fs::rename(part, path).map_err(io("rename"))
    });
    if written.is_err() {
        // What is left of it is of no use; the failure to write is what matters.
        let _removed = fs::remove_file(part);
    }
    written
}

/// Compression level of zstd.
const LEVEL: i32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Row {
        name: String,
        share: f64,
        note: Option<String>,
    }

    #[test]
    fn rows_are_read_back_and_a_failed_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let row = |name: &str, note: Option<&str>| Row {
            name: name.to_owned(),
            share: 0.5,
            note: note.map(str::to_owned),
        };
        let rows = vec![row("a", None), row("b", Some("é\n"))];
        let path = folder.path().join("rows.parquet");
        write(&path, &rows).unwrap();
        let file = File::open(&path).unwrap();
        let reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let batches = reader.build().unwrap().map(Result::unwrap);
        let read: Vec<Row> = batches
            .flat_map(|batch| serde_arrow::from_record_batch::<Vec<Row>>(&batch).unwrap())
            .collect();
        assert_eq!(read, rows);

        let nowhere = folder.path().join("no such folder").join("rows.parquet");
        assert!(matches!(write(&nowhere, &rows), Err(LogError::Io { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
