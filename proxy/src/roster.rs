//! Which arms are in force: those of the configuration, and what an operator has changed since.

mod book;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use echo_experience::{ConfigurationChanged, ModelPublished, Record};
use echo_model::ProjectCache;
use echo_sim::learning::RETIRED;

use crate::arm::Arm;
use crate::arms::{Arms, Embedded};
use crate::config::{Config, ConfigError};
use crate::metrics::KindLabel;
use crate::passthrough::Passthrough;
use crate::state::{Echo, Live};
use crate::upstream::Clients;

pub use book::{Added, Book, BookError, Stage};

/// Everything that arms are made of, and what was said of them at run time.
pub struct Roster {
    /// The embedded models by kind.
    pub embedded: Embedded,
    /// The users' code, which embedded models of other corpora are shown as well.
    pub project: Arc<ProjectCache>,
    /// Connections to upstreams.
    pub clients: Clients,
    /// The file that is read again on [`Roster::reload`].
    pub config_file: Option<PathBuf>,
    /// Where the server listens.
    pub address: SocketAddr,
    /// Where the book is kept.
    pub data_dir: PathBuf,
    /// One change at a time.
    book: Mutex<Book>,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster")
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

/// Why arms are not changed.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant holds its cause")]
pub enum RosterError {
    Config(ConfigError),
    Book(BookError),
    Disk(std::io::Error),
}

impl std::fmt::Display for RosterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Book(error) => error.fmt(f),
            Self::Disk(error) => write!(f, "the change cannot be kept: {error}"),
        }
    }
}

impl std::error::Error for RosterError {}

impl From<ConfigError> for RosterError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<BookError> for RosterError {
    fn from(error: BookError) -> Self {
        Self::Book(error)
    }
}

impl Roster {
    /// A roster whose book is read from the data directory. A book that cannot be read is reported, and passed over.
    pub fn new(
        embedded: Embedded,
        project: Arc<ProjectCache>,
        clients: Clients,
        config_file: Option<PathBuf>,
        address: SocketAddr,
        data_dir: PathBuf,
    ) -> Self {
        let book = Book::read(&data_dir).unwrap_or_else(|error| {
            tracing::error!(
                error,
                "what was said of models at run time is put aside: the configured ones serve"
            );
            Book::put_aside(&data_dir);
            Book::default()
        });
        Self {
            embedded,
            project,
            clients,
            config_file,
            address,
            data_dir,
            book: Mutex::new(book),
        }
    }

    /// What was said of arms at run time.
    pub fn book(&self) -> Book {
        self.locked().clone()
    }

    /// What a configuration makes, with the book as it is.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when an arm or the passthrough cannot be set up.
    pub fn live(&self, config: Config, before: &Arms) -> Result<Live, ConfigError> {
        self.live_with(config, before, &self.locked())
    }

    fn live_with(&self, config: Config, before: &Arms, book: &Book) -> Result<Live, ConfigError> {
        let arms = Arms::make(&config, book, self, before)?;
        let passthrough = Passthrough::make(&config, &self.clients)?;
        Ok(Live {
            config,
            arms,
            passthrough,
            bounds: book.bounds(),
        })
    }

    /// Reads the configuration file again. A bad one changes nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong with the new one.
    pub fn reload(&self, echo: &Echo) -> Result<(), ConfigError> {
        let book = self.locked();
        let before = echo.live.load_full();
        let read = Config::load(self.config_file.as_deref()).and_then(|config| {
            config.check_listen(self.address)?;
            self.live_with(config, &before.arms, &book)
        });
        let (outcome, result) = match read {
            Ok(live) => {
                swap(echo, &before.arms, live, "configuration");
                ("accepted", Ok(()))
            }
            Err(error) => ("refused", Err(error)),
        };
        echo.metrics
            .reloads
            .get_or_create(&KindLabel { kind: outcome })
            .inc();
        echo.record(Record::ConfigurationChanged(ConfigurationChanged {
            at_ms: echo.clock.now_ms(),
            sha256: echo.live.load().config.sha256.clone(),
            accepted: result.is_ok(),
            message: result
                .as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }));
        result
    }

    /// Changes the book and the arms in force as one, or nothing. Requests in flight keep the arms that they have.
    ///
    /// # Errors
    ///
    /// [`RosterError`] says why nothing was changed.
    pub fn change<T>(
        &self,
        echo: &Echo,
        reason: &str,
        change: impl FnOnce(&mut Book, &[String]) -> Result<T, RosterError>,
    ) -> Result<T, RosterError> {
        let mut kept = self.locked();
        let mut book = kept.clone();
        let before = echo.live.load_full();
        let outcome = change(&mut book, &before.arms.ids())?;
        let live = self.live_with(before.config.clone(), &before.arms, &book)?;
        book.write(&self.data_dir).map_err(RosterError::Disk)?;
        *kept = book;
        swap(echo, &before.arms, live, reason);
        Ok(outcome)
    }

    fn locked(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts what changed on record, and the rest into force.
fn swap(echo: &Echo, before: &Arms, live: Live, reason: &str) {
    let (old, new) = (before.ids(), live.arms.ids());
    for arm in live
        .arms
        .iter()
        .filter(|arm| !old.contains(&arm.id().to_owned()))
    {
        echo.record(published(echo, arm, reason));
    }
    for gone in before
        .iter()
        .filter(|arm| !new.contains(&arm.id().to_owned()))
    {
        echo.record(published(echo, gone, &format!("{RETIRED}: {reason}")));
    }
    let was_tried =
        |arm: &Arm, live: &Live| live.bounds.iter().any(|bound| bound.pattern == arm.id());
    let last = echo.live.load_full();
    for arm in live
        .arms
        .iter()
        .filter(|arm| was_tried(arm, &last) && !was_tried(arm, &live))
    {
        echo.record(published(echo, arm, &format!("promoted: {reason}")));
    }
    echo.live.store(Arc::new(live));
}

/// The record of an arm that came into force, or whose standing changed.
pub fn published(echo: &Echo, arm: &Arm, reason: &str) -> Record {
    Record::ModelPublished(ModelPublished {
        at_ms: echo.clock.now_ms(),
        arm: arm.id().to_owned(),
        kind: arm.settings().kind.to_string(),
        sha256: None,
        reason: reason.to_owned(),
    })
}
