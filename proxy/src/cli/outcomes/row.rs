use echo_reward::Scorer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::proposals::ProposalRecord;

/// One proposal, as `--json` prints it and `--parquet` writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    decision_id: String,
    choice: u32,
    user: String,
    client: String,
    language: Option<String>,
    arm: String,
    served_at: i64,
    text: String,
    ending: String,
    first_byte_ms: Option<f64>,
    total_ms: f64,
    fate: String,
    kept_share: f64,
    accepted_chars: u32,
    shown_chars: u32,
    edit_distance: f64,
    settled: bool,
    /// Rewards by scorer, as JSON.
    rewards: String,
    /// What became known, in order, as JSON.
    evidence: String,
}

impl Row {
    pub(super) fn of(proposal: &ProposalRecord<'_>, rewards: &[(Scorer, Option<f64>)]) -> Self {
        let (decision, served, outcome) = (proposal.decision, proposal.served, proposal.outcome());
        let evidence = proposal.evidence.iter().map(|e| {
            json!({"at": e.at_ms, "fate": e.fate, "kept_share": e.kept_share, "source": e.source, "kept_text": e.kept_text})
        });
        let rewards = rewards
            .iter()
            .map(|(scorer, reward)| (scorer.to_string(), json!(reward)));
        Self {
            decision_id: served.decision.clone(),
            choice: served.choice,
            user: decision.user.clone(),
            client: decision.client.clone(),
            language: decision.language.clone(),
            arm: served.arm.clone(),
            served_at: served.at_ms,
            text: served.text.clone(),
            ending: served.ending.clone(),
            first_byte_ms: served.first_byte_ms,
            total_ms: served.total_ms,
            fate: outcome.fate.as_str().to_owned(),
            kept_share: outcome.kept_share,
            accepted_chars: outcome.accepted_chars,
            shown_chars: outcome.shown_chars,
            edit_distance: outcome.edit_distance,
            settled: outcome.settled,
            rewards: Value::Object(rewards.collect::<Map<_, _>>()).to_string(),
            evidence: Value::Array(evidence.collect()).to_string(),
        }
    }

    /// The row with its lists as JSON, not as text.
    pub(super) fn json(&self) -> Value {
        let mut object = json!(self);
        for (key, text) in [("rewards", &self.rewards), ("evidence", &self.evidence)] {
            object[key] = serde_json::from_str(text).unwrap_or_default();
        }
        object
    }
}
