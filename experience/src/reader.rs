//! Reading a log, while it is written or at rest.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use crate::batch::{Batch, BatchFault, last_of_damaged};
use crate::cursor::{self, Attempt, Opened, SegmentCursor};
use crate::damage::{Damage, DamagedRange, JOURNAL};
use crate::error::LogError;
use crate::format;
use crate::journal::{JOURNAL_FILE, Journal, OpenFault, is_malformed};
use crate::record::{Entry, LineFault};
use crate::schema::v1;
use crate::segment::{self, FIRST_KEY, LAST_KEY, SEGMENTS, SegmentFile};

/// Reads a log in the order of its sequence numbers, with bounded memory.
///
/// A directory may be written at the same time, by this process or another. Every entry that was
/// durable when asked for is given, once; what cannot be given is told by [`damage`](Self::damage).
#[derive(Debug)]
pub struct LogReader {
    /// The log's directory.
    directory: PathBuf,
    /// Where the segments lie.
    segments: PathBuf,
    journal: Option<Journal>,
    /// The segments by their names, where no manifest can be read.
    listed: Option<Vec<SegmentFile>>,
    /// The last number that the caller was given or asked for; `None` after a break.
    given: Option<u64>,
    /// Everything up to here is given, waiting or damaged.
    position: u64,
    waiting: VecDeque<Entry>,
    segment: Option<SegmentCursor>,
    damage: Damage,
    /// Unknown records are counted up to here.
    counted: u64,
    /// The position behind which nothing of the journal can be read.
    broken_at: Option<u64>,
    /// The first number of the last damaged batch, whose own count cannot be trusted.
    skipped: Option<u64>,
}

impl LogReader {
    /// Opens a log's directory, or one Parquet file of a segment.
    ///
    /// # Errors
    /// [`LogError::Empty`] or [`LogError::NotALog`] if there is no log, [`LogError::Newer`] if a
    /// newer program wrote it, [`LogError::Io`] or [`LogError::Journal`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let metadata = fs::metadata(path).map_err(|error| LogError::io("open", path, &error))?;
        if metadata.is_file() {
            Self::open_file(path)
        } else {
            Self::open_directory(path)
        }
    }

    fn new(directory: &Path, segments: PathBuf) -> Self {
        Self {
            directory: directory.to_path_buf(),
            segments,
            journal: None,
            listed: None,
            given: Some(0),
            position: 0,
            waiting: VecDeque::new(),
            segment: None,
            damage: Damage::default(),
            counted: 0,
            broken_at: None,
            skipped: None,
        }
    }

    fn open_file(path: &Path) -> Result<Self, LogError> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut reader = Self::new(directory, directory.to_path_buf());
        reader.listed = Some(vec![described(path)?]);
        Ok(reader)
    }

    fn open_directory(directory: &Path) -> Result<Self, LogError> {
        let mut reader = Self::new(directory, directory.join(SEGMENTS));
        let format = format::read(directory)?;
        let path = directory.join(JOURNAL_FILE);
        if path.exists() {
            reader.open_journal(&path)?;
        } else {
            let files = segment::list(directory)?;
            if files.is_empty() && format.is_none() {
                return Err(no_log(directory)?);
            }
            reader
                .damage
                .note("the journal is gone; sealed segments are read by name".to_owned());
            reader.listed = Some(files);
        }
        reader.note_quarantined();
        Ok(reader)
    }

    fn open_journal(&mut self, path: &Path) -> Result<(), LogError> {
        let opened = match Journal::open_read_only(path) {
            Err(OpenFault::Library(error)) if !is_malformed(&error) => {
                // The library wants to write its index, and cannot.
                let opened = Journal::open_immutable(path);
                if opened.is_ok() && has_write_ahead(path) {
                    let note = "the journal's write-ahead file could not be read: \
                                the latest records are missing";
                    self.damage.note(note.to_owned());
                }
                opened
            }
            opened => opened,
        };
        match opened {
            Ok(journal) => self.journal = Some(journal),
            Err(OpenFault::Library(error)) if is_malformed(&error) => self.list_segments(&error)?,
            Err(fault) => return Err(fault.into_error(path)),
        }
        Ok(())
    }

    fn list_segments(&mut self, error: &rusqlite::Error) -> Result<(), LogError> {
        let note = format!("the journal is malformed ({error}); sealed segments are read by name");
        self.damage.note(note);
        self.listed = Some(segment::list(&self.directory)?);
        Ok(())
    }

    /// At most `limit` entries that come after `seq`, in order; empty if there are none yet.
    ///
    /// To follow a log, pass the last number that was given. This goes on from where the last call
    /// ended, and costs one look into the journal when there is nothing new.
    ///
    /// # Errors
    /// [`LogError::Newer`] at records that a newer program wrote, [`LogError::Journal`] if the
    /// journal cannot be read. Damage is no error.
    pub fn after(&mut self, seq: u64, limit: usize) -> Result<Vec<Entry>, LogError> {
        if self.given != Some(seq) {
            self.seek(seq);
        }
        let mut entries = Vec::new();
        while entries.len() < limit {
            let Some(entry) = self.next()? else { break };
            self.given = Some(entry.seq);
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Everything from the start to what is durable now, in order; ends after the first error.
    pub fn entries(&mut self) -> impl Iterator<Item = Result<Entry, LogError>> {
        self.seek(0);
        self.given = None;
        let last = self.last_seq();
        let mut is_over = false;
        std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let entry = self.next().transpose();
            is_over = !matches!(&entry, Some(Ok(entry)) if entry.seq < last);
            entry.filter(|entry| !matches!(entry, Ok(entry) if entry.seq > last))
        })
    }

    /// What could not be given so far.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// The last number known to be in the log now; `u64::MAX` if that cannot be read.
    fn last_seq(&self) -> u64 {
        match (&self.journal, &self.listed) {
            (Some(journal), None) => journal.last_seq().unwrap_or(u64::MAX),
            _ => u64::MAX,
        }
    }

    fn seek(&mut self, seq: u64) {
        self.waiting.clear();
        (self.segment, self.broken_at) = (None, None);
        (self.position, self.given) = (seq, Some(seq));
    }

    fn next(&mut self) -> Result<Option<Entry>, LogError> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                return Ok(Some(entry));
            }
            if let Some(segment) = &mut self.segment {
                if let Some(entry) = segment.next(&mut self.damage) {
                    self.position = entry.seq;
                    return Ok(Some(entry));
                }
                self.position = self.position.max(segment.last_seq);
                self.segment = None;
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Opens what comes after the position; false if there is nothing.
    fn advance(&mut self) -> Result<bool, LogError> {
        let next = self.position.saturating_add(1);
        let batch = self.batch_from(next)?;
        if let Some(batch) = batch.as_ref().filter(|batch| batch.first_seq <= next) {
            self.load(batch)?;
            return Ok(true);
        }
        let files = self.segment_from(next)?;
        let first = files.first().map(|file| file.first_seq);
        match (first, batch) {
            (Some(first), batch) if batch.as_ref().is_none_or(|batch| first < batch.first_seq) => {
                self.note_gap(next, first);
                self.open_segment(files, next)?;
            }
            (_, Some(batch)) => {
                self.note_gap(next, batch.first_seq);
                self.load(&batch)?;
            }
            (_, None) => return Ok(false),
        }
        Ok(true)
    }

    fn batch_from(&mut self, seq: u64) -> Result<Option<Batch>, LogError> {
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
                    self.damage
                        .note(format!("the journal cannot be read from {seq} on: {error}"));
                }
                Ok(batch)
            }
            Err(error) => Err(journal.error(&error)),
        }
    }

    fn segment_from(&mut self, seq: u64) -> Result<Vec<SegmentFile>, LogError> {
        if let (Some(journal), None) = (&self.journal, &self.listed) {
            match journal.segment_from(seq) {
                Ok(files) => return Ok(files),
                Err(error) if is_malformed(&error) => self.list_segments(&error)?,
                Err(error) => return Err(journal.error(&error)),
            }
        }
        let listed = self.listed.as_deref().unwrap_or_default();
        let last = listed
            .iter()
            .map(|file| file.last_seq)
            .find(|last| *last >= seq);
        Ok(listed
            .iter()
            .filter(|file| Some(file.last_seq) == last)
            .cloned()
            .collect())
    }

    fn open_segment(&mut self, mut files: Vec<SegmentFile>, seq: u64) -> Result<(), LogError> {
        let last_seq = files.iter().map(|file| file.last_seq).max().unwrap_or(seq);
        let count_unknown = last_seq > self.counted;
        let mut attempt = Attempt {
            is_last: false,
            count_unknown,
        };
        loop {
            let opened =
                SegmentCursor::open(&self.segments, &files, seq, &mut self.damage, attempt)?;
            match opened {
                Opened::Cursor(cursor) => {
                    self.segment = Some(cursor);
                    self.counted = self.counted.max(last_seq);
                    return Ok(());
                }
                Opened::Vanished => {
                    // The manifest may have moved on since it was read.
                    files = self.segment_from(seq)?;
                    attempt.is_last = true;
                }
            }
        }
    }

    fn load(&mut self, batch: &Batch) -> Result<(), LogError> {
        match batch.verify() {
            Ok(()) => self.take(batch),
            Err(BatchFault::Damaged(reason)) => self.skip(batch, reason),
            Err(BatchFault::Newer(found)) => {
                let path = self.directory.join(JOURNAL_FILE);
                return Err(LogError::Newer {
                    path,
                    found,
                    supported: v1::VERSION,
                });
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: &Batch) {
        for (seq, record) in batch.records_from(self.position.saturating_add(1)) {
            match record {
                Ok(record) => self.waiting.push_back(Entry { seq, record }),
                Err(LineFault::UnknownKind(kind))
                    if seq > self.counted && !self.damage.knows(seq) =>
                {
                    self.damage.add_unknown(kind, 1);
                }
                Err(LineFault::UnknownKind(_)) => {}
                Err(LineFault::Unreadable(reason)) => self.damage.add(lost(seq, seq, reason)),
            }
        }
        self.position = batch.end() - 1;
        self.counted = self.counted.max(self.position);
    }

    fn skip(&mut self, batch: &Batch, reason: String) {
        let journal = self.journal.as_ref();
        let next = journal.and_then(|journal| journal.batch_after(batch.first_seq).ok().flatten());
        let last = last_of_damaged(batch, next.as_ref());
        self.damage.add(lost(batch.first_seq, last, reason));
        self.position = last.max(self.position);
        self.skipped = Some(batch.first_seq);
    }

    /// Tells of the records in `from..to` unless they are known to have been put aside.
    fn note_gap(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        self.note_quarantined();
        let known = |range: &DamagedRange| range.first_seq <= from && range.last_seq + 1 >= to;
        if !self.damage.ranges().any(known) {
            self.damage
                .add(lost(from, to - 1, "missing from the log".to_owned()));
        }
    }

    fn note_quarantined(&mut self) {
        let Some(journal) = &self.journal else { return };
        match journal.quarantined() {
            Ok(stretches) => {
                for stretch in stretches {
                    self.damage
                        .add(lost(stretch.first_seq, stretch.last_seq, stretch.reason));
                }
            }
            Err(error) => self
                .damage
                .note(format!("the journal's quarantine is unreadable: {error}")),
        }
    }
}

fn lost(first_seq: u64, last_seq: u64, reason: String) -> DamagedRange {
    let records = Some((last_seq - first_seq).saturating_add(1));
    DamagedRange {
        first_seq,
        last_seq,
        place: JOURNAL.to_owned(),
        records,
        reason,
    }
}

fn no_log(directory: &Path) -> Result<LogError, LogError> {
    if segment::names(directory)?.is_empty() {
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
    let metadata = segment::metadata_of(path)
        .map_err(|reason| not_ours(format!("it is no whole Parquet file: {reason}")))?;
    let number = |key| cursor::value(&metadata, key).and_then(|text| text.parse().ok());
    let (kind, first, last) = (
        cursor::kind_of(&metadata),
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
    let (rows, sha256) = (segment::rows_of(&metadata), None);
    Ok(SegmentFile {
        first_seq,
        last_seq,
        kind,
        file,
        rows,
        sha256,
    })
}
