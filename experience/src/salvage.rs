//! A journal whose database is malformed: what can be read of it goes into a new one, and the old
//! one is kept aside.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::LogError;
use crate::format::sync_directory;
use crate::journal::{JOURNAL_FILE, Journal};
use crate::options::LogOptions;
use crate::recovery::{Recovery, adopt, check_batches};

/// The new journal until it takes the old one's place.
const REBUILT_FILE: &str = "rebuilt.sqlite";

/// Rebuilds the journal from what can be read, and moves the malformed one aside.
///
/// The old one moves only when the new one is complete, so that a crash at any point leaves
/// either the one or the other; see [`finish`].
pub(crate) fn salvage(
    directory: &Path,
    options: &LogOptions,
    error: &rusqlite::Error,
    recovery: &mut Recovery,
) -> Result<Journal, LogError> {
    *recovery = Recovery::default();
    recovery
        .notes
        .push(format!("the journal is malformed ({error})"));
    let rebuilt = directory.join(REBUILT_FILE);
    remove(&rebuilt)?;
    let mut journal = Journal::open(&rebuilt, options.journal_bytes)
        .map_err(|fault| fault.into_error(&rebuilt))?;
    copy(directory, &mut journal, recovery)?;
    let checked = check_batches(&mut journal, recovery);
    checked
        .and_then(|()| journal.checkpoint())
        .map_err(|error| journal.error(&error))?;
    drop(journal);
    replace(directory)?;
    let path = directory.join(JOURNAL_FILE);
    Journal::open(&path, options.journal_bytes).map_err(|fault| fault.into_error(&path))
}

/// Completes a replacement that was interrupted after the old journal had moved.
pub(crate) fn finish(directory: &Path) -> Result<(), LogError> {
    let exists = |path: PathBuf| {
        path.try_exists()
            .map_err(|error| LogError::io("find", &path, &error))
    };
    let is_interrupted =
        exists(directory.join(REBUILT_FILE))? && !exists(directory.join(JOURNAL_FILE))?;
    if is_interrupted {
        replace(directory)
    } else {
        Ok(())
    }
}

/// Copies the manifest and every batch that can be read.
fn copy(directory: &Path, to: &mut Journal, recovery: &mut Recovery) -> Result<(), LogError> {
    let Ok(from) = Journal::open_unchecked(&directory.join(JOURNAL_FILE)) else {
        recovery.notes.push("nothing of it can be read".to_owned());
        return adopt(directory, to, recovery);
    };
    let (mut copied, mut seq) = (0, 0);
    loop {
        let batch = match from.batch_after(seq) {
            Ok(batch) => batch,
            Err(_) => from.batch_behind(seq + 1),
        };
        let Some(batch) = batch else { break };
        to.insert(&batch, || Ok(()))
            .map_err(|reason| LogError::Journal {
                path: to.path().to_path_buf(),
                reason,
            })?;
        seq = batch.first_seq;
        copied += 1;
    }
    recovery
        .notes
        .push(format!("{copied} batches of it were read back"));
    let known = from.quarantined().unwrap_or_default();
    let listed = match from.segments() {
        Ok(files) => to.seal(&files, &known, 0),
        Err(_) => return adopt(directory, to, recovery),
    };
    listed.map_err(|error| to.error(&error))
}

/// Moves the old journal aside and the rebuilt one into its place.
fn replace(directory: &Path) -> Result<(), LogError> {
    let journal = directory.join(JOURNAL_FILE);
    let mut number = 1;
    let mut aside = directory.join("quarantine-1.sqlite");
    while aside.exists() {
        number += 1;
        aside = directory.join(format!("quarantine-{number}.sqlite"));
    }
    // The database first: without it the write-ahead file means nothing.
    for suffix in ["", "-wal", "-shm"] {
        let from = with_suffix(&journal, suffix);
        if from.exists() {
            rename(&from, &with_suffix(&aside, suffix))?;
        }
    }
    rename(&directory.join(REBUILT_FILE), &journal)?;
    sync_directory(directory)
}

fn rename(from: &Path, to: &Path) -> Result<(), LogError> {
    fs::rename(from, to).map_err(|error| LogError::io("rename", from, &error))
}

fn remove(database: &Path) -> Result<(), LogError> {
    for suffix in ["", "-wal", "-shm"] {
        let path = with_suffix(database, suffix);
        if path.exists() {
            fs::remove_file(&path).map_err(|error| LogError::io("remove", &path, &error))?;
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
