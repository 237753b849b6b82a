//! Bringing a dead journal back: a fresh handle, never the one on which a commit failed.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::LogError;
use crate::journal::{JOURNAL_FILE, Journal};
use crate::options::{LogOptions, Step};

/// What must fit on the disk before a dead journal is tried again, bytes.
const PROBE_BYTES: usize = 1 << 20;

/// A fresh handle on a disk that takes bytes, with everything up to `last` still there.
///
/// What is sealed, up to `sealed`, is not looked for in the journal.
pub(crate) fn reopen(
    directory: &Path,
    options: &LogOptions,
    last: u64,
    sealed: u64,
) -> Result<Journal, LogError> {
    let step = options.reach(Step::Revive).and_then(|()| probe(directory));
    step.map_err(|error| LogError::io("write to", directory, &error))?;
    let path = directory.join(JOURNAL_FILE);
    let journal =
        Journal::open(&path, options.journal_bytes).map_err(|fault| fault.into_error(&path))?;
    if last > sealed {
        check_acknowledged(&journal, last)?;
    }
    let works = journal.checkpoint().and_then(|()| journal.beat());
    works.map_err(|error| journal.error(&error))?;
    Ok(journal)
}

/// Reads the last acknowledged record's batch again.
fn check_acknowledged(journal: &Journal, last: u64) -> Result<(), LogError> {
    let found = journal
        .batch_from(last)
        .map_err(|error| journal.error(&error))?;
    if found.is_some_and(|batch| batch.seqs().contains(&last) && batch.verify().is_ok()) {
        return Ok(());
    }
    let (path, reason) = (
        journal.path().to_path_buf(),
        format!("the acknowledged record {last} is gone"),
    );
    Err(LogError::Journal { path, reason })
}

/// Writes, syncs and removes a file, to see whether the disk takes bytes.
fn probe(directory: &Path) -> std::io::Result<()> {
    let path = directory.join("probe.tmp");
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}
