//! `replay --input`: a log that another system wrote.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use echo_sim::Level;
use echo_sim::foreign::{
    ColumnMap, ForeignCompared, ForeignEvaluation, ForeignSettings, PredictionSource,
    evaluate_foreign,
};
use indicatif::{ProgressBar, ProgressStyle};

use super::{estimators, rollout};
use crate::cli::Outcome;
use crate::table::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A CSV or Parquet file with one decision a row, or a decision log of Vowpal Wabbit (--dsjson), in place
    /// of Echo's own log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["log", "data_dir", "baseline", "verify"])]
    pub(super) input: Option<PathBuf>,
    /// What the columns of --input hold: a TOML file, see docs/replay.md; a decision log needs none
    #[arg(long, value_name = "MAP", requires = "input")]
    columns: Option<PathBuf>,
    /// Predicted rewards: columns, tabular[:prior=20,folds=5], a regression on the map's features and
    /// categories by linear, elastic-net, logistic, ftrl or mrdr[:penalty=P,folds=5,by=arm], or none
    /// [default: columns if the map names them, else tabular]
    #[arg(long, value_name = "SOURCE", requires = "input")]
    predictions: Option<PredictionSource>,
}

pub(super) fn run(
    input: &Path,
    arguments: &Arguments,
    (target, compare): (&str, &[String]),
    shown: &estimators::Arguments,
    rollouts: &rollout::Arguments,
    level: Level,
    json: bool,
) -> Outcome {
    let map = arguments.columns.as_deref().map(read).transpose()?;
    let folder = arguments.columns.as_deref().and_then(Path::parent);
    let folder = folder.unwrap_or(Path::new(""));
    let mut settings = ForeignSettings::new(input, map, folder, target);
    if let Some(rollouts) = rollouts.settings(level) {
        return rollout::foreign(&settings, &rollouts, json);
    }
    settings.predictions = arguments.predictions;
    settings.minimum_effective = shown.least_effective;
    settings.selects = shown.choose_estimator;
    compare.clone_into(&mut settings.compare);
    settings.suite = shown.settings(level)?;
    let bar = counter();
    let evaluation = evaluate_foreign(&settings, &|rows| bar.inc(rows));
    bar.finish_and_clear();
    let mut evaluation = evaluation?;
    shown.select(&mut evaluation.estimates)?;
    shown.draw(&evaluation.target, &evaluation.estimates)?;
    if json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print(&evaluation);
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<ColumnMap, String> {
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
    toml::from_str(&text).map_err(|error| at(&error))
}

/// A count of the rows that have been read, on a terminal.
fn counter() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} rows, {per_sec}") {
        bar.set_style(style);
    }
    bar
}

fn print(evaluation: &ForeignEvaluation) {
    println!(
        "log         {}, {} rows, {} arms",
        evaluation.input, evaluation.rows, evaluation.arms
    );
    println!("target      {}", evaluation.target);
    println!("predictions {}", evaluation.predictions);
    println!("logged      {:.6}", evaluation.logged);
    let weights = &evaluation.weights;
    println!(
        "weights     mean {:.3}, largest {:.2} ({:.1} % of all), {:.0} effective rows",
        weights.mean,
        weights.largest,
        100.0 * weights.largest_share,
        weights.effective_sample_size
    );
    println!("            {}", estimators::quantiles(weights));
    if let Some(rate) = evaluation.match_rate {
        println!("matches     {:.1} % of the rows", 100.0 * rate);
    }
    estimators::print(&evaluation.estimates);
    if !evaluation.compared.is_empty() {
        print_compared(&evaluation.compared);
    }
    if let Some(selection) = &evaluation.selection {
        estimators::print_selection(selection);
    }
    for note in &evaluation.notes {
        println!("{note}");
    }
}

fn print_compared(compared: &[ForeignCompared]) {
    let header = vec![
        "policy",
        "value",
        "interval",
        "effective rows",
        "minus the first",
        "interval",
    ];
    let rows = compared.iter().map(|policy| {
        let (value, difference) = (&policy.value, policy.difference.as_ref());
        let none = || "-".to_owned();
        vec![
            policy.target.clone(),
            format!("{:.6}", value.value),
            format!("[{:.6}, {:.6}]", value.interval.lo, value.interval.hi),
            format!("{:.0}", policy.effective_rows),
            difference.map_or_else(none, |d| format!("{:+.6}", d.value)),
            difference.map_or_else(none, |d| {
                format!("[{:+.6}, {:+.6}]", d.interval.lo, d.interval.hi)
            }),
        ]
    });
    println!("{}\n", table(header, rows));
    println!(
        "Doubly robust. All {} intervals hold together (Bonferroni); each is the wider of those by row and by user.",
        2 * compared.len() - 1
    );
}
