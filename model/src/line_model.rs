//! The arms that write one line, token by token, from what they know.

use std::{ops::ControlFlow, sync::Arc};

use crate::{
    CompletionModel, Ending, Limits, ProjectCache, Prompt, TrainedModels,
    draft::{self, Draft, Temper},
    fence::Fence,
    outlet::Outlet,
    situation::Situation,
    source::{FileSource, ProjectSource, Source, TableSource},
    walk::Walk,
};

/// Completes the cursor's line, token by token, by the contexts it knows: those of the corpus, of
/// the file, of the user's other files, or of all. It never goes beyond the line.
///
/// At each token it counts what followed contexts that end like the present one, at every length
/// (back-off), interpolates the counts, and writes the likeliest token, until the belief in the
/// whole falls too low. Following Hellendoorn and Devanbu, "Are deep neural networks the best
/// choice for modeling source code?" (FSE 2017): nested caches over an n-gram model.
pub struct LineModel {
    kind: &'static str,
    trained: Option<(Arc<TrainedModels>, Weights)>,
    /// Whether the file around the cursor is read.
    file: bool,
    project: Option<Arc<ProjectCache>>,
    temper: Temper,
}

/// How much the corpus weighs against the files.
#[derive(Clone, Copy, Debug)]
struct Weights {
    occurrence: f32,
    /// All occurrences of one context together.
    cap: f32,
}

impl LineModel {
    /// The corpus alone. Good at what everybody writes, and where nothing stands yet; knows no name
    /// of this file. Speaks briefly: it stops where people begin to differ.
    pub fn ngram(trained: Arc<TrainedModels>) -> Self {
        let weights = Weights {
            occurrence: 1.0,
            cap: 100.0,
        };
        let temper = Temper {
            doubt: 1.0,
            nerve: 0.25,
            least: 3,
        };
        Self {
            kind: "ngram",
            trained: Some((trained, weights)),
            file: false,
            project: None,
            temper,
        }
    }

    /// The file alone, before and after the cursor. Good where a file repeats itself with names
    /// nobody else uses; silent in a new file. Bold: writes to the end of the line.
    pub fn file() -> Self {
        let temper = Temper {
            doubt: 0.5,
            nerve: 0.3,
            least: 3,
        };
        Self {
            kind: "file",
            trained: None,
            file: true,
            project: None,
            temper,
        }
    }

    /// The file, and the user's other files in the same language. Grows with what users keep.
    pub fn project(project: Arc<ProjectCache>) -> Self {
        let temper = Temper {
            doubt: 1.0,
            nerve: 0.25,
            least: 3,
        };
        Self {
            kind: "project",
            trained: None,
            file: true,
            project: Some(project),
            temper,
        }
    }

    /// Corpus, file and project in one: the broadest knowledge, the most work.
    pub fn blend(trained: Arc<TrainedModels>, project: Arc<ProjectCache>) -> Self {
        let weights = Weights {
            occurrence: 0.3,
            cap: 2.0,
        };
        let temper = Temper {
            doubt: 1.0,
            nerve: 0.25,
            least: 3,
        };
        let trained = Some((trained, weights));
        Self {
            kind: "blend",
            trained,
            file: true,
            project: Some(project),
            temper,
        }
    }

    fn draft<'a>(&self, situation: &'a Situation<'a>, sources: &[&dyn Source<'a>]) -> Draft<'a> {
        let mut walk = Walk::new(situation);
        draft::line(&mut walk, sources, &self.temper, &mut Fence::new(situation))
    }
}

impl CompletionModel for LineModel {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn complete(
        &self,
        prompt: &Prompt,
        limits: &Limits,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Ending {
        if limits.max_tokens == 0 {
            return Ending::Length;
        }
        let mut outlet = Outlet::new(limits, sink);
        let situation = Situation::read(prompt);
        if situation.inside_word() {
            return outlet.finish();
        }
        let own = self.file.then_some(FileSource {
            situation: &situation,
            weight: OWN,
        });
        let files = self.project.as_ref().map_or_else(Vec::new, |project| {
            project.files(prompt.user, situation.language, prompt.file)
        });
        let others = ProjectSource {
            files: &files,
            weight: OTHERS,
        };
        let table = self.trained.as_ref().and_then(|(trained, weights)| {
            TableSource::new(trained, situation.language, weights.occurrence, weights.cap)
        });
        let mut sources: Vec<&dyn Source> = Vec::new();
        sources.extend(own.as_ref().map(|own| own as &dyn Source));
        if !files.is_empty() {
            sources.push(&others);
        }
        sources.extend(table.as_ref().map(|table| table as &dyn Source));
        draft::speak(&self.draft(&situation, &sources), &mut outlet);
        outlet.finish()
    }
}

/// Weight of an occurrence in the file being written.
const OWN: f32 = 2.0;
/// Weight of an occurrence in the user's other files.
const OTHERS: f32 = 0.5;
