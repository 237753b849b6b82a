//! Where a reader finds batches and segments: a journal with its manifest, or names alone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::batch::Batch;
use crate::damage::{Damage, DamagedRange};
use crate::error::LogError;
use crate::format;
use crate::journal::{JOURNAL_FILE, Journal, OpenFault, is_malformed};
use crate::segment_file::{self, FIRST_KEY, KIND_KEY, LAST_KEY, SEGMENTS, SegmentFile};

/// A log's directory, or one segment file.
#[derive(Debug)]
pub(crate) struct Source {
    /// The log's directory.
    directory: PathBuf,
    /// Where the segments lie.
    segments: PathBuf,
    journal: Option<Journal>,
    /// The segments by their names, where no manifest can be read.
    listed: Option<Vec<SegmentFile>>,
    /// The number from which on nothing of the journal can be read.
    broken_at: Option<u64>,
    /// The first number of the last damaged batch, whose own count cannot be trusted.
    skipped: Option<u64>,
}

impl Source {
    /// Opens a directory or a file; what is wrong with it and no obstacle goes to `damage`.
    pub(crate) fn open(path: &Path, damage: &mut Damage) -> Result<Self, LogError> {
        let metadata = fs::metadata(path).map_err(|error| LogError::io("open", path, &error))?;
        if metadata.is_file() {
            Self::open_file(path)
        } else {
            Self::open_directory(path, damage)
        }
    }

    fn new(directory: &Path, segments: PathBuf) -> Self {
        Self {
            directory: directory.to_path_buf(),
            segments,
            journal: None,
            listed: None,
            broken_at: None,
            skipped: None,
        }
    }

    fn open_file(path: &Path) -> Result<Self, LogError> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut source = Self::new(directory, directory.to_path_buf());
        source.listed = Some(vec![described(path)?]);
        Ok(source)
    }

    fn open_directory(directory: &Path, damage: &mut Damage) -> Result<Self, LogError> {
        let mut source = Self::new(directory, directory.join(SEGMENTS));
        let format = format::read(directory)?;
        let path = directory.join(JOURNAL_FILE);
        if path.exists() {
            source.open_journal(&path, damage)?;
            return Ok(source);
        }
        let files = segment_file::list(directory)?;
        if files.is_empty() && format.is_none() {
            return Err(no_log(directory)?);
        }
        damage.note("the journal is gone; sealed segments are read by name".to_owned());
        source.listed = Some(files);
        Ok(source)
    }

    fn open_journal(&mut self, path: &Path, damage: &mut Damage) -> Result<(), LogError> {
        let opened = match Journal::open_read_only(path) {
            Err(OpenFault::Library(error)) if !is_malformed(&error) => {
                // The library wants to write its index, and cannot.
                let opened = Journal::open_immutable(path);
                if opened.is_ok() && has_write_ahead(path) {
                    let note = "the journal's write-ahead file could not be read: \
                                the latest records are missing";
                    damage.note(note.to_owned());
                }
                opened
            }
            opened => opened,
        };
        match opened {
            Ok(journal) => self.journal = Some(journal),
            Err(OpenFault::Library(error)) if is_malformed(&error) => {
                self.list_segments(&error, damage)?;
            }
            Err(fault) => return Err(fault.into_error(path)),
        }
        Ok(())
    }

    fn list_segments(
        &mut self,
        error: &rusqlite::Error,
        damage: &mut Damage,
    ) -> Result<(), LogError> {
        damage.note(format!(
            "the journal is malformed ({error}); sealed segments are read by name"
        ));
        self.listed = Some(segment_file::list(&self.directory)?);
        Ok(())
    }

    /// Where the segments lie.
    pub(crate) fn segments(&self) -> &Path {
        &self.segments
    }

    /// The journal's file.
    pub(crate) fn journal_path(&self) -> PathBuf {
        self.directory.join(JOURNAL_FILE)
    }

    /// The last number known to be in the log now; `u64::MAX` if that cannot be read.
    pub(crate) fn last_seq(&self) -> u64 {
        match (&self.journal, &self.listed) {
            (Some(journal), None) => journal.last_seq().unwrap_or(u64::MAX),
            _ => u64::MAX,
        }
    }

    /// The batch that holds `seq`, or else the first one after it that can be read.
    pub(crate) fn batch_from(
        &mut self,
        seq: u64,
        damage: &mut Damage,
    ) -> Result<Option<Batch>, LogError> {
        let Some(journal) = &self.journal else {
            return Ok(None);
        };
        if self.broken_at == Some(seq) {
            return Ok(None);
        }
        let found = journal.batch_from(seq).and_then(|batch| match batch {
            Some(batch) if self.skipped == Some(batch.first_seq) => {
                journal.batch_after(batch.first_seq)
            }
            batch => Ok(batch),
        });
        match found {
            Ok(batch) => Ok(batch),
            Err(error) if is_malformed(&error) => {
                let batch = journal.batch_behind(seq);
                if batch.is_none() {
                    self.broken_at = Some(seq);
                    damage.note(format!("the journal cannot be read from {seq} on: {error}"));
                }
                Ok(batch)
            }
            Err(error) => Err(journal.error(&error)),
        }
    }

    /// The batch after the one that begins at `first_seq`, if there is one that can be read.
    pub(crate) fn batch_after(&self, first_seq: u64) -> Option<Batch> {
        let journal = self.journal.as_ref()?;
        journal.batch_after(first_seq).ok().flatten()
    }

    /// Never gives this damaged batch for a later number, whatever its count says.
    pub(crate) fn skip(&mut self, batch: &Batch) {
        self.skipped = Some(batch.first_seq);
    }

    /// The files of the first segment that ends at `seq` or later.
    pub(crate) fn segment_from(
        &mut self,
        seq: u64,
        damage: &mut Damage,
    ) -> Result<Vec<SegmentFile>, LogError> {
        if let (Some(journal), None) = (&self.journal, &self.listed) {
            match journal.segment_from(seq) {
                Ok(files) => return Ok(files),
                Err(error) if is_malformed(&error) => self.list_segments(&error, damage)?,
                Err(error) => return Err(journal.error(&error)),
            }
        }
        let listed = self.listed.as_deref().unwrap_or_default();
        let last = listed
            .iter()
            .map(|file| file.last_seq)
            .find(|last| *last >= seq);
        let of_segment = listed.iter().filter(|file| Some(file.last_seq) == last);
        Ok(of_segment.cloned().collect())
    }

    /// Tells of everything that the writer has put aside.
    pub(crate) fn note_quarantined(&self, damage: &mut Damage) {
        let Some(journal) = &self.journal else { return };
        match journal.quarantined() {
            Ok(stretches) => {
                for aside in stretches {
                    let (first, last) = (aside.first_seq, aside.last_seq);
                    damage.add(DamagedRange::in_journal(first, last, aside.reason));
                }
            }
            Err(error) => {
                damage.note(format!("the journal's quarantine is unreadable: {error}"));
            }
        }
    }
}

fn no_log(directory: &Path) -> Result<LogError, LogError> {
    if segment_file::names(directory)?.is_empty() {
        return Ok(LogError::Empty {
            directory: directory.to_path_buf(),
        });
    }
    let reason = "it holds neither a journal nor segments".to_owned();
    Ok(LogError::NotALog {
        path: directory.to_path_buf(),
        reason,
    })
}

fn has_write_ahead(journal: &Path) -> bool {
    let mut name = journal.as_os_str().to_owned();
    name.push("-wal");
    fs::metadata(PathBuf::from(name)).is_ok_and(|metadata| metadata.len() > 0)
}

/// A single file as what its own metadata say it is.
fn described(path: &Path) -> Result<SegmentFile, LogError> {
    let not_ours = |reason: String| LogError::NotALog {
        path: path.to_path_buf(),
        reason,
    };
    let metadata = segment_file::metadata_of(path)
        .map_err(|reason| not_ours(format!("it is no whole Parquet file: {reason}")))?;
    let number = |key| segment_file::value(&metadata, key).and_then(|text| text.parse().ok());
    let (kind, first, last) = (
        segment_file::value(&metadata, KIND_KEY),
        number(FIRST_KEY),
        number(LAST_KEY),
    );
    let (Some(kind), Some(first_seq), Some(last_seq)) = (kind, first, last) else {
        return Err(not_ours("its metadata do not name a segment".to_owned()));
    };
    let file = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_owned();
    let (rows, sha256) = (segment_file::rows_of(&metadata), None);
    Ok(SegmentFile {
        first_seq,
        last_seq,
        kind,
        file,
        rows,
        sha256,
    })
}
