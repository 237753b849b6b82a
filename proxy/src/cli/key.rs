use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Outcome;
use crate::ids::hex;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A name for the key, as log lines call it
    name: String,
    /// The tenant that it belongs to; the name if none is given
    #[arg(long)]
    tenant: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Makes a random key of 256 bits. Only its digest is ever stored.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    let key = format!("echo-{}", hex(&bytes));
    let digest = hex(&Sha256::digest(key.as_bytes()));
    let (name, tenant) = (
        &arguments.name,
        arguments.tenant.as_ref().unwrap_or(&arguments.name),
    );
    if arguments.json {
        println!(
            "{}",
            json!({"key": key, "name": name, "tenant": tenant, "sha256": digest})
        );
    } else {
        println!("# The key, shown once: {key}");
        println!("[[key]]\nname = {name:?}\ntenant = {tenant:?}\nsha256 = \"{digest}\"");
    }
    Ok(ExitCode::SUCCESS)
}
