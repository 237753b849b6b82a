use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Outcome;
use super::serve::{show, training_bar};
use crate::clock::Clock;
use crate::config::Config;
use crate::demo::{self, DemoSettings, Lines, Screen, View};
use crate::serve::default_data_dir;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How long the simulated editors type, in seconds
    #[arg(long, value_name = "S", default_value_t = 75)]
    seconds: u64,
    /// Pairs of simulated users: twins, one routed by the learning policy, one by a uniform draw
    #[arg(long, value_name = "N", default_value_t = 48)]
    pairs: usize,
    /// Seed of the users and of every draw
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Simulated seconds in one second
    #[arg(long, value_name = "X", default_value_t = 40.0)]
    pace: f64,
    /// A folder of source code to train on and to type, in place of cargo's registry; may be repeated
    #[arg(long, value_name = "DIR")]
    corpus: Vec<PathBuf>,
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the log [default: a new one in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print the summary as one JSON object, and nothing else
    #[arg(long)]
    json: bool,
    /// Plain lines, also in a terminal
    #[arg(long)]
    plain: bool,
}

pub(super) fn run(arguments: Arguments) -> Outcome {
    if !(arguments.pace.is_finite() && arguments.pace >= 1.0) {
        return Err("--pace must be at least 1".into());
    }
    let new_folder = || {
        default_data_dir()
            .join("demo")
            .join(Clock::new(1.0).now_ms().to_string())
    };
    let settings = DemoSettings {
        config: Config::load(arguments.config.as_deref())?,
        corpus: arguments.corpus,
        data_dir: arguments.data_dir.unwrap_or_else(new_folder),
        length: Duration::from_secs(arguments.seconds.max(1)),
        pairs: arguments.pairs,
        seed: arguments.seed,
        pace: arguments.pace,
    };
    let (json, plain) = (
        arguments.json,
        arguments.plain || !std::io::stdout().is_terminal(),
    );
    let bar = training_bar();
    let view = || -> std::io::Result<Box<dyn View>> {
        bar.finish_and_clear();
        Ok(match (json, plain) {
            (true, _) => Box::new(demo::Nothing),
            (_, true) => Box::new(Lines),
            _ => Box::new(Screen::open()?),
        })
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let summary = runtime.block_on(demo::run(settings, &mut |share| show(&bar, share), view))?;
    if json {
        println!("{}", summary.json());
    } else {
        println!("{summary}");
    }
    Ok(ExitCode::SUCCESS)
}
