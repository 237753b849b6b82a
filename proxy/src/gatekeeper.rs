//! Asks the gate, on command and on schedule, and puts every answer on record.

use std::sync::Arc;
use std::time::Duration;

use echo_experience::{self as experience, Record};
use echo_policy::training::TrainingSettings;
use echo_sim::{GateSettings, Level, ReplayError, Target, TrainSettings, Verdict, gate, train};

use crate::config::Candidate;
use crate::in_force::Mode;
use crate::learner::Change;
use crate::metrics::KindLabel;
use crate::roster::Added;
use crate::state::Echo;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// The schedule.
    Schedule,
    /// An operator.
    Command,
}

impl AskedBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Command => "command",
        }
    }
}

/// Who is judged, against whom, and by what measure.
#[derive(Debug, Clone)]
pub struct Question {
    /// `policy` or `arm`.
    subject: &'static str,
    /// Its name on record.
    name: String,
    settings: GateSettings,
    asked_by: AskedBy,
}

impl Question {
    /// May this policy take over from the one that runs?
    pub fn policy(echo: &Echo, candidate: &Target, asked_by: AskedBy) -> Self {
        let gate = &echo.live.load().config.gate;
        let mut settings = settings(echo, candidate.clone(), gate.file.margin);
        settings.share_most = gate.file.share_most;
        settings.share_least = gate.file.share_least;
        Self {
            subject: "policy",
            name: candidate.to_string(),
            settings,
            asked_by,
        }
    }

    /// May this arm, which is on trial, take the place of the version before it? `None` if there is none.
    pub fn arm(echo: &Echo, added: &Added, asked_by: AskedBy) -> Option<Self> {
        let live = echo.live.load();
        let before = live.arms.iter().filter(|arm| {
            arm.settings().name == added.arm.name && arm.settings().version < added.arm.version
        });
        let before = before.max_by_key(|arm| arm.settings().version)?;
        let always = |id: &str| format!("always:{id}").parse::<Target>().ok();
        let id = added.id();
        let mut settings = settings(echo, always(&id)?, live.config.gate.file.arm_margin);
        settings.evaluation.baseline = always(before.id());
        settings.evaluation.from_seq = added.after_seq + 1;
        Some(Self {
            subject: "arm",
            name: id,
            settings,
            asked_by,
        })
    }

    /// The same question at another level.
    #[must_use]
    pub fn at(mut self, level: Level) -> Self {
        self.settings.evaluation.estimates.level = level;
        self
    }

    /// Asks the gate, which reads the whole log, and puts its answer on record.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] where no honest answer can be given. That is on record as a refusal.
    pub async fn ask(self, echo: &Echo) -> Result<Verdict, ReplayError> {
        let (path, settings) = (echo.roster.data_dir.clone(), self.settings.clone());
        let asked = tokio::task::spawn_blocking(move || gate(&path, &settings)).await;
        let outcome = asked.unwrap_or(Err(ReplayError::BrokenOff));
        echo.record(Record::Verdict(self.record(echo, &outcome)));
        let accepted = outcome.as_ref().is_ok_and(|verdict| verdict.accepted);
        count(echo, accepted);
        outcome
    }

    fn record(&self, echo: &Echo, outcome: &Result<Verdict, ReplayError>) -> experience::Verdict {
        let evaluation = &self.settings.evaluation;
        let against = evaluation.baseline.as_ref().map(ToString::to_string);
        let finite = |x: f64| x.is_finite().then_some(x);
        let told = outcome.as_ref().ok();
        experience::Verdict {
            at_ms: echo.clock.now_ms(),
            subject: self.subject.to_owned(),
            candidate: told.map_or_else(
                || self.name.clone(),
                |verdict| match self.subject {
                    "policy" => verdict.candidate.clone(),
                    _ => self.name.clone(),
                },
            ),
            against: against.unwrap_or_default(),
            accepted: told.is_some_and(|verdict| verdict.accepted),
            difference: told.and_then(|verdict| finite(verdict.difference)),
            lo: told.and_then(|verdict| finite(verdict.interval.lo)),
            hi: told.and_then(|verdict| finite(verdict.interval.hi)),
            level: evaluation.estimates.level.value(),
            rows: told.map_or(0, |verdict| verdict.rows),
            asked_by: self.asked_by.as_str().to_owned(),
            reasons: match outcome {
                Ok(verdict) => verdict.reasons.join(" "),
                Err(error) => error.to_string(),
            },
        }
    }
}

/// Puts on record that a candidate was refused before the gate was asked.
pub fn record_refusal(echo: &Echo, candidate: &str, reason: &str) {
    let level = echo.live.load().config.gate.level;
    echo.record(Record::Verdict(experience::Verdict {
        at_ms: echo.clock.now_ms(),
        subject: "policy".to_owned(),
        candidate: candidate.to_owned(),
        against: String::new(),
        accepted: false,
        difference: None,
        lo: None,
        hi: None,
        level: level.value(),
        rows: 0,
        asked_by: AskedBy::Command.as_str().to_owned(),
        reasons: reason.to_owned(),
    }));
    count(echo, false);
}

fn count(echo: &Echo, accepted: bool) {
    let kind = if accepted { "accepted" } else { "refused" };
    echo.metrics
        .verdicts
        .get_or_create(&KindLabel { kind })
        .inc();
}

fn settings(echo: &Echo, candidate: Target, margin: f64) -> GateSettings {
    let config = &echo.live.load().config;
    let mut settings = GateSettings::new(candidate);
    let evaluation = &mut settings.evaluation;
    evaluation.rows.scoring = config.scoring;
    evaluation.rows.schema = echo.schema;
    evaluation.split = Some(config.gate.file.split);
    evaluation.estimates.level = config.gate.level;
    evaluation.pending = config.learning.pending;
    evaluation.seed = config.learning.seed;
    settings.margin = margin;
    settings
}

/// Judges arms on trial and the configured candidates, again and again.
pub async fn keep(echo: Arc<Echo>) {
    let every_s = echo.live.load().config.gate.file.every_s;
    if every_s == 0 {
        return;
    }
    let every = Duration::from_secs_f64((every_s as f64 / echo.clock.pace()).max(EVERY_LEAST_S));
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.reset();
    loop {
        tokio::select! {
            () = echo.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        judge_trials(&echo).await;
        judge_candidates(&echo).await;
    }
}

/// However fast the clock runs.
const EVERY_LEAST_S: f64 = 0.2;

async fn judge_trials(echo: &Echo) {
    for added in echo.roster.book().trials() {
        let Some(question) = Question::arm(echo, added, AskedBy::Schedule) else {
            continue;
        };
        let margin = question.settings.margin;
        let Ok(verdict) = question.ask(echo).await else {
            continue;
        };
        let id = added.id();
        let outcome = if verdict.accepted {
            tracing::info!(arm = id, "an arm on trial is promoted");
            echo.roster
                .change(echo, "the gate", |book, _| Ok(book.promote(&id)?))
        } else if verdict.interval.hi < -margin {
            tracing::info!(arm = id, "an arm on trial is withdrawn");
            echo.roster
                .change(echo, "the gate", |book, known| Ok(book.retire(&id, known)?))
        } else {
            Ok(())
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, arm = id, "the arms stay as they are");
        }
    }
}

async fn judge_candidates(echo: &Echo) {
    let gate = echo.live.load().config.gate.clone();
    let in_force = Arc::clone(&echo.policies.load().in_force);
    let look = in_force.looks + 1;
    let error = (1.0 - gate.level.value())
        / (look as f64 * (look as f64 + 1.0) * gate.candidates.len().max(1) as f64);
    let Ok(level) = Level::new(1.0 - error) else {
        return;
    };
    for candidate in &gate.candidates {
        let (mode, target) = match candidate {
            Candidate::Policy(spec) => (Mode::Learning(spec.clone()), Target::Spec(spec.clone())),
            Candidate::Trained(recipe) => {
                let settings = TrainSettings {
                    until: Some(gate.file.split),
                    ..TrainSettings::new(TrainingSettings::new(*recipe), gate.trained_spec.clone())
                };
                match trained(echo, settings).await {
                    Ok(sha256) => {
                        let path = echo.registry.path_of(&sha256);
                        (Mode::Frozen(sha256), Target::Snapshot(path))
                    }
                    Err(error) => {
                        record_refusal(echo, &format!("train:{recipe}"), &error);
                        continue;
                    }
                }
            }
        };
        if mode == in_force.mode {
            continue;
        }
        let verdict = Question::policy(echo, &target, AskedBy::Schedule)
            .at(level)
            .ask(echo)
            .await;
        if verdict.is_ok_and(|verdict| verdict.accepted) {
            let reason = "accepted by the gate on schedule".to_owned();
            match echo.orders.give(Change::To(mode, reason)).await {
                Ok(version) => tracing::info!(version, "the gate has published a policy"),
                Err(error) => tracing::warn!(%error, "the policy stays as it is"),
            }
            return;
        }
        if let Mode::Frozen(sha256) = mode {
            // Trained for the occasion: nobody else knows it.
            drop(std::fs::remove_file(echo.registry.path_of(&sha256)));
        }
    }
    if !gate.candidates.is_empty()
        && let Err(error) = echo.orders.give(Change::Looked).await
    {
        tracing::warn!(%error, "the look is not counted");
    }
}

/// Trains a candidate and keeps it; returns its SHA-256.
async fn trained(echo: &Echo, mut settings: TrainSettings) -> Result<String, String> {
    settings.rows.scoring = echo.live.load().config.scoring;
    settings.rows.schema = echo.schema;
    let path = echo.roster.data_dir.clone();
    let training = move || train(&path, &settings, &mut |_| ());
    let trained = tokio::task::spawn_blocking(training).await;
    let trained = trained.map_err(|_| "training failed".to_owned())?;
    let trained = trained.map_err(|error| error.to_string())?;
    echo.registry
        .keep(trained.snapshot)
        .map_err(|error| error.to_string())
}
