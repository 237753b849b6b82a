//! A whole server: everything that runs beside its requests, started and stopped in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use echo_experience::{Log, LogError, ModelPublished, Record, Recovery};
use echo_model::{ProjectCache, ProjectLimits};
use echo_policy::FeatureSchema;
use echo_sim::learning::RETIRED;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::app;
use crate::arms::{Arms, Embedded};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::corpus::{Corpus, CorpusError};
use crate::devdata::SentAnswers;
use crate::embedded;
use crate::gatekeeper;
use crate::learner::{Learner, LearnerError, Orders};
use crate::metrics::Metrics;
use crate::project::Projects;
use crate::registry::Registry;
use crate::roster::{Roster, published};
use crate::server;
use crate::slates::Slates;
use crate::state::Echo;
use crate::upstream::Clients;
use crate::watch::Watch;

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// The file that it came from, to be read again on [`Server::reload`].
    pub config_file: Option<PathBuf>,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Folder of the log and the policy's snapshots.
    pub data_dir: PathBuf,
    /// Where the embedded models learn from: `None` finds the configured folders when needed.
    pub corpus: Option<Corpus>,
    /// How many times faster than real time the server's clock runs.
    pub pace: f64,
}

/// Why a server does not start.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant holds its cause")]
pub enum StartError {
    Config(ConfigError),
    Bind {
        address: SocketAddr,
        source: std::io::Error,
    },
    Log(LogError),
    Corpus(CorpusError),
    Learner(LearnerError),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => write!(f, "configuration: {error}"),
            Self::Bind { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Log(error) => write!(f, "experience log: {error}"),
            Self::Corpus(error) => error.fmt(f),
            Self::Learner(error) => write!(f, "policy: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running server.
pub struct Server {
    echo: Arc<Echo>,
    address: SocketAddr,
    recovery: Recovery,
    serving: JoinHandle<()>,
    settling: JoinHandle<()>,
    gatekeeping: JoinHandle<()>,
    administering: Vec<JoinHandle<()>>,
    learner: Learner,
}

impl Server {
    /// Starts everything. `progress` is told the share done while embedded models are trained.
    ///
    /// # Errors
    ///
    /// [`StartError`] names what is in the way.
    pub async fn start(
        settings: Settings,
        progress: &mut (dyn FnMut(f64) + Send),
    ) -> Result<Self, StartError> {
        let config = settings.config;
        config
            .check_listen(settings.listen)
            .map_err(StartError::Config)?;
        let bound = TcpListener::bind(settings.listen).await;
        let bind = |source| StartError::Bind {
            address: settings.listen,
            source,
        };
        let listener = bound.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (log, recovery) =
            Log::open(&settings.data_dir, config.log_options()).map_err(StartError::Log)?;
        report(&recovery);
        let (embedded, project) = embedded_models(&config, settings.corpus, progress)?;
        let projects = match &project {
            Some(project) => Projects::new(Arc::clone(project)),
            None => Projects::none(),
        };
        let roster = Roster::new(
            embedded,
            project.unwrap_or_else(|| Arc::new(ProjectCache::new(ProjectLimits::default()))),
            Clients::new(),
            settings.config_file,
            address,
            settings.data_dir.clone(),
        );
        let live = roster
            .live(config.clone(), &Arms::default())
            .map_err(StartError::Config)?;

        let clock = Clock::new(settings.pace);
        let schema = FeatureSchema::default();
        let watch = Watch::new(config.tracker_limits(), config.reward.users);
        let key = config.sign_key.clone();
        let registry = Registry::new(&settings.data_dir, config.scoring, &schema, key);
        let (orders, queue) = Orders::queue();
        let start = Learner::resume(
            &settings.data_dir,
            &config,
            &registry,
            &live.bounds,
            &schema,
            &watch,
            clock,
            recovery.next_seq - 1,
        )
        .map_err(StartError::Learner)?;
        let limits = config.server.clone();
        let echo = Arc::new(Echo {
            started_ms: clock.now_ms(),
            stopping: CancellationToken::new(),
            drained: CancellationToken::new(),
            clock,
            metrics: Metrics::new(),
            log,
            watch,
            sent: SentAnswers::default(),
            slates: Slates::default(),
            projects,
            schema_hash: schema.hash(),
            schema,
            policies: ArcSwap::from_pointee(start.policies()),
            live: ArcSwap::from_pointee(live),
            roster,
            registry,
            orders,
        });
        let version = echo.policies.load().treatment.version();
        echo.metrics
            .policy_version
            .set(i64::try_from(version).unwrap_or(i64::MAX));
        record_models(&echo, &start.known_arms());
        let administering = admin::listen(&echo)
            .await
            .map_err(|(address, source)| StartError::Bind { address, source })?;
        let learner = start
            .spawn(&echo, queue)
            .await
            .map_err(StartError::Learner)?;
        let gatekeeping = tokio::spawn(gatekeeper::keep(Arc::clone(&echo)));
        let settling = tokio::spawn(settle(Arc::clone(&echo)));
        let routes = app::router(Arc::clone(&echo));
        let serving = tokio::spawn(server::serve(
            listener,
            routes,
            limits,
            echo.stopping.clone().cancelled_owned(),
        ));
        Ok(Self {
            echo,
            address,
            recovery,
            serving,
            settling,
            gatekeeping,
            administering,
            learner,
        })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What requests share.
    pub fn echo(&self) -> &Arc<Echo> {
        &self.echo
    }

    /// What was found when the log was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Reads the configuration file again. A bad one changes nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong with the new one.
    pub fn reload(&self) -> Result<(), ConfigError> {
        self.echo.roster.reload(&self.echo)
    }

    /// Stops: no new connection, requests in flight finish, open proposals settle, the learner reads
    /// the log to its end and keeps a snapshot, the log is closed.
    pub async fn stop(self) {
        let Self {
            echo,
            serving,
            settling,
            gatekeeping,
            administering,
            learner,
            ..
        } = self;
        echo.stopping.cancel();
        if serving.await.is_err() {
            tracing::error!("the server's task panicked");
        }
        settling.abort();
        gatekeeping.abort();
        for task in administering {
            // A connection that an operator keeps open holds nobody up.
            task.abort();
        }
        drop(std::fs::remove_file(
            echo.roster.data_dir.join(admin::SOCKET),
        ));
        echo.record_changes(echo.watch.close());
        if let Err(error) = echo.log.flush().await {
            tracing::warn!(%error, "the log could not be flushed");
        }
        echo.drained.cancel();
        learner.stop().await;
        let log = echo.log.clone();
        match tokio::task::spawn_blocking(move || log.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the log could not be closed"),
            Err(error) => tracing::error!(%error, "closing the log panicked"),
        }
    }
}

/// The embedded models, if any arm needs them.
fn embedded_models(
    config: &Config,
    corpus: Option<Corpus>,
    progress: &mut (dyn FnMut(f64) + Send),
) -> Result<(Embedded, Option<Arc<ProjectCache>>), StartError> {
    if !config.needs_embedded() {
        return Ok((Embedded::new(), None));
    }
    let corpus = match corpus {
        Some(corpus) => corpus,
        None => Corpus::find(&config.corpus()).map_err(StartError::Corpus)?,
    };
    let bytes = config.embedded.corpus_bytes;
    let trained = embedded::load_or_train(&corpus, bytes, &embedded::cache_folder(), progress);
    let (models, cache) = embedded::models(trained);
    Ok((models, Some(cache)))
}

fn report(recovery: &Recovery) {
    for note in &recovery.notes {
        tracing::warn!("{note}");
    }
}

/// Puts the arms in force on record, and those that no longer are since the configuration changed.
fn record_models(echo: &Echo, known: &[String]) {
    let live = echo.live.load();
    let in_force = live.arms.ids();
    for gone in known.iter().filter(|arm| !in_force.contains(arm)) {
        echo.record(Record::ModelPublished(ModelPublished {
            at_ms: echo.clock.now_ms(),
            arm: gone.clone(),
            kind: String::new(),
            sha256: None,
            reason: format!("{RETIRED}: start"),
        }));
    }
    for arm in live.arms.iter() {
        echo.record(published(echo, arm, "start"));
    }
}

/// Settles what is due, a few times in every quiet period.
async fn settle(echo: Arc<Echo>) {
    let quiet_ms = echo.live.load().config.reward.quiet_ms as f64;
    let every = (quiet_ms / SETTLE_LOOKS / echo.clock.pace()).clamp(5.0, 1000.0);
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(every / 1000.0));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let changes = echo.watch.expire(echo.clock.now_ms());
        echo.record_changes(changes);
    }
}

/// Looks for settled outcomes in each quiet period.
const SETTLE_LOOKS: f64 = 5.0;

/// The folder for the log and the policy where none is named.
pub fn default_data_dir() -> PathBuf {
    let base = dirs::data_dir().unwrap_or_else(|| Path::new(".").to_owned());
    base.join("echo-proxy")
}
