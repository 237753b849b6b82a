//! `echo-proxy`: one binary with all subcommands.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    echo_proxy::cli::run(echo_proxy::cli::Command::parse())
}
