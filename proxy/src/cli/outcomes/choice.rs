use std::str::FromStr;

use chrono::{DateTime, Utc};
use clap::Args;
use echo_reward::Fate;

use crate::proposals::ProposalRecord;

/// Which proposals are looked at.
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// Only what this arm answered; without its version, every version of it
    #[arg(long, value_name = "NAME")]
    arm: Option<String>,
    /// Only what this became of: accepted, partial, refined, `typed_through`, rejected, undone,
    /// `never_shown`, speculative or censored
    #[arg(long, value_name = "FATE")]
    fate: Option<Fate>,
    /// Only what this kind of client asked for
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Only what this user asked for
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only what was answered since then: a moment such as 2026-11-27T15:00:00Z, or how long ago: 90s, 30m,
    /// 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// The newest so many of these
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

impl Choice {
    /// The proposals that are chosen, in their order.
    pub(super) fn of<'a>(
        &self,
        proposals: impl Iterator<Item = ProposalRecord<'a>>,
        now_ms: i64,
    ) -> Vec<ProposalRecord<'a>> {
        let since_ms = self.since.map(|since| since.at_ms(now_ms));
        let is = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == name)
        };
        let mut chosen: Vec<_> = proposals
            .filter(|proposal| {
                let (decision, served) = (proposal.decision, proposal.served);
                let name = served.arm.rsplit_once('@').map_or("", |(name, _)| name);
                (is(&self.arm, &served.arm) || is(&self.arm, name))
                    && is(&self.client, &decision.client)
                    && is(&self.user, &decision.user)
                    && since_ms.is_none_or(|since_ms| served.at_ms >= since_ms)
                    && self.fate.is_none_or(|fate| fate == proposal.fate())
            })
            .collect();
        if let Some(limit) = self.limit {
            chosen.drain(..chosen.len().saturating_sub(limit));
        }
        chosen
    }
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    At(i64),
    Ago(i64),
}

impl Since {
    fn at_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::At(at_ms) => at_ms,
            Self::Ago(ms) => now_ms.saturating_sub(ms),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(moment.with_timezone(&Utc).timestamp_millis()));
        }
        let wrong = || {
            format!(
                "{text:?} is neither a moment such as 2026-11-27T15:00:00Z nor a time such as 2h"
            )
        };
        let unit = text.chars().next_back().ok_or_else(wrong)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let number: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        if number < 0 {
            return Err(wrong());
        }
        Ok(Self::Ago(number.saturating_mul(seconds * 1_000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_moments_or_spans() {
        assert_eq!("90s".parse(), Ok(Since::Ago(90_000)));
        assert_eq!("7d".parse(), Ok(Since::Ago(7 * 86_400_000)));
        assert_eq!("1970-01-01T00:00:01Z".parse(), Ok(Since::At(1_000)));
        for wrong in ["", "h", "2 h", "-1h", "2w", "yesterday", "2026-11-27", "é"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }
}
