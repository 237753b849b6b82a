//! Proposals that were open when the last server stopped.

use std::collections::BTreeMap;

use echo_experience::{Decision, Entry, Evidence, Record, Served};
use echo_reward::{Proposal, Window};
use echo_sim::learning::outcome;

use crate::habits;
use crate::ids::DecisionId;
use crate::watch::{UserKey, Watch};

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

    /// Reads one entry. A proposal whose outcome has settled is closed again.
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

    fn evidence(&self, evidence: &Evidence) {
        let Some(id) = DecisionId::parse(&evidence.decision) else {
            return;
        };
        if evidence.settled {
            self.watch.forget(id.as_u128(), evidence.choice);
        } else if let Ok(outcome) = outcome(evidence) {
            self.watch
                .resume(id.as_u128(), evidence.choice, outcome, evidence.at_ms);
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
