//! Columns of CSV, Parquet and decision-log files, a batch of rows at a time.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::columns::ColumnMap;
use super::dsjson;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

/// Values of one column in one batch.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    /// NaN where there is none.
    Numbers(Vec<f64>),
    /// Empty where there is none.
    Texts(Vec<String>),
}

impl Column {
    pub(crate) fn number(&self, row: usize) -> f64 {
        match self {
            Self::Numbers(numbers) => numbers[row],
            Self::Texts(texts) => texts[row].trim().parse().unwrap_or(f64::NAN),
        }
    }
}

/// Some rows, with the columns that were asked for, in that order.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// Number of the first row, from 1.
    pub(crate) first: u64,
    pub(crate) rows: usize,
    pub(crate) columns: Vec<Column>,
}

/// A file of rows.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    Csv(&'a Path),
    Parquet(&'a Path),
    DsJson(&'a Path),
}

impl<'a> Source<'a> {
    /// Parquet by its first bytes, a decision log of Vowpal Wabbit if these open an object, else CSV.
    pub(crate) fn open(path: &'a Path) -> Result<Self, String> {
        use std::io::Read as _;
        let mut start = [0; 16];
        let mut file = File::open(path).map_err(|error| error.to_string())?;
        let read = file.read(&mut start).map_err(|error| error.to_string())?;
        let start = &start[..read];
        Ok(if start.starts_with(b"PAR1") {
            Self::Parquet(path)
        } else if dsjson::is_meant(start) {
            Self::DsJson(path)
        } else {
            Self::Csv(path)
        })
    }

    /// What the columns hold: as given, or as the format says.
    pub(crate) fn map(&self, given: Option<&ColumnMap>) -> Result<ColumnMap, String> {
        match (self, given) {
            (Self::DsJson(path), _) => dsjson::map(path, given),
            (_, Some(map)) => Ok(map.clone()),
            (_, None) => {
                Err("what its columns hold must be said: give a map of columns".to_owned())
            }
        }
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> Result<Vec<String>, String> {
        match self {
            Self::Csv(path) => {
                let mut reader = csv::Reader::from_path(path).map_err(|error| error.to_string())?;
                let header = reader.headers().map_err(|error| error.to_string())?;
                Ok(header.iter().map(str::to_owned).collect())
            }
            Self::DsJson(path) => dsjson::header(path),
            Self::Parquet(path) => {
                let file = File::open(path).map_err(|error| error.to_string())?;
                let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default());
                let metadata = metadata.map_err(|error| error.to_string())?;
                let fields = metadata.schema().fields();
                Ok(fields.iter().map(|field| field.name().clone()).collect())
            }
        }
    }

    /// Folds all rows: parts of a Parquet file on as many threads as there are processors, each into an accumulator
    /// of its own; these are merged in the order of the parts, so that the result does not depend on the threads.
    /// Columns of `texts` are read as text.
    pub(crate) fn fold<A: Send>(
        &self,
        wanted: &[String],
        texts: &[String],
        new: impl Fn() -> A + Sync,
        step: impl Fn(&mut A, &Batch) -> Result<(), String> + Sync,
        merge: impl Fn(&mut A, &A),
    ) -> Result<A, String> {
        match self {
            Self::Csv(path) => {
                let mut all = new();
                csv_batches(path, wanted, texts, |batch| step(&mut all, batch))?;
                Ok(all)
            }
            Self::DsJson(path) => {
                let mut all = new();
                dsjson::batches(path, wanted, texts, |batch| step(&mut all, batch))?;
                Ok(all)
            }
            Self::Parquet(path) => {
                let parts = parquet_parts(path, wanted, texts, new, step)?;
                let mut parts = parts.into_iter();
                let mut all = parts.next().ok_or("it has no rows")?;
                for part in parts {
                    merge(&mut all, &part);
                }
                Ok(all)
            }
        }
    }
}

fn csv_batches(
    path: &Path,
    wanted: &[String],
    texts: &[String],
    mut each: impl FnMut(&Batch) -> Result<(), String>,
) -> Result<(), String> {
    let mut reader = csv::Reader::from_path(path).map_err(|error| error.to_string())?;
    let header = reader.headers().map_err(|error| error.to_string())?;
    let mut places = Vec::new();
    for name in wanted {
        let place = header.iter().position(|column| column == name);
        places.push(place.ok_or_else(|| missing(name, header.iter()))?);
    }
    let are_texts: Vec<bool> = wanted.iter().map(|name| texts.contains(name)).collect();
    let empty = || {
        let column = |is_text: &bool| {
            if *is_text {
                Column::Texts(Vec::with_capacity(ROWS))
            } else {
                Column::Numbers(Vec::with_capacity(ROWS))
            }
        };
        are_texts.iter().map(column).collect()
    };
    let mut batch = Batch {
        first: 1,
        rows: 0,
        columns: empty(),
    };
    let mut record = csv::StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| error.to_string())?
    {
        for (column, place) in batch.columns.iter_mut().zip(&places) {
            let field = &record[*place];
            match column {
                Column::Numbers(numbers) => numbers.push(field.trim().parse().unwrap_or(f64::NAN)),
                Column::Texts(texts) => texts.push(field.to_owned()),
            }
        }
        batch.rows += 1;
        if batch.rows == ROWS {
            each(&batch)?;
            batch = Batch {
                first: batch.first + ROWS as u64,
                rows: 0,
                columns: empty(),
            };
        }
    }
    if batch.rows > 0 {
        each(&batch)?;
    }
    Ok(())
}

fn parquet_parts<A: Send>(
    path: &Path,
    wanted: &[String],
    texts: &[String],
    new: impl Fn() -> A + Sync,
    step: impl Fn(&mut A, &Batch) -> Result<(), String> + Sync,
) -> Result<Vec<A>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default());
    let metadata = metadata.map_err(|error| error.to_string())?;
    let mut starts = vec![1];
    for group in metadata.metadata().row_groups() {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        starts.push(starts[starts.len() - 1] + rows);
    }
    let groups = starts.len() - 1;
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || -> Result<(), String> {
        loop {
            let group = next.fetch_add(1, Ordering::Relaxed);
            if group >= groups {
                return Ok(());
            }
            let mut part = new();
            parquet_group(
                path,
                &metadata,
                group,
                starts[group],
                wanted,
                texts,
                |batch| step(&mut part, batch),
            )?;
            let mut done = done.lock().map_err(|error| error.to_string())?;
            done.push((group, part));
        }
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(groups.max(1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut outcome = Ok(());
        for thread in threads {
            let ended = thread
                .join()
                .unwrap_or_else(|_| Err("a reader panicked".to_owned()));
            outcome = outcome.and(ended);
        }
        outcome
    })?;
    let mut done = done.into_inner().map_err(|error| error.to_string())?;
    done.sort_by_key(|(group, _)| *group);
    Ok(done.into_iter().map(|(_, part)| part).collect())
}

fn parquet_group(
    path: &Path,
    metadata: &ArrowReaderMetadata,
    group: usize,
    start: u64,
    wanted: &[String],
    texts: &[String],
    mut each: impl FnMut(&Batch) -> Result<(), String>,
) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
    let names = wanted.iter().map(String::as_str);
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let reader = builder
        .with_projection(mask)
        .with_row_groups(vec![group])
        .with_batch_size(ROWS)
        .build()
        .map_err(|error| error.to_string())?;
    let mut first = start;
    for batch in reader {
        let batch = batch.map_err(|error| error.to_string())?;
        let mut columns = Vec::with_capacity(wanted.len());
        for name in wanted {
            columns.push(column(&batch, name, texts.contains(name))?);
        }
        let rows = batch.num_rows();
        each(&Batch {
            first,
            rows,
            columns,
        })?;
        first += rows as u64;
    }
    Ok(())
}

fn column(batch: &RecordBatch, name: &str, is_text: bool) -> Result<Column, String> {
    let Some(array) = batch.column_by_name(name) else {
        let schema = batch.schema();
        return Err(missing(
            name,
            schema.fields().iter().map(|field| field.name().as_str()),
        ));
    };
    let numbers = match array.data_type() {
        DataType::Float64 => numbers::<Float64Type>(array, |x| x),
        DataType::Float32 => numbers::<Float32Type>(array, f64::from),
        DataType::Int64 => numbers::<Int64Type>(array, |x| x as f64),
        DataType::UInt64 => numbers::<UInt64Type>(array, |x| x as f64),
        DataType::Int32 => numbers::<Int32Type>(array, f64::from),
        DataType::UInt32 => numbers::<UInt32Type>(array, f64::from),
        DataType::Int16 => numbers::<Int16Type>(array, f64::from),
        DataType::UInt16 => numbers::<UInt16Type>(array, f64::from),
        DataType::Int8 => numbers::<Int8Type>(array, f64::from),
        DataType::UInt8 => numbers::<UInt8Type>(array, f64::from),
        DataType::Boolean => {
            let values = array.as_boolean().iter();
            values
                .map(|value| value.map_or(f64::NAN, |is| f64::from(u8::from(is))))
                .collect()
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>().iter();
            return Ok(Column::Texts(
                values
                    .map(|text| text.unwrap_or_default().to_owned())
                    .collect(),
            ));
        }
        DataType::LargeUtf8 => {
            let values = array.as_string::<i64>().iter();
            return Ok(Column::Texts(
                values
                    .map(|text| text.unwrap_or_default().to_owned())
                    .collect(),
            ));
        }
        DataType::Utf8View => {
            let values = array.as_string_view().iter();
            return Ok(Column::Texts(
                values
                    .map(|text| text.unwrap_or_default().to_owned())
                    .collect(),
            ));
        }
        other => {
            return Err(format!(
                "column {name:?} is of type {other}, neither number nor text"
            ));
        }
    };
    if is_text {
        return Ok(Column::Texts(numbers.iter().map(f64::to_string).collect()));
    }
    Ok(Column::Numbers(numbers))
}

fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef, wide: impl Fn(T::Native) -> f64) -> Vec<f64> {
    let array = array.as_primitive::<T>();
    if array.null_count() == 0 {
        return array.values().iter().map(|value| wide(*value)).collect();
    }
    array
        .iter()
        .map(|value| value.map_or(f64::NAN, &wide))
        .collect()
}

/// That a column is missing, and which there are.
pub(crate) fn missing<S: AsRef<str>>(name: &str, header: impl Iterator<Item = S>) -> String {
    let columns: Vec<S> = header.take(COLUMNS_NAMED).collect();
    let columns: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
    format!(
        "there is no column {name:?}; there are {} ...",
        columns.join(", ")
    )
}

/// Rows of a batch.
const ROWS: usize = 8_192;

/// Columns that an error lists.
const COLUMNS_NAMED: usize = 40;
