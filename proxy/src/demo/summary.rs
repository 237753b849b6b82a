use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use echo_experience::LogError;
use echo_reward::{Fate, Scorer};
use echo_sim::{
    Evaluation, EvaluationSettings, Level, RatioEstimate, ReplayError, Target, UserRatio, evaluate,
};
use serde_json::{Value, json};

use super::board::Board;
use super::cohort_and_pair;
use crate::proposals::{ProposalRecord, Proposals};
use crate::route::Cohort;
use crate::table::table;

/// Why a demonstration cannot be summed up.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant holds its cause")]
pub enum SummaryError {
    Log(LogError),
    Replay(ReplayError),
}

impl fmt::Display for SummaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(error) => write!(f, "the demonstration's log: {error}"),
            Self::Replay(error) => {
                write!(f, "the demonstration's log cannot be evaluated: {error}")
            }
        }
    }
}

impl std::error::Error for SummaryError {}

/// What a demonstration came to, read from its log alone, but for the last comparison.
#[derive(Debug)]
pub struct Summary {
    data_dir: PathBuf,
    learned: Group,
    uniform: Group,
    arms: BTreeMap<String, Group>,
    off_policy: Evaluation,
    agreement: Agreement,
    failed: u64,
}

/// Answers of one group of requests, with users as the independent units.
#[derive(Debug, Default)]
struct Group {
    answers: u64,
    shown: u64,
    taken: u64,
    taken_per_answer: UserRatio,
    taken_per_shown: UserRatio,
    kept_per_answer: UserRatio,
}

/// How often the fate read from requests is what the user truly did.
#[derive(Debug, Default)]
struct Agreement {
    compared: u64,
    agreeing: u64,
    /// Counts by the true fate, and then by the inferred one.
    fates: BTreeMap<Fate, BTreeMap<Fate, u64>>,
}

impl Summary {
    /// Sums up the log in `data_dir`; `board` knows what the users truly did.
    ///
    /// # Errors
    ///
    /// [`SummaryError`] when the log cannot be read, or is too short for an estimate.
    pub fn of(data_dir: &Path, board: &Board) -> Result<Self, SummaryError> {
        let proposals = Proposals::read(data_dir).map_err(SummaryError::Log)?;
        let (mut learned, mut uniform) = (Group::default(), Group::default());
        let mut arms: BTreeMap<String, Group> = BTreeMap::new();
        let mut agreement = Agreement::default();
        for proposal in proposals.iter() {
            let own = if proposal.decision.cohort == Cohort::Control.as_str() {
                &mut uniform
            } else {
                &mut learned
            };
            own.add(&proposal);
            arms.entry(proposal.served.arm.clone())
                .or_default()
                .add(&proposal);
            agreement.add(&proposal, board);
        }
        let target = |text: &str| text.parse::<Target>().map_err(SummaryError::Replay);
        let mut settings = EvaluationSettings::new(target(LEARNED)?);
        settings.baseline = Some(target("uniform")?);
        let off_policy = evaluate(data_dir, &settings).map_err(SummaryError::Replay)?;
        Ok(Self {
            data_dir: data_dir.to_owned(),
            learned,
            uniform,
            arms,
            off_policy,
            agreement,
            failed: board.failed(),
        })
    }

    /// The difference in the share of answers taken, learned minus uniform.
    pub fn gain(&self) -> Option<RatioEstimate> {
        self.learned
            .taken_per_answer
            .minus_twins(&self.uniform.taken_per_answer, Level::default())
    }

    /// The summary as one JSON object.
    pub fn json(&self) -> Value {
        let level = Level::default();
        let kept_gain = self
            .learned
            .kept_per_answer
            .minus_twins(&self.uniform.kept_per_answer, level);
        let arms: BTreeMap<&String, Value> = self
            .arms
            .iter()
            .map(|(arm, group)| (arm, group.json()))
            .collect();
        json!({
            "learned": self.learned.json(),
            "uniform": self.uniform.json(),
            "difference": {"taken_per_answer": self.gain(), "kept_per_answer": kept_gain},
            "arms": arms,
            "off_policy": self.off_policy,
            "fates_compared": self.agreement.compared,
            "fates_agreeing": self.agreement.agreeing,
            "fates_true_and_inferred": self.agreement.fates,
            "failed_requests": self.failed,
            "data_dir": self.data_dir,
        })
    }
}

/// The policy whose value is estimated: the default one, with what the first half of the log taught it.
const LEARNED: &str = "randucb:floor=0.01";

impl Group {
    fn add(&mut self, proposal: &ProposalRecord<'_>) {
        let outcome = proposal.outcome();
        let Some(kept) = Scorer::Retained1.reward(&outcome) else {
            return;
        };
        let (shown, taken) = (!outcome.is_silent(), outcome.fate.is_taken());
        let number = |is: bool| if is { 1.0 } else { 0.0 };
        let (_, user) = cohort_and_pair(&proposal.decision.user);
        self.answers += 1;
        self.shown += u64::from(shown);
        self.taken += u64::from(taken);
        self.taken_per_answer.push(user, 1.0, number(taken));
        self.taken_per_shown
            .push(user, number(shown), number(taken));
        self.kept_per_answer.push(user, 1.0, kept);
    }

    fn row(&self, name: &str) -> Vec<String> {
        let level = Level::default();
        vec![
            name.to_owned(),
            self.taken_per_answer.users().to_string(),
            self.answers.to_string(),
            self.shown.to_string(),
            self.taken.to_string(),
            percent(self.taken_per_answer.estimate(level)),
            percent(self.taken_per_shown.estimate(level)),
            percent(self.kept_per_answer.estimate(level)),
        ]
    }

    fn json(&self) -> Value {
        let level = Level::default();
        json!({
            "users": self.taken_per_answer.users(),
            "answers": self.answers,
            "shown": self.shown,
            "taken": self.taken,
            "taken_per_answer": self.taken_per_answer.estimate(level),
            "taken_per_shown": self.taken_per_shown.estimate(level),
            "kept_per_answer": self.kept_per_answer.estimate(level),
        })
    }
}

impl Agreement {
    fn add(&mut self, proposal: &ProposalRecord<'_>, board: &Board) {
        let inferred = proposal.fate();
        let Some(truth) = board.truths().get(&proposal.decision.id) else {
            return;
        };
        *self
            .fates
            .entry(*truth)
            .or_default()
            .entry(inferred)
            .or_default() += 1;
        if inferred.is_observed() && truth.is_observed() {
            self.compared += 1;
            self.agreeing += u64::from(inferred.is_taken() == truth.is_taken());
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = [
            "",
            "users",
            "answers",
            "shown",
            "taken",
            "taken, of answers",
            "taken, of shown",
            "kept share",
        ];
        let level = Level::default();
        let (learned, uniform) = (&self.learned, &self.uniform);
        let difference = vec![
            "difference".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            percent(
                learned
                    .taken_per_answer
                    .minus_twins(&uniform.taken_per_answer, level),
            ),
            percent(
                learned
                    .taken_per_shown
                    .minus_twins(&uniform.taken_per_shown, level),
            ),
            percent(
                learned
                    .kept_per_answer
                    .minus_twins(&uniform.kept_per_answer, level),
            ),
        ];
        let mut rows = vec![
            learned.row("learned policy"),
            uniform.row("uniform draw"),
            difference,
        ];
        rows.extend(
            self.arms
                .iter()
                .map(|(arm, group)| group.row(&format!("  {arm}"))),
        );
        writeln!(f, "{}\n", table(header.to_vec(), rows))?;
        writeln!(
            f,
            "In per cent, with 95 % intervals that take users as the units, and pairs of twins for the difference.\n\
             An answer without text counts as an answer and as not taken. The kept share is that of the\n\
             proposed text, 0 when not taken."
        )?;
        self.write_off_policy(f)?;
        let Agreement {
            compared, agreeing, ..
        } = self.agreement;
        writeln!(
            f,
            "\nTaken or not, as read from later requests, is what the simulated user truly did in {:.1} % of {compared}.",
            100.0 * agreeing as f64 / compared.max(1) as f64
        )?;
        write!(f, "Log: {}", self.data_dir.display())
    }
}

impl Summary {
    fn write_off_policy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evaluation = &self.off_policy;
        writeln!(
            f,
            "\nOff-policy, from the learning users' log alone ({} rows):",
            evaluation.rows.rows
        )?;
        if let Some(dr) = evaluation.estimate("dr") {
            let interval = dr.interval;
            let value = format!("{:.4} [{:.4}, {:.4}]", dr.value, interval.lo, interval.hi);
            writeln!(f, "  kept share by {}, DR: {value}", evaluation.target)?;
        }
        if let Some(difference) = &evaluation.difference {
            let interval = difference.interval;
            let value = format!(
                "{:+.4} [{:+.4}, {:+.4}]",
                difference.value, interval.lo, interval.hi
            );
            writeln!(f, "  minus that of uniform:  {value}")?;
        }
        for note in &evaluation.notes {
            writeln!(f, "  {note}")?;
        }
        Ok(())
    }
}

fn percent(estimate: Option<RatioEstimate>) -> String {
    estimate.map_or("-".to_owned(), |e| {
        let at = |share: f64| share * 100.0;
        format!(
            "{:.1} [{:.1}, {:.1}]",
            at(e.value),
            at(e.interval.lo),
            at(e.interval.hi)
        )
    })
}
