//! Estimates and their bootstrap intervals beside Open Bandit Pipeline's, in one run.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use echo_benches::report;
use echo_sim::estimators::{Suite, SuiteSettings, Terms};
use serde_json::{Value, json};

/// Compares the time of off-policy estimates with Open Bandit Pipeline's (from `PyPI`, in a virtual environment of its own
/// in the target folder): a log of 10 arms with known probabilities and predictions, in memory for both, on one thread.
/// Ours gives every estimator in one pass, obp the one that is asked for.
#[derive(Debug, Parser)]
#[command(name = "beside-obp", max_term_width = 100)]
struct Arguments {
    /// Rows of the log
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Also write the table to a dated file in benches/runs
    #[arg(long)]
    save: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("beside-obp: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let output = Command::new(python()?)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/obp/speed.py"))
        .arg(arguments.rows.to_string())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let obp: Value = serde_json::from_slice(&output.stdout)?;
    let rows = rows(arguments.rows);
    let (plain, all) = (seconds(&rows, 0)?, seconds(&rows, 1_000)?);
    let of = |key: &str| obp[key].as_f64().unwrap_or(f64::NAN);
    let lines = [
        ("IPS", of("ips"), plain),
        ("SNIPS", of("snips"), plain),
        ("DR", of("dr"), plain),
        (
            "DR with 1,000 bootstrap replicates",
            of("dr_bootstrap"),
            all,
        ),
    ];
    if arguments.json {
        let lines =
            lines.map(|(what, obp, ours)| json!({"what": what, "obp_s": obp, "echo_s": ours}));
        println!(
            "{}",
            json!({"rows": arguments.rows, "obp": obp, "lines": lines})
        );
    } else {
        println!("{}", table(&lines, &obp, arguments.rows));
    }
    if arguments.save {
        report::save(
            "beside-obp",
            "Off-policy estimates beside Open Bandit Pipeline",
            &table(&lines, &obp, arguments.rows),
        )?;
    }
    Ok(())
}

/// A row of the log, as obp has it too: the weights are computed while the clock runs.
struct Row {
    arm: usize,
    propensity: f64,
    reward: f64,
    target: [f64; ARMS],
    predictions: [f64; ARMS],
}

impl Row {
    fn terms(&self) -> Terms {
        let expected = self
            .target
            .iter()
            .zip(&self.predictions)
            .map(|(p, q)| p * q);
        Terms {
            weight: self.target[self.arm] / self.propensity,
            reward: self.reward,
            predicted: self.predictions[self.arm],
            expected: expected.sum(),
            spread: None,
            epoch: None,
            user: None,
            is_match: None,
        }
    }
}

/// A log drawn as obp's is.
fn rows(count: usize) -> Vec<Row> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // xorshift64* (Marsaglia 2003).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f64 / f64::from(1 << 24)
    };
    let target = std::array::from_fn(|arm| if arm == 3 { 0.55 } else { 0.05 });
    let predictions: [f64; ARMS] = std::array::from_fn(|arm| 0.2 + 0.05 * arm as f64);
    let mut row = || {
        // As a Dirichlet distribution of ones: exponential numbers over their sum.
        let weights: [f64; ARMS] = std::array::from_fn(|_| -(1.0 - next()).max(1e-12).ln());
        let sum: f64 = weights.iter().sum();
        let logged = weights.map(|weight| 0.8 * weight / sum + 0.02);
        let (mut left, mut arm) = (next(), 0);
        while arm + 1 < ARMS && left >= logged[arm] {
            left -= logged[arm];
            arm += 1;
        }
        Row {
            arm,
            propensity: logged[arm],
            reward: f64::from(u8::from(next() < predictions[arm])),
            target,
            predictions,
        }
    };
    (0..count).map(|_| row()).collect()
}

const ARMS: usize = 10;

/// The least of three runs of every estimator there is.
fn seconds(rows: &[Row], replicates: usize) -> Result<f64, Box<dyn Error>> {
    let settings = SuiteSettings {
        replicates,
        ..SuiteSettings::default()
    };
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        let mut suite = Suite::new(&settings);
        for (number, row) in (0..).zip(rows) {
            suite.push(number, &row.terms());
        }
        std::hint::black_box(suite.finish()?);
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least)
}

/// A Python with obp in it.
fn python() -> Result<PathBuf, Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let folder = own
        .parent()
        .and_then(|folder| folder.parent())
        .ok_or("no target folder")?
        .join("obp");
    let python = folder.join("bin/python");
    let is_there = Command::new(&python)
        .args(["-m", "pip", "show", "--quiet", "obp"])
        .output();
    if is_there.is_ok_and(|output| output.status.success()) {
        return Ok(python);
    }
    eprintln!(
        "installing Open Bandit Pipeline in {} ...",
        folder.display()
    );
    let made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder)
        .status()?;
    let pip = |more: &[&str]| {
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(more)
            .status()
    };
    let wanted = concat!(env!("CARGO_MANIFEST_DIR"), "/obp/requirements.txt");
    // It asks for an old Python and for torch, which it does not need here.
    let itself = ["--no-deps", "--ignore-requires-python", "obp==0.5.7"];
    if made.success() && pip(&["--requirement", wanted])?.success() && pip(&itself)?.success() {
        return Ok(python);
    }
    Err("Open Bandit Pipeline cannot be installed from PyPI".into())
}

fn table(lines: &[(&str, f64, f64)], obp: &Value, rows: usize) -> String {
    let lines = lines.iter().map(|(what, obp, ours)| {
        format!("| {what} | {obp:.3} | {ours:.3} | {:.1} |\n", obp / ours)
    });
    let lines: String = lines.collect();
    let version = |key: &str| obp[key].as_str().unwrap_or_default().to_owned();
    format!(
        "{rows} rows, one thread, in memory. obp {} on numpy {}; ours is every estimator at once, in all lines.\n\n\
         | | obp, s | echo, s | ratio |\n|---|---|---|---|\n{lines}",
        version("version"),
        version("numpy")
    )
}
