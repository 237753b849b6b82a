//! `echo-proxy`: one binary with all subcommands.

use std::process::ExitCode;

use clap::Parser as _;

/// A quarter of the time of a request went to the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    echo_proxy::cli::run(echo_proxy::cli::Command::parse())
}
