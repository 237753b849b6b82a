//! A candidate from a log: trained, reported on, and written to a file that the gate can judge.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use echo_policy::training::{Recipe, TrainingReport, TrainingSettings};
use echo_policy::{PolicySpec, SnapshotKey};
use echo_sim::{TrainSettings, Trained, train};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Outcome;
use super::serve::show;
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
    /// What is fitted: linear, elastic-net, logistic or ftrl, each with :penalty=P if that is not to be
    /// chosen by cross-validation
    #[arg(long, default_value = "logistic")]
    recipe: Recipe,
    /// The policy that is to decide by the model
    #[arg(
        long,
        value_name = "SPEC",
        default_value = "epsilon-greedy:epsilon=0,floor=0.01"
    )]
    policy: PolicySpec,
    /// Train on this first share of the log's time, and leave the rest to the gate; 1 trains on all
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    until: f64,
    #[command(flatten)]
    scored: Scored,
    /// Folds of the cross-validation
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=20))]
    folds: u8,
    /// Rows below which an arm gets no weights of its own
    #[arg(long, value_name = "ROWS", default_value_t = 50)]
    rows_least: usize,
    /// Rows trained on at the most, the newest
    #[arg(long, value_name = "ROWS", default_value_t = 500_000)]
    rows_most: usize,
    /// Where the candidate goes
    #[arg(long, value_name = "FILE", default_value = "candidate.policy")]
    out: PathBuf,
    /// The environment variable that holds the key to sign it with
    #[arg(long, value_name = "NAME")]
    sign_key_env: Option<String>,
    /// Also draw the calibration into this SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.log.clone().or_else(|| arguments.data_dir.clone());
    let path = path.unwrap_or_else(default_data_dir);
    let key = arguments
        .sign_key_env
        .as_deref()
        .map(sign_key)
        .transpose()?;
    let mut settings = TrainSettings::new(
        TrainingSettings {
            folds: arguments.folds.into(),
            rows_least: arguments.rows_least,
            ..TrainingSettings::new(arguments.recipe)
        },
        arguments.policy.clone(),
    );
    settings.rows.scoring = arguments.scored.scoring()?;
    settings.until = (arguments.until < 1.0).then_some(arguments.until);
    settings.rows_most = arguments.rows_most;
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("training {wide_bar} {percent:>3} % {eta:>4}")
            .expect("the template is valid"),
    );
    let trained = train(&path, &settings, &mut |share| show(&bar, share));
    bar.finish_and_clear();
    let Trained { snapshot, report } = trained?;
    let bytes = match &key {
        Some(key) => snapshot.to_signed_bytes(key),
        None => snapshot.to_bytes(),
    };
    let at = |error: std::io::Error, path: &PathBuf| format!("{}: {error}", path.display());
    std::fs::write(&arguments.out, &bytes).map_err(|error| at(error, &arguments.out))?;
    if let Some(path) = &arguments.svg {
        std::fs::write(path, drawn(&report)).map_err(|error| at(error, path))?;
    }
    let model = snapshot
        .model
        .as_ref()
        .ok_or("a trained snapshot has a model")?;
    let sha256 = echo_policy::Snapshot::sha256(&bytes);
    if arguments.json {
        let (from, through) = model.trained_on;
        println!(
            "{}",
            json!({
                "candidate": arguments.out,
                "sha256": sha256,
                "policy": snapshot.spec.to_string(),
                "trained_on": {"from": from, "through": through},
                "report": report,
            })
        );
    } else {
        print(&report);
        println!(
            "{} holds the candidate, trained on records {} to {}. May it take over?",
            arguments.out.display(),
            model.trained_on.0,
            model.trained_on.1
        );
        println!(
            "  echo-proxy policy gate snapshot:{} --data-dir {}",
            arguments.out.display(),
            path.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn sign_key(name: &str) -> Result<SnapshotKey, String> {
    let text = std::env::var(name).map_err(|_| format!("the variable {name} is not set"))?;
    let least = SnapshotKey::LEAST_BYTES;
    SnapshotKey::new(text.trim().as_bytes())
        .ok_or_else(|| format!("the variable {name} must hold a key of at least {least} bytes"))
}

fn print(report: &TrainingReport) {
    println!("recipe   {}", report.recipe);
    println!("rewards  {}", report.rows);
    for compared in &report.penalties {
        println!(
            "         penalty {}: squared error {:.5}",
            compared.penalty, compared.squared_error
        );
    }
    println!("\nOut of fold, where no row is foretold by a model that has seen it:\n");
    let rows = report.arms.iter().map(|arm| {
        vec![
            arm.arm.clone(),
            arm.rows.to_string(),
            format!("{:.4}", arm.mean_reward),
            format!("{:.4}", arm.squared_error),
            format!("{:.4}", arm.squared_error_of_mean),
            arm.auc.map_or("-".to_owned(), |auc| format!("{auc:.3}")),
        ]
    });
    let header = vec![
        "arm",
        "rewards",
        "mean",
        "squared error",
        "of the mean",
        "AUC",
    ];
    println!("{}\n", table(header, rows));
    let rows = report.calibration.iter().map(|bin| {
        vec![
            format!("{:.1} to {:.1}", bin.from, bin.from + 0.1),
            bin.rows.to_string(),
            format!("{:.3}", bin.predicted),
            format!("{:.3}", bin.reward),
            bar(bin.reward),
        ]
    });
    let header = vec!["foretold", "rewards", "mean foretold", "mean reward", ""];
    println!("{}\n", table(header, rows));
    for arm in &report.arms {
        let words: Vec<String> = arm
            .weights
            .iter()
            .take(WORDS)
            .map(|(name, effect)| in_words(name, *effect))
            .collect();
        println!("{}: {}", arm.arm, words.join(", "));
    }
    println!();
}

/// How many features of an arm are put into words.
const WORDS: usize = 4;

fn in_words(name: &str, effect: f64) -> String {
    let which = if effect > 0.0 { "better" } else { "worse" };
    format!("{which} with {name} ({effect:+.3})")
}

fn bar(share: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 20 characters"
    )]
    let length = (share.clamp(0.0, 1.0) * 20.0).round() as usize;
    "#".repeat(length)
}

/// What was foretold against what came, a circle a tenth, its area by the rows.
fn drawn(report: &TrainingReport) -> String {
    let place = |x: f64| 40.0 + 320.0 * x;
    let most = report
        .calibration
        .iter()
        .map(|bin| bin.rows)
        .max()
        .unwrap_or(1)
        .max(1);
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"400\" height=\"420\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"400\" height=\"420\" fill=\"white\"/>\n\
         <path d=\"M40 360H360V40M40 360V40M40 360L360 40\" fill=\"none\" stroke=\"#999\"/>\n\
         <text x=\"200\" y=\"395\" text-anchor=\"middle\">mean reward foretold</text>\n\
         <text x=\"14\" y=\"200\" text-anchor=\"middle\" transform=\"rotate(-90 14 200)\">mean reward</text>\n",
    );
    for tenth in [0.0, 0.5, 1.0] {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"376\" text-anchor=\"middle\">{tenth}</text><text x=\"34\" y=\"{}\" text-anchor=\"end\">{tenth}</text>",
            place(tenth),
            404.0 - place(tenth)
        );
    }
    for bin in &report.calibration {
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{:.1}\" fill=\"#3366cc\" fill-opacity=\"0.7\"><title>{} rewards</title></circle>",
            place(bin.predicted),
            400.0 - place(bin.reward),
            2.0 + 10.0 * (bin.rows as f64 / most as f64).sqrt(),
            bin.rows
        );
    }
    svg.push_str("</svg>\n");
    svg
}
