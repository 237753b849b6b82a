//! Snapshots that were put into force as they are.

use std::fs;
use std::path::{Path, PathBuf};

use echo_experience::PolicyPublished;
use echo_policy::{Policy, Snapshot};

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

/// The policy of a publication that names a snapshot, with the bounds on arms' shares that were in force; and the
/// snapshot.
///
/// # Errors
/// [`ReplayError`] if the file cannot be used, or decides otherwise here than where it was written.
pub(crate) fn published_policy(
    data_dir: &Path,
    published: &PolicyPublished,
    sha256: &str,
) -> Result<(Policy, Snapshot), ReplayError> {
    let mut snapshot = published_snapshot(data_dir, sha256)?;
    let policy = snapshot.policy(published.version)?;
    let spec = published
        .spec
        .parse()
        .map_err(|error| ReplayError::Target {
            text: published.spec.clone(),
            reason: format!("{error}"),
        })?;
    if spec == snapshot.spec {
        return Ok((policy, snapshot));
    }
    snapshot.spec = spec;
    let policy = Policy::of_snapshot(&snapshot, published.version)?;
    Ok((policy, snapshot))
}
