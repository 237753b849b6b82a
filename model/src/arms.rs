//! All embedded arms.

use std::sync::Arc;

use crate::{CompletionModel, CopyModel, LineModel, ProjectCache, TrainedModels};

/// Every embedded arm with its name, which is also its kind.
///
/// | arm | knows | writes |
/// |---|---|---|
/// | `ngram` | the corpus | a few tokens |
/// | `file` | the file around the cursor | a line |
/// | `copy` | the most similar context of file, project and corpus | several lines |
/// | `project` | the file and the user's other files | a line |
/// | `blend` | corpus, file and project | a line |
pub fn arms(
    trained: Arc<TrainedModels>,
    project: Arc<ProjectCache>,
) -> Vec<(&'static str, Arc<dyn CompletionModel>)> {
    let arms: [Arc<dyn CompletionModel>; 5] = [
        Arc::new(LineModel::ngram(trained.clone())),
        Arc::new(LineModel::file()),
        Arc::new(CopyModel::new(trained.clone(), project.clone())),
        Arc::new(LineModel::project(project.clone())),
        Arc::new(LineModel::blend(trained, project)),
    ];
    arms.into_iter().map(|arm| (arm.kind(), arm)).collect()
}
