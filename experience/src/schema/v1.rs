//! Version 1 of the logged records.
//!
//! Records state facts, never conclusions: there is no reward among them. They are joined by the
//! decision's id. Times are unix milliseconds as told by the server's clock; the order of events
//! is the order of sequence numbers, never of these times. Every number is finite.
//!
//! A column added later within this version is an `Option`, so that old files read it as absent.

use serde::{Deserialize, Serialize};

/// The number of this schema version, written beside every batch and into every segment.
pub const VERSION: u32 = 1;

/// The tenant of a server that asks for no keys.
pub const LOCAL_TENANT: &str = "local";

/// One logged fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// An arm was drawn for a request.
    Decision(Decision),
    /// A proposal was sent, or failed to be.
    Served(Served),
    /// What became of a proposal, as far as known at the time.
    Evidence(Evidence),
    /// A client reported something.
    Event(Event),
    /// A policy version went live.
    PolicyPublished(PolicyPublished),
    /// A completion model version went live.
    ModelPublished(ModelPublished),
    /// A configuration was loaded or refused.
    ConfigurationChanged(ConfigurationChanged),
    /// The gate judged a candidate.
    Verdict(Verdict),
}

/// An arm was drawn for a request, with the probability of every arm that could have been.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The decision's id, a hyphenated `UUIDv7`; the other records refer to it.
    pub id: String,
    /// When it was taken, unix milliseconds.
    pub at_ms: i64,
    /// The tenant, from the API key.
    pub tenant: String,
    /// The user within the tenant, as a pseudonym.
    pub user: String,
    /// The kind of client that asked.
    pub client: String,
    /// `treatment` or `control`.
    pub cohort: String,
    /// The language of the code, where known.
    pub language: Option<String>,
    /// The file's name, where the client sent one.
    pub file: Option<String>,
    /// The text before the cursor, where keeping text is allowed.
    pub prefix: Option<String>,
    /// The text after the cursor, where keeping text is allowed.
    pub suffix: Option<String>,
    /// The facts behind the features, as JSON, so that features can be redefined later.
    pub facts: String,
    /// The context vector that the policy saw, bit for bit.
    pub features: Vec<f32>,
    /// The hash of the feature schema that made `features`.
    pub schema: String,
    /// The arms that could have been drawn, as `name@version`.
    pub arms: Vec<String>,
    /// The probability of each of `arms`, in their order, bit for bit; they sum to one.
    pub probabilities: Vec<f64>,
    /// The index into `arms` of the arm that was drawn.
    pub chosen: u32,
    /// Whether the policy drew the arm; false if the client named it.
    pub routed: bool,
    /// Whether the policy's scores could not be used, so that the draw was uniform.
    pub degraded: bool,
    /// The version of the policy that decided.
    pub policy_version: u64,
    /// The model as the client asked for it.
    pub model: String,
}

/// A proposal was sent, or failed to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// The decision's id.
    pub decision: String,
    /// Which of the request's choices, from 0.
    pub choice: u32,
    /// When it ended, unix milliseconds.
    pub at_ms: i64,
    /// The arm that really answered, as `name@version`.
    pub arm: String,
    /// Whether that arm is a substitute for the one drawn; excluded from weighted estimates.
    pub fallback: bool,
    /// The text sent.
    pub text: String,
    /// How it ended: `stop`, `length`, `cancelled`, `truncated` or `error`.
    pub ending: String,
    /// Time from request to first byte, milliseconds; absent if no byte was sent.
    pub first_byte_ms: Option<f64>,
    /// Time from request to end, milliseconds.
    pub total_ms: f64,
    /// Tokens sent.
    pub tokens: u32,
}

/// What became of a proposal, as far as known at the time; a later one replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The decision's id.
    pub decision: String,
    /// Which of the request's choices, from 0.
    pub choice: u32,
    /// When it was known, unix milliseconds.
    pub at_ms: i64,
    /// The fate's name.
    pub fate: String,
    /// The share of the shown lexemes that is still there, in `[0, 1]`.
    pub kept_share: f64,
    /// Characters accepted.
    pub accepted_chars: u32,
    /// Characters shown.
    pub shown_chars: u32,
    /// Edit distance between the text shown and the text kept, normalised to `[0, 1]`.
    pub edit_distance: f64,
    /// Whether this is the last word on this proposal.
    pub settled: bool,
    /// Where it comes from: `request`, `event` or `timeout`.
    pub source: String,
    /// The text that stands where the proposal would, where keeping text is allowed.
    pub kept_text: Option<String>,
}

/// A client reported something about a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The decision's id.
    pub decision: String,
    /// Which of the request's choices, from 0.
    pub choice: u32,
    /// When it came in, unix milliseconds.
    pub at_ms: i64,
    /// The event's name, such as `shown` or `accepted`.
    pub kind: String,
    /// Characters accepted, where the client says so.
    pub accepted_chars: Option<u32>,
    /// The text that the event carries, where keeping text is allowed.
    pub text: Option<String>,
}

/// A policy version went live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyPublished {
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// The version, rising.
    pub version: u64,
    /// The last sequence number of this log that the version has learned from.
    pub through: u64,
    /// The seed of the draws.
    pub seed: u64,
    /// The cohort that it decides for.
    pub cohort: String,
    /// The policy's specification.
    pub spec: String,
    /// SHA-256 of the snapshot, hexadecimal.
    pub sha256: String,
    /// Why it was published.
    pub reason: String,
    /// SHA-256 of the snapshot's file that the version decides by and goes on deciding by, hexadecimal; absent for a
    /// version that was made from this log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// A completion model version went live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelPublished {
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// The arm, as `name@version`.
    pub arm: String,
    /// The kind of model or upstream.
    pub kind: String,
    /// SHA-256 of the model, hexadecimal; absent for an upstream.
    pub sha256: Option<String>,
    /// Why it was published.
    pub reason: String,
}

/// A configuration was loaded or refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationChanged {
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Whether it was taken.
    pub accepted: bool,
    /// What was said about it.
    pub message: String,
}

/// The gate judged a candidate, or could not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// What was judged: `policy` or `arm`.
    pub subject: String,
    /// The candidate: a policy's specification, or an arm as `name@version`.
    pub candidate: String,
    /// What it was compared with.
    pub against: String,
    /// Whether it may take over.
    pub accepted: bool,
    /// The candidate's value minus that of what ran, in units of the reward; absent if it could not be estimated.
    pub difference: Option<f64>,
    /// Lower end of the difference's interval.
    pub lo: Option<f64>,
    /// Upper end of the difference's interval.
    pub hi: Option<f64>,
    /// The interval's nominal coverage.
    pub level: f64,
    /// Rows that it rests on.
    pub rows: u64,
    /// Who asked: `schedule` or `command`.
    pub asked_by: String,
    /// Why, in sentences.
    pub reasons: String,
}
