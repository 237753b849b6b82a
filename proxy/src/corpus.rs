//! Source code found on this machine, to train the embedded models from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use echo_model::{Admission, Document, Language, TrainedModels, Trainer, TrainingLimits};
use sha2::{Digest, Sha256};
use walkdir::{DirEntry, WalkDir};

use crate::ids::hex;

/// Files of source code, by project: a project is a folder right below one of the named ones, such
/// as one crate in cargo's registry.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    projects: BTreeMap<String, Vec<PathBuf>>,
}

/// One source file with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path below the corpus folder.
    pub path: String,
    /// The language that its name shows.
    pub language: Language,
    /// Its text.
    pub text: String,
}

/// Why there is no corpus.
#[derive(Debug)]
pub enum CorpusError {
    /// A folder that was named cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// No source code was found.
    Empty(Vec<PathBuf>),
}

impl std::fmt::Display for CorpusError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "cannot read the corpus {}: {error}", path.display())
            }
            Self::Empty(searched) => write!(
                f,
                "no source code to train the embedded models from in {searched:?}: \
                 name a folder that holds some by --corpus DIR"
            ),
        }
    }
}

impl std::error::Error for CorpusError {}

impl Corpus {
    /// Finds the source files below `folders`; below cargo's registry if none is named.
    ///
    /// # Errors
    ///
    /// [`CorpusError`] when a named folder cannot be read, or nothing is found.
    pub fn find(folders: &[PathBuf]) -> Result<Self, CorpusError> {
        let folders = if folders.is_empty() {
            registries()
        } else {
            folders.to_vec()
        };
        let mut corpus = Self::default();
        for folder in &folders {
            std::fs::read_dir(folder).map_err(|e| CorpusError::Unreadable(folder.clone(), e))?;
            corpus.add(folder);
        }
        if corpus.projects.is_empty() {
            return Err(CorpusError::Empty(folders));
        }
        Ok(corpus)
    }

    /// Splits the projects in two by a hash of their names: about one in `every` is held out.
    ///
    /// All versions of one crate fall on the same side.
    pub fn split(self, every: u8) -> (Self, Self) {
        let held_out = |name: &String| digest_of(bare_name(name))[0].is_multiple_of(every);
        let (held, kept) = self
            .projects
            .into_iter()
            .partition(|(name, _)| held_out(name));
        (Self { projects: kept }, Self { projects: held })
    }

    /// A name for what training on these files with these limits gives.
    pub fn fingerprint(&self, limits: &TrainingLimits) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{limits:?}"));
        for path in self.paths() {
            let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update(bytes.to_le_bytes());
        }
        hex(&hash.finalize()[..16])
    }

    /// Trains the embedded models, telling the share done in [0, 1].
    pub fn train(&self, limits: TrainingLimits, progress: &mut dyn FnMut(f64)) -> TrainedModels {
        let fingerprint = self.fingerprint(&limits);
        let most = limits.max_bytes as f64;
        let mut trainer = Trainer::new(limits);
        for file in self.files() {
            let document = Document {
                path: &file.path,
                language: file.language,
                text: &file.text,
            };
            if trainer.add(document) == Admission::Full {
                break;
            }
            progress(READING_SHARE * trainer.bytes() as f64 / most);
        }
        trainer.train(&fingerprint, &mut |share| {
            progress(READING_SHARE + (1.0 - READING_SHARE) * share);
        })
    }

    /// The files with their texts, in an order that mixes the projects; unreadable ones left out.
    pub fn files(&self) -> impl Iterator<Item = SourceFile> {
        self.paths().into_iter().filter_map(|path| {
            let text = std::fs::read_to_string(path).ok()?;
            let name = path.to_string_lossy();
            Some(SourceFile {
                language: Language::of_path(&name),
                path: name.into_owned(),
                text,
            })
        })
    }

    fn add(&mut self, folder: &Path) {
        let wanted = |entry: &DirEntry| !is_hidden(entry) && !entry.path().ends_with("target");
        let walk = WalkDir::new(folder)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(wanted);
        for entry in walk.filter_map(Result::ok).filter(is_source) {
            let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            let project = below
                .components()
                .next()
                .map(|c| c.as_os_str().to_string_lossy().into_owned());
            self.projects
                .entry(project.unwrap_or_default())
                .or_default()
                .push(entry.into_path());
        }
    }

    /// All paths, ordered by a hash of the project: a corpus that is cut short is still a mixture.
    fn paths(&self) -> Vec<&PathBuf> {
        let mut projects: Vec<_> = self.projects.iter().collect();
        projects.sort_by_key(|(name, _)| digest_of(name));
        projects.into_iter().flat_map(|(_, paths)| paths).collect()
    }
}

/// Share of the training's progress that reading the files makes up.
const READING_SHARE: f64 = 0.5;

/// Larger files are most often generated.
const FILE_BYTES: u64 = 262_144;

fn registries() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| dirs::home_dir().map(|home| home.join(".cargo")));
    let Some(sources) = home.map(|home| home.join("registry").join("src")) else {
        return Vec::new();
    };
    let registries = std::fs::read_dir(&sources)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let mut folders: Vec<PathBuf> = registries.map(|entry| entry.path()).collect();
    folders.sort();
    if folders.is_empty() {
        vec![sources]
    } else {
        folders
    }
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.')
}

fn is_source(entry: &DirEntry) -> bool {
    let small = entry
        .metadata()
        .is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES);
    small && Language::of_path(&entry.path().to_string_lossy()) != Language::Other
}

/// A project's name without the version that cargo puts behind it.
fn bare_name(project: &str) -> &str {
    match project.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => name,
        _ => project,
    }
}

fn digest_of(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for project in 0..40 {
            let source = folder
                .path()
                .join(format!("p{project}-1.0.{project}"))
                .join("src");
            std::fs::create_dir_all(&source).unwrap();
            std::fs::write(source.join("lib.rs"), format!("fn f{project}() {{}}\n")).unwrap();
            std::fs::write(source.join("picture.png"), [0, 159, 1]).unwrap();
        }
        folder
    }

    #[test]
    fn splits_by_project_and_repeats_itself() {
        let folder = folder();
        let corpus = Corpus::find(&[folder.path().to_owned()]).unwrap();
        assert_eq!(corpus.files().count(), 40);
        let limits = TrainingLimits::default();
        let again = Corpus::find(&[folder.path().to_owned()]).unwrap();
        assert_eq!(corpus.fingerprint(&limits), again.fingerprint(&limits));
        let (kept, held) = corpus.split(4);
        assert_eq!(kept.projects.len() + held.projects.len(), 40);
        assert!(!held.projects.is_empty() && held.projects.len() < 20);
        assert_eq!(bare_name("serde_json-1.0.1"), "serde_json");
        assert_eq!(bare_name("tower-http"), "tower-http");
    }

    #[test]
    fn says_what_it_searched() {
        let empty = tempfile::tempdir().unwrap();
        let none = Corpus::find(&[empty.path().to_owned()]).unwrap_err();
        assert!(none.to_string().contains("--corpus"));
        assert!(Corpus::find(&[empty.path().join("missing")]).is_err());
    }
}
