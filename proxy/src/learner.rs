//! Follows the log, learns from it, and publishes policies.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use echo_experience::{LogError, LogReader, PolicyPublished, Record};
use echo_policy::{FeatureSchema, Policy, PolicyError, PolicySpec, Snapshot};
use echo_sim::learning::{Fold, FoldError};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::restore::Restoring;
use crate::state::{Echo, Policies};
use crate::watch::Watch;

/// Why the learner cannot go on.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant holds its cause")]
pub enum LearnerError {
    Log(LogError),
    Fold(FoldError),
    Policy(PolicyError),
}

impl std::fmt::Display for LearnerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(error) => error.fmt(f),
            Self::Fold(error) => error.fmt(f),
            Self::Policy(error) => error.fmt(f),
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

/// The learner's task.
#[derive(Debug)]
pub struct Learner(JoinHandle<()>);

/// A learner that has read the log to its end, and has not started to follow it.
#[derive(Debug)]
pub struct Resumed {
    reader: LogReader,
    fold: Fold,
    folder: PathBuf,
    spec: PolicySpec,
    policy: Arc<Policy>,
    control: Arc<Policy>,
    seed: u64,
}

impl Learner {
    /// Reads the log, which ends at `last_seq`, from the newest snapshot that can be used, or from the
    /// start. Proposals
    /// that are still young are watched again.
    ///
    /// # Errors
    ///
    /// [`LearnerError`] when the log cannot be read. A snapshot that cannot be used is reported and
    /// passed over: the log holds everything that it held.
    ///
    /// # Panics
    ///
    /// Never: the uniform policy's name is valid.
    pub fn resume(
        data_dir: &Path,
        config: &Config,
        schema: &FeatureSchema,
        watch: &Watch,
        clock: Clock,
        last_seq: u64,
    ) -> Result<Resumed, LearnerError> {
        // What was learned by one scorer is worth nothing to another.
        let folder = data_dir.join("policy").join(config.scorer.as_str());
        let mut reader = LogReader::open(data_dir)?;
        let fold = || Fold::new(schema, config.scorer, config.learning.pending);
        let mut fold = newest_snapshot(&folder, schema, config, last_seq).unwrap_or_else(fold);
        let young_ms = clock.now_ms() - config.reward.longest_ms;
        let mut reading = Restoring::new(watch, young_ms);
        loop {
            let entries = reader.after(fold.through(), READ_RECORDS)?;
            if entries.is_empty() {
                break;
            }
            for entry in &entries {
                fold.entry(entry)?;
                reading.entry(entry);
            }
        }
        let version = fold.version() + 1;
        let policy = Arc::new(fold.policy(&config.policy, version)?);
        let uniform = "uniform".parse().expect("uniform is a policy");
        let control = Arc::new(Fold::new(schema, config.scorer, 1).policy(&uniform, 0)?);
        Ok(Resumed {
            reader,
            fold,
            folder,
            spec: config.policy.clone(),
            policy,
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
            treatment: Arc::clone(&self.policy),
            control: Arc::clone(&self.control),
        }
    }

    /// Puts the first policies on record and starts to follow the log.
    ///
    /// # Errors
    ///
    /// [`LearnerError::Log`] when the log does not take the records.
    pub async fn spawn(self, echo: &Arc<Echo>) -> Result<Learner, LearnerError> {
        let fold = &self.fold;
        let uniform = published(
            &self.control,
            "control",
            0,
            self.seed,
            &fold.state_sha256(),
            "start",
            echo,
        );
        echo.log.append(uniform).durable().await?;
        let first = published(
            &self.policy,
            "treatment",
            fold.through(),
            self.seed,
            &fold.state_sha256(),
            "start",
            echo,
        );
        echo.log.append(first).durable().await?;
        let following = Following {
            echo: Arc::clone(echo),
            learned: fold.rewards(),
            resumed: self,
        };
        // The log is read by blocking calls, on a thread of its own.
        let runtime = tokio::runtime::Handle::current();
        let following = move || runtime.block_on(following.run());
        Ok(Learner(tokio::task::spawn_blocking(following)))
    }
}

/// The learner at work.
struct Following {
    echo: Arc<Echo>,
    resumed: Resumed,
    /// Rewards learned when the policy was last published.
    learned: u64,
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
            let outcome = tokio::select! {
                () = self.echo.stopping.cancelled() => break,
                _ = publish.tick() => self.learn_and_publish().await,
                _ = snapshot.tick() => { self.keep_snapshot(); Ok(()) }
            };
            report(outcome);
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

    async fn learn_and_publish(&mut self) -> Result<(), LearnerError> {
        self.read()?;
        let fold = &self.resumed.fold;
        let spec = self.echo.live.load().config.policy.clone();
        let reason = if spec != self.resumed.spec {
            "configuration"
        } else if fold.rewards() > self.learned {
            "learned"
        } else {
            return Ok(());
        };
        let version = self.resumed.policy.version() + 1;
        let policy = Arc::new(fold.policy(&spec, version)?);
        let echo = &self.echo;
        let record = published(
            &policy,
            "treatment",
            fold.through(),
            self.resumed.seed,
            &fold.state_sha256(),
            reason,
            echo,
        );
        echo.log.append(record).durable().await?;
        let control = Arc::clone(&self.resumed.control);
        let policies = Policies {
            seed: self.resumed.seed,
            treatment: Arc::clone(&policy),
            control,
        };
        echo.policies.store(Arc::new(policies));
        echo.metrics
            .policy_version
            .set(i64::try_from(version).unwrap_or(i64::MAX));
        echo.metrics
            .rewards_learned
            .inc_by(fold.rewards() - self.learned);
        if let Some(mean) = fold.mean_reward() {
            echo.metrics.reward_mean.set(mean);
        }
        self.learned = fold.rewards();
        self.resumed.policy = policy;
        self.resumed.spec = spec;
        Ok(())
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
            folder,
            spec,
            policy,
            ..
        } = &self.resumed;
        let snapshot = fold.snapshot(spec, policy.version());
        let name = format!("{:020}.{SNAPSHOT}", policy.version());
        if let Err(error) = write_whole(folder, &name, &snapshot.to_bytes()) {
            tracing::warn!(%error, "the policy's snapshot could not be kept");
            return;
        }
        for old in snapshots(folder).iter().skip(SNAPSHOTS_KEPT) {
            drop(fs::remove_file(old));
        }
    }
}

fn report(outcome: Result<(), LearnerError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "learning waits");
    }
}

fn published(
    policy: &Policy,
    cohort: &str,
    through: u64,
    seed: u64,
    sha256: &str,
    reason: &str,
    echo: &Echo,
) -> Record {
    Record::PolicyPublished(PolicyPublished {
        at_ms: echo.clock.now_ms(),
        version: policy.version(),
        through,
        seed,
        cohort: cohort.to_owned(),
        spec: policy.spec().to_string(),
        sha256: sha256.to_owned(),
        reason: reason.to_owned(),
    })
}

/// However fast the clock runs, real time passes between two publications.
const PERIOD_LEAST_S: f64 = 0.1;

/// Records read at a time.
const READ_RECORDS: usize = 4096;

/// The ending of a snapshot's file name.
const SNAPSHOT: &str = "policy";

/// Snapshots kept: if the newest is damaged, the one before it saves reading the whole log.
const SNAPSHOTS_KEPT: usize = 3;

/// The snapshots in a folder, newest first.
fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let mut paths: Vec<PathBuf> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == SNAPSHOT))
        .collect();
    paths.sort();
    paths.reverse();
    paths
}

fn newest_snapshot(
    folder: &Path,
    schema: &FeatureSchema,
    config: &Config,
    last_seq: u64,
) -> Option<Fold> {
    for path in snapshots(folder) {
        let read = fs::read(&path).map_err(|e| e.to_string());
        let resumed = read.and_then(|bytes| {
            let snapshot = Snapshot::from_bytes(&bytes).map_err(|e| e.to_string())?;
            snapshot.check_schema(schema).map_err(|e| e.to_string())?;
            if snapshot.through > last_seq {
                return Err(format!(
                    "it has learned from record {}, and the log ends at {last_seq}",
                    snapshot.through
                ));
            }
            Fold::resume(snapshot, config.scorer, config.learning.pending)
                .map_err(|e| e.to_string())
        });
        match resumed {
            Ok(fold) => return Some(fold),
            Err(error) => {
                tracing::warn!(path = %path.display(), error, "a snapshot is passed over");
            }
        }
    }
    None
}

fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let beside = folder.join(format!("{name}.part"));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(name))?;
    File::open(folder)?.sync_all()
}
