//! Follows the log, learns from it, and publishes policies.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use echo_experience::{LogError, LogReader, PolicyPublished, Record, lower_priority};
use echo_policy::{FeatureSchema, Memory, Policy, PolicyError, PolicySpec, ShareBound};
use echo_reward::FOLLOWED_MS;
use echo_sim::learning::{Fold, FoldError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::in_force::{InForce, Mode};
use crate::registry::{Registry, RegistryError};
use crate::restore::{Restoring, first_since};
use crate::state::{Echo, Policies};
use crate::watch::Watch;

/// Why the learner cannot go on.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant holds its cause")]
pub enum LearnerError {
    Log(LogError),
    Fold(FoldError),
    Policy(PolicyError),
    Registry(RegistryError),
    /// There is nothing to go back to.
    NothingBefore,
    /// The server is stopping.
    Stopping,
}

impl std::fmt::Display for LearnerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(error) => error.fmt(f),
            Self::Fold(error) => error.fmt(f),
            Self::Policy(error) => error.fmt(f),
            Self::Registry(error) => error.fmt(f),
            Self::NothingBefore => f.write_str("no other policy was in force before"),
            Self::Stopping => f.write_str("the server is stopping"),
        }
    }
}

impl std::error::Error for LearnerError {}

impl From<LogError> for LearnerError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<FoldError> for LearnerError {
    fn from(error: FoldError) -> Self {
        Self::Fold(error)
    }
}

impl From<PolicyError> for LearnerError {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl From<RegistryError> for LearnerError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

/// What the learner is asked to put into force.
#[derive(Debug)]
pub enum Change {
    /// Another policy, for a reason.
    To(Mode, String),
    /// The policy that was in force before this one.
    Back,
    /// None: the gate was asked on schedule, and let nobody pass.
    Looked,
}

/// Where the learner takes orders: it alone publishes.
#[derive(Debug, Clone)]
pub struct Orders(mpsc::Sender<Order>);

/// The orders as the learner receives them.
pub type OrderQueue = mpsc::Receiver<Order>;

/// A change, and who waits for the version that it makes.
#[derive(Debug)]
pub struct Order {
    change: Option<Change>,
    reply: oneshot::Sender<Result<u64, LearnerError>>,
}

impl Orders {
    /// A bounded queue of orders.
    pub fn queue() -> (Self, OrderQueue) {
        let (orders, queue) = mpsc::channel(ORDERS);
        (Self(orders), queue)
    }

    /// Puts a policy into force; returns the version that it decides under once it is on record and deciding.
    ///
    /// # Errors
    ///
    /// [`LearnerError`] says why the old one stays.
    pub async fn give(&self, change: Change) -> Result<u64, LearnerError> {
        self.send(Some(change)).await
    }

    /// Has everything taken in now that else would be with the next publication: what was learned, other bounds,
    /// another configuration. Returns the version that then decides.
    ///
    /// # Errors
    ///
    /// [`LearnerError`] says why the old one stays.
    pub async fn refresh(&self) -> Result<u64, LearnerError> {
        self.send(None).await
    }

    async fn send(&self, change: Option<Change>) -> Result<u64, LearnerError> {
        let (reply, answer) = oneshot::channel();
        let order = Order { change, reply };
        self.0
            .send(order)
            .await
            .map_err(|_| LearnerError::Stopping)?;
        answer.await.map_err(|_| LearnerError::Stopping)?
    }
}

/// The learner's task.
#[derive(Debug)]
pub struct Learner(JoinHandle<()>);

/// A learner that has read the log to its end, and has not started to follow it.
#[derive(Debug)]
pub struct Resumed {
    reader: LogReader,
    fold: Fold,
    registry: Registry,
    in_force: InForce,
    published: Published,
    control: Arc<Policy>,
    seed: u64,
}

/// The policy that decides, with what its record says.
#[derive(Debug, Clone)]
struct Published {
    policy: Arc<Policy>,
    /// The policy without the bounds of arms on trial.
    spec: PolicySpec,
    /// SHA-256 of the snapshot that it decides by, if it does not learn.
    snapshot: Option<String>,
    /// The last record that it has learned from.
    through: u64,
    /// SHA-256 of the snapshot, or of what was learned.
    sha256: String,
}

impl Learner {
    /// Reads the log, which ends at `last_seq`, from the newest snapshot that can be used, or from the
    /// start. Proposals
    /// that are still young are watched again. What was put into force stays in force, unless the configuration asks
    /// for another policy than it did then.
    ///
    /// # Errors
    ///
    /// [`LearnerError`] when the log cannot be read. A snapshot that cannot be used is reported and
    /// passed over: the log holds everything that it held.
    ///
    /// # Panics
    ///
    /// Never: the uniform policy's name is valid.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that learning rests on"
    )]
    pub fn resume(
        data_dir: &Path,
        config: &Config,
        registry: &Registry,
        bounds: &[ShareBound],
        schema: &FeatureSchema,
        watch: &Watch,
        clock: Clock,
        last_seq: u64,
    ) -> Result<Resumed, LearnerError> {
        let mut reader = LogReader::open(data_dir)?;
        let mut in_force = match registry.in_force() {
            Some(known) if known.configured == config.policy => known,
            Some(known) => known.configured_anew(&config.policy),
            None => InForce::configured(&config.policy),
        };
        let (scoring, pending) = (config.scoring, config.learning.pending);
        let mut fold = match registry.newest(last_seq) {
            Some(snapshot) => Fold::resume(snapshot, scoring, pending)?,
            None => Fold::new(schema, scoring, pending),
        };
        if let Some(memory) = other_memory(&fold, &in_force.mode) {
            fold = fold.anew(memory);
        }
        let young_ms = clock.now_ms() - config.reward.longest_ms.max(FOLLOWED_MS);
        let mut restoring = Restoring::new(watch, young_ms);
        let mut through = first_since(&mut reader, young_ms, fold.through())?;
        loop {
            let entries = reader.after(through, READ_RECORDS)?;
            let Some(last) = entries.last() else { break };
            through = last.seq;
            for entry in &entries {
                if entry.seq > fold.through() {
                    fold.entry(entry)?;
                }
                restoring.entry(entry);
            }
        }
        let uniform = "uniform".parse().expect("uniform is a policy");
        let control = Arc::new(Fold::new(schema, config.scoring, 1).policy(&uniform, 0)?);
        let version = fold.version() + 1;
        let mut published = publish(&fold, registry, &in_force.mode, bounds, version);
        if let Err(error @ LearnerError::Registry(_)) = &published {
            // Serving fails open: what was configured decides, and says why.
            tracing::error!(%error, "what was published cannot be used: the configured policy decides");
            let reason = format!("what was published cannot be used: {error}");
            in_force = in_force.followed_by(Mode::Learning(config.policy.clone()), &reason);
            relearn(&mut reader, &mut fold, &in_force.mode)?;
            published = publish(&fold, registry, &in_force.mode, bounds, version);
        }
        Ok(Resumed {
            reader,
            published: published?,
            fold,
            registry: registry.clone(),
            in_force,
            control,
            seed: config.learning.seed,
        })
    }

    /// Waits until the learner has read the log to its end and has kept a snapshot. The server's
    /// stopping is its signal.
    pub async fn stop(self) {
        if self.0.await.is_err() {
            tracing::error!("the learner panicked");
        }
    }
}

impl Resumed {
    /// The policies to start with.
    pub fn policies(&self) -> Policies {
        Policies {
            seed: self.seed,
            treatment: Arc::clone(&self.published.policy),
            control: Arc::clone(&self.control),
            in_force: Arc::new(self.in_force.clone()),
        }
    }

    /// Arms that something was learned of and that were not retired, as `name@version`.
    pub fn known_arms(&self) -> Vec<String> {
        let state = self.fold.learner().state();
        let arms = state.arms().filter(|arm| !state.is_retired(arm));
        arms.map(str::to_owned).collect()
    }

    /// Puts the first policies on record and starts to follow the log.
    ///
    /// # Errors
    ///
    /// [`LearnerError::Log`] when the log does not take the records.
    pub async fn spawn(
        self,
        echo: &Arc<Echo>,
        orders: OrderQueue,
    ) -> Result<Learner, LearnerError> {
        let control = Published {
            policy: Arc::clone(&self.control),
            spec: self.control.spec().clone(),
            snapshot: None,
            through: 0,
            sha256: self.fold.state_sha256(),
        };
        for (published, cohort) in [(&control, "control"), (&self.published, "treatment")] {
            let record = published.record(cohort, self.seed, "start", echo);
            echo.log.append(record).durable().await?;
        }
        let following = Following {
            echo: Arc::clone(echo),
            learned: self.fold.rewards(),
            resumed: self,
            orders,
        };
        // The log is read by blocking calls, on a thread of its own.
        let runtime = tokio::runtime::Handle::current();
        let following = move || {
            lower_priority();
            runtime.block_on(following.run());
        };
        Ok(Learner(tokio::task::spawn_blocking(following)))
    }
}

impl Published {
    fn record(&self, cohort: &str, seed: u64, reason: &str, echo: &Echo) -> Record {
        Record::PolicyPublished(PolicyPublished {
            at_ms: echo.clock.now_ms(),
            version: self.policy.version(),
            through: self.through,
            seed,
            cohort: cohort.to_owned(),
            spec: self.policy.spec().to_string(),
            sha256: self.sha256.clone(),
            reason: reason.to_owned(),
            snapshot: self.snapshot.clone(),
        })
    }
}

/// What must be told apart of what was learned for this mode, if that is something else than is.
fn other_memory(fold: &Fold, mode: &Mode) -> Option<Memory> {
    match mode {
        Mode::Learning(spec) => Some(spec.memory()).filter(|memory| memory != fold.memory()),
        // A snapshot brings along what it decides by.
        Mode::Frozen(_) => None,
    }
}

/// Learns all of the log anew if the mode needs other things told apart than were.
fn relearn(reader: &mut LogReader, fold: &mut Fold, mode: &Mode) -> Result<(), LearnerError> {
    let Some(memory) = other_memory(fold, mode) else {
        return Ok(());
    };
    tracing::info!("the policy needs other sums than there are: the log is learned anew");
    let (mut anew, through) = (fold.anew(memory), fold.through());
    while anew.through() < through {
        let entries = reader.after(anew.through(), READ_RECORDS)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries.iter().filter(|entry| entry.seq <= through) {
            // What was passed over when it was read first is passed over here.
            drop(anew.entry(entry));
        }
    }
    *fold = anew;
    Ok(())
}

/// Builds the policy that is to be in force.
fn publish(
    fold: &Fold,
    registry: &Registry,
    mode: &Mode,
    bounds: &[ShareBound],
    version: u64,
) -> Result<Published, LearnerError> {
    match mode {
        Mode::Learning(spec) => {
            let bounded = spec.clone().bounded(bounds.iter().cloned());
            Ok(Published {
                policy: Arc::new(fold.policy(&bounded, version)?),
                spec: spec.clone(),
                snapshot: None,
                through: fold.through(),
                sha256: fold.state_sha256(),
            })
        }
        Mode::Frozen(sha256) => {
            let snapshot = registry.published(sha256)?;
            let spec = snapshot.spec.clone();
            let through = snapshot.through;
            let policy = registry.policy(snapshot, bounds, version)?;
            Ok(Published {
                policy: Arc::new(policy),
                spec,
                snapshot: Some(sha256.clone()),
                through,
                sha256: sha256.clone(),
            })
        }
    }
}

/// The learner at work.
struct Following {
    echo: Arc<Echo>,
    resumed: Resumed,
    /// Rewards learned when the policy was last published.
    learned: u64,
    orders: OrderQueue,
}

impl Following {
    async fn run(mut self) {
        let learning = self.echo.live.load().config.learning.clone();
        let pace = self.echo.clock.pace();
        let period = |seconds: f64| {
            tokio::time::interval(Duration::from_secs_f64(
                (seconds / pace).max(PERIOD_LEAST_S),
            ))
        };
        let mut publish = period(learning.publish_ms as f64 / 1000.0);
        let mut snapshot = period(learning.snapshot_s as f64);
        for ticks in [&mut publish, &mut snapshot] {
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            ticks.reset();
        }
        loop {
            tokio::select! {
                () = self.echo.stopping.cancelled() => break,
                Some(Order { change, reply }) = self.orders.recv() => {
                    let outcome = match change {
                        Some(change) => self.change(change).await,
                        None => self.learn_and_publish().await,
                    };
                    // Whoever asked may have gone.
                    let _gone = reply.send(outcome);
                }
                _ = publish.tick() => report(self.learn_and_publish().await),
                _ = snapshot.tick() => self.keep_snapshot(),
            }
        }
        self.wait_for_the_end().await;
        let outcome = self.learn_and_publish().await;
        report(outcome);
        self.keep_snapshot();
    }

    /// The server answers what is in flight before the log is complete.
    async fn wait_for_the_end(&self) {
        self.echo.drained.cancelled().await;
    }

    /// Puts another policy into force.
    async fn change(&mut self, change: Change) -> Result<u64, LearnerError> {
        self.read()?;
        let before = self.resumed.in_force.clone();
        let in_force = match change {
            Change::To(mode, reason) => before.followed_by(mode, &reason),
            Change::Back => before.back().ok_or(LearnerError::NothingBefore)?,
            Change::Looked => {
                let resumed = &mut self.resumed;
                resumed.in_force.looks += 1;
                resumed.registry.remember(&resumed.in_force)?;
                self.echo.policies.store(Arc::new(resumed.policies()));
                return Ok(resumed.published.policy.version());
            }
        };
        self.replace(in_force).await
    }

    /// Takes in what is new: another configuration, other bounds, rewards.
    async fn learn_and_publish(&mut self) -> Result<u64, LearnerError> {
        self.read()?;
        let Resumed {
            fold,
            in_force,
            published,
            ..
        } = &self.resumed;
        let live = self.echo.live.load_full();
        if live.config.policy != in_force.configured {
            let in_force = in_force.clone().configured_anew(&live.config.policy);
            return self.replace(in_force).await;
        }
        let bounded = published.spec.clone().bounded(live.bounds.iter().cloned());
        let reason = if bounded != *published.policy.spec() {
            "bounds"
        } else if matches!(in_force.mode, Mode::Learning(_)) && fold.rewards() > self.learned {
            "learned"
        } else {
            return Ok(published.policy.version());
        };
        let mode = in_force.mode.clone();
        let published = self.made(&mode)?;
        self.put(published, reason).await
    }

    /// What is in force is remembered before it decides: if the process dies in between, it starts with it.
    async fn replace(&mut self, in_force: InForce) -> Result<u64, LearnerError> {
        let published = self.made(&in_force.mode)?;
        self.resumed.registry.remember(&in_force)?;
        let reason = in_force.reason.clone();
        let before = std::mem::replace(&mut self.resumed.in_force, in_force);
        let outcome = self.put(published, &reason).await;
        if outcome.is_err() {
            self.resumed.registry.remember(&before)?;
            self.resumed.in_force = before;
        }
        outcome
    }

    fn made(&mut self, mode: &Mode) -> Result<Published, LearnerError> {
        let live = self.echo.live.load();
        let version = self.resumed.published.policy.version() + 1;
        let Resumed {
            fold,
            registry,
            reader,
            ..
        } = &mut self.resumed;
        if other_memory(fold, mode).is_some() {
            relearn(reader, fold, mode)?;
            self.learned = fold.rewards();
        }
        publish(fold, registry, mode, &live.bounds, version)
    }

    /// Puts a policy on record, and then into force.
    async fn put(&mut self, published: Published, reason: &str) -> Result<u64, LearnerError> {
        let (echo, resumed) = (&self.echo, &mut self.resumed);
        let record = published.record("treatment", resumed.seed, reason, echo);
        echo.log.append(record).durable().await?;
        let version = published.policy.version();
        let changes = published.policy.changes();
        let known = resumed.published.policy.changes();
        for change in &changes {
            if known.iter().all(|known| known.arm != change.arm) {
                let (arm, shift) = (&change.arm, change.shift);
                tracing::warn!(arm, shift, "the rewards of an arm have changed");
            }
        }
        echo.metrics
            .reward_changes
            .set(i64::try_from(changes.len()).unwrap_or(i64::MAX));
        echo.metrics.budget_price.set(published.policy.price());
        resumed.published = published;
        echo.policies.store(Arc::new(resumed.policies()));
        echo.metrics
            .policy_version
            .set(i64::try_from(version).unwrap_or(i64::MAX));
        let fold = &resumed.fold;
        echo.metrics
            .rewards_learned
            .inc_by(fold.rewards() - self.learned);
        if let Some(mean) = fold.mean_reward() {
            echo.metrics.reward_mean.set(mean);
        }
        self.learned = fold.rewards();
        Ok(version)
    }

    fn read(&mut self) -> Result<(), LearnerError> {
        let Resumed { reader, fold, .. } = &mut self.resumed;
        loop {
            let entries = reader.after(fold.through(), READ_RECORDS)?;
            for entry in &entries {
                fold.entry(entry)?;
            }
            if entries.len() < READ_RECORDS {
                return Ok(());
            }
        }
    }

    fn keep_snapshot(&self) {
        let Resumed {
            fold,
            registry,
            published,
            ..
        } = &self.resumed;
        let snapshot = fold.snapshot(published.policy.spec(), published.policy.version());
        if let Err(error) = registry.roll(&snapshot) {
            tracing::warn!(%error, "the policy's snapshot could not be kept");
        }
    }
}

fn report(outcome: Result<u64, LearnerError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "learning waits");
    }
}

/// However fast the clock runs, real time passes between two publications.
const PERIOD_LEAST_S: f64 = 0.1;

/// Records read at a time.
const READ_RECORDS: usize = 4096;

/// Orders that may wait.
const ORDERS: usize = 16;
