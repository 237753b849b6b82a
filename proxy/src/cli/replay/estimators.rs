//! Which estimators are shown, with which constants, and how.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use echo_sim::estimators::{Breadth, Selected, SuiteSettings, Value};
use echo_sim::{Interval, Level, WeightSummary};

use crate::table::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Estimators to print: all, or some such as dr,snips,switch-dr
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    estimators: Vec<String>,
    /// Bounds on the weights, for clipped IPS and SWITCH-DR
    #[arg(
        long,
        value_name = "BOUNDS",
        value_delimiter = ',',
        default_value = "10"
    )]
    clips: Vec<f64>,
    /// Constants of DR with optimistic shrinkage
    #[arg(
        long,
        value_name = "CONSTANTS",
        value_delimiter = ',',
        default_value = "1,10,100"
    )]
    shrinkages: Vec<f64>,
    /// Constants from which SLOPE chooses
    #[arg(
        long,
        value_name = "CONSTANTS",
        value_delimiter = ',',
        default_value = "0.1,1,10,100,1000,inf"
    )]
    slope: Vec<f64>,
    /// Replicates of a Poisson bootstrap; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    bootstrap: usize,
    /// Seed of the bootstrap
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    bootstrap_seed: u64,
    /// Also compare the estimators on random splits of the log, by PAS-IF, and tell which comes nearest: exploratory
    #[arg(long)]
    pub(super) choose_estimator: bool,
    /// Effective rows below which there is no estimate
    #[arg(long, value_name = "ROWS", default_value_t = echo_sim::MINIMUM_EFFECTIVE_ROWS)]
    pub(super) least_effective: f64,
    /// Also draw the values and intervals into this SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Arguments {
    /// Whether any estimator was asked for by name.
    pub(super) fn are_named(&self) -> bool {
        !self.estimators.is_empty()
    }

    /// Only what is shown is computed, where that is plain; splits compare all.
    fn breadth(&self) -> Breadth {
        let is_plain = |name: &String| Breadth::PLAIN.contains(&name.as_str());
        if self.are_named() && !self.choose_estimator && self.estimators.iter().all(is_plain) {
            Breadth::Plain
        } else {
            Breadth::All
        }
    }

    pub(super) fn settings(&self, level: Level) -> Result<SuiteSettings, String> {
        for (name, constants) in [
            ("clips", &self.clips),
            ("shrinkages", &self.shrinkages),
            ("slope", &self.slope),
        ] {
            if !constants.iter().all(|constant| *constant > 0.0) {
                return Err(format!("--{name}: every constant must be above 0"));
            }
        }
        Ok(SuiteSettings {
            level,
            breadth: self.breadth(),
            clips: self.clips.clone(),
            shrinkages: self.shrinkages.clone(),
            grid: self.slope.clone(),
            replicates: self.bootstrap,
            seed: self.bootstrap_seed,
            ..SuiteSettings::default()
        })
    }

    /// Keeps the estimators asked for, all where none were; a name without a constant means all of its constants.
    pub(super) fn select(&self, values: &mut Vec<Value>) -> Result<(), String> {
        if self.estimators.is_empty() || self.estimators.iter().any(|name| name == "all") {
            return Ok(());
        }
        let is_meant = |value: &Value, name: &str| {
            value.estimator == name || value.estimator.split('(').next() == Some(name)
        };
        for name in &self.estimators {
            if !values.iter().any(|value| is_meant(value, name)) {
                let known: Vec<&str> = values
                    .iter()
                    .map(|value| value.estimator.as_str())
                    .collect();
                return Err(format!(
                    "no estimator is called {name:?} here; there are all, {}",
                    known.join(", ")
                ));
            }
        }
        values.retain(|value| self.estimators.iter().any(|name| is_meant(value, name)));
        Ok(())
    }

    /// Draws the values where a file was asked for.
    pub(super) fn draw(&self, title: &str, values: &[Value]) -> std::io::Result<()> {
        match &self.svg {
            Some(path) => std::fs::write(path, drawing(title, values)),
            None => Ok(()),
        }
    }
}

/// Prints which estimators came nearest on splits of the log.
pub(super) fn print_selection(selection: &[Selected]) {
    let shown = selection.iter().take(SELECTED);
    let shown = shown.map(|selected| format!("{} ({:.4})", selected.estimator, selected.rmse));
    println!(
        "Exploratory, by splits of the log (PAS-IF), nearest first, with the root of the mean squared error: {}.",
        shown.collect::<Vec<_>>().join(", ")
    );
}

/// So many are told of.
const SELECTED: usize = 6;

/// Prints the values as a table with a plot, and what must be known of their intervals.
pub(super) fn print(values: &[Value]) {
    let range = range(values);
    let header = vec![
        "estimator",
        "value",
        "interval",
        "anytime",
        "",
        "interval holds",
    ];
    let rows = values.iter().map(|value| {
        let guarantee = match value.warning {
            Some(_) => "no",
            None => value.guarantee,
        };
        vec![
            name(value),
            format!("{:.6}", value.value),
            text(&value.interval),
            value.anytime.as_ref().map_or("-".to_owned(), text),
            whisker(value, range),
            guarantee.to_owned(),
        ]
    });
    println!("\n{}\n", table(header, rows));
    for value in values {
        let by_user = value.by_user.as_ref().map(|by_user| &by_user.interval);
        for (kind, interval) in [
            ("by user", by_user),
            ("bootstrap", value.bootstrap.as_ref()),
        ] {
            if let Some(interval) = interval {
                println!("{} {kind} {}", value.estimator, text(interval));
            }
        }
    }
    if values.iter().any(|value| value.warning.is_some()) {
        println!(
            "Where no interval holds, it leaves out a bias and was measured to miss the truth far more often than \
             it says: these are values only."
        );
    }
}

/// How large weights are, in words.
pub(super) fn quantiles(weights: &WeightSummary) -> String {
    let [half, most, nearly_all, all_but_few] = weights.quantiles.map(|at| at.weight);
    format!(
        "median weight {half:.2}; 90 % are at most {most:.2}, 99 % {nearly_all:.2}, 99.9 % {all_but_few:.2}"
    )
}

fn name(value: &Value) -> String {
    match value.chosen {
        Some(chosen) => format!("{} = {chosen}", value.estimator),
        None => value.estimator.clone(),
    }
}

fn text(interval: &Interval) -> String {
    format!("[{:.6}, {:.6}]", interval.lo, interval.hi)
}

/// What a plot shows: all values, and the intervals that hold, but for the widest kind.
fn range(values: &[Value]) -> (f64, f64) {
    let shown = values.iter().flat_map(|value| {
        if value.warning.is_some() || value.estimator == "ips-eb" {
            [value.value, value.value]
        } else {
            [value.interval.lo, value.interval.hi]
        }
    });
    shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), x| {
        (least.min(x), most.max(x))
    })
}

/// How far along the range a number is, from 0 to 1.
fn along(x: f64, (least, most): (f64, f64)) -> f64 {
    ((x - least) / (most - least).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
}

/// A line from end to end of the interval, with the value on it.
fn whisker(value: &Value, range: (f64, f64)) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the plot"
    )]
    let place = |x: f64| (along(x, range) * (COLUMNS - 1) as f64).round() as usize;
    let (lo, hi) = (place(value.interval.lo), place(value.interval.hi));
    let at = place(value.value);
    let line = if value.warning.is_some() { '·' } else { '─' };
    let cell = |column: usize| match column {
        _ if column == at => '●',
        _ if (lo..=hi).contains(&column) => line,
        _ => ' ',
    };
    (0..COLUMNS).map(cell).collect()
}

/// The same as an SVG picture: a row an estimator; dashed where the interval does not hold.
fn drawing(title: &str, values: &[Value]) -> String {
    let range = range(values);
    let height = ROW * (values.len() as f64 + 3.0);
    let across = |x: f64| LEFT + along(x, range) * WIDTH;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"12\" y=\"20\">{}</text>\n",
        LEFT + WIDTH + 60.0,
        escaped(title)
    );
    for (at, value) in values.iter().enumerate() {
        let y = ROW * (at as f64 + 2.0);
        let dashes = if value.warning.is_some() {
            " stroke-dasharray=\"2 3\""
        } else {
            ""
        };
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"{}\">{}</text><line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\" \
             stroke=\"black\"{dashes}/><circle cx=\"{:.1}\" cy=\"{y}\" r=\"4\"><title>{:.6} {}</title></circle>",
            y + 4.0,
            escaped(&name(value)),
            across(value.interval.lo),
            across(value.interval.hi),
            across(value.value),
            value.value,
            text(&value.interval)
        );
    }
    let y = height - ROW * 0.5;
    for x in [range.0, 0.5 * (range.0 + range.1), range.1] {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{y}\" text-anchor=\"middle\">{x:.4}</text>",
            across(x)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Columns of the plot in the terminal.
const COLUMNS: usize = 32;

/// Of the picture, in pixels.
const ROW: f64 = 24.0;
const LEFT: f64 = 190.0;
const WIDTH: f64 = 480.0;
