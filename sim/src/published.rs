//! Snapshots that were put into force as they are.

use std::fs;
use std::path::{Path, PathBuf};

use echo_policy::Snapshot;

use crate::error::ReplayError;

/// Where the data directory keeps a snapshot that was published, by the SHA-256 of its file.
pub fn published_path(data_dir: &Path, sha256: &str) -> PathBuf {
    let name = format!("{sha256}.policy");
    data_dir.join("policy").join("published").join(name)
}

/// Reads a published snapshot, which must be the very bytes that the log names.
///
/// # Errors
/// [`ReplayError`] if the file is gone, is another one, or is no snapshot.
pub fn published_snapshot(data_dir: &Path, sha256: &str) -> Result<Snapshot, ReplayError> {
    let path = published_path(data_dir, sha256);
    let bytes = fs::read(&path).map_err(|error| ReplayError::File {
        path: path.clone(),
        error,
    })?;
    if Snapshot::sha256(&bytes) != sha256 {
        return Err(ReplayError::OtherFile { path });
    }
    Ok(Snapshot::from_bytes(&bytes)?)
}
