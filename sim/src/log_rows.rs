use crate::contexts::Contexts;
use crate::error::ReplayError;
use crate::exclusion::{Exclusion, RowCounts};
use crate::learning::{SURVIVAL, id_of, outcome};
use echo_experience::{Decision, Entry, Evidence, LogReader, PolicyPublished, Record, Served};
use echo_policy::{FeatureSchema, Features};
use echo_reward::{Fate, Outcome, Scoring};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What of a log becomes rows; by default the treatment cohort, by the default scorer and schema.
#[derive(Clone, Debug, Default)]
pub struct RowOptions {
    /// Turns outcomes into rewards.
    pub scoring: Scoring,
    /// Whether decisions of the control cohort count. Their draws are as good as any; by default they
    /// are left out because they tell of other users.
    pub include_control: bool,
    /// The schema of the contexts. Decisions under older rules have theirs made anew from their facts; those under others
    /// are left out.
    pub schema: FeatureSchema,
    /// Whether rewards that are seen less often count for more, by kind of client and arm: inverse probability of censoring
    /// weights (Robins, Rotnitzky, Zhao 1994), with the shares seen for probabilities.
    pub weighs_censoring: bool,
}

/// One decision with its reward, joined from the log's records.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRow {
    /// Sequence number of the decision's record.
    pub seq: u64,
    /// The decision.
    pub id: u128,
    /// When it was made, in unix milliseconds.
    pub at_ms: i64,
    /// Number of the epoch: rows with the same one were drawn by one version of the policy, which is half of it; those of
    /// the control cohort are odd.
    pub epoch: u64,
    /// Number of the user, in order of appearance.
    pub user: u64,
    /// Eligible arms.
    pub arms: Vec<String>,
    /// Probability of each arm, as logged.
    pub probabilities: Vec<f64>,
    /// Index of the arm drawn and served.
    pub chosen: usize,
    /// The context.
    pub features: Features,
    /// The facts behind it, as JSON.
    pub facts: String,
    /// Reward by the latest evidence, in [0, 1].
    pub reward: f64,
    /// For how many decisions it stands: 1, unless [`RowOptions::weighs_censoring`] is set. On average 1.
    pub weight: f64,
}

/// A published policy as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// Sequence number of its record.
    pub seq: u64,
    /// The record.
    pub published: PolicyPublished,
}

/// A log joined into rows, in two passes: the first keeps a few bytes a decision (how it was
/// answered and what its latest evidence says), the second streams the decisions.
///
/// The latest evidence of the first choice wins. A live log may be read: all passes end at the record
/// that was last when the first began.
#[derive(Debug)]
pub struct LogRows {
    path: PathBuf,
    options: RowOptions,
    through: u64,
    span_ms: Option<(i64, i64)>,
    known: BTreeMap<u128, Known>,
    publications: Vec<Publication>,
    lost: u64,
    /// By kind of client and arm; empty unless rewards are weighed against censoring.
    weights: BTreeMap<(String, String), f64>,
}

/// What later records say of a decision.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    answer: Option<AnswerKind>,
    several: bool,
    outcome: Option<Outcome>,
    first_byte_ms: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum AnswerKind {
    Whole,
    Fallback,
    BrokenOff,
}

impl LogRows {
    /// Reads the log at `path` (a data directory, live or at rest, or one sealed segment) once.
    ///
    /// # Errors
    /// [`ReplayError::Log`] if it cannot be read.
    pub fn scan(path: &Path, options: RowOptions) -> Result<Self, ReplayError> {
        let mut rows = Self {
            path: path.to_owned(),
            options,
            through: 0,
            span_ms: None,
            known: BTreeMap::new(),
            publications: Vec::new(),
            lost: 0,
            weights: BTreeMap::new(),
        };
        let mut reader = LogReader::open(path)?;
        for entry in reader.entries() {
            rows.note(entry?);
        }
        rows.lost = reader.damage().records();
        if rows.options.weighs_censoring {
            rows.weights = rows.censoring_weights()?;
        }
        Ok(rows)
    }

    /// One over the share of the rewards seen, of those that could have been, by kind of client and arm; in units that
    /// make the mean weight of a row 1.
    fn censoring_weights(&self) -> Result<BTreeMap<(String, String), f64>, ReplayError> {
        let mut counts: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        let (contexts, mut users) = (Contexts::new(&self.options.schema), BTreeMap::new());
        self.entries(|entry| {
            if let Record::Decision(decision) = &entry.record {
                let is_seen = match self.row(entry.seq, 0, decision, &contexts, &mut users) {
                    Ok(_) => true,
                    Err(Exclusion::Censored | Exclusion::NoEvidence) => false,
                    Err(_) => return Ok(true),
                };
                let (all, seen) = counts.entry(stratum(decision)).or_default();
                *all += 1;
                *seen += u64::from(is_seen);
            }
            Ok(true)
        })?;
        counts.retain(|_, (_, seen)| *seen > 0);
        let seen: u64 = counts.values().map(|(_, seen)| seen).sum();
        let all: u64 = counts.values().map(|(all, _)| all).sum();
        let scale = seen as f64 / all.max(1) as f64;
        let weight = |(all, seen): (u64, u64)| all as f64 / seen as f64 * scale;
        Ok(counts
            .into_iter()
            .map(|(stratum, counts)| (stratum, weight(counts)))
            .collect())
    }

    /// Where the log lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sequence number of the last record read; 0 for an empty log.
    pub fn through(&self) -> u64 {
        self.through
    }

    /// Earliest and latest time of a decision, in unix milliseconds.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        self.span_ms
    }

    /// The policies published, in order.
    pub fn publications(&self) -> &[Publication] {
        &self.publications
    }

    /// Records known to be lost to damage.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Reads the log again and hands every entry up to [`LogRows::through`] to `on`, which ends the
    /// reading by returning false.
    ///
    /// # Errors
    /// [`ReplayError::Log`] if the log cannot be read, or what `on` returns.
    pub fn entries(
        &self,
        mut on: impl FnMut(&Entry) -> Result<bool, ReplayError>,
    ) -> Result<(), ReplayError> {
        let mut reader = LogReader::open(&self.path)?;
        for entry in reader.entries() {
            let entry = entry?;
            if entry.seq > self.through || !on(&entry)? {
                break;
            }
        }
        Ok(())
    }

    /// Sequence number of the first decision made `at_ms` or later; one past the end if there is none.
    ///
    /// # Errors
    /// [`ReplayError::Log`] if the log cannot be read.
    pub fn first_decision_at(&self, at_ms: i64) -> Result<u64, ReplayError> {
        let mut found = self.through + 1;
        self.entries(|entry| {
            let late = matches!(&entry.record, Record::Decision(d) if d.at_ms >= at_ms);
            if late {
                found = entry.seq;
            }
            Ok(!late)
        })?;
        Ok(found)
    }

    /// Streams the rows from sequence number `from` on, in the log's order.
    ///
    /// # Errors
    /// [`ReplayError::Log`] if the log cannot be read, or what `on` returns.
    pub fn rows(
        &self,
        from: u64,
        mut on: impl FnMut(LoggedRow) -> Result<Used, ReplayError>,
    ) -> Result<RowCounts, ReplayError> {
        let mut counts = RowCounts::default();
        let mut users = BTreeMap::new();
        let contexts = Contexts::new(&self.options.schema);
        self.entries(|entry| {
            if let Record::Decision(decision) = &entry.record {
                counts.decisions += 1;
                let row = self.row(entry.seq, from, decision, &contexts, &mut users);
                let several = row.as_ref().is_ok_and(|(_, several)| *several);
                let used = row.map(|(row, _)| on(row));
                match used {
                    Ok(used) => match used? {
                        Used::Row => {
                            counts.rows += 1;
                            counts.several_choices += u64::from(several);
                        }
                        Used::Not(reason) => counts.exclude(reason),
                    },
                    Err(reason) => counts.exclude(reason),
                }
            }
            Ok(true)
        })?;
        Ok(counts)
    }

    fn note(&mut self, entry: Entry) {
        self.through = entry.seq;
        match entry.record {
            Record::Decision(decision) => self.note_decision(&decision),
            Record::Served(served) => self.note_served(&served),
            Record::Evidence(evidence) => self.note_evidence(&evidence),
            Record::PolicyPublished(published) => self.publications.push(Publication {
                seq: entry.seq,
                published,
            }),
            _ => {}
        }
    }

    fn note_decision(&mut self, decision: &Decision) {
        let at = decision.at_ms;
        let (first, last) = self.span_ms.unwrap_or((at, at));
        self.span_ms = Some((first.min(at), last.max(at)));
        if let Ok(id) = id_of(&decision.id) {
            self.known.entry(id).or_default();
        }
    }

    fn note_served(&mut self, served: &Served) {
        let Some(known) = self.known_of(&served.decision) else {
            return;
        };
        if served.choice > 0 {
            known.several = true;
            return;
        }
        known.first_byte_ms = served.first_byte_ms;
        known.answer = Some(if served.fallback {
            AnswerKind::Fallback
        } else if served.ending == "stop" || served.ending == "length" {
            AnswerKind::Whole
        } else {
            AnswerKind::BrokenOff
        });
    }

    fn note_evidence(&mut self, evidence: &Evidence) {
        if evidence.choice > 0 || evidence.source == SURVIVAL {
            return;
        }
        let (Some(known), Ok(outcome)) = (self.known_of(&evidence.decision), outcome(evidence))
        else {
            return;
        };
        known.outcome = Some(outcome);
    }

    fn known_of(&mut self, decision: &str) -> Option<&mut Known> {
        self.known.get_mut(&id_of(decision).ok()?)
    }

    /// The row of a decision and whether its answer had several alternatives.
    fn row(
        &self,
        seq: u64,
        from: u64,
        decision: &Decision,
        contexts: &Contexts,
        users: &mut BTreeMap<(String, String), u64>,
    ) -> Result<(LoggedRow, bool), Exclusion> {
        if seq < from {
            return Err(Exclusion::BeforeSplit);
        }
        self.check_draw(decision)?;
        let features = contexts.of(decision).map_err(|_| Exclusion::Malformed)?;
        let features = features.ok_or(Exclusion::OtherSchema)?;
        let id = id_of(&decision.id).map_err(|_| Exclusion::Malformed)?;
        let known = self.known.get(&id).copied().unwrap_or_default();
        let reward = known.reward(self.options.scoring)?;
        let next = users.len() as u64;
        let user = *users
            .entry((decision.tenant.clone(), decision.user.clone()))
            .or_insert(next);
        let row = LoggedRow {
            seq,
            id,
            at_ms: decision.at_ms,
            epoch: decision
                .policy_version
                .saturating_mul(2)
                .saturating_add(u64::from(decision.cohort != "treatment")),
            user,
            arms: decision.arms.clone(),
            probabilities: decision.probabilities.clone(),
            chosen: decision.chosen as usize,
            features,
            facts: decision.facts.clone(),
            reward,
            weight: if self.weights.is_empty() {
                1.0
            } else {
                self.weights.get(&stratum(decision)).copied().unwrap_or(1.0)
            },
        };
        Ok((row, known.several))
    }

    /// Whether the decision is a draw that may be weighted.
    fn check_draw(&self, decision: &Decision) -> Result<(), Exclusion> {
        if decision.cohort != "treatment" && !self.options.include_control {
            return Err(Exclusion::ControlCohort);
        }
        if !decision.routed {
            return Err(Exclusion::NamedByClient);
        }
        if decision.degraded {
            return Err(Exclusion::Degraded);
        }
        let arms = decision.arms.len();
        if decision.probabilities.len() != arms || decision.chosen as usize >= arms {
            return Err(Exclusion::Malformed);
        }
        Ok(())
    }
}

/// Rewards are seen equally often within a kind of client and an arm, as far as weights against censoring know.
fn stratum(decision: &Decision) -> (String, String) {
    let arm = decision.arms.get(decision.chosen as usize);
    (decision.client.clone(), arm.cloned().unwrap_or_default())
}

/// What became of a row that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// It was used.
    Row,
    /// It was not.
    Not(Exclusion),
}

impl Known {
    fn reward(self, scoring: Scoring) -> Result<f64, Exclusion> {
        match self.answer {
            None => return Err(Exclusion::NotAnswered),
            Some(AnswerKind::Fallback) => return Err(Exclusion::Fallback),
            Some(AnswerKind::BrokenOff) => return Err(Exclusion::BrokenOff),
            Some(AnswerKind::Whole) => {}
        }
        let outcome = self.outcome.ok_or(Exclusion::NoEvidence)?;
        let reward = scoring.reward(&outcome, self.first_byte_ms);
        reward.ok_or(match outcome.fate {
            Fate::NeverShown => Exclusion::NeverShown,
            Fate::Speculative => Exclusion::Speculative,
            _ => Exclusion::Censored,
        })
    }
}
