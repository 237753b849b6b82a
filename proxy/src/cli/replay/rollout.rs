//! `replay --rollout`: policies that learn, let loose on a log.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use echo_policy::PolicySpec;
use echo_sim::foreign::{ForeignSettings, roll_out_foreign};
use echo_sim::{Level, Rollout, RolloutSettings, RowOptions, rollout};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Outcome;
use crate::table::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Let a policy learn from nothing on the rows that it would have drawn itself, and tell how it would have
    /// done; may be repeated
    #[arg(long, value_name = "SPEC", conflicts_with_all = ["baseline", "verify", "compare"])]
    rollout: Vec<PolicySpec>,
    /// Runs of each --rollout over the log
    #[arg(long, value_name = "COUNT", default_value_t = 10, requires = "rollout")]
    runs: usize,
    /// Accept a row with probability this * target / logged [default: the least logged probability, at least
    /// 0.01]
    #[arg(long, value_name = "FACTOR", requires = "rollout", value_parser = factor)]
    acceptance: Option<f64>,
    /// Seed of the acceptances
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "rollout")]
    rollout_seed: u64,
}

fn factor(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if factor > 0.0 && factor <= 1.0 {
        Ok(factor)
    } else {
        Err("a factor is above 0, and at most 1".to_owned())
    }
}

impl Arguments {
    /// What is asked for, if anything.
    pub(super) fn settings(&self, level: Level) -> Option<RolloutSettings> {
        (!self.rollout.is_empty()).then(|| RolloutSettings {
            runs: self.runs,
            seed: self.rollout_seed,
            acceptance: self.acceptance,
            level,
            ..RolloutSettings::new(self.rollout.clone())
        })
    }
}

/// On Echo's own log.
pub(super) fn own(
    path: &Path,
    rows: &RowOptions,
    settings: &RolloutSettings,
    json: bool,
) -> Outcome {
    let bar = bar();
    let rolled = rollout(path, rows, settings, &mut |share| show(&bar, share));
    bar.finish_and_clear();
    print(&rolled?, json)
}

/// On a log that another system wrote.
pub(super) fn foreign(
    foreign: &ForeignSettings,
    settings: &RolloutSettings,
    json: bool,
) -> Outcome {
    let bar = bar();
    let rolled = roll_out_foreign(foreign, settings, &mut |share| show(&bar, share));
    bar.finish_and_clear();
    print(&rolled?, json)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(1_000);
    if let Ok(style) = ProgressStyle::with_template("learning {wide_bar} {percent:>3} % {eta:>4}") {
        bar.set_style(style);
    }
    bar
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share in [0, 1]"
)]
fn show(bar: &ProgressBar, share: f64) {
    bar.set_position((1_000.0 * share) as u64);
}

fn print(rolled: &Rollout, json: bool) -> Outcome {
    if json {
        println!("{}", serde_json::to_string(rolled)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("rows       {}", rolled.rows);
    println!("logged     {:.4}", rolled.logged);
    println!("acceptance {:.4}", rolled.acceptance);
    let header = vec![
        "policy",
        "value",
        "interval",
        "decisions",
        "first tenth",
        "last tenth",
        "by tenths",
    ];
    let tenths = rolled.policies.iter().flat_map(|policy| &policy.tenths);
    let (low, high) = tenths.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), tenth| {
        (low.min(*tenth), high.max(*tenth))
    });
    let rows = rolled.policies.iter().map(|policy| {
        let tenth = |place: Option<&f64>| place.map_or("-".to_owned(), |t| format!("{t:.4}"));
        vec![
            policy.policy.clone(),
            format!("{:.4}", policy.value),
            format!("[{:.4}, {:.4}]", policy.interval.lo, policy.interval.hi),
            format!("{:.0}", policy.decisions),
            tenth(policy.tenths.first()),
            tenth(policy.tenths.last()),
            policy.tenths.iter().map(|t| block(*t, low, high)).collect(),
        ]
    });
    println!("\n{}\n", table(header, rows));
    for note in &rolled.notes {
        println!("{note}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The height of a value between two others.
fn block(value: f64, low: f64, high: f64) -> char {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let share = if high > low {
        (value - low) / (high - low)
    } else {
        0.0
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share in [0, 1]"
    )]
    let place = (share * 7.99) as usize;
    BLOCKS[place.min(BLOCKS.len() - 1)]
}
