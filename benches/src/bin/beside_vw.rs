//! Decisions and learning steps beside Vowpal Wabbit's, in one run on one core.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use echo_benches::{python, report};
use echo_policy::{DrawKey, Event, FeatureSchema, Features, Policy, PolicySpec, RewardState};
use serde_json::{Value, json};

/// Compares the speed of decisions and of learning with Vowpal Wabbit's (from `PyPI`, in a virtual environment of its own
/// in the target folder): 8 arms, 64 features of which a third are set, the same contexts for both. VW's examples are
/// parsed before the clock starts.
#[derive(Debug, Parser)]
#[command(name = "beside-vw", max_term_width = 100)]
struct Arguments {
    /// Decisions, and learning steps
    #[arg(long, default_value_t = 20_000)]
    rows: usize,
    /// How often each is timed, in turns; the least time is told, which is the least disturbed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Also write the table to a dated file in benches/runs
    #[arg(long)]
    save: bool,
}

const ARMS: [&str; 8] = ["a@1", "b@1", "c@1", "d@1", "e@1", "f@1", "g@1", "h@1"];

const OURS: [&str; 3] = ["randucb", "squarecb", "linucb"];

const THEIRS: [&str; 6] = [
    "--squarecb",
    "--regcbopt",
    "--cover 16",
    "--squarecb -q xa",
    "--regcbopt -q xa",
    "--cover 16 -q xa",
];

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("beside-vw: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let rows = rows(arguments.rows)?;
    let folder = tempfile::tempdir()?;
    let contexts = folder.path().join("contexts.json");
    std::fs::write(&contexts, as_json(&rows).to_string())?;
    let python = installed()?;
    let mut lines: Vec<Value> = Vec::new();
    for round in 0..arguments.rounds {
        let ours = OURS.iter().map(|spec| echo(spec, &rows));
        let theirs = THEIRS.iter().map(|what| vw(&python, &contexts, what));
        for (place, line) in ours.chain(theirs).enumerate() {
            let line = line?;
            if round == 0 {
                lines.push(line);
            } else {
                keep_least(&mut lines[place], &line);
            }
        }
    }
    if arguments.json {
        println!("{}", json!({"rows": arguments.rows, "lines": lines}));
    } else {
        println!("{}", table(&lines));
    }
    if arguments.save {
        report::save(
            "beside-vw",
            "Decisions and learning beside Vowpal Wabbit",
            &table(&lines),
        )?;
    }
    Ok(())
}

fn echo(spec: &str, rows: &[Row]) -> Result<Value, Box<dyn Error>> {
    let (decide_us, learn_us) = ours(spec, rows)?;
    Ok(json!({"who": "echo", "what": spec, "decide_us": decide_us, "learn_us": learn_us}))
}

fn vw(python: &Path, contexts: &Path, what: &str) -> Result<Value, Box<dyn Error>> {
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/vw/speed.py"))
        .arg(contexts)
        .arg(what)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let mut line: Value = serde_json::from_slice(&output.stdout)?;
    let version = line["version"].as_str().unwrap_or_default();
    line["who"] = json!(format!("vw {version}"));
    line["what"] = json!(what);
    Ok(line)
}

fn keep_least(line: &mut Value, again: &Value) {
    for key in ["decide_us", "learn_us"] {
        let time = |line: &Value| line[key].as_f64().unwrap_or(f64::NAN);
        line[key] = json!(time(line).min(time(again)));
    }
}

/// A context, the arm that was taken, and what that earned.
type Row = (Features, usize, f64);

fn rows(count: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let schema = FeatureSchema::default();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // xorshift64* (Marsaglia 2003): fixed, and none of the policies' own generators.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f64 / f64::from(1 << 24)
    };
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let mut values = vec![1.0_f32];
        for _ in 1..schema.dimension {
            let value =
                f32::from(i16::try_from(below(next(), 8_192)).unwrap_or(0) - 4_096) / 4_096.0;
            values.push(if next() < 1.0 / 3.0 { value } else { 0.0 });
        }
        let arm = below(next(), ARMS.len());
        let likely = 0.3 + 0.2 * f64::from(values[1 + arm]);
        let reward = f64::from(u8::from(next() < likely));
        rows.push((Features::from_logged(values, &schema)?, arm, reward));
    }
    Ok(rows)
}

/// A whole number below `bound` from a number in [0, 1).
fn below(share: f64, bound: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in [0, bound)"
    )]
    let number = (share * bound as f64) as usize;
    number.min(bound - 1)
}

fn as_json(rows: &[Row]) -> Value {
    let row = |(x, arm, reward): &Row| json!({"x": x.as_slice(), "label": [arm, 0.0 - reward, 1.0 / 8.0]});
    json!({"arms": ARMS.len(), "rows": rows.iter().map(row).collect::<Vec<_>>()})
}

/// Microseconds of a decision, and of a learning step, after as many rows as are then timed.
fn ours(spec: &str, rows: &[Row]) -> Result<(f64, f64), Box<dyn Error>> {
    let spec: PolicySpec = spec.parse()?;
    let mut state = RewardState::new(&FeatureSchema::default());
    for (x, arm, reward) in rows {
        state.update(&Event::new(ARMS[*arm], x), *reward)?;
    }
    let policy = Policy::build(&spec, &state, 1)?;
    let start = Instant::now();
    let mut drawn = 0;
    for (decision, (x, ..)) in (0..).zip(rows) {
        drawn += policy
            .decide(x, &ARMS, DrawKey { seed: 1, decision })?
            .chosen;
    }
    std::hint::black_box(drawn);
    let decide = start.elapsed().as_secs_f64() / rows.len() as f64;
    let mut online = Policy::online(&spec, &state, 1)?;
    let start = Instant::now();
    for (x, arm, reward) in rows {
        let event = Event::new(ARMS[*arm], x);
        state.update(&event, *reward)?;
        online.learn(&state, &event, *reward)?;
    }
    std::hint::black_box(online.learned());
    let learn = start.elapsed().as_secs_f64() / rows.len() as f64;
    Ok((decide * 1e6, learn * 1e6))
}

/// A Python with Vowpal Wabbit in it.
fn installed() -> Result<PathBuf, Box<dyn Error>> {
    let wanted = concat!(env!("CARGO_MANIFEST_DIR"), "/vw/requirements.txt");
    Ok(python::environment(
        "vw",
        "vowpalwabbit",
        &[&["--requirement", wanted]],
    )?)
}

fn table(lines: &[Value]) -> String {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let rows = lines.iter().map(|line| {
        format!(
            "| {} | `{}` | {:.2} | {:.2} |\n",
            text(line, "who"),
            text(line, "what"),
            line["decide_us"].as_f64().unwrap_or(f64::NAN),
            line["learn_us"].as_f64().unwrap_or(f64::NAN)
        )
    });
    let rows: String = rows.collect();
    format!("| | policy | decision, us | learning step, us |\n|---|---|---|---|\n{rows}")
}
