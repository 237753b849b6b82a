//! Proposals that were open when the last server stopped, and those taken that may still be seen to stand.

use std::collections::BTreeMap;

use echo_experience::{Decision, Entry, Evidence, LogError, LogReader, Record, Served};
use echo_reward::{Proposal, Window};
use echo_sim::learning::{SURVIVAL, outcome};

use crate::answer::AT_ONCE;
use crate::habits;
use crate::ids::DecisionId;
use crate::watch::{UserKey, Watch};

/// The number of a record before which nothing that happened at `at_ms` or later is found, near the end of a log that
/// was read `through` some record; of a very busy log, no more than the last 256,000 are of interest.
///
/// # Errors
///
/// [`LogError`] when the log cannot be read.
pub fn first_since(reader: &mut LogReader, at_ms: i64, through: u64) -> Result<u64, LogError> {
    let mut back = LEAST_RECORDS;
    loop {
        let seq = through.saturating_sub(back);
        let first = reader.after(seq, 1)?;
        let is_young = first.first().is_some_and(|e| e.record.at_ms() >= at_ms);
        if seq == 0 || !is_young || back >= MOST_RECORDS {
            return Ok(seq);
        }
        back *= 4;
    }
}

const LEAST_RECORDS: u64 = 1_000;

const MOST_RECORDS: u64 = 256_000;

/// Reads entries of the log in order, and opens again the proposals that are younger than a bound.
#[derive(Debug)]
pub struct Restoring<'a> {
    watch: &'a Watch,
    young_ms: i64,
    decisions: BTreeMap<String, Decision>,
}

impl<'a> Restoring<'a> {
    /// Opens in `watch` what was answered at `young_ms` or later.
    pub fn new(watch: &'a Watch, young_ms: i64) -> Self {
        Self {
            watch,
            young_ms,
            decisions: BTreeMap::new(),
        }
    }

    /// Reads one entry. A proposal whose outcome has settled is closed again; one that was taken is followed further.
    pub fn entry(&mut self, entry: &Entry) {
        match &entry.record {
            Record::Decision(decision) if decision.at_ms >= self.young_ms => {
                self.decisions.insert(decision.id.clone(), decision.clone());
            }
            Record::Served(served) if served.at_ms >= self.young_ms => self.served(served),
            Record::Evidence(evidence) => self.evidence(evidence),
            _ => {}
        }
    }

    fn evidence(&mut self, evidence: &Evidence) {
        let Some(id) = DecisionId::parse(&evidence.decision) else {
            return;
        };
        let (decision, choice, at_ms) = (id.as_u128(), evidence.choice, evidence.at_ms);
        if evidence.source == SURVIVAL {
            self.watch.survived(decision, choice, at_ms);
        } else if let Ok(outcome) = outcome(evidence) {
            self.watch.resume(decision, choice, outcome, at_ms);
        }
        // All of its answer has been read by then.
        if evidence.settled && evidence.source != AT_ONCE {
            self.decisions.remove(&evidence.decision);
        }
    }

    fn served(&self, served: &Served) {
        let complete = served.ending == "stop" || served.ending == "length";
        let (Some(decision), Some(id)) = (
            self.decisions.get(&served.decision),
            DecisionId::parse(&served.decision),
        ) else {
            return;
        };
        if !complete || served.text.trim().is_empty() {
            return;
        }
        let (Some(prefix), Some(suffix)) = (&decision.prefix, &decision.suffix) else {
            return;
        };
        let window = Window {
            file: decision.file.as_deref(),
            prefix,
            suffix,
        };
        let user = UserKey {
            tenant: decision.tenant.clone(),
            user: decision.user.clone(),
        };
        let proposal = Proposal::new(
            id.as_u128(),
            served.choice,
            &served.text,
            &window,
            served.at_ms,
        )
        .of(habits::of(&decision.client))
        .asked(decision.at_ms);
        // What has to make room was open in the last server's memory too, and is on record.
        drop(self.watch.proposed(&user, proposal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use echo_reward::{Change, Source, TrackerLimits};

    fn entries(id: &str, fate: &str) -> Vec<Record> {
        let decision = Decision {
            id: id.to_owned(),
            at_ms: 1_000,
            tenant: "t".to_owned(),
            user: "u".to_owned(),
            prefix: Some("def bill():\n    ".to_owned()),
            suffix: Some(String::new()),
            client: String::new(),
            cohort: "treatment".to_owned(),
            language: None,
            file: None,
            facts: "{}".to_owned(),
            features: Vec::new(),
            schema: String::new(),
            arms: vec!["arm@1".to_owned()],
            probabilities: vec![1.0],
            chosen: 0,
            routed: true,
            degraded: false,
            policy_version: 1,
            model: "echo".to_owned(),
        };
        let served = Served {
            decision: id.to_owned(),
            at_ms: 1_200,
            text: "total = price * count".to_owned(),
            ending: "stop".to_owned(),
            choice: 0,
            arm: "arm@1".to_owned(),
            fallback: false,
            first_byte_ms: None,
            total_ms: 200.0,
            tokens: 5,
        };
        vec![
            Record::Decision(decision),
            Record::Served(served),
            evidence(id, fate, "timeout", 14_000),
        ]
    }

    fn evidence(id: &str, fate: &str, source: &str, at_ms: i64) -> Record {
        let kept = if fate == "accepted" { 21 } else { 0 };
        Record::Evidence(Evidence {
            decision: id.to_owned(),
            at_ms,
            fate: fate.to_owned(),
            kept_share: f64::from(u8::from(fate == "accepted")),
            accepted_chars: kept,
            shown_chars: 21,
            settled: true,
            source: source.to_owned(),
            choice: 0,
            edit_distance: 0.0,
            kept_text: None,
        })
    }

    fn restored(records: Vec<Record>) -> Watch {
        let watch = Watch::new(TrackerLimits::default(), 10);
        let mut restoring = Restoring::new(&watch, 0);
        for (seq, record) in (1..).zip(records) {
            restoring.entry(&Entry { seq, record });
        }
        watch
    }

    /// A later request of the same user, whose file still holds what was taken.
    fn look(watch: &Watch, at_ms: i64) -> Vec<Change> {
        let user = UserKey {
            tenant: "t".to_owned(),
            user: "u".to_owned(),
        };
        let window = Window {
            file: None,
            prefix: "def bill():\n    total = price * count\n    return total",
            suffix: "",
        };
        watch.request(&user, &window, false, at_ms).changes
    }

    #[test]
    fn what_was_taken_before_a_restart_is_still_seen_to_stand() {
        let id = DecisionId::new().to_string();
        let watch = restored(entries(&id, "accepted"));
        assert_eq!(watch.open(), 0);
        let told = look(&watch, 40_000);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            (told[0].source, told[0].outcome.fate.as_str()),
            (Source::Survival, "accepted")
        );
        assert!(look(&watch, 41_000).is_empty(), "once for each horizon");
    }

    #[test]
    fn a_survival_on_record_is_not_told_again() {
        let id = DecisionId::new().to_string();
        let mut records = entries(&id, "accepted");
        records.push(evidence(&id, "accepted", SURVIVAL, 35_000));
        let watch = restored(records);
        assert!(look(&watch, 40_000).is_empty());
        assert_eq!(look(&watch, 130_000).len(), 1, "the next horizon");
    }

    #[test]
    fn what_was_not_taken_is_closed() {
        let id = DecisionId::new().to_string();
        let watch = restored(entries(&id, "rejected"));
        assert!(look(&watch, 40_000).is_empty() && watch.open() == 0);
    }
}
