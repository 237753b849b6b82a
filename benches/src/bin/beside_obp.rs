//! Estimates and their bootstrap intervals beside Open Bandit Pipeline's, in one run: how fast, and whether they are the same.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use echo_benches::{python, report};
use echo_sim::estimators::{Breadth, Suite, SuiteSettings, Terms};
use echo_sim::foreign::{ColumnMap, ForeignSettings, evaluate_foreign};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Compares off-policy estimates with Open Bandit Pipeline's (from `PyPI`, in a virtual environment of its own in the target
/// folder). The time first: a log of 10 arms with known probabilities and predictions, in memory for both, on one thread.
/// Then the values: the Open Bandit Data, with the predictions of obp's own logistic regression for both.
#[derive(Debug, Parser)]
#[command(name = "beside-obp", max_term_width = 100)]
struct Arguments {
    /// Rows of the log
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Also write the tables to a dated file in benches/runs
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
    let python = installed()?;
    let obp = asked(&python, "speed.py", &[&arguments.rows.to_string()])?;
    let log = Log::draw(arguments.rows);
    let of = |key: &str| obp[key].as_f64().unwrap_or(f64::NAN);
    let alone = [log.seconds(Asked::Ips)?, log.seconds(Asked::Plain)?];
    let together = [log.seconds(Asked::All(0))?, log.seconds(Asked::All(1_000))?];
    let lines = [
        ("IPS", of("ips"), alone[0], together[0]),
        ("SNIPS", of("snips"), alone[0], together[0]),
        ("DR", of("dr"), alone[1], together[0]),
        (
            "DR with 1,000 bootstrap replicates",
            of("dr_bootstrap"),
            log.seconds(Asked::Bootstrap)?,
            together[1],
        ),
    ];
    let compared = bandit_data(&python)?;
    if arguments.json {
        let lines = lines.map(|(what, obp, alone, all)| {
            json!({"what": what, "obp_s": obp, "echo_s": alone, "echo_all_s": all})
        });
        println!(
            "{}",
            json!({"rows": arguments.rows, "obp": obp, "lines": lines, "values": compared})
        );
        return Ok(());
    }
    let tables = format!(
        "{}\n{}",
        times(&lines, &obp, arguments.rows),
        values(&compared)
    );
    println!("{tables}");
    if arguments.save {
        report::save(
            "beside-obp",
            "Off-policy estimates beside Open Bandit Pipeline",
            &tables,
        )?;
    }
    Ok(())
}

/// A log as obp has it too, column by column: weights and expected rewards are computed while the clock runs.
#[derive(Default)]
struct Log {
    arms: Vec<usize>,
    propensities: Vec<f64>,
    rewards: Vec<f64>,
    targets: Vec<[f64; ARMS]>,
    predictions: Vec<[f64; ARMS]>,
}

const ARMS: usize = 10;

/// What is computed.
#[derive(Clone, Copy)]
enum Asked {
    /// IPS and SNIPS.
    Ips,
    /// Those and DM, DR, SNDR.
    Plain,
    /// These with a thousand bootstrap replicates.
    Bootstrap,
    /// Every estimator there is, with so many replicates.
    All(usize),
}

impl Log {
    /// Draws it as obp's is drawn.
    fn draw(count: usize) -> Self {
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
        let mut log = Self::default();
        for _ in 0..count {
            // As a Dirichlet distribution of ones: exponential numbers over their sum.
            let weights: [f64; ARMS] = std::array::from_fn(|_| -(1.0 - next()).max(1e-12).ln());
            let sum: f64 = weights.iter().sum();
            let logged = weights.map(|weight| 0.8 * weight / sum + 0.02);
            let (mut left, mut arm) = (next(), 0);
            while arm + 1 < ARMS && left >= logged[arm] {
                left -= logged[arm];
                arm += 1;
            }
            log.arms.push(arm);
            log.propensities.push(logged[arm]);
            log.rewards
                .push(f64::from(u8::from(next() < predictions[arm])));
            log.targets.push(target);
            log.predictions.push(predictions);
        }
        log
    }

    /// The least of three runs.
    fn seconds(&self, asked: Asked) -> Result<f64, Box<dyn Error>> {
        let (breadth, has_predictions, replicates) = match asked {
            Asked::Ips => (Breadth::Plain, false, 0),
            Asked::Plain => (Breadth::Plain, true, 0),
            Asked::Bootstrap => (Breadth::Plain, true, 1_000),
            Asked::All(replicates) => (Breadth::All, true, replicates),
        };
        let settings = SuiteSettings {
            breadth,
            has_predictions,
            replicates,
            ..SuiteSettings::default()
        };
        let mut least = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            let mut suite = Suite::new(&settings);
            for row in 0..self.arms.len() {
                suite.push(row as u64, &self.terms(row, has_predictions));
            }
            std::hint::black_box(suite.finish()?);
            least = least.min(start.elapsed().as_secs_f64());
        }
        Ok(least)
    }

    fn terms(&self, row: usize, has_predictions: bool) -> Terms {
        let arm = self.arms[row];
        let (mut predicted, mut expected) = (0.0, 0.0);
        if has_predictions {
            let (target, predictions) = (&self.targets[row], &self.predictions[row]);
            predicted = predictions[arm];
            expected = target.iter().zip(predictions).map(|(p, q)| p * q).sum();
        }
        Terms {
            weight: self.targets[row][arm] / self.propensities[row],
            reward: self.rewards[row],
            predicted,
            expected,
            spread: None,
            epoch: None,
            user: None,
            is_match: None,
        }
    }
}

/// What obp makes of one log, and we.
#[derive(Debug, Serialize)]
struct Compared {
    campaign: String,
    logging: String,
    target: String,
    /// By estimator: obp's value and ours.
    values: BTreeMap<String, (f64, f64)>,
}

/// As `bandit_data.py` tells it.
#[derive(Debug, Deserialize)]
struct Told {
    campaign: String,
    logging: String,
    target: String,
    arms: usize,
    values: BTreeMap<String, f64>,
}

/// The Open Bandit Data in both directions.
fn bandit_data(python: &Path) -> Result<Vec<Compared>, Box<dyn Error>> {
    let data = python::beside_build("obp-0.5.7")?;
    if !data.is_dir() {
        let folder = data.parent().unwrap_or(&data);
        let into = folder.to_string_lossy();
        let wanted = [
            "download",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--ignore-requires-python",
        ];
        python::pip(
            python,
            &[&wanted[..], &["--dest", &into, "obp==0.5.7"]].concat(),
        )?;
        let unpacked = Command::new("tar")
            .args(["--extract", "--gzip", "--file"])
            .arg(folder.join("obp-0.5.7.tar.gz"))
            .arg("--directory")
            .arg(folder)
            .status()?;
        if !unpacked.success() {
            return Err("the Open Bandit Data cannot be unpacked".into());
        }
    }
    let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/bandit_data");
    let folder = tempfile::tempdir()?;
    let data = data.join("obp/dataset/obd");
    let (data, output) = (data.to_string_lossy(), folder.path().to_string_lossy());
    let told = asked(python, "bandit_data.py", &[&data, policies, &output])?;
    let mut all = Vec::new();
    for told in serde_json::from_value::<Vec<Told>>(told)? {
        let log = folder
            .path()
            .join(format!("{}_{}.csv", told.campaign, told.logging));
        let map: ColumnMap = toml::from_str(&format!(
            "action = 'action'\nreward = 'reward'\npropensity = 'pscore'\nposition = 'position'\narms = {}\n\
             predictions = 'q_{{arm}}'\n[targets]\nbts = {{ file = 'bts_action_dist_{}.csv', arm = 'item_id', \
             probabilities = ['pos0', 'pos1', 'pos2'] }}",
            told.arms, told.campaign
        ))?;
        let mut settings = ForeignSettings::new(&log, Some(map), Path::new(policies), &told.target);
        settings.suite.grid = vec![
            10.0,
            50.0,
            100.0,
            500.0,
            1_000.0,
            5_000.0,
            10_000.0,
            f64::INFINITY,
        ];
        let ours = evaluate_foreign(&settings, &|_| ())?;
        let mut values = BTreeMap::new();
        for (name, theirs) in told.values {
            let own = ours.estimate(&name).ok_or_else(|| format!("no {name}"))?;
            values.insert(name, (theirs, own.value));
        }
        all.push(Compared {
            campaign: told.campaign,
            logging: told.logging,
            target: told.target,
            values,
        });
    }
    Ok(all)
}

/// A Python with obp in it.
fn installed() -> Result<PathBuf, Box<dyn Error>> {
    let wanted = concat!(env!("CARGO_MANIFEST_DIR"), "/obp/requirements.txt");
    // It asks for an old Python and for torch, which it does not need here.
    let itself = ["--no-deps", "--ignore-requires-python", "obp==0.5.7"];
    Ok(python::environment(
        "obp",
        "obp",
        &[&["--requirement", wanted], &itself],
    )?)
}

/// What a script in `obp` prints.
fn asked(python: &Path, script: &str, arguments: &[&str]) -> Result<Value, Box<dyn Error>> {
    let script = format!("{}/obp/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python).arg(script).args(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn times(lines: &[(&str, f64, f64, f64)], obp: &Value, rows: usize) -> String {
    let version = |key: &str| obp[key].as_str().unwrap_or_default().to_owned();
    let mut table = format!(
        "{rows} rows, one thread, in memory. obp {} on numpy {}. `alone`: IPS and SNIPS for the first two lines, these, DM, DR \
         and SNDR for the others, each with interval, anytime interval and error; `all`: every estimator there is, in one pass.\n\n\
         | | obp, s | echo alone, s | ratio | echo all, s | ratio |\n|---|---|---|---|---|---|\n",
        version("version"),
        version("numpy")
    );
    for (what, obp, alone, all) in lines {
        let _ = writeln!(
            table,
            "| {what} | {obp:.3} | {alone:.3} | {:.1} | {all:.3} | {:.1} |",
            obp / alone,
            obp / all
        );
    }
    table
}

fn values(compared: &[Compared]) -> String {
    let mut text = "The Open Bandit Data (small version, 10,000 rows a log), rewards predicted by obp's logistic regression (3 \
                    folds) for both.\n"
        .to_owned();
    for log in compared {
        let _ = write!(
            text,
            "\nCampaign `{}`, log of `{}`, value of `{}`:\n\n| estimator | obp | echo | difference |\n|---|---|---|---|\n",
            log.campaign, log.logging, log.target
        );
        for (name, (theirs, ours)) in &log.values {
            let _ = writeln!(
                text,
                "| {name} | {theirs:.12} | {ours:.12} | {:.0e} |",
                (ours - theirs).abs()
            );
        }
    }
    text
}
