//! One writer for one directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::LogError;

/// The exclusive lock on a log's directory; released when dropped, or when the process dies.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the lock, or says who stands in the way.
    pub(crate) fn take(directory: &Path) -> Result<Self, LogError> {
        let path = directory.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| LogError::io("create", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(LogError::InUse {
                directory: directory.to_path_buf(),
            }),
            Err(TryLockError::Error(error)) => Err(LogError::io("lock", &path, &error)),
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing alone is not enough: a process that is just being started has a copy of the
        // handle for a moment, and would hold the lock that long. A failure leaves it to closing.
        let _ = self.file.unlock();
    }
}
