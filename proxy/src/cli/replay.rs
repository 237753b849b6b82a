mod comparison;
mod estimators;
mod foreign;
mod rollout;
mod with_arm;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use echo_sim::{
    Estimate, Evaluation, EvaluationSettings, Level, RowOptions, Target, Verification,
    VerifySettings, evaluate, verify,
};

use super::{Outcome, at_work};
use crate::cli::scored::Scored;
use crate::serve::default_data_dir;
use crate::table::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A log's folder, live or at rest; --data-dir says the same
    log: Option<PathBuf>,
    /// Folder of the log [default: echo-proxy in the user's data folder]
    #[arg(long, value_name = "DIR", conflicts_with = "log")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    foreign: foreign::Arguments,
    #[command(flatten)]
    shown: estimators::Arguments,
    #[command(flatten)]
    rollout: rollout::Arguments,
    #[command(flatten)]
    with_arm: with_arm::Arguments,
    /// The policy to evaluate: latest, best-fixed, logged:VERSION, snapshot:FILE, table:FILE, a program by process:COMMAND, or a
    /// policy such as uniform, always:ARM or squarecb:gamma=2. With --input: uniform, logged, best-fixed,
    /// always:ARM, a policy that learns, snapshot:FILE, process:COMMAND, or a name under [targets] in the column map
    #[arg(
        long,
        visible_alias = "target",
        value_name = "SPEC",
        default_value = "latest"
    )]
    policy: String,
    /// A policy to compare it with
    #[arg(long, value_name = "SPEC")]
    baseline: Option<Target>,
    /// Compare the policy with these others on the same rows, by intervals that hold together; may be repeated
    #[arg(long, value_name = "SPEC", conflicts_with_all = ["baseline", "verify"])]
    compare: Vec<String>,
    #[command(flatten)]
    scored: Scored,
    /// A policy that learns is fitted on this first share of the log's time, and evaluated on the rest;
    /// 0 fits and evaluates on all of it, which flatters it
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    split: f64,
    /// Nominal coverage of the intervals
    #[arg(long, default_value_t = 0.95)]
    level: f64,
    #[command(flatten)]
    counted: Counted,
    /// Where predicted rewards come from: ridge, fitted to the rows evaluated and cross-fitted, or policy, the
    /// policy's own model
    #[arg(long, value_name = "SOURCE", default_value = "ridge", value_parser = ["ridge", "policy"])]
    reward_model: String,
    /// Repeat every logged decision instead, and compare its probabilities bit for bit
    #[arg(long)]
    verify: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Which decisions count, and how much.
#[derive(Debug, Args)]
struct Counted {
    /// Also count the control cohort's decisions
    #[arg(long)]
    include_control: bool,
    /// Let rewards that are seen less often count for more, by kind of client and arm
    #[arg(long)]
    ipcw: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.log.clone().or_else(|| arguments.data_dir.clone());
    let path = path.unwrap_or_else(default_data_dir);
    if let Some(input) = &arguments.foreign.input {
        let level = Level::new(arguments.level)?;
        let (foreign, shown) = (&arguments.foreign, &arguments.shown);
        return foreign::run(
            input,
            foreign,
            (&arguments.policy, &arguments.compare),
            shown,
            &arguments.rollout,
            level,
            arguments.json,
        );
    }
    if arguments.verify {
        let settings = VerifySettings {
            scoring: arguments.scored.scoring()?,
            ..VerifySettings::default()
        };
        let verification = verify(&path, &settings)?;
        print_verification(&verification, arguments.json)?;
        return Ok(if verification.holds() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    if arguments.with_arm.is_asked() {
        return with_arm::run(
            &path,
            &arguments.with_arm,
            arguments.scored.scoring()?,
            arguments.counted.include_control,
            Level::new(arguments.level)?,
            arguments.json,
        );
    }
    if let Some(settings) = arguments.rollout.settings(Level::new(arguments.level)?) {
        let rows = RowOptions {
            scoring: arguments.scored.scoring()?,
            include_control: arguments.counted.include_control,
            weighs_censoring: arguments.counted.ipcw,
            ..RowOptions::default()
        };
        return rollout::own(&path, &rows, &settings, arguments.json);
    }
    let mut settings = EvaluationSettings::new(arguments.policy.parse::<Target>()?);
    settings.baseline.clone_from(&arguments.baseline);
    settings.rows.scoring = arguments.scored.scoring()?;
    settings.rows.include_control = arguments.counted.include_control;
    settings.rows.weighs_censoring = arguments.counted.ipcw;
    settings.split = (arguments.split > 0.0).then_some(arguments.split);
    settings.estimates.level = Level::new(arguments.level)?;
    settings.estimates.minimum_effective = arguments.shown.least_effective;
    settings.uses_policy_model = arguments.reward_model == "policy";
    settings.selects = arguments.shown.choose_estimator;
    settings.suite = arguments.shown.settings(settings.estimates.level)?;
    if !arguments.compare.is_empty() {
        let mut targets = vec![settings.target.clone()];
        for other in &arguments.compare {
            targets.push(other.parse::<Target>()?);
        }
        return comparison::run(&path, &targets, &settings, &arguments.shown, arguments.json);
    }
    let mut evaluation = at_work("reading the log", || evaluate(&path, &settings))?;
    arguments.shown.select(&mut evaluation.values)?;
    arguments
        .shown
        .draw(&evaluation.target, &evaluation.values)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print_evaluation(&evaluation, arguments.shown.are_named());
    }
    Ok(ExitCode::SUCCESS)
}

fn print_evaluation(evaluation: &Evaluation, with_all: bool) {
    println!("policy   {}", evaluation.target);
    if let Some(baseline) = &evaluation.baseline {
        println!("baseline {baseline}");
    }
    println!("scorer   {}", evaluation.scorer);
    println!(
        "rows     {} of {} decisions, {} users",
        evaluation.rows.rows, evaluation.rows.decisions, evaluation.users
    );
    for (reason, count) in &evaluation.rows.excluded {
        println!("         {count} left out: {reason}");
    }
    let header = vec![
        "estimator",
        "value",
        "interval",
        "by user",
        "effective rows",
        "largest weight",
    ];
    let all = std::iter::once(&evaluation.logged)
        .chain(&evaluation.estimates)
        .chain(&evaluation.difference);
    println!("\n{}\n", table(header, all.map(estimate_row)));
    if with_all {
        estimators::print(&evaluation.values);
    }
    if let Some(selection) = &evaluation.selection {
        estimators::print_selection(selection);
    }
    let weights = &evaluation.weights;
    println!(
        "coverage of support {:.1} %, mean weight {:.3}",
        100.0 * weights.coverage,
        weights.mean
    );
    println!("{}", estimators::quantiles(weights));
    for note in &evaluation.notes {
        println!("{note}");
    }
    let header = vec![
        "arm",
        "rows",
        "logged share",
        "policy's share",
        "mean reward",
    ];
    let rows = evaluation.arms.iter().map(|arm| {
        let reward = arm
            .mean_reward
            .map_or("-".to_owned(), |reward| format!("{reward:.4}"));
        let share = |share: f64| format!("{:.1} %", 100.0 * share);
        vec![
            arm.arm.clone(),
            arm.rows.to_string(),
            share(arm.logged_share),
            share(arm.target_share),
            reward,
        ]
    });
    println!("\n{}", table(header, rows));
}

fn estimate_row(estimate: &Estimate) -> Vec<String> {
    let interval = |lo: f64, hi: f64| format!("[{lo:.4}, {hi:.4}]");
    vec![
        estimate.estimator.to_owned(),
        format!("{:.4}", estimate.value),
        interval(estimate.interval.lo, estimate.interval.hi),
        estimate.by_user.map_or("-".to_owned(), |by| {
            interval(by.interval.lo, by.interval.hi)
        }),
        format!("{:.0}", estimate.effective_sample_size),
        format!("{:.2}", estimate.largest_weight),
    ]
}

fn print_verification(found: &Verification, json: bool) -> Result<(), serde_json::Error> {
    if json {
        println!("{}", serde_json::to_string(found)?);
        return Ok(());
    }
    println!("entries      {}", found.entries);
    println!(
        "decisions    {} of {} checked are identical, bit for bit",
        found.identical, found.checked
    );
    println!(
        "publications {} of {} are identical",
        found.publications_identical, found.publications
    );
    if let Some(mismatch) = &found.first_mismatch {
        println!(
            "first difference at record {}: {}",
            mismatch.seq, mismatch.reason
        );
    }
    Ok(())
}
