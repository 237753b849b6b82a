//! The proposals of a log, each joined with what became of it.

use std::collections::BTreeMap;
use std::path::Path;

use echo_experience::{Decision, Evidence, LogError, LogReader, Record, Served};
use echo_reward::{Fate, Judged, Outcome, Scorer};
use echo_sim::learning::{SURVIVAL, outcome};

/// One proposal: an alternative of an answer.
#[derive(Debug, Clone)]
pub struct ProposalRecord<'a> {
    /// The decision that it answers.
    pub decision: &'a Decision,
    /// What was sent.
    pub served: &'a Served,
    /// What became known of it, in order.
    pub evidence: &'a [Evidence],
}

/// All proposals of a log, in the order of their decisions' ids, which is that of time.
#[derive(Debug, Default)]
pub struct Proposals(BTreeMap<String, Joined>);

#[derive(Debug, Default)]
struct Joined {
    decision: Option<Decision>,
    served: BTreeMap<u32, Served>,
    evidence: BTreeMap<u32, Vec<Evidence>>,
}

impl Proposals {
    /// Reads a log's folder, live or at rest, or one of its Parquet files.
    ///
    /// # Errors
    ///
    /// [`LogError`] when it cannot be read.
    pub fn read(path: &Path) -> Result<Self, LogError> {
        let mut reader = LogReader::open(path)?;
        let mut proposals = Self::default();
        for entry in reader.entries() {
            proposals.add(entry?.record);
        }
        Ok(proposals)
    }

    /// The proposals whose decision is in the log.
    pub fn iter(&self) -> impl Iterator<Item = ProposalRecord<'_>> {
        self.0.values().flat_map(|joined| {
            let with = move |decision| {
                joined.served.values().map(move |served| ProposalRecord {
                    decision,
                    served,
                    evidence: joined
                        .evidence
                        .get(&served.choice)
                        .map(Vec::as_slice)
                        .unwrap_or_default(),
                })
            };
            joined.decision.iter().flat_map(with)
        })
    }

    fn add(&mut self, record: Record) {
        match record {
            Record::Decision(decision) => {
                let id = decision.id.clone();
                self.0.entry(id).or_default().decision = Some(decision);
            }
            Record::Served(served) => {
                let joined = self.0.entry(served.decision.clone()).or_default();
                joined.served.insert(served.choice, served);
            }
            Record::Evidence(evidence) => {
                let joined = self.0.entry(evidence.decision.clone()).or_default();
                joined
                    .evidence
                    .entry(evidence.choice)
                    .or_default()
                    .push(evidence);
            }
            _ => {}
        }
    }
}

impl ProposalRecord<'_> {
    /// What is known of it: never shown when its client left before its end, censored without evidence and
    /// when its arm broke off.
    pub fn outcome(&self) -> Outcome {
        let chars = || u32::try_from(self.served.text.chars().count()).unwrap_or(u32::MAX);
        if self.served.ending == "cancelled" {
            return Outcome::never_shown(chars());
        }
        let last = self.last().filter(|_| self.is_whole());
        last.and_then(|evidence| outcome(evidence).ok())
            .unwrap_or_else(|| Outcome::censored(chars(), false))
    }

    /// What it is worth to a scorer, in [0, 1]; `None` when its fate says nothing of the arm.
    pub fn reward(&self, scorer: Scorer) -> Option<f64> {
        let last = self.last();
        let judged = Judged {
            outcome: &self.outcome(),
            served: &self.served.text,
            stands: last.and_then(|evidence| evidence.kept_text.as_deref()),
            language: self.decision.language.as_deref(),
        };
        self.is_whole().then(|| scorer.score(&judged))?
    }

    /// The last piece of evidence of its outcome.
    fn last(&self) -> Option<&Evidence> {
        let mut evidence = self.evidence.iter().rev();
        evidence.find(|evidence| evidence.source != SURVIVAL)
    }

    fn is_whole(&self) -> bool {
        self.served.ending == "stop" || self.served.ending == "length"
    }

    /// Its fate.
    pub fn fate(&self) -> Fate {
        self.outcome().fate
    }
}
