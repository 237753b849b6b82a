//! The policies on disk: rolling snapshots of what was learned, and those that were published as they are.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use echo_policy::{
    FeatureSchema, Policy, ShareBound, Snapshot, SnapshotError, SnapshotKey, SpecError,
};
use echo_reward::Scoring;
use echo_sim::published_path;

use crate::files::write_whole;
use crate::in_force::InForce;

/// The policies of one data directory, for one scoring: what was learned by another is worth nothing to it.
#[derive(Debug, Clone)]
pub struct Registry {
    data_dir: PathBuf,
    folder: PathBuf,
    schema: FeatureSchema,
    key: Option<SnapshotKey>,
}

/// Why a snapshot is not taken.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant holds its cause")]
pub enum RegistryError {
    File {
        path: PathBuf,
        error: std::io::Error,
    },
    Snapshot(SnapshotError),
    /// The file's bytes are not those that its name says.
    OtherFile(PathBuf),
    /// The policy may not decide about live traffic.
    Live(SpecError),
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Snapshot(error) => error.fmt(f),
            Self::OtherFile(path) => {
                write!(f, "{}: not the file that was published", path.display())
            }
            Self::Live(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RegistryError {}

impl From<SnapshotError> for RegistryError {
    fn from(error: SnapshotError) -> Self {
        Self::Snapshot(error)
    }
}

impl Registry {
    /// The registry in a data directory. With a key, every snapshot is signed, and none without its signature is
    /// taken.
    pub fn new(
        data_dir: &Path,
        scoring: Scoring,
        schema: &FeatureSchema,
        key: Option<SnapshotKey>,
    ) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            folder: data_dir.join("policy").join(scoring.to_string()),
            schema: *schema,
            key,
        }
    }

    /// Checks bytes that claim to be a snapshot: whole, of this schema, signed if there is a key, fit for live traffic,
    /// and deciding here as where it was written.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] says what is wrong with it.
    pub fn check(&self, bytes: &[u8]) -> Result<Snapshot, RegistryError> {
        let snapshot = self.check_bytes(bytes)?;
        snapshot.spec.check_live().map_err(RegistryError::Live)?;
        snapshot.policy(snapshot.version)?;
        Ok(snapshot)
    }

    fn check_bytes(&self, bytes: &[u8]) -> Result<Snapshot, RegistryError> {
        let snapshot = Snapshot::from_bytes(bytes)?;
        if let Some(key) = &self.key {
            Snapshot::check_signature(bytes, key)?;
        }
        snapshot.check_schema(&self.schema)?;
        Ok(snapshot)
    }

    /// Keeps a snapshot to be published. Returns the SHA-256 that names it.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] if it cannot be published, or the disk does not take it.
    pub fn keep(&self, snapshot: Snapshot) -> Result<String, RegistryError> {
        let snapshot = snapshot.with_golden_vectors()?;
        self.keep_bytes(&self.bytes(&snapshot))
    }

    /// Keeps the bytes of a snapshot to be published, if [`Registry::check`] takes them.
    ///
    /// # Errors
    ///
    /// As [`Registry::keep`].
    pub fn keep_bytes(&self, bytes: &[u8]) -> Result<String, RegistryError> {
        self.check(bytes)?;
        let sha256 = Snapshot::sha256(bytes);
        let path = published_path(&self.data_dir, &sha256);
        let folder = path.parent().unwrap_or(Path::new("."));
        let name = format!("{sha256}.{SNAPSHOT}");
        write_whole(folder, &name, bytes).map_err(|error| RegistryError::File { path, error })?;
        Ok(sha256)
    }

    /// Where a snapshot to be published lies.
    pub fn path_of(&self, sha256: &str) -> PathBuf {
        published_path(&self.data_dir, sha256)
    }

    /// Reads a published snapshot.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] if it is gone, another one, or not to be trusted.
    pub fn published(&self, sha256: &str) -> Result<Snapshot, RegistryError> {
        let path = self.path_of(sha256);
        let bytes = fs::read(&path).map_err(|error| RegistryError::File {
            path: path.clone(),
            error,
        })?;
        if Snapshot::sha256(&bytes) != sha256 {
            return Err(RegistryError::OtherFile(path));
        }
        self.check(&bytes)
    }

    /// The policy of a published snapshot, with these bounds on arms' shares besides its own.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Snapshot`] if none can be built.
    pub fn policy(
        &self,
        mut snapshot: Snapshot,
        bounds: &[ShareBound],
        version: u64,
    ) -> Result<Policy, RegistryError> {
        snapshot.spec = snapshot.spec.bounded(bounds.iter().cloned());
        Ok(Policy::of_snapshot(&snapshot, version).map_err(SnapshotError::Policy)?)
    }

    /// Keeps a snapshot of what was learned, to go on from; older ones beyond a few are removed.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] if the disk does not take it.
    pub fn roll(&self, snapshot: &Snapshot) -> Result<(), RegistryError> {
        let name = format!("{:020}.{SNAPSHOT}", snapshot.version);
        write_whole(&self.folder, &name, &self.bytes(snapshot)).map_err(|error| {
            let path = self.folder.join(&name);
            RegistryError::File { path, error }
        })?;
        for old in self.rolling().iter().skip(SNAPSHOTS_KEPT) {
            drop(fs::remove_file(old));
        }
        Ok(())
    }

    /// The newest snapshot of what was learned that can be used with a log that ends at `last_seq`. Others are
    /// reported and passed over: the log holds everything that they held.
    pub fn newest(&self, last_seq: u64) -> Option<Snapshot> {
        for path in self.rolling() {
            let read = fs::read(&path).map_err(|error| error.to_string());
            let snapshot = read.and_then(|bytes| {
                let snapshot = self
                    .check_bytes(&bytes)
                    .map_err(|error| error.to_string())?;
                if snapshot.through > last_seq {
                    return Err(format!(
                        "it has learned from record {}, and the log ends at {last_seq}",
                        snapshot.through
                    ));
                }
                Ok(snapshot)
            });
            match snapshot {
                Ok(snapshot) => return Some(snapshot),
                Err(error) => {
                    tracing::warn!(path = %path.display(), error, "a snapshot is passed over");
                }
            }
        }
        None
    }

    /// What was last put into force; a file that cannot be read is reported, and the configuration decides.
    pub fn in_force(&self) -> Option<InForce> {
        InForce::read(&self.folder).unwrap_or_else(|error| {
            tracing::error!(
                error,
                "what was in force is not known: the configured policy is"
            );
            None
        })
    }

    /// Remembers what is in force.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] if the disk does not take it.
    pub fn remember(&self, in_force: &InForce) -> Result<(), RegistryError> {
        in_force
            .write(&self.folder)
            .map_err(|error| RegistryError::File {
                path: self.folder.clone(),
                error,
            })
    }

    fn bytes(&self, snapshot: &Snapshot) -> Vec<u8> {
        match &self.key {
            Some(key) => snapshot.to_signed_bytes(key),
            None => snapshot.to_bytes(),
        }
    }

    /// The snapshots to go on from, newest first.
    fn rolling(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let mut paths: Vec<PathBuf> = files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == SNAPSHOT))
            .collect();
        paths.sort();
        paths.reverse();
        paths
    }
}

/// The ending of a snapshot's file name.
const SNAPSHOT: &str = "policy";

/// Snapshots kept: if the newest is damaged, the one before it saves reading the whole log.
const SNAPSHOTS_KEPT: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use echo_policy::Learner;

    #[test]
    fn only_what_can_be_trusted_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let schema = FeatureSchema::default();
        let registry = |key: Option<&[u8]>| {
            let key = key.map(|bytes| SnapshotKey::new(bytes).unwrap());
            Registry::new(folder.path(), Scoring::default(), &schema, key)
        };
        let snapshot = |spec: &str| Learner::new(&schema).snapshot(&spec.parse().unwrap(), 3, 0);
        let plain = registry(None);
        let sha256 = plain.keep(snapshot("squarecb")).unwrap();
        assert_eq!(
            plain.published(&sha256).unwrap().spec,
            "squarecb".parse().unwrap()
        );
        let refusal =
            |registry: &Registry, bytes: &[u8]| registry.keep_bytes(bytes).unwrap_err().to_string();
        // Without a floor nothing can be learned about the others later.
        let greedy = plain
            .keep(snapshot("squarecb:floor=0"))
            .unwrap_err()
            .to_string();
        assert!(greedy.contains("floor"), "{greedy}");
        let signing = registry(Some(b"a key of many bytes"));
        let bytes = fs::read(plain.path_of(&sha256)).unwrap();
        assert!(refusal(&signing, &bytes).contains("not signed"));
        assert!(signing.published(&sha256).is_err());
        let signed = signing.keep(snapshot("squarecb")).unwrap();
        assert!(signing.published(&signed).is_ok());
        let other = registry(Some(b"another key, long enough"));
        let bytes = fs::read(signing.path_of(&signed)).unwrap();
        assert!(refusal(&other, &bytes).contains("another key"));
        assert!(refusal(&plain, b"nothing").contains("no policy snapshot"));
        fs::write(plain.path_of(&sha256), b"something else").unwrap();
        assert!(
            plain
                .published(&sha256)
                .unwrap_err()
                .to_string()
                .contains("not the file")
        );
    }
}
