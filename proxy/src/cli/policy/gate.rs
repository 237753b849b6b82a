//! Asks the gate on a log, without a server.

use std::process::ExitCode;

use clap::Args;
use echo_sim::{GateSettings, Level, Target, Verdict, gate};

use super::snapshots::Place;
use crate::cli::scored::Scored;
use crate::cli::{Outcome, at_work};

#[derive(Debug, Args)]
pub(super) struct Gate {
    /// The candidate: a policy such as randucb:floor=0.02, or snapshot:FILE
    candidate: Target,
    #[command(flatten)]
    place: Place,
    /// What it is compared with
    #[arg(long, value_name = "SPEC", default_value = "latest")]
    against: Target,
    /// How much it may lose against what runs, in units of the reward; 0 asks for a gain
    #[arg(long, default_value_t = 0.0)]
    margin: f64,
    /// The greatest share of decisions that one arm may get
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    share_most: f64,
    /// The least share of decisions that each arm must get
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    share_least: f64,
    #[command(flatten)]
    scored: Scored,
    /// Both are fitted on this first share of the log's time, and compared on the rest
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    split: f64,
    /// Nominal coverage of the confidence sequence
    #[arg(long, default_value_t = 0.95)]
    level: f64,
}

pub(super) fn ask(arguments: &Gate) -> Outcome {
    let mut settings = GateSettings::new(arguments.candidate.clone());
    settings.evaluation.baseline = Some(arguments.against.clone());
    settings.evaluation.rows.scoring = arguments.scored.scoring()?;
    settings.evaluation.split = Some(arguments.split);
    settings.evaluation.estimates.level = Level::new(arguments.level)?;
    settings.margin = arguments.margin;
    settings.share_most = arguments.share_most;
    settings.share_least = arguments.share_least;
    let verdict = at_work("reading the log", || {
        gate(&arguments.place.folder(), &settings)
    })?;
    if arguments.place.json {
        println!("{}", serde_json::to_string(&verdict)?);
    } else {
        print(&verdict);
    }
    Ok(if verdict.accepted {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(verdict: &Verdict) {
    println!("candidate  {}", verdict.candidate);
    println!("against    {}", verdict.against);
    println!(
        "difference {:+.4}, confidence sequence {:+.4} to {:+.4}, {} rows ({:.0} effective)",
        verdict.difference,
        verdict.interval.lo,
        verdict.interval.hi,
        verdict.rows,
        verdict.effective_sample_size
    );
    println!(
        "{}",
        if verdict.accepted {
            "accepted"
        } else {
            "refused"
        }
    );
    for reason in &verdict.reasons {
        println!("  {reason}");
    }
}
