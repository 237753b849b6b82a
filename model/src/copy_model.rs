//! The arm that goes on as the most similar context went on.

use std::{ops::ControlFlow, sync::Arc};

use crate::{
    CompletionModel, Ending, Limits, ProjectCache, Prompt, TrainedModels,
    block::{self, Script},
    draft,
    fence::Fence,
    likeness::Passage,
    original::Original,
    outlet::Outlet,
    situation::Situation,
    source::TableSource,
    symbol::Symbol,
    walk::{Step, Walk},
};

/// Copies what came after the most similar earlier context: whole lines from the start or the end of
/// a line, the rest of the line from inside it.
///
/// Contexts of the file and of the user's other files may differ in names, and the copy is renamed
/// accordingly; see the likeness of contexts. Failing those, a long context known from the corpus
/// is recited word for word. Good where code repeats its shape (tests, tables, match arms, builders,
/// licences); silent where nothing similar came before, and talkative where something did.
pub struct CopyModel {
    trained: Arc<TrainedModels>,
    project: Arc<ProjectCache>,
}

impl CopyModel {
    /// Copies from the file, from the user's other files in `project`, and from the corpus.
    pub fn new(trained: Arc<TrainedModels>, project: Arc<ProjectCache>) -> Self {
        Self { trained, project }
    }
}

impl CompletionModel for CopyModel {
    fn kind(&self) -> &'static str {
        "copy"
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
        let files = self
            .project
            .files(prompt.user, situation.language, prompt.file);
        let passages = files.iter().map(|file| file.passage());
        let mut walk = Walk::new(&situation);
        let fence = Fence::new(&situation);
        let draft = match most_similar(&situation, passages, &walk) {
            Some(original) => {
                let mut copy = Copying {
                    next: original.next,
                    original,
                };
                let budget = copy.budget();
                block::write(&mut walk, &mut copy, fence, budget)
            }
            None => match TableSource::new(&self.trained, situation.language, 1.0, f32::MAX) {
                Some(corpus) => block::write(&mut walk, &mut Reciting { corpus }, fence, RECITED),
                None => Vec::new(),
            },
        };
        draft::speak(&draft, &mut outlet);
        outlet.finish()
    }
}

/// The most similar context of all, if it is similar enough; the file's own go before others.
fn most_similar<'a>(
    situation: &'a Situation<'a>,
    others: impl Iterator<Item = Passage<'a>>,
    walk: &Walk,
) -> Option<Original<'a>> {
    let here = Passage {
        text: situation.head,
        sequence: &situation.before,
    };
    let below = Passage {
        text: situation.tail,
        sequence: &situation.after,
    };
    let place = walk.place();
    let fits = |symbol: Symbol, core: &str| place.accepts(symbol, core);
    let own = [here, below]
        .into_iter()
        .map(|passage| (passage, SHARED_OWN));
    let others = others.map(|passage| (passage, SHARED_OTHERS));
    let mut best: Option<Original> = None;
    for (passage, shared) in own.chain(others) {
        let least = best
            .as_ref()
            .map_or(LEAST_SCORE, |best| best.likeness.score);
        if let Some(better) = Original::best_in(passage, here, shared, least, fits) {
            best = Some(better);
        }
    }
    best
}

/// A copy in the making.
struct Copying<'a> {
    original: Original<'a>,
    next: usize,
}

impl Copying<'_> {
    /// The longer the likeness, the longer the copy, in tokens.
    fn budget(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "scores are small")]
        #[expect(clippy::cast_sign_loss, reason = "scores are not negative")]
        let tokens = (self.original.likeness.score * TOKENS_PER_SCORE) as usize;
        tokens
    }
}

impl<'a> Script<'a> for Copying<'a> {
    fn next(&mut self, walk: &mut Walk<'a>) -> Option<Step<'a>> {
        let (symbol, core) = self.original.read(self.next)?;
        self.next += 1;
        Some(walk.step(symbol, core, 1.0))
    }
}

/// Reciting the corpus.
struct Reciting<'a> {
    corpus: TableSource<'a>,
}

impl<'a> Script<'a> for Reciting<'a> {
    fn next(&mut self, walk: &mut Walk<'a>) -> Option<Step<'a>> {
        if self.corpus.shared(walk.history()) < RECITED_CONTEXT {
            return None;
        }
        walk.look(&[&self.corpus], 1.0)
            .filter(|step| step.probability >= RECITED_BELIEF)
    }
}

/// Likeness below which nothing is copied.
const LEAST_SCORE: f32 = 0.7;
/// Last tokens that must be equal in a context of the same file, and of another.
const SHARED_OWN: usize = 1;
const SHARED_OTHERS: usize = 2;
/// Tokens copied per unit of likeness.
const TOKENS_PER_SCORE: f32 = 2.5;
/// Tokens recited at most.
const RECITED: usize = 96;
/// Tokens of context the corpus must know to be recited.
const RECITED_CONTEXT: usize = 5;
/// Belief below which reciting ends.
const RECITED_BELIEF: f32 = 0.5;
