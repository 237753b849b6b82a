//! Opening a log for writing: what is found, put aside and repaired.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::batch::BatchFault;
use crate::error::LogError;
use crate::format;
use crate::journal::{JOURNAL_FILE, Journal, OpenFault, is_malformed};
use crate::lock::DirectoryLock;
use crate::options::LogOptions;
use crate::quarantine::Quarantined;
use crate::salvage;
use crate::segment_file::{self, SEGMENTS, SegmentFile};

/// What was found when a log was opened for writing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The number that the next record gets.
    pub next_seq: u64,
    /// Batches put aside at this opening, since they are damaged.
    pub quarantined_batches: u64,
    /// Records in them, as far as known.
    pub quarantined_records: u64,
    /// Files removed that no manifest names: remains of an interrupted sealing.
    pub orphans_removed: u64,
    /// What else a person should know, one sentence each; empty if all is well.
    pub notes: Vec<String>,
}

impl Recovery {
    /// Whether the log is as it was left.
    pub fn is_clean(&self) -> bool {
        self.quarantined_batches == 0 && self.notes.is_empty()
    }

    fn count(&mut self, stretch: &Quarantined) {
        let Quarantined {
            first_seq,
            last_seq,
            reason,
            ..
        } = stretch;
        self.quarantined_records += stretch.records();
        self.notes.push(format!(
            "records {first_seq}..={last_seq} were put aside: {reason}"
        ));
    }
}

/// Opens everything that a writer needs; gives the last sealed number beside it.
pub(crate) fn recover(
    directory: &Path,
    options: &LogOptions,
) -> Result<(Journal, DirectoryLock, u64, Recovery), LogError> {
    create(&directory.join(SEGMENTS))?;
    let lock = DirectoryLock::take(directory)?;
    let mut recovery = Recovery::default();
    let is_new = format::read(directory)?.is_none();
    if is_new {
        format::write(directory)?;
    }
    salvage::finish(directory)?;
    let journal = open_journal(directory, options, is_new, &mut recovery)?;
    format::sync_directory(directory)?;
    let failed = |error: rusqlite::Error| journal.error(&error);
    check_files(directory, &journal, &mut recovery)?;
    recovery.next_seq = journal.last_seq().map_err(failed)? + 1;
    let sealed = journal.sealed_through().map_err(failed)?;
    journal.checkpoint().map_err(failed)?;
    Ok((journal, lock, sealed, recovery))
}

fn create(directory: &Path) -> Result<(), LogError> {
    fs::create_dir_all(directory).map_err(|error| LogError::io("create", directory, &error))?;
    // The names on the way may be new too; those that cannot be synced were not made here.
    let path = fs::canonicalize(directory).map_err(|e| LogError::io("find", directory, &e))?;
    for ancestor in path.ancestors().skip(1).take(3) {
        let _ = format::sync_directory(ancestor);
    }
    Ok(())
}

fn open_journal(
    directory: &Path,
    options: &LogOptions,
    is_new: bool,
    recovery: &mut Recovery,
) -> Result<Journal, LogError> {
    let path = directory.join(JOURNAL_FILE);
    // An emptied file holds as little as a missing one.
    let is_missing = match path.metadata() {
        Ok(file) => file.len() == 0,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(LogError::io("find", &path, &error)),
    };
    let opened = Journal::open(&path, options.journal_bytes).and_then(|mut journal| {
        let sealed = journal.sealed_through()?;
        while journal.purge(sealed)? {}
        check_batches(&mut journal, recovery)?;
        journal.segments()?;
        Ok(journal)
    });
    let mut journal = match opened {
        Ok(journal) => journal,
        Err(OpenFault::Library(error)) if is_malformed(&error) => {
            salvage::salvage(directory, options, &error, recovery)?
        }
        Err(fault) => return Err(fault.into_error(&path)),
    };
    if is_missing {
        if !is_new {
            recovery
                .notes
                .push("the journal is gone; what it held is lost".to_owned());
        }
        adopt(directory, &mut journal, recovery)?;
    }
    Ok(journal)
}

/// Reads every batch, puts the damaged ones aside, and notes what is missing between them.
pub(crate) fn check_batches(
    journal: &mut Journal,
    recovery: &mut Recovery,
) -> rusqlite::Result<()> {
    let known = journal.quarantined()?;
    let mut expected = journal.sealed_through()? + 1;
    let (mut aside, mut current) = (Vec::new(), journal.batch_after(0)?);
    while let Some(batch) = current {
        let next = journal.batch_after(batch.first_seq)?;
        if let Some(missing) = Quarantined::missing(expected, batch.first_seq, &known) {
            recovery.count(&missing);
            aside.push(missing);
        }
        expected = match batch.verify() {
            Err(BatchFault::Damaged(reason)) => {
                let damaged = Quarantined::damaged(batch, next.as_ref(), reason);
                recovery.quarantined_batches += 1;
                recovery.count(&damaged);
                let end = damaged.last_seq + 1;
                aside.push(damaged);
                end
            }
            Ok(()) | Err(BatchFault::Newer(_)) => batch.end(),
        };
        current = next;
    }
    if aside.is_empty() {
        Ok(())
    } else {
        journal.quarantine(&aside)
    }
}

/// Takes over the segments that lie in the directory of a log whose manifest is lost.
pub(crate) fn adopt(
    directory: &Path,
    journal: &mut Journal,
    recovery: &mut Recovery,
) -> Result<(), LogError> {
    let mut files = segment_file::list(directory)?;
    // Of overlapping stretches the longest: a shorter one is the rest of an interrupted sealing.
    files.sort_by_key(|file| (file.first_seq, u64::MAX - file.last_seq));
    let failed = |error: rusqlite::Error| LogError::journal(journal.path(), &error);
    let (mut adopted, mut stretch) = (Vec::new(), (0, 0));
    for mut file in files {
        let in_journal = journal.batch_from(file.first_seq).map_err(failed)?;
        let overlaps = in_journal.is_some_and(|batch| batch.first_seq <= file.last_seq);
        if overlaps || ((file.first_seq, file.last_seq) != stretch && file.first_seq <= stretch.1) {
            put_aside(directory, &file, recovery)?;
            continue;
        }
        stretch = (file.first_seq, file.last_seq);
        let path = directory.join(SEGMENTS).join(&file.file);
        let sha256 = segment_file::sha256_of(&path).map_err(|e| LogError::io("read", &path, &e))?;
        file.sha256 = Some(sha256);
        file.rows =
            segment_file::metadata_of(&path).map_or(0, |metadata| segment_file::rows_of(&metadata));
        adopted.push(file);
    }
    if adopted.is_empty() {
        return Ok(());
    }
    recovery.notes.push(format!(
        "{} sealed files were taken over by their names",
        adopted.len()
    ));
    let result = journal.adopt(&adopted);
    result.map_err(|error| journal.error(&error))
}

fn put_aside(
    directory: &Path,
    file: &SegmentFile,
    recovery: &mut Recovery,
) -> Result<(), LogError> {
    let path = directory.join(SEGMENTS).join(&file.file);
    let aside = path.with_extension("parquet.aside");
    fs::rename(&path, &aside).map_err(|error| LogError::io("rename", &path, &error))?;
    recovery.notes.push(format!(
        "{} overlaps other records and was put aside",
        file.file
    ));
    Ok(())
}

/// Removes files that the manifest does not name, and notes named files that are gone.
fn check_files(
    directory: &Path,
    journal: &Journal,
    recovery: &mut Recovery,
) -> Result<(), LogError> {
    let segments = directory.join(SEGMENTS);
    let manifest = journal.segments().map_err(|error| journal.error(&error))?;
    let named: BTreeSet<&str> = manifest.iter().map(|file| file.file.as_str()).collect();
    let present: BTreeSet<String> = segment_file::names(&segments)?.into_iter().collect();
    for name in &present {
        let is_ours = segment_file::is_temporary(name) || SegmentFile::from_name(name).is_some();
        if is_ours && !named.contains(name.as_str()) {
            let path = segments.join(name);
            fs::remove_file(&path).map_err(|error| LogError::io("remove", &path, &error))?;
            recovery.orphans_removed += 1;
        }
    }
    for name in named.into_iter().filter(|name| !present.contains(*name)) {
        recovery
            .notes
            .push(format!("the sealed file {name} is gone"));
    }
    Ok(())
}
