use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Outcome;
use crate::config::{Config, DEFAULT_TOML};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file to check
    file: PathBuf,
}

pub(super) fn print() {
    print!("{DEFAULT_TOML}");
}

pub(super) fn check(arguments: &Arguments) -> Outcome {
    let config = Config::load(Some(&arguments.file))?;
    let arms = match config.arms.len() {
        0 => "all embedded models".to_owned(),
        1 => "1 arm".to_owned(),
        many => format!("{many} arms"),
    };
    println!(
        "{}: fine ({arms}, policy {})",
        arguments.file.display(),
        config.policy
    );
    Ok(ExitCode::SUCCESS)
}
