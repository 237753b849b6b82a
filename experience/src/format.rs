//! The directory's own format number, in the file `FORMAT`.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::error::LogError;

/// The format of directories that this program writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 1;

/// The file that holds the number.
const FORMAT_FILE: &str = "FORMAT";

/// The directory's format number, or `None` if it has no such file.
pub(crate) fn read(directory: &Path) -> Result<Option<u32>, LogError> {
    let path = directory.join(FORMAT_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("read", &path, &error)),
    };
    let Ok(found) = text.trim().parse() else {
        let reason = "its FORMAT file holds no number".to_owned();
        return Err(LogError::NotALog {
            path: directory.to_path_buf(),
            reason,
        });
    };
    check(&path, found)?;
    Ok(Some(found))
}

/// Refuses a format newer than ours.
pub(crate) fn check(path: &Path, found: u32) -> Result<(), LogError> {
    if found > FORMAT {
        return Err(LogError::Newer {
            path: path.to_path_buf(),
            found,
            supported: FORMAT,
        });
    }
    Ok(())
}

/// Marks the directory as a log of our format, durably.
pub(crate) fn write(directory: &Path) -> Result<(), LogError> {
    let temporary = directory.join("FORMAT.tmp");
    let written = File::create(&temporary).and_then(|mut file| {
        writeln!(file, "{FORMAT}")?;
        file.sync_all()
    });
    written.map_err(|error| LogError::io("write", &temporary, &error))?;
    let path = directory.join(FORMAT_FILE);
    fs::rename(&temporary, &path).map_err(|error| LogError::io("create", &path, &error))?;
    sync_directory(directory)
}

/// Makes created, renamed and removed names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), LogError> {
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(|error| LogError::io("sync", directory, &error))
}
