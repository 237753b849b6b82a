//! The command line.

mod admin;
mod config;
mod demo;
mod export;
mod key;
mod models;
mod outcomes;
mod policy;
mod replay;
mod scored;
mod serve;
mod train;

use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use indicatif::ProgressBar;
use tracing_subscriber::EnvFilter;

/// Routes code completion between models, and learns from what becomes of each proposal.
#[derive(Debug, Parser)]
#[command(name = "echo-proxy", version, about, max_term_width = 100)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
    /// What to log: error, warn, info, debug or trace, also per module
    #[arg(long, global = true, env = "ECHO_LOG", default_value = "info")]
    log_level: String,
    /// Write log lines as JSON
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve completions; without a configuration, from embedded models
    Serve(serve::Arguments),
    /// Serve simulated editors and show how routing learns
    Demo(demo::Arguments),
    /// Estimate from a log how another policy would have done
    Replay(Box<replay::Arguments>),
    /// Write a log as one flat Parquet table, for other tools
    Export(export::Arguments),
    /// Print what became of each proposal in a log
    Outcomes(outcomes::Arguments),
    /// Look at what policies have learned, and ask whether another may take over
    Policy(policy::Arguments),
    /// Fit a reward model to a log, as a candidate policy
    Train(train::Arguments),
    /// Change the models of a running server
    Models(models::Arguments),
    /// Print the whole configuration, commented, with every default
    Config,
    /// Check a configuration file
    CheckConfig(config::Arguments),
    /// Make an API key and print the lines that accept it
    Key(key::Arguments),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Shows on a terminal that something is at work whose end is not known.
fn at_work<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    let done = work();
    bar.finish_and_clear();
    done
}

/// What a subcommand comes to.
type Outcome = Result<ExitCode, Box<dyn Error>>;

/// Runs a command. An error is one clear line on the standard error, and exit status 1.
pub fn run(command: Command) -> ExitCode {
    start_logging(&command);
    quieten_panics();
    let outcome = match command.action {
        Action::Serve(arguments) => serve::run(arguments),
        Action::Demo(arguments) => demo::run(arguments),
        Action::Replay(arguments) => replay::run(&arguments),
        Action::Export(arguments) => export::run(&arguments),
        Action::Outcomes(arguments) => outcomes::run(&arguments),
        Action::Policy(arguments) => policy::run(&arguments),
        Action::Train(arguments) => train::run(&arguments),
        Action::Models(arguments) => models::run(&arguments),
        Action::Config => {
            config::print();
            Ok(ExitCode::SUCCESS)
        }
        Action::CheckConfig(arguments) => config::check(&arguments),
        Action::Key(arguments) => key::run(&arguments),
        Action::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Command::command(), "echo-proxy", &mut script);
            print!("{}", String::from_utf8_lossy(&script));
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("echo-proxy: {error}");
        ExitCode::FAILURE
    })
}

/// A panic's message may quote a user's text: only its place is written.
fn quieten_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to stdout") && message.contains("Broken pipe") {
            // Whoever read the output, such as `head`, has had enough.
            std::process::exit(0);
        }
        tracing::error!(place, "a panic: please report it with this place");
    }));
}

fn start_logging(command: &Command) {
    let filter = EnvFilter::try_new(&command.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    if command.log_json {
        lines.json().init();
    } else {
        lines.init();
    }
}
