//! Compares direct calls, nginx, a bare proxy and echo-proxy in one run.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use echo_benches::load::{Contender, Plan, Report, Site, hold, serve_bare, serve_upstream};

/// Compares direct calls of an upstream with calls through nginx, a bare proxy and echo-proxy, over loopback:
/// added latency, throughput, processor time, memory.
#[derive(Debug, Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
#[command(name = "load", max_term_width = 100)]
struct Arguments {
    /// Look at everything for a moment only: enough to see that it works, too little to rely on
    #[arg(long)]
    quick: bool,
    /// Print one JSON object in place of the tables
    #[arg(long)]
    json: bool,
    /// Also write the tables to a dated file in benches/runs
    #[arg(long)]
    save: bool,
    /// Take echo-proxy as it lies beside this program, and do not build it first
    #[arg(long)]
    no_build: bool,
    /// Measure nothing, but keep one contender under load for so many seconds: for a profiler
    #[arg(long, value_name = "SECONDS")]
    hold: Option<u64>,
    /// The contender to hold
    #[arg(long, requires = "hold", default_value = "echo-learning")]
    contender: Contender,
    /// Hold it under streamed answers
    #[arg(long, requires = "hold")]
    stream: bool,
    /// Be the bare proxy before this upstream
    #[arg(long, hide = true)]
    bare: Option<SocketAddr>,
    /// Be the upstream
    #[arg(long, hide = true)]
    upstream: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.bare {
        Some(upstream) => serve_bare(upstream).map_err(Into::into),
        None if arguments.upstream => serve_upstream().map_err(Into::into),
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let site = Site::prepare(!arguments.no_build)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if let Some(seconds) = arguments.hold {
        let held = hold(&site, arguments.contender, arguments.stream, seconds);
        println!("{:.0} answers a second", runtime.block_on(held)?);
        return Ok(());
    }
    let plan = if arguments.quick {
        Plan::quick()
    } else {
        Plan::full()
    };
    let report = runtime.block_on(plan.run(&site, command()))?;
    println!(
        "{}",
        if arguments.json {
            report.json()?
        } else {
            report.text()
        }
    );
    if arguments.save {
        save(&report)?;
    }
    Ok(())
}

/// The command as it is typed in the workspace's folder.
fn command() -> String {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let command = [
        "cargo run --release -p echo-benches --bin load",
        &given.join(" "),
    ]
    .join(" -- ");
    command.trim_end_matches(" -- ").to_owned()
}

fn save(report: &Report) -> std::io::Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("runs");
    std::fs::create_dir_all(&folder)?;
    let date: String = report
        .machine
        .date
        .chars()
        .map(|c| if c.is_ascii_digit() { c } else { '-' })
        .collect();
    let file = folder.join(format!("{date}-load.md"));
    std::fs::write(
        &file,
        format!("# Load, {}\n\n{}", report.machine.date, report.markdown()),
    )?;
    eprintln!("saved as {}", file.display());
    Ok(())
}
