use echo_reward::Fate;
use serde::Serialize;

/// What a simulated user knows of one proposal, to be compared with what the server inferred.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The user's name, as sent.
    pub user: String,
    /// The decision, as the answer names it; empty if it names none.
    pub decision_id: String,
    /// The arm, where the answer names it in `x-echo-arm`. The user never looks at it.
    pub arm: Option<String>,
    /// What became of the proposal.
    pub fate: Fate,
    /// Share of the characters shown that stand in the end; white space left out, in [0, 1].
    pub kept_share: f64,
    /// Characters taken and kept; white space left out.
    pub accepted_chars: u32,
    /// Characters shown; white space left out.
    pub shown_chars: u32,
    /// Language of the document.
    pub language: String,
    /// When the user decided, in milliseconds since the run began.
    pub at_ms: u64,
    /// Time from the request to the whole answer, in milliseconds.
    pub latency_ms: f64,
}

/// What happens in a fleet of simulated editors.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EditorEvent {
    /// A user decided on a proposal, or an answer came without text.
    Proposal(Truth),
    /// A user typed text by hand.
    Typed {
        /// The user's name.
        user: String,
        /// Characters typed.
        chars: u64,
    },
    /// A user typed on before the answer came, and the request was dropped.
    Abandoned {
        /// The user's name.
        user: String,
    },
    /// A request failed.
    Failed {
        /// The user's name.
        user: String,
        /// What went wrong; never any text of the document.
        reason: String,
    },
    /// A user stopped: the run was ended, the quota is used up, or too many requests failed in a row.
    Finished {
        /// The user's name.
        user: String,
        /// Proposals the user got an answer to.
        answers: u64,
    },
}
