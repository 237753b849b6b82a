//! The embedded models: trained once, kept on disk, loaded after that.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use echo_model::{ModelError, ProjectCache, ProjectLimits, TrainedModels, TrainingLimits, arms};

use crate::arms::Embedded;
use crate::corpus::Corpus;

/// Loads the models that were trained from this corpus, or trains and keeps them. `progress` is told
/// the share done while they train.
pub fn load_or_train(
    corpus: &Corpus,
    bytes: usize,
    folder: &Path,
    progress: &mut dyn FnMut(f64),
) -> TrainedModels {
    let limits = TrainingLimits {
        max_bytes: bytes,
        ..TrainingLimits::default()
    };
    let fingerprint = corpus.fingerprint(&limits);
    let path = folder.join(format!("{fingerprint}.models"));
    match load(&path) {
        Ok(models) if models.fingerprint() == fingerprint => return models,
        Err(error) if path.exists() => {
            tracing::warn!(%error, path = %path.display(), "training again: the kept models cannot be used");
        }
        _ => {}
    }
    let models = corpus.train(limits, progress);
    if let Err(error) = keep(&models, &path) {
        tracing::warn!(%error, path = %path.display(), "the trained models could not be kept");
    }
    models
}

/// The models as arms, by kind, with the cache of projects that they share.
pub fn models(trained: TrainedModels) -> (Embedded, Arc<ProjectCache>) {
    let project = Arc::new(ProjectCache::new(ProjectLimits::default()));
    (models_with(trained, &project), project)
}

/// The models as arms, by kind, over a cache of projects that is there already.
pub fn models_with(trained: TrainedModels, project: &Arc<ProjectCache>) -> Embedded {
    let arms = arms(Arc::new(trained), Arc::clone(project));
    arms.into_iter().collect()
}

/// The folder for what can be made again: trained models.
pub fn cache_folder() -> PathBuf {
    let base = dirs::cache_dir().unwrap_or_else(std::env::temp_dir);
    base.join("echo-proxy").join("models")
}

fn load(path: &Path) -> Result<TrainedModels, ModelError> {
    TrainedModels::load(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?))
}

/// Written beside its place first, so that a file under its name is whole.
fn keep(models: &TrainedModels, path: &Path) -> Result<(), ModelError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    let written = write(models, &beside).and_then(|()| Ok(std::fs::rename(&beside, path)?));
    if written.is_err() {
        drop(std::fs::remove_file(&beside));
    }
    written
}

fn write(models: &TrainedModels, path: &Path) -> Result<(), ModelError> {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
    models.save(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()?;
    Ok(())
}

const BUFFER_BYTES: usize = 1 << 20;
