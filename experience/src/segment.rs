//! Sealed segments: a stretch of the log as Parquet, one file for each kind of record in it.
//!
//! A file is written under a temporary name, synced, and renamed; the manifest in the journal
//! names it only after that. Names carry kind and stretch, so that a log whose journal is lost
//! can still be read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use crate::columns;
use crate::error::LogError;
use crate::format::sync_directory;
use crate::record::{Entry, Kind};
use crate::schema::v1;
use crate::segment_file::{
    FIRST_KEY, KIND_KEY, LAST_KEY, SCHEMA_KEY, SEGMENTS, SegmentFile, hexadecimal,
};

/// Rows that become columns at once.
const ROWS_AT_ONCE: usize = 1_024;
/// Bytes of journal lines that become columns at once.
const BYTES_AT_ONCE: usize = 1 << 20;
/// Rows of a row group, which a reader can skip as one.
const GROUP_ROWS: usize = 8_192;
/// Bytes of a row group.
const GROUP_BYTES: usize = 16 << 20;

/// Writes one segment. Unless finished, it leaves no file behind.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    directory: PathBuf,
    first_seq: u64,
    kinds: BTreeMap<Kind, KindWriter>,
}

impl SegmentWriter {
    /// Begins a segment at `first_seq` in a log's directory.
    pub(crate) fn new(log: &Path, first_seq: u64) -> Self {
        Self {
            directory: log.join(SEGMENTS),
            first_seq,
            kinds: BTreeMap::new(),
        }
    }

    /// Adds an entry; `bytes` is about how much memory it takes.
    pub(crate) fn push(&mut self, entry: Entry, bytes: usize) -> Result<(), LogError> {
        let kind = entry.record.kind();
        let writer = match self.kinds.entry(kind) {
            std::collections::btree_map::Entry::Occupied(slot) => slot.into_mut(),
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(KindWriter::create(&self.directory, kind, self.first_seq)?)
            }
        };
        writer.push(entry, bytes)
    }

    /// Completes the segment at `last_seq`: all files in place, durable.
    pub(crate) fn finish(mut self, last_seq: u64) -> Result<Vec<SegmentFile>, LogError> {
        let mut files = Vec::new();
        let finished = self.finish_files(last_seq, &mut files);
        if let Err(error) = finished.and_then(|()| sync_directory(&self.directory)) {
            for file in &files {
                // Best effort: what stays is removed when the log is next opened.
                let _ = fs::remove_file(self.directory.join(&file.file));
            }
            return Err(error);
        }
        Ok(files)
    }

    fn finish_files(
        &mut self,
        last_seq: u64,
        files: &mut Vec<SegmentFile>,
    ) -> Result<(), LogError> {
        for kind in self.kinds.values_mut() {
            files.push(kind.finish(&self.directory, (self.first_seq, last_seq))?);
        }
        Ok(())
    }
}

/// Writes the rows of one kind.
struct KindWriter {
    kind: Kind,
    schema: Arc<Schema>,
    path: PathBuf,
    writer: Option<ArrowWriter<HashedFile>>,
    waiting: Vec<Entry>,
    waiting_bytes: usize,
    rows: u64,
}

impl KindWriter {
    fn create(directory: &Path, kind: Kind, first_seq: u64) -> Result<Self, LogError> {
        let path = directory.join(format!("{kind}-{first_seq:020}.tmp"));
        let schema = columns::schema(kind).map_err(|error| LogError::segment(&path, &error))?;
        let properties = properties();
        let file = HashedFile::create(&path).map_err(|e| LogError::io("create", &path, &e))?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|error| LogError::segment(&path, &error))?;
        let (writer, waiting) = (Some(writer), Vec::new());
        Ok(Self {
            kind,
            schema,
            path,
            writer,
            waiting,
            waiting_bytes: 0,
            rows: 0,
        })
    }

    fn push(&mut self, entry: Entry, bytes: usize) -> Result<(), LogError> {
        self.waiting.push(entry);
        self.waiting_bytes += bytes;
        if self.waiting.len() < ROWS_AT_ONCE && self.waiting_bytes < BYTES_AT_ONCE {
            return Ok(());
        }
        self.write_waiting()
    }

    fn write_waiting(&mut self) -> Result<(), LogError> {
        let failed = |error: &dyn std::fmt::Display| LogError::segment(&self.path, error);
        let columns =
            columns::encode(self.kind, &self.schema, &self.waiting).map_err(|e| failed(&e))?;
        if let Some(writer) = &mut self.writer {
            writer.write(&columns).map_err(|e| failed(&e))?;
        }
        self.rows += self.waiting.len() as u64;
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    fn finish(&mut self, directory: &Path, stretch: (u64, u64)) -> Result<SegmentFile, LogError> {
        self.write_waiting()?;
        let (first_seq, last_seq) = stretch;
        let mut writer = self.writer.take().expect("a segment is finished once");
        let metadata = [
            (KIND_KEY, self.kind.as_str().to_owned()),
            (SCHEMA_KEY, v1::VERSION.to_string()),
            (FIRST_KEY, first_seq.to_string()),
            (LAST_KEY, last_seq.to_string()),
        ];
        for (key, value) in metadata {
            writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        let file = writer
            .into_inner()
            .map_err(|error| LogError::segment(&self.path, &error))?;
        let sha256 = file
            .finish()
            .map_err(|error| LogError::io("sync", &self.path, &error))?;
        let name = format!("{}-{first_seq:020}-{last_seq:020}.parquet", self.kind);
        let path = directory.join(&name);
        fs::rename(&self.path, &path).map_err(|error| LogError::io("create", &path, &error))?;
        let kind = self.kind.as_str().to_owned();
        let (rows, sha256) = (self.rows, Some(sha256));
        Ok(SegmentFile {
            first_seq,
            last_seq,
            kind,
            file: name,
            rows,
            sha256,
        })
    }
}

fn properties() -> WriterProperties {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES));
    let path = |column: &str| ColumnPath::from(column);
    UNIQUE
        .into_iter()
        .fold(properties, |properties, column| {
            properties
                .set_column_dictionary_enabled(path(column), false)
                .set_column_statistics_enabled(path(column), EnabledStatistics::None)
        })
        .build()
}

/// Columns whose values hardly ever repeat: a dictionary of them saves nothing, and nobody asks for their
/// least and largest.
const UNIQUE: [&str; 7] = [
    "id",
    "decision",
    "prefix",
    "suffix",
    "facts",
    "text",
    "kept_text",
];

impl Drop for KindWriter {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Best effort: what stays is removed when the log is next opened.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl std::fmt::Debug for KindWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KindWriter")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A file that is hashed while it is written.
struct HashedFile {
    file: File,
    hash: Sha256,
}

impl HashedFile {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::create(path)?,
            hash: Sha256::new(),
        })
    }

    fn finish(self) -> io::Result<String> {
        self.file.sync_all()?;
        Ok(hexadecimal(&self.hash.finalize()))
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
