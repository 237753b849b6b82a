//! A whole server: everything that runs beside its requests, started and stopped in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use echo_experience::{ConfigurationChanged, Log, LogError, ModelPublished, Record, Recovery};
use echo_policy::FeatureSchema;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::arms::{Arms, Embedded};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::corpus::{Corpus, CorpusError};
use crate::devdata::SentAnswers;
use crate::embedded;
use crate::learner::{Learner, LearnerError};
use crate::metrics::{KindLabel, Metrics};
use crate::passthrough::Passthrough;
use crate::project::Projects;
use crate::server;
use crate::slates::Slates;
use crate::state::{Echo, Live};
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
    embedded: Embedded,
    clients: Clients,
    config_file: Option<PathBuf>,
    recovery: Recovery,
    serving: JoinHandle<()>,
    settling: JoinHandle<()>,
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
        let (embedded, projects) = embedded_models(&config, settings.corpus, progress)?;
        let clients = Clients::new();
        let arms = Arms::make(&config, &embedded, &clients, &Arms::default())
            .map_err(StartError::Config)?;
        let passthrough = Passthrough::make(&config, &clients).map_err(StartError::Config)?;

        let clock = Clock::new(settings.pace);
        let schema = FeatureSchema::default();
        let watch = Watch::new(config.tracker_limits(), config.reward.users);
        let start = Learner::resume(
            &settings.data_dir,
            &config,
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
            live: ArcSwap::from_pointee(Live {
                config,
                arms,
                passthrough,
            }),
        });
        let version = echo.policies.load().treatment.version();
        echo.metrics
            .policy_version
            .set(i64::try_from(version).unwrap_or(i64::MAX));
        record_models(&echo);
        let learner = start.spawn(&echo).await.map_err(StartError::Learner)?;
        let settling = tokio::spawn(settle(Arc::clone(&echo)));
        let router = app::router(Arc::clone(&echo));
        let serving = tokio::spawn(server::serve(
            listener,
            router,
            limits,
            echo.stopping.clone().cancelled_owned(),
        ));
        Ok(Self {
            echo,
            address,
            embedded,
            clients,
            config_file: settings.config_file,
            recovery,
            serving,
            settling,
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
        let echo = &self.echo;
        let before = echo.live.load_full();
        let read = Config::load(self.config_file.as_deref()).and_then(|config| {
            config.check_listen(self.address)?;
            let arms = Arms::make(&config, &self.embedded, &self.clients, &before.arms)?;
            let passthrough = Passthrough::make(&config, &self.clients)?;
            Ok(Live {
                config,
                arms,
                passthrough,
            })
        });
        let (outcome, result) = match read {
            Ok(live) => {
                echo.live.store(Arc::new(live));
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

    /// Stops: no new connection, requests in flight finish, open proposals settle, the learner reads
    /// the log to its end and keeps a snapshot, the log is closed.
    pub async fn stop(self) {
        let Self {
            echo,
            serving,
            settling,
            learner,
            ..
        } = self;
        echo.stopping.cancel();
        if serving.await.is_err() {
            tracing::error!("the server's task panicked");
        }
        settling.abort();
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
) -> Result<(Embedded, Projects), StartError> {
    if !config.needs_embedded() {
        return Ok((Embedded::new(), Projects::none()));
    }
    let corpus = match corpus {
        Some(corpus) => corpus,
        None => Corpus::find(&config.corpus()).map_err(StartError::Corpus)?,
    };
    let bytes = config.embedded.corpus_bytes;
    let trained = embedded::load_or_train(&corpus, bytes, &embedded::cache_folder(), progress);
    let (models, cache) = embedded::models(trained);
    Ok((models, Projects::new(cache)))
}

fn report(recovery: &Recovery) {
    for note in &recovery.notes {
        tracing::warn!("{note}");
    }
}

fn record_models(echo: &Echo) {
    for arm in echo.live.load().arms.iter() {
        echo.record(Record::ModelPublished(ModelPublished {
            at_ms: echo.clock.now_ms(),
            arm: arm.id().to_owned(),
            kind: arm.settings().kind.to_string(),
            sha256: None,
            reason: "start".to_owned(),
        }));
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
