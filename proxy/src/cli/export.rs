use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use echo_sim::{RowOptions, export, export_dsjson};

use super::Outcome;
use crate::cli::scored::Scored;
use crate::serve::default_data_dir;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A log's folder, live or at rest; --data-dir says the same
    log: Option<PathBuf>,
    /// Folder of the log [default: echo-proxy in the user's data folder]
    #[arg(long, value_name = "DIR", conflicts_with = "log")]
    data_dir: Option<PathBuf>,
    /// The file to write: Parquet, whose columns docs/log-schema.md tells; or Vowpal Wabbit's decision
    /// logs (--dsjson), if its name ends in .dsjson
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    scored: Scored,
    /// Also the control cohort's decisions
    #[arg(long)]
    include_control: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.log.clone().or_else(|| arguments.data_dir.clone());
    let path = path.unwrap_or_else(default_data_dir);
    let options = RowOptions {
        scoring: arguments.scored.scoring()?,
        include_control: arguments.include_control,
        ..RowOptions::default()
    };
    let is_dsjson = arguments
        .output
        .extension()
        .is_some_and(|ending| ending == "dsjson");
    let exported = if is_dsjson {
        export_dsjson(&path, &options, &arguments.output)?
    } else {
        export(&path, &options, &arguments.output)?
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&exported)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} of {} decisions, {} arms, written to {}",
        exported.rows.rows,
        exported.rows.decisions,
        exported.arms.len(),
        arguments.output.display()
    );
    for (reason, count) in &exported.rows.excluded {
        println!("{count} left out: {reason}");
    }
    if exported.lost_records > 0 {
        println!(
            "{} records of the log are lost to damage",
            exported.lost_records
        );
    }
    Ok(ExitCode::SUCCESS)
}
