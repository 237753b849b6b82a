//! Swaps policies and models under load, and counts what fails.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use echo_benches::load::{Site, SwapReport, Swaps, serve_upstream};
use echo_benches::report;

/// Sends requests at a fixed rate, in windows with swaps of policies and models and without in turn; counts failed
/// requests, compares latencies, and repeats every decision from the log.
#[derive(Debug, Parser)]
#[command(name = "swaps", max_term_width = 100)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
struct Arguments {
    /// Requests a second
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Pairs of windows
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// Seconds of a window
    #[arg(long, default_value_t = 6.0)]
    window: f64,
    /// Policies published
    #[arg(long, default_value_t = 1_000)]
    policies: usize,
    /// Changes of an arm's version
    #[arg(long, default_value_t = 100)]
    models: usize,
    /// Let users go on typing, so that proposals are followed and learned from; else every request comes from another
    /// user
    #[arg(long)]
    learning: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Also write the table to a dated file in benches/runs
    #[arg(long)]
    save: bool,
    /// Take echo-proxy as it lies beside this program, and do not build it first
    #[arg(long)]
    no_build: bool,
    /// Be the upstream
    #[arg(long, hide = true)]
    upstream: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.upstream {
        serve_upstream().map_err(Into::into)
    } else {
        run(&arguments)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swaps: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let site = Site::prepare_together(!arguments.no_build)?;
    let swaps = Swaps {
        rate: arguments.rate,
        pairs: arguments.pairs.max(1),
        window: Duration::from_secs_f64(arguments.window),
        policies: arguments.policies,
        models: arguments.models,
        learning: arguments.learning,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = runtime.block_on(swaps.run(&site))?;
    if arguments.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        println!("{}", table(&found));
    }
    if arguments.save {
        let text = format!("{}\n\n{}", site.cores.describe(), table(&found));
        report::save("swaps", "Swaps under load", &text)?;
    }
    if found.failed > 0 || found.mixed > 0 || found.identical < found.decisions {
        return Err("a swap was noticed".into());
    }
    Ok(())
}

fn table(found: &SwapReport) -> String {
    let ms = |us: f64| format!("{:.2} ms", us / 1_000.0);
    let rows = [
        ("requests a second", found.rate.to_string()),
        (
            "requests",
            (found.quiet.count + found.swapping.count).to_string(),
        ),
        ("policies published", found.policies.to_string()),
        ("changes of an arm's version", found.models.to_string()),
        ("failed requests", found.failed.to_string()),
        (
            "decisions repeated bit for bit",
            format!("{} of {}", found.identical, found.decisions),
        ),
        (
            "answers of another version than drawn",
            found.mixed.to_string(),
        ),
        (
            "policy versions that decided",
            found.policy_versions.to_string(),
        ),
        ("arm versions that answered", found.arm_versions.to_string()),
        ("median without swaps", ms(found.quiet.p50_us)),
        ("median with swaps", ms(found.swapping.p50_us)),
        ("99th percentile without swaps", ms(found.quiet.p99_us)),
        ("99th percentile with swaps", ms(found.swapping.p99_us)),
        (
            "ratio of the two, median of the pairs",
            format!("{:.2}", found.ratio_of_p99),
        ),
    ];
    let lines = rows.map(|(name, value)| format!("| {name} | {value} |\n"));
    format!("| | |\n|---|---|\n{}", lines.concat())
}
