//! Off-policy estimators on a world whose truth is known, and how fast they read a log.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch};
use clap::Parser;
use comfy_table::{Table, presets};
use echo_benches::evaluation::{ARMS, Record, Reference, Routing, World, study};
use echo_benches::report::save;
use echo_sim::estimators::{Breadth, Suite, SuiteSettings, Terms};
use echo_sim::foreign::{ColumnMap, ForeignSettings, evaluate_foreign};
use parquet::arrow::ArrowWriter;

/// Bias, error and coverage of every estimator over many logs of a world whose value is known, and the time that
/// they take over a large one.
#[derive(Debug, Parser)]
#[command(name = "evaluation", max_term_width = 100)]
struct Arguments {
    /// Logs drawn from the world
    #[arg(long, default_value_t = 1_000)]
    logs: u32,
    /// Rows of each
    #[arg(long, default_value_t = 2_000)]
    rows: u64,
    /// Rows of the log whose evaluation is timed, in millions
    #[arg(long, default_value_t = 10)]
    millions: u64,
    /// Also write the tables to a dated file in benches/runs
    #[arg(long)]
    save: bool,
}

fn main() -> ExitCode {
    match report(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evaluation: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let records = study(arguments.logs, arguments.rows)?;
    let routing = routing(arguments.logs)?;
    let tables = format!(
        "Nominal 95 % intervals over {} logs of {} rows each; true value {:.6}. `held whenever looked at`: after every \
         hundredth row, in brackets the anytime interval.\n\n{}\n\n{routing}\n\n{}",
        arguments.logs,
        arguments.rows,
        World::value(),
        accuracy(&records),
        speed(arguments.millions * 1_000_000)?
    );
    println!("{tables}");
    if arguments.save {
        save("evaluation", "Off-policy evaluation", &tables)?;
    }
    Ok(())
}

fn accuracy(records: &[Record]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "estimator",
        "bias",
        "RMSE",
        "held",
        "mean width",
        "held whenever looked at",
    ]);
    for record in records {
        let logs = f64::from(record.logs);
        let share = |count: u32| format!("{:.1} %", 100.0 * f64::from(count) / logs);
        let whenever = match record.held_always {
            Some(always) => format!("{} ({})", share(record.held_whenever), share(always)),
            None => share(record.held_whenever),
        };
        table.add_row([
            record.estimator.clone(),
            format!("{:+.5}", record.bias()),
            format!("{:.5}", record.rmse()),
            share(record.held),
            format!("{:.4}", record.width()),
            whenever,
        ]);
    }
    table
}

/// The study of nine language models beside its reference.
fn routing(logs: u32) -> Result<String, Box<dyn Error>> {
    let (routing, reference) = (Routing::read()?, Reference::read()?);
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "policy",
        "rows",
        "estimator",
        "RMSE",
        "reference",
        "held",
        "reference",
        "mean width",
        "reference",
    ]);
    for rows in [300, 1_000, 2_804] {
        for case in routing.study(logs, rows)? {
            for (record, theirs) in reference.beside(&case) {
                table.add_row([
                    case.policy.to_owned(),
                    rows.to_string(),
                    record.estimator.clone(),
                    format!("{:.4}", record.rmse()),
                    format!("{:.4}", theirs.rmse),
                    format!("{:.1} %", 100.0 * record.coverage()),
                    format!("{:.1} %", 100.0 * theirs.coverage),
                    format!("{:.4}", record.width()),
                    format!("{:.4}", theirs.width),
                ]);
            }
        }
    }
    Ok(format!(
        "Nine language models on 2,804 prompts, each score known: {logs} logs of each length, beside the 400 (`cressie-read`: \
         100) of an independent implementation, whose error is about 4 % of an RMSE and 1 point of a coverage. It bounds weights \
         by the largest there can be, where we take the largest seen: that is the difference in the widths of `ips-eb` and \
         `cressie-read`.\n\n{table}"
    ))
}

/// Seconds for a log in memory and for one in Parquet.
fn speed(rows: u64) -> Result<String, Box<dyn Error>> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["what", "rows", "seconds", "million rows a second"]);
    let mut add = |what: &str, rows: u64, seconds: f64| {
        table.add_row([
            what.to_owned(),
            rows.to_string(),
            format!("{seconds:.2}"),
            format!("{:.2}", rows as f64 / seconds / 1e6),
        ]);
    };
    let world = World::new(7);
    let some: Vec<Terms> = (1..=100_000)
        .map(|number| world.row(number).map(|row| row.terms()))
        .collect::<Result<_, _>>()?;
    let (plain, all) = (Breadth::Plain, Breadth::All);
    for (what, breadth, has_predictions, replicates) in [
        ("in memory, one thread, IPS and SNIPS", plain, false, 0),
        (
            "in memory, one thread, IPS, SNIPS, DM, DR, SNDR",
            plain,
            true,
            0,
        ),
        (
            "in memory, one thread, all without predictions",
            all,
            false,
            0,
        ),
        ("in memory, one thread, all estimators", all, true, 0),
        (
            "in memory, one thread, all, 1,000 replicates",
            all,
            true,
            1_000,
        ),
    ] {
        let mut suite = Suite::new(&SuiteSettings {
            breadth,
            has_predictions,
            replicates,
            ..SuiteSettings::default()
        });
        let rounds = 10;
        let started = Instant::now();
        for _ in 0..rounds {
            for (number, terms) in (0..).zip(&some) {
                suite.push(number, terms);
            }
        }
        std::hint::black_box(suite.finish()?);
        add(
            what,
            rounds * some.len() as u64,
            started.elapsed().as_secs_f64(),
        );
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("log.parquet");
    write(&path, rows)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (what, breadth, replicates) in [
        ("IPS, SNIPS, DM, DR, SNDR, 200 replicates", plain, 200),
        ("all estimators, 200 replicates", all, 200),
    ] {
        let mut settings = ForeignSettings::new(&path, Some(columns()), folder.path(), "uniform");
        settings.suite.replicates = replicates;
        settings.suite.breadth = breadth;
        let started = Instant::now();
        evaluate_foreign(&settings, &|_| ())?;
        let seconds = started.elapsed().as_secs_f64();
        add(
            &format!("Parquet, {threads} threads, {what}"),
            rows,
            seconds,
        );
    }
    let memory = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(format!(
        "{table}\n\nLargest memory of the run: {}.",
        peak.unwrap_or("unknown").trim()
    ))
}

/// What the columns of the log in Parquet hold.
fn columns() -> ColumnMap {
    ColumnMap {
        balanced: false,
        features: Vec::new(),
        categories: Vec::new(),
        action: "action".to_owned(),
        reward: "reward".to_owned(),
        reward_range: None,
        arms: None,
        logged: Some("p{arm}".to_owned()),
        propensity: None,
        predictions: Some("q{arm}".to_owned()),
        position: None,
        user: None,
        epoch: None,
        targets: std::collections::BTreeMap::default(),
    }
}

/// Writes a log of the world; beyond a hundred thousand rows, they come again.
fn write(path: &Path, rows: u64) -> Result<(), Box<dyn Error>> {
    let world = World::new(8);
    let some = (1..=100_000_u64)
        .map(|number| world.row(number))
        .collect::<Result<Vec<_>, _>>()?;
    let floats = |of: &dyn Fn(&echo_benches::evaluation::Row) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(some.iter().map(of)))
    };
    let served = some
        .iter()
        .map(|row| i32::try_from(row.served).unwrap_or(0));
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (
            "action".to_owned(),
            Arc::new(Int32Array::from_iter_values(served)),
        ),
        ("reward".to_owned(), floats(&|row| row.reward)),
    ];
    for arm in 0..ARMS {
        columns.push((format!("p{arm}"), floats(&|row| row.logged[arm])));
        columns.push((format!("q{arm}"), floats(&|row| row.predictions[arm])));
    }
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?;
    let mut left = rows;
    while left > 0 {
        let take = left.min(batch.num_rows() as u64);
        writer.write(&batch.slice(0, usize::try_from(take)?))?;
        left -= take;
    }
    writer.close()?;
    Ok(())
}
