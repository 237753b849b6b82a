use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Why a logged decision is not a row of an off-policy estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Exclusion {
    /// The user belongs to the control cohort, and control was not asked for.
    ControlCohort,
    /// The client named the arm: nothing was drawn.
    NamedByClient,
    /// The policy could not score and a uniform draw stood in for it.
    Degraded,
    /// The features follow another schema than the one in use.
    OtherSchema,
    /// The record cannot be used: no UUID, features or probabilities of the wrong length.
    Malformed,
    /// There is no record of an answer.
    NotAnswered,
    /// Another arm answered than the one drawn.
    Fallback,
    /// The answer broke off: cancelled by the client, cut by the upstream, or failed.
    BrokenOff,
    /// Nothing is known of the proposal's fate yet.
    NoEvidence,
    /// Nothing will be known of it.
    Censored,
    /// It was not shown.
    NeverShown,
    /// It answered a request made ahead of the user.
    Speculative,
    /// It lies in the part of the log that the policy was fitted on.
    BeforeSplit,
    /// The target policy has no probability for any eligible arm.
    TargetUndefined,
}

impl Exclusion {
    /// The name used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlCohort => "control_cohort",
            Self::NamedByClient => "named_by_client",
            Self::Degraded => "degraded",
            Self::OtherSchema => "other_schema",
            Self::Malformed => "malformed",
            Self::NotAnswered => "not_answered",
            Self::Fallback => "fallback",
            Self::BrokenOff => "broken_off",
            Self::NoEvidence => "no_evidence",
            Self::Censored => "censored",
            Self::NeverShown => "never_shown",
            Self::Speculative => "speculative",
            Self::BeforeSplit => "before_split",
            Self::TargetUndefined => "target_undefined",
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many decisions became rows, and why the others did not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// Decisions in the log.
    pub decisions: u64,
    /// Those that became rows.
    pub rows: u64,
    /// Those that did not, by reason; a decision counts once, for the first reason that holds.
    pub excluded: BTreeMap<&'static str, u64>,
    /// Rows whose answer had several alternatives: the first one's fate is the row's.
    pub several_choices: u64,
}

impl RowCounts {
    /// Counts one excluded decision.
    pub fn exclude(&mut self, reason: Exclusion) {
        *self.excluded.entry(reason.as_str()).or_default() += 1;
    }
}
