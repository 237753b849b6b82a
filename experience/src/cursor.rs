//! Reading a segment: its files merged by sequence number, a few rows at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use crate::columns;
use crate::damage::{Damage, DamagedRange};
use crate::error::LogError;
use crate::guard::guarded;
use crate::record::{Entry, Kind};
use crate::schema::v1;
use crate::segment_file::{SCHEMA_KEY, SegmentFile, sha256_of, value};

/// Rows decoded at once at most.
const ROWS_AT_ONCE: usize = 1_024;
/// Bytes decoded at once, by the mean size of a row.
const BYTES_AT_ONCE: usize = 4 << 20;

/// A segment being read from some sequence number on.
#[derive(Debug)]
pub(crate) struct SegmentCursor {
    /// The segment's last sequence number.
    pub(crate) last_seq: u64,
    files: Vec<FileCursor>,
}

/// How opening a segment went.
pub(crate) enum Opened {
    /// It can be read, all or in part; the damage is noted.
    Cursor(SegmentCursor),
    /// A file is gone; the manifest may have moved on.
    Vanished,
}

/// How to open a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// Whether a file that is gone is damage, rather than a reason to read the manifest again.
    pub(crate) is_last: bool,
    /// Whether records of unknown kinds are counted; they are counted once only.
    pub(crate) count_unknown: bool,
}

impl SegmentCursor {
    /// Opens the files of one segment from `seq` on; unreadable ones go to `damage`.
    ///
    pub(crate) fn open(
        directory: &Path,
        files: &[SegmentFile],
        seq: u64,
        damage: &mut Damage,
        attempt: Attempt,
    ) -> Result<Opened, LogError> {
        let last_seq = files.iter().map(|file| file.last_seq).max().unwrap_or(seq);
        let mut cursor = Self {
            last_seq,
            files: Vec::new(),
        };
        for file in files {
            let Ok(kind) = file.kind.parse() else {
                if attempt.count_unknown {
                    damage.add_unknown(file.kind.clone(), file.rows);
                }
                continue;
            };
            match FileCursor::open(&directory.join(&file.file), file, kind, seq) {
                Ok(file) => cursor.files.push(file),
                Err(OpenFault::Gone) if !attempt.is_last => return Ok(Opened::Vanished),
                Err(OpenFault::Gone) => damage.add(damaged(file, "the file is gone".to_owned())),
                Err(OpenFault::Damaged(reason)) => damage.add(damaged(file, reason)),
                Err(OpenFault::Refused(error)) => return Err(error),
            }
        }
        Ok(Opened::Cursor(cursor))
    }

    /// The next entry in the order of sequence numbers.
    pub(crate) fn next(&mut self, damage: &mut Damage) -> Option<Entry> {
        let (mut first, mut first_seq) = (None, u64::MAX);
        for (index, file) in self.files.iter_mut().enumerate() {
            if let Some(seq) = file.peek(damage).filter(|seq| *seq < first_seq) {
                (first, first_seq) = (Some(index), seq);
            }
        }
        self.files[first?].rows.pop_front()
    }
}

/// Why a file could not be opened.
enum OpenFault {
    Gone,
    Damaged(String),
    Refused(LogError),
}

/// One file of a segment.
struct FileCursor {
    file: SegmentFile,
    kind: Kind,
    from: u64,
    reader: Option<ParquetRecordBatchReader>,
    rows: VecDeque<Entry>,
    given: u64,
}

impl FileCursor {
    fn open(path: &Path, file: &SegmentFile, kind: Kind, from: u64) -> Result<Self, OpenFault> {
        let from_io = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => OpenFault::Gone,
            _ => OpenFault::Damaged(error.to_string()),
        };
        if let Some(expected) = &file.sha256
            && sha256_of(path).map_err(from_io)? != *expected
        {
            return Err(OpenFault::Damaged("the checksum fails".to_owned()));
        }
        let handle = File::open(path).map_err(from_io)?;
        let builder = guarded(|| builder(handle)).map_err(OpenFault::Damaged)?;
        check_schema(path, builder.metadata()).map_err(OpenFault::Refused)?;
        let reader = guarded(|| {
            let metadata = builder.metadata();
            let (groups, rows) = (groups_from(metadata, from), rows_at_once(metadata));
            let builder = builder.with_row_groups(groups).with_batch_size(rows);
            builder.build().map_err(|error| error.to_string())
        });
        let reader = Some(reader.map_err(OpenFault::Damaged)?);
        Ok(Self {
            file: file.clone(),
            kind,
            from,
            reader,
            rows: VecDeque::new(),
            given: 0,
        })
    }

    /// The sequence number of the next row.
    fn peek(&mut self, damage: &mut Damage) -> Option<u64> {
        while self.rows.is_empty() {
            let (reader, kind) = (self.reader.as_mut()?, self.kind);
            let rows = guarded(|| match reader.next() {
                None => Ok(None),
                Some(Ok(columns)) => columns::decode(kind, &columns).map(Some),
                Some(Err(error)) => Err(error.to_string()),
            });
            match rows {
                Ok(None) => self.reader = None,
                Ok(Some(rows)) => self.take(rows),
                Err(reason) => self.give_up(damage, reason),
            }
        }
        self.rows.front().map(|entry| entry.seq)
    }

    fn take(&mut self, rows: Vec<Entry>) {
        self.given += rows.len() as u64;
        self.rows
            .extend(rows.into_iter().filter(|entry| entry.seq >= self.from));
    }

    fn give_up(&mut self, damage: &mut Damage, reason: String) {
        self.reader = None;
        let mut range = damaged(&self.file, reason);
        range.records = range
            .records
            .map(|records| records.saturating_sub(self.given));
        damage.add(range);
    }
}

fn builder(file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
    // The file's own schema suffices; the copy of it in Arrow's form is one more thing to break.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|error| error.to_string())
}

impl std::fmt::Debug for FileCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileCursor")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

fn check_schema(path: &Path, metadata: &ParquetMetaData) -> Result<(), LogError> {
    let found = value(metadata, SCHEMA_KEY)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    if found > v1::VERSION {
        return Err(LogError::Newer {
            path: path.to_path_buf(),
            found,
            supported: v1::VERSION,
        });
    }
    Ok(())
}

/// The row groups that may hold `seq` or later ones, by the statistics of the first column.
fn groups_from(metadata: &ParquetMetaData, seq: u64) -> Vec<usize> {
    let ends_before = |index: &usize| {
        let column = metadata.row_group(*index).columns().first();
        match column.and_then(|column| column.statistics()) {
            Some(Statistics::Int64(seqs)) => seqs
                .max_opt()
                .is_some_and(|last| last.cast_unsigned() < seq),
            _ => false,
        }
    };
    (0..metadata.num_row_groups())
        .filter(|index| !ends_before(index))
        .collect()
}

fn rows_at_once(metadata: &ParquetMetaData) -> usize {
    let bytes: i64 = metadata
        .row_groups()
        .iter()
        .map(RowGroupMetaData::total_byte_size)
        .sum();
    let rows: i64 = metadata
        .row_groups()
        .iter()
        .map(RowGroupMetaData::num_rows)
        .sum();
    let bytes_per_row = usize::try_from(bytes / rows.max(1)).unwrap_or(0).max(1);
    (BYTES_AT_ONCE / bytes_per_row).clamp(1, ROWS_AT_ONCE)
}

fn damaged(file: &SegmentFile, reason: String) -> DamagedRange {
    DamagedRange {
        first_seq: file.first_seq,
        last_seq: file.last_seq,
        place: file.file.clone(),
        records: (file.rows > 0).then_some(file.rows),
        reason,
    }
}
