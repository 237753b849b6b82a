//! How a command is told what an outcome is worth.

use clap::Args;
use echo_reward::{RewardError, Scorer, Scoring};

#[derive(Debug, Args)]
pub(super) struct Scored {
    /// What an outcome is worth: retained@1, accepted@1, chars@1 or cursor@1
    #[arg(long, value_name = "NAME", default_value = "retained@1")]
    scorer: Scorer,
    /// Take so much off each outcome's worth for every second until the first byte
    #[arg(long, value_name = "COST", default_value_t = 0.0)]
    latency_cost: f64,
}

impl Scored {
    pub(super) fn scoring(&self) -> Result<Scoring, RewardError> {
        Scoring::by_measures(self.scorer, self.latency_cost)
    }
}
