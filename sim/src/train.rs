//! A candidate policy from a log: a reward model fitted to its rows, in a snapshot that the gate can judge.

use std::path::Path;

use echo_policy::training::{TrainingReport, TrainingRow, TrainingSettings, train as fit};
use echo_policy::{Learner, PolicySpec, Snapshot};

use crate::error::ReplayError;
use crate::learning::Fold;
use crate::log_rows::{LogRows, RowOptions, Used};
use crate::target::split_at;

/// What is trained, and on what.
#[derive(Clone, Debug)]
pub struct TrainSettings {
    /// The regression.
    pub training: TrainingSettings,
    /// The policy that is to decide by the model.
    pub spec: PolicySpec,
    /// What of the log becomes rows.
    pub rows: RowOptions,
    /// Only rows of this first share of the log's time are trained on, in (0, 1), so that the gate finds others;
    /// `None`: all.
    pub until: Option<f64>,
    /// At most so many rows, the newest.
    pub rows_most: usize,
}

impl TrainSettings {
    /// The first half of the log's time, and at most 500,000 rows: about 300 MB at 64 features.
    pub fn new(training: TrainingSettings, spec: PolicySpec) -> Self {
        Self {
            training,
            spec,
            rows: RowOptions::default(),
            until: Some(0.5),
            rows_most: 500_000,
        }
    }
}

/// A candidate, and how good its model is.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The candidate, with golden vectors.
    pub snapshot: Snapshot,
    /// Out-of-fold figures of its model.
    pub report: TrainingReport,
}

/// Fits a reward model to the rows of the log at `path`, and puts it into a snapshot with everything that was learned up
/// to its last row. `progress` is told the share done.
///
/// # Errors
/// [`ReplayError`]: the log cannot be read, or has too few rows.
pub fn train(
    path: &Path,
    settings: &TrainSettings,
    progress: &mut dyn FnMut(f64),
) -> Result<Trained, ReplayError> {
    let log = LogRows::scan(path, settings.rows.clone())?;
    let through = match settings.until {
        Some(share) => split_at(&log, share)? - 1,
        None => log.through(),
    };
    let mut rows = std::collections::VecDeque::new();
    let mut first = 0;
    log.rows(0, |row| {
        if row.seq <= through {
            if rows.len() >= settings.rows_most.max(1) {
                rows.pop_front();
            }
            rows.push_back((
                row.seq,
                TrainingRow {
                    id: row.id,
                    arm: row.arms[row.chosen].clone(),
                    features: row.features,
                    reward: row.reward,
                },
            ));
        }
        Ok(Used::Row)
    })?;
    if let Some((seq, _)) = rows.front() {
        first = *seq;
    }
    let rows: Vec<TrainingRow> = rows.into_iter().map(|(_, row)| row).collect();
    let mut training = fit(&rows, &settings.training, progress)?;
    training.model.trained_on = (first, through);
    let mut fold = Fold::remembering(
        &settings.rows.schema,
        settings.rows.scoring,
        Learner::PENDING_MAX,
        settings.spec.memory(),
    );
    log.entries(|entry| {
        if entry.seq <= through {
            // What the live learner passed over is passed over here.
            let _ = fold.entry(entry);
        }
        Ok(entry.seq < through)
    })?;
    let mut snapshot = fold.snapshot(&settings.spec, fold.version());
    snapshot.model = Some(training.model);
    Ok(Trained {
        snapshot: snapshot.with_golden_vectors()?,
        report: training.report,
    })
}
