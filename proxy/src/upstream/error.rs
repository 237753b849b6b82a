//! What can go wrong with an upstream.

use std::fmt;

/// Why an upstream gave no answer, or stopped giving one.
///
/// None of the texts holds a key, an address or a user's text: [`UpstreamError::Status`]'s message is
/// what the upstream said with such words taken out, the others are fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamError {
    /// The arm answers as many requests as it may.
    Busy,
    /// The arm failed repeatedly and is left alone for a while.
    CircuitOpen {
        /// Seconds until it is tried again, at least 1.
        retry_after_s: u32,
    },
    /// No connection: refused, no such host, TLS.
    Connect,
    /// A deadline passed.
    Timeout {
        /// Which one.
        which: Deadline,
    },
    /// The upstream answered with another status than success.
    Status {
        /// The HTTP status.
        status: u16,
        /// Its `Retry-After` (seconds, date or `retry-after-ms`), rounded up.
        retry_after_s: Option<u32>,
        /// Its `x-should-retry`.
        should_retry: Option<bool>,
        /// What it said, at most 300 characters; empty when it said nothing that may be passed on.
        message: String,
    },
    /// The answer is none that this kind of upstream gives.
    Protocol(&'static str),
    /// The upstream reported an error in the middle of its answer.
    Reported,
    /// The connection ended before the answer did.
    Interrupted,
    /// An embedded model panicked.
    Panicked,
}

/// A deadline of an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// For the connection.
    Connect,
    /// From the start to the first text.
    FirstByte,
    /// Between two pieces.
    Idle,
    /// For the whole answer.
    Total,
}

impl Deadline {
    /// `connect`, `first_byte`, `idle` or `total`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::FirstByte => "first_byte",
            Self::Idle => "idle",
            Self::Total => "total",
        }
    }
}

impl UpstreamError {
    /// Whether another arm may do better with the same request. Not so when the upstream found the
    /// request itself wrong.
    pub fn retryable(&self) -> bool {
        !matches!(
            self,
            Self::Status {
                status: 400 | 413 | 414 | 422,
                ..
            }
        )
    }

    /// Whether it says that the arm is ill, so that the circuit breaker counts it. An upstream that
    /// refuses a request as wrong (4xx but 401, 403, 408 and 429) is well.
    pub fn counts_against_arm(&self) -> bool {
        match self {
            Self::Busy | Self::CircuitOpen { .. } => false,
            Self::Status { status, .. } => {
                !(400..500).contains(status) || matches!(status, 401 | 403 | 408 | 429)
            }
            _ => true,
        }
    }

    /// The status to answer a client with that has seen nothing yet: 400 and 413 stay what they are
    /// (422 becomes 400), 429 stays, 401, 403, other 4xx, redirects and failures become 502, overload
    /// 503, deadlines 504.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Busy
            | Self::CircuitOpen { .. }
            | Self::Status {
                status: 503 | 529, ..
            } => 503,
            Self::Timeout { .. }
            | Self::Status {
                status: 408 | 504, ..
            } => 504,
            Self::Status {
                status: 400 | 422, ..
            } => 400,
            Self::Status {
                status: status @ (413 | 414 | 429),
                ..
            } => *status,
            Self::Panicked => 500,
            _ => 502,
        }
    }

    /// One word for programs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy => "upstream_busy",
            Self::CircuitOpen { .. } => "upstream_circuit_open",
            Self::Connect => "upstream_connect",
            Self::Timeout { .. } => "upstream_timeout",
            Self::Status {
                status: 401 | 403, ..
            } => "upstream_auth",
            Self::Status { status: 429, .. } => "upstream_rate_limit",
            Self::Status {
                status: 400 | 413 | 414 | 422,
                ..
            } => "upstream_refused",
            Self::Status { .. } => "upstream_status",
            Self::Protocol(_) => "upstream_protocol",
            Self::Reported => "upstream_reported",
            Self::Interrupted => "stream_interrupted",
            Self::Panicked => "model_panicked",
        }
    }

    /// Seconds after which trying again may help, where that is known.
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::CircuitOpen { retry_after_s } => Some(*retry_after_s),
            Self::Status { retry_after_s, .. } => *retry_after_s,
            Self::Busy => Some(1),
            _ => None,
        }
    }

    /// What the client may read: what is wrong, and an upstream's own words where it refused the
    /// request itself.
    pub fn public_message(&self) -> String {
        match self {
            Self::Status {
                status: 400..=499,
                message,
                ..
            } if !message.is_empty() => {
                format!("{self}: {message}")
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for UpstreamError {
    /// For logs: fixed words and numbers only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => formatter.write_str("the upstream answers as many requests as it may"),
            Self::CircuitOpen { .. } => {
                formatter.write_str("the upstream failed repeatedly and is left alone for a while")
            }
            Self::Connect => formatter.write_str("the upstream could not be reached"),
            Self::Timeout { which } => {
                write!(
                    formatter,
                    "the upstream took too long ({} deadline)",
                    which.as_str()
                )
            }
            Self::Status {
                status: 401 | 403, ..
            } => formatter.write_str("the upstream refused the key that is configured for it"),
            Self::Status { status, .. } => {
                write!(formatter, "the upstream answered with status {status}")
            }
            Self::Protocol(what) => {
                write!(formatter, "the upstream's answer makes no sense: {what}")
            }
            Self::Reported => {
                formatter.write_str("the upstream reported an error in the middle of its answer")
            }
            Self::Interrupted => formatter.write_str("the upstream's answer broke off"),
            Self::Panicked => formatter.write_str("the embedded model failed"),
        }
    }
}

impl std::error::Error for UpstreamError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> UpstreamError {
        UpstreamError::Status {
            status,
            retry_after_s: None,
            should_retry: None,
            message: "said".into(),
        }
    }

    #[test]
    fn each_status_of_an_upstream_has_its_answer() {
        let cases: [(u16, u16, &str, bool, bool); 12] = [
            (301, 502, "upstream_status", true, true),
            (400, 400, "upstream_refused", false, false),
            (401, 502, "upstream_auth", true, true),
            (403, 502, "upstream_auth", true, true),
            (404, 502, "upstream_status", true, false),
            (408, 504, "upstream_status", true, true),
            (413, 413, "upstream_refused", false, false),
            (422, 400, "upstream_refused", false, false),
            (429, 429, "upstream_rate_limit", true, true),
            (500, 502, "upstream_status", true, true),
            (529, 503, "upstream_status", true, true),
            (504, 504, "upstream_status", true, true),
        ];
        for (given, answered, code, retryable, counts) in cases {
            let error = status(given);
            assert_eq!(error.http_status(), answered, "{given}");
            assert_eq!(error.code(), code, "{given}");
            assert_eq!(error.retryable(), retryable, "{given}");
            assert_eq!(error.counts_against_arm(), counts, "{given}");
        }
    }

    #[test]
    fn an_upstreams_words_are_passed_on_only_where_it_refused_the_request() {
        assert!(status(400).public_message().ends_with(": said"));
        assert!(!status(400).to_string().contains("said"));
        assert!(!status(500).public_message().contains("said"));
    }

    #[test]
    fn our_own_limits_do_not_count_against_the_arm() {
        assert!(!UpstreamError::Busy.counts_against_arm());
        assert!(!UpstreamError::CircuitOpen { retry_after_s: 3 }.counts_against_arm());
        assert!(
            UpstreamError::Interrupted.counts_against_arm()
                && UpstreamError::Connect.counts_against_arm()
        );
    }
}
