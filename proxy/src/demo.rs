//! The demonstration: a server, simulated editors that type held-out source files, and a look at how
//! routing learns.
//!
//! Every simulated user has a twin: the same taste, the same files, the same chance, in the same
//! minutes. One of the two is routed by the policy that learns, the other by a uniform draw that does
//! not, so that the two differ in nothing else. Their difference is taken pair by pair.

mod board;
mod screen;
mod summary;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use echo_model::Language;
use echo_sim::editors::{EditorError, EditorEvent, Fleet, FleetSettings, SourceDocument};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::corpus::{Corpus, CorpusError};
use crate::route::Cohort;
use crate::serve::{Server, Settings, StartError};

pub use board::{Board, Tally};
pub use screen::{Lines, Nothing, Screen, View};
pub use summary::{Summary, SummaryError};

/// What a demonstration is made of.
#[derive(Debug, Clone)]
pub struct DemoSettings {
    /// The configuration of the server.
    pub config: Config,
    /// Folders of source code, to train on and to hold out; cargo's registry if none is named.
    pub corpus: Vec<PathBuf>,
    /// Folder of the log.
    pub data_dir: PathBuf,
    /// How long the editors type.
    pub length: Duration,
    /// Pairs of simulated users.
    pub pairs: usize,
    /// Seed of the users and of every draw.
    pub seed: u64,
    /// Simulated seconds per real second.
    pub pace: f64,
}

/// Why a demonstration cannot be given.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant holds its cause")]
pub enum DemoError {
    Corpus(CorpusError),
    Start(StartError),
    Editors(EditorError),
    Summary(SummaryError),
    Screen(std::io::Error),
}

impl std::fmt::Display for DemoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Corpus(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
            Self::Editors(error) => error.fmt(f),
            Self::Summary(error) => error.fmt(f),
            Self::Screen(error) => write!(f, "the terminal cannot be drawn on: {error}"),
        }
    }
}

impl std::error::Error for DemoError {}

/// Runs a demonstration and sums it up from its log. `progress` is told the share of the training
/// done; `view` makes what is looked at, once the editors begin.
///
/// # Errors
///
/// [`DemoError`] names what is in the way.
pub async fn run(
    settings: DemoSettings,
    progress: &mut (dyn FnMut(f64) + Send),
    view: impl FnOnce() -> std::io::Result<Box<dyn View>>,
) -> Result<Summary, DemoError> {
    let (kept, held) = Corpus::find(&settings.corpus)
        .map_err(DemoError::Corpus)?
        .split(HELD_OUT_EVERY);
    let documents = documents(&held);
    let fleet = |prefix: &str, documents| {
        let settings = FleetSettings {
            users: settings.pairs,
            seed: settings.seed,
            pace: settings.pace,
            user_prefix: prefix.to_owned(),
            ..FleetSettings::default()
        };
        Fleet::new(settings, documents).map_err(DemoError::Editors)
    };
    let learned = fleet(LEARNED, documents.clone())?;
    let uniform = fleet(UNIFORM, documents)?;
    let mut config = settings.config;
    config.learning.seed = settings.seed;
    config.control.pinned = uniform.users().into_iter().map(|(name, _)| name).collect();
    let server = Server::start(
        Settings {
            config,
            config_file: None,
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: settings.data_dir.clone(),
            corpus: Some(kept),
            pace: settings.pace,
        },
        progress,
    )
    .await
    .map_err(DemoError::Start)?;

    let board = Mutex::new(Board::new(settings.length));
    let on = |event: EditorEvent| {
        board
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .event(event);
    };
    let stop = CancellationToken::new();
    let mut view = view().map_err(DemoError::Screen)?;
    let watching = watch(&board, view.as_mut(), settings.length, &stop);
    let base = format!("http://{}", server.address());
    let (shown, (), ()) = tokio::join!(
        watching,
        learned.run(&base, stop.clone(), on),
        uniform.run(&base, stop.clone(), on)
    );
    drop(view);
    server.stop().await;
    shown.map_err(DemoError::Screen)?;
    let board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
    Summary::of(&settings.data_dir, &board).map_err(DemoError::Summary)
}

/// Shows the board until the time is over or the viewer has seen enough.
async fn watch(
    board: &Mutex<Board>,
    view: &mut dyn View,
    length: Duration,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let mut ticks = tokio::time::interval(view.every());
    let outcome = loop {
        ticks.tick().await;
        let board = board.lock().unwrap_or_else(PoisonError::into_inner);
        match view.show(&board) {
            Ok(true) if board.elapsed() < length => {}
            Ok(_) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    stop.cancel();
    outcome
}

/// What the names of the users of each cohort begin with; a twin has the same number.
const LEARNED: &str = "learned-";
const UNIFORM: &str = "uniform-";

/// The cohort of a simulated user, and the number that he shares with his twin.
fn cohort_and_pair(user: &str) -> (Cohort, &str) {
    match user.strip_prefix(UNIFORM) {
        Some(pair) => (Cohort::Control, pair),
        None => (
            Cohort::Treatment,
            user.strip_prefix(LEARNED).unwrap_or(user),
        ),
    }
}

/// About one project in so many is typed and never trained on.
const HELD_OUT_EVERY: u8 = 8;

/// Files typed, at the most, and of each language.
const DOCUMENTS: usize = 600;
const DOCUMENTS_PER_LANGUAGE: usize = 200;

/// A language with fewer files is left out.
const DOCUMENTS_LEAST: usize = 3;

/// The held-out files that people would write by hand: code, neither tiny nor huge.
fn documents(held: &Corpus) -> Vec<SourceDocument> {
    let mut by_language: BTreeMap<&'static str, Vec<SourceDocument>> = BTreeMap::new();
    for file in held.files().filter(|file| is_code(file.language)) {
        let of_language = by_language.entry(file.language.as_str()).or_default();
        if (DOCUMENT_BYTES).contains(&file.text.len()) && of_language.len() < DOCUMENTS_PER_LANGUAGE
        {
            let language = file.language.as_str().to_owned();
            of_language.push(SourceDocument {
                path: file.path,
                language,
                text: file.text,
            });
        }
    }
    by_language.retain(|_, documents| documents.len() >= DOCUMENTS_LEAST);
    by_language
        .into_values()
        .flatten()
        .take(DOCUMENTS)
        .collect()
}

const DOCUMENT_BYTES: std::ops::Range<usize> = 400..40_000;

fn is_code(language: Language) -> bool {
    !matches!(
        language,
        Language::Json | Language::Markdown | Language::Other
    )
}
