use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use echo_reward::Fate;
use serde_json::{Value, json};

use super::Outcome;
use crate::proposals::{ProposalRecord, Proposals};
use crate::serve::default_data_dir;
use crate::table::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A log's folder or one of its Parquet files; --data-dir says the same
    log: Option<PathBuf>,
    /// Folder of the log, live or at rest [default: echo-proxy in the user's data folder]
    #[arg(long, value_name = "DIR", conflicts_with = "log")]
    data_dir: Option<PathBuf>,
    /// Print a JSON object for each proposal: `decision_id`, `choice`, `user`, `arm`, `served_at`, `text`,
    /// `ending`, `fate`, `kept_share`, `accepted_chars`, `shown_chars`, `settled`, `evidence`
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.log.clone().or_else(|| arguments.data_dir.clone());
    let proposals = Proposals::read(&path.unwrap_or_else(default_data_dir))?;
    if arguments.json {
        for proposal in proposals.iter() {
            println!("{}", object(&proposal));
        }
    } else {
        print_table(&proposals);
    }
    Ok(ExitCode::SUCCESS)
}

fn object(proposal: &ProposalRecord<'_>) -> Value {
    let (served, outcome) = (proposal.served, proposal.outcome());
    let evidence = proposal.evidence.iter().map(|e| {
        json!({"at": e.at_ms, "fate": e.fate, "kept_share": e.kept_share, "source": e.source, "kept_text": e.kept_text})
    });
    json!({
        "decision_id": served.decision,
        "choice": served.choice,
        "user": proposal.decision.user,
        "arm": served.arm,
        "served_at": served.at_ms,
        "text": served.text,
        "ending": served.ending,
        "fate": outcome.fate.as_str(),
        "kept_share": outcome.kept_share,
        "accepted_chars": outcome.accepted_chars,
        "shown_chars": outcome.shown_chars,
        "settled": outcome.settled,
        "evidence": evidence.collect::<Vec<_>>(),
    })
}

fn print_table(proposals: &Proposals) {
    let mut counts: BTreeMap<&str, BTreeMap<Fate, u64>> = BTreeMap::new();
    for proposal in proposals.iter() {
        let of_arm = counts.entry(proposal.served.arm.as_str()).or_default();
        *of_arm.entry(proposal.fate()).or_default() += 1;
    }
    let mut header = vec!["arm"];
    header.extend(Fate::ALL.map(Fate::as_str));
    let rows = counts.iter().map(|(arm, of_arm)| {
        let mut row = vec![(*arm).to_owned()];
        row.extend(Fate::ALL.map(|fate| of_arm.get(&fate).copied().unwrap_or(0).to_string()));
        row
    });
    println!("{}", table(header, rows));
}
