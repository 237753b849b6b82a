//! `replay --input`: a log that another system wrote.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use echo_sim::estimators::Value;
use echo_sim::foreign::{
    ColumnMap, ForeignEvaluation, ForeignSettings, PredictionSource, evaluate_foreign,
};
use echo_sim::{Interval, Level};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Outcome;
use crate::table::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A CSV or Parquet file with one decision a row, in place of Echo's own log
    #[arg(long, value_name = "FILE", requires = "columns", conflicts_with_all = ["log", "data_dir", "baseline", "verify"])]
    pub(super) input: Option<PathBuf>,
    /// What the columns of --input hold: a TOML file, see docs/replay.md
    #[arg(long, value_name = "MAP", requires = "input")]
    columns: Option<PathBuf>,
    /// Estimators to print: all, or some such as dr,snips,switch-dr
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "all",
        requires = "input"
    )]
    estimators: Vec<String>,
    /// Predicted rewards: columns, tabular[:prior=20,folds=5] or none [default: columns if the map names
    /// them, else tabular]
    #[arg(long, value_name = "SOURCE", requires = "input")]
    predictions: Option<PredictionSource>,
    /// Bounds on the weights, for clipped IPS and SWITCH-DR
    #[arg(
        long,
        value_name = "BOUNDS",
        value_delimiter = ',',
        default_value = "10",
        requires = "input"
    )]
    clips: Vec<f64>,
    /// Constants of DR with optimistic shrinkage
    #[arg(
        long,
        value_name = "CONSTANTS",
        value_delimiter = ',',
        default_value = "1,10,100",
        requires = "input"
    )]
    shrinkages: Vec<f64>,
    /// Constants from which SLOPE chooses
    #[arg(
        long,
        value_name = "CONSTANTS",
        value_delimiter = ',',
        default_value = "0.1,1,10,100,1000,inf",
        requires = "input"
    )]
    slope: Vec<f64>,
    /// Replicates of a Poisson bootstrap; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = 0, requires = "input")]
    bootstrap: usize,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0, requires = "input")]
    bootstrap_seed: u64,
    /// Effective rows below which there is no estimate
    #[arg(long, value_name = "ROWS", default_value_t = echo_sim::MINIMUM_EFFECTIVE_ROWS, requires = "input")]
    least_effective: f64,
}

pub(super) fn run(
    input: &Path,
    arguments: &Arguments,
    target: &str,
    level: Level,
    json: bool,
) -> Outcome {
    let path = arguments.columns.as_deref().unwrap_or(Path::new(""));
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
    let map: ColumnMap = toml::from_str(&text).map_err(|error| at(&error))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut settings = ForeignSettings::new(input, map, folder, target);
    settings.predictions = arguments.predictions;
    settings.minimum_effective = arguments.least_effective;
    for (name, constants) in [
        ("clips", &arguments.clips),
        ("shrinkages", &arguments.shrinkages),
        ("slope", &arguments.slope),
    ] {
        if !constants.iter().all(|constant| *constant > 0.0) {
            return Err(format!("--{name}: every constant must be above 0").into());
        }
    }
    settings.suite.level = level;
    settings.suite.clips.clone_from(&arguments.clips);
    settings.suite.shrinkages.clone_from(&arguments.shrinkages);
    settings.suite.grid.clone_from(&arguments.slope);
    settings.suite.replicates = arguments.bootstrap;
    settings.suite.seed = arguments.bootstrap_seed;
    let bar = counter();
    let evaluation = evaluate_foreign(&settings, &|rows| bar.inc(rows));
    bar.finish_and_clear();
    let mut evaluation = evaluation?;
    select(&mut evaluation, &arguments.estimators)?;
    if json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print(&evaluation);
    }
    Ok(ExitCode::SUCCESS)
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

/// Keeps the estimators asked for; a name without a constant means all of its constants.
fn select(evaluation: &mut ForeignEvaluation, names: &[String]) -> Result<(), String> {
    if names.iter().any(|name| name == "all") {
        return Ok(());
    }
    let is_meant = |value: &Value, name: &str| {
        value.estimator == name || value.estimator.split('(').next() == Some(name)
    };
    for name in names {
        if !evaluation
            .estimates
            .iter()
            .any(|value| is_meant(value, name))
        {
            let known: Vec<&str> = evaluation
                .estimates
                .iter()
                .map(|value| value.estimator.as_str())
                .collect();
            return Err(format!(
                "no estimator is called {name:?} here; there are {}",
                known.join(", ")
            ));
        }
    }
    evaluation
        .estimates
        .retain(|value| names.iter().any(|name| is_meant(value, name)));
    Ok(())
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
    if let Some(rate) = evaluation.match_rate {
        println!("matches     {:.1} % of the rows", 100.0 * rate);
    }
    let bounds = bounds(&evaluation.estimates);
    let header = vec![
        "estimator",
        "value",
        "interval",
        "anytime",
        "",
        "interval holds",
    ];
    let rows = evaluation.estimates.iter().map(|value| {
        let name = match value.chosen {
            Some(chosen) => format!("{} = {chosen}", value.estimator),
            None => value.estimator.clone(),
        };
        vec![
            name,
            format!("{:.6}", value.value),
            text(&value.interval),
            value.anytime.as_ref().map_or("-".to_owned(), text),
            whisker(value, bounds),
            if value.warning.is_some() {
                "no".to_owned()
            } else {
                value.guarantee.to_owned()
            },
        ]
    });
    println!("\n{}\n", table(header, rows));
    for value in &evaluation.estimates {
        for (kind, interval) in [
            (
                "by user",
                value.by_user.as_ref().map(|by_user| &by_user.interval),
            ),
            ("bootstrap", value.bootstrap.as_ref()),
        ] {
            if let Some(interval) = interval {
                println!("{} {kind} {}", value.estimator, text(interval));
            }
        }
    }
    println!(
        "Where no interval holds, it leaves out a bias and was measured to miss the truth far more often than it \
         says: these are values only."
    );
    for note in &evaluation.notes {
        println!("{note}");
    }
}

fn text(interval: &Interval) -> String {
    format!("[{:.6}, {:.6}]", interval.lo, interval.hi)
}

/// The range that the plot shows: all values, and the intervals that hold.
fn bounds(values: &[Value]) -> (f64, f64) {
    let shown = values.iter().flat_map(|value| {
        let is_wide = value.warning.is_some() || value.estimator == "ips-eb";
        let (lo, hi) = if is_wide {
            (value.value, value.value)
        } else {
            (value.interval.lo, value.interval.hi)
        };
        [lo, hi]
    });
    shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| {
        (lo.min(x), hi.max(x))
    })
}

/// A line from end to end of the interval, with the value on it.
fn whisker(value: &Value, (least, most): (f64, f64)) -> String {
    let span = (most - least).max(f64::MIN_POSITIVE);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the plot"
    )]
    let place =
        |x: f64| (((x - least) / span).clamp(0.0, 1.0) * (PLOT - 1) as f64).round() as usize;
    let (lo, hi, at) = (
        place(value.interval.lo),
        place(value.interval.hi),
        place(value.value),
    );
    let line = if value.warning.is_some() { '·' } else { '─' };
    let cell = |column: usize| match column {
        _ if column == at => '●',
        _ if (lo..=hi).contains(&column) => line,
        _ => ' ',
    };
    (0..PLOT).map(cell).collect()
}

/// Columns of the plot.
const PLOT: usize = 32;
