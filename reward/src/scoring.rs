use std::fmt;
use std::str::FromStr;

use crate::{Outcome, RewardError, Scorer};

/// A scorer, and what it costs to wait for a proposal.
///
/// A reward is lowered by `latency_cost` for every second until the first byte, and is never below 0: so of two models
/// that are right as often the faster one earns more, and nobody owes anything for a wrong answer that came late. A
/// proposal that nobody timed is worth what it is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scoring {
    /// What a proposal is worth.
    pub scorer: Scorer,
    /// What a second of waiting takes off, at least 0.
    pub latency_cost: f64,
}

impl Scoring {
    /// Scores by measures, as learning and replay have no texts.
    ///
    /// # Errors
    ///
    /// [`RewardError::NeedsTexts`] for a scorer that needs them, [`RewardError::LatencyCost`] for a cost below 0 or one
    /// that is no number.
    pub fn by_measures(scorer: Scorer, latency_cost: f64) -> Result<Self, RewardError> {
        if scorer.needs_texts() {
            return Err(RewardError::NeedsTexts(scorer));
        }
        if !(latency_cost.is_finite() && latency_cost >= 0.0) {
            return Err(RewardError::LatencyCost(latency_cost.to_string()));
        }
        Ok(Self {
            scorer,
            latency_cost,
        })
    }

    /// The reward of an outcome, in [0, 1], for which the user waited so many milliseconds; `None` as
    /// [`Scorer::reward`] has it.
    pub fn reward(self, outcome: &Outcome, first_byte_ms: Option<f64>) -> Option<f64> {
        let reward = self.scorer.reward(outcome)?;
        Some(self.paid(reward, first_byte_ms))
    }

    /// What is left of a reward, in [0, 1], when the waiting is paid for.
    pub fn paid(self, reward: f64, first_byte_ms: Option<f64>) -> f64 {
        (reward - self.cost(first_byte_ms)).clamp(0.0, 1.0)
    }

    /// What waiting so long costs, at least 0.
    pub fn cost(self, first_byte_ms: Option<f64>) -> f64 {
        let waited_s = first_byte_ms.unwrap_or(0.0).max(0.0) / 1_000.0;
        // NaN, which no server writes, costs nothing.
        (self.latency_cost * waited_s).max(0.0)
    }
}

impl From<Scorer> for Scoring {
    fn from(scorer: Scorer) -> Self {
        Self {
            scorer,
            latency_cost: 0.0,
        }
    }
}

/// The scorer's name, and the cost if there is one: `retained@1` or `retained@1+latency=0.1`.
impl fmt::Display for Scoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scorer)?;
        if self.latency_cost > 0.0 {
            write!(f, "+latency={}", self.latency_cost)?;
        }
        Ok(())
    }
}

impl FromStr for Scoring {
    type Err = RewardError;

    fn from_str(text: &str) -> Result<Self, RewardError> {
        let Some((scorer, cost)) = text.split_once("+latency=") else {
            return Ok(text.parse::<Scorer>()?.into());
        };
        let cost = cost
            .parse()
            .map_err(|_| RewardError::LatencyCost(cost.to_owned()))?;
        Self::by_measures(scorer.parse()?, cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fate;

    #[test]
    fn waiting_takes_something_off_and_never_more_than_there_is() {
        let scoring = Scoring::by_measures(Scorer::Accepted1, 0.5).unwrap();
        let accepted = Outcome {
            fate: Fate::Accepted,
            ..Outcome::censored(10, true)
        };
        assert_eq!(scoring.reward(&accepted, Some(400.0)), Some(0.8));
        assert_eq!(scoring.reward(&accepted, Some(9_000.0)), Some(0.0));
        assert_eq!(scoring.reward(&accepted, None), Some(1.0));
        assert_eq!(scoring.reward(&accepted, Some(f64::NAN)), Some(1.0));
        let censored = Outcome::censored(10, true);
        assert_eq!(scoring.reward(&censored, Some(400.0)), None);
    }

    #[test]
    fn texts_read_back() {
        for text in ["retained@1", "chars@1+latency=0.25"] {
            assert_eq!(text.parse::<Scoring>().unwrap().to_string(), text);
        }
        for text in [
            "retained@2",
            "retained@1+latency=-1",
            "retained@1+latency=x",
            "codebleu@1+latency=1",
        ] {
            assert!(text.parse::<Scoring>().is_err(), "{text}");
        }
    }
}
