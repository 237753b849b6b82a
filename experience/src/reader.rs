//! Reading a log, while it is written or at rest.

use std::collections::VecDeque;
use std::path::Path;

use crate::batch::{Batch, BatchFault, last_of_damaged};
use crate::cursor::{Attempt, Opened, SegmentCursor};
use crate::damage::{Damage, DamagedRange};
use crate::error::LogError;
use crate::record::{Entry, LineFault};
use crate::schema::v1;
use crate::segment_file::SegmentFile;
use crate::source::Source;

/// Reads a log in the order of its sequence numbers, with bounded memory.
///
/// A directory may be written at the same time, by this process or another. Every entry that was
/// durable when asked for is given, once; what cannot be given is told by [`damage`](Self::damage).
#[derive(Debug)]
pub struct LogReader {
    source: Source,
    /// The last number that the caller was given or asked for; `None` after a break.
    given: Option<u64>,
    /// Everything up to here is given, waiting or damaged.
    position: u64,
    waiting: VecDeque<Entry>,
    segment: Option<SegmentCursor>,
    damage: Damage,
    /// Unknown records are counted up to here.
    counted: u64,
}

impl LogReader {
    /// Opens a log's directory, or one Parquet file of a segment.
    ///
    /// # Errors
    /// [`LogError::Empty`] or [`LogError::NotALog`] if there is no log, [`LogError::Newer`] if a
    /// newer program wrote it, [`LogError::Io`] or [`LogError::Journal`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let mut damage = Damage::default();
        let source = Source::open(path, &mut damage)?;
        source.note_quarantined(&mut damage);
        Ok(Self {
            source,
            given: Some(0),
            position: 0,
            waiting: VecDeque::new(),
            segment: None,
            damage,
            counted: 0,
        })
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
        let last = self.source.last_seq();
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

    fn seek(&mut self, seq: u64) {
        self.waiting.clear();
        self.segment = None;
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
        let batch = self.source.batch_from(next, &mut self.damage)?;
        if let Some(batch) = batch.as_ref().filter(|batch| batch.first_seq <= next) {
            self.load(batch)?;
            return Ok(true);
        }
        let files = self.source.segment_from(next, &mut self.damage)?;
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

    fn open_segment(&mut self, mut files: Vec<SegmentFile>, seq: u64) -> Result<(), LogError> {
        self.source.note_quarantined(&mut self.damage);
        let last_seq = files.iter().map(|file| file.last_seq).max().unwrap_or(seq);
        let count_unknown = last_seq > self.counted;
        let mut attempt = Attempt {
            is_last: false,
            count_unknown,
        };
        loop {
            let directory = self.source.segments();
            let opened = SegmentCursor::open(directory, &files, seq, &mut self.damage, attempt)?;
            match opened {
                Opened::Cursor(cursor) => {
                    self.segment = Some(cursor);
                    self.counted = self.counted.max(last_seq);
                    return Ok(());
                }
                Opened::Vanished => {
                    // The manifest may have moved on since it was read.
                    files = self.source.segment_from(seq, &mut self.damage)?;
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
                let path = self.source.journal_path();
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
                Err(LineFault::Unreadable(reason)) => {
                    self.damage.add(DamagedRange::in_journal(seq, seq, reason));
                }
            }
        }
        self.position = batch.end() - 1;
        self.counted = self.counted.max(self.position);
    }

    fn skip(&mut self, batch: &Batch, reason: String) {
        let next = self.source.batch_after(batch.first_seq);
        let last = last_of_damaged(batch, next.as_ref());
        self.damage
            .add(DamagedRange::in_journal(batch.first_seq, last, reason));
        self.position = last.max(self.position);
        self.source.skip(batch);
    }

    /// Tells of the records in `from..to` unless they are known to have been put aside.
    fn note_gap(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        self.source.note_quarantined(&mut self.damage);
        let from = self.damage.first_unknown(from);
        if from < to {
            let reason = "missing from the log".to_owned();
            self.damage
                .add(DamagedRange::in_journal(from, to - 1, reason));
        }
    }
}
