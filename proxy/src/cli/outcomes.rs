use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use echo_experience::{Decision, Evidence, LogReader, Record, Served};
use serde_json::json;

use super::table::table;
use super::Outcome;
use crate::serve::default_data_dir;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A log's folder or one of its Parquet files; --data-dir says the same
    log: Option<PathBuf>,
    /// Folder of the log, live or at rest [default: echo-proxy in the user's data folder]
    #[arg(long, value_name = "DIR", conflicts_with = "log")]
    data_dir: Option<PathBuf>,
    /// Print one JSON object a proposal: `decision_id`, choice, arm, `served_at`, text, fate, `kept_share`,
    /// `accepted_chars`, settled, evidence
    #[arg(long)]
    json: bool,
}

/// What is known of one proposal.
#[derive(Debug, Default)]
struct Proposed {
    decision: Option<Decision>,
    served: BTreeMap<u32, Served>,
    evidence: BTreeMap<u32, Vec<Evidence>>,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.log.clone().or_else(|| arguments.data_dir.clone());
    let mut reader = LogReader::open(&path.unwrap_or_else(default_data_dir))?;
    let mut proposals: BTreeMap<String, Proposed> = BTreeMap::new();
    for entry in reader.entries() {
        match entry?.record {
            Record::Decision(decision) => {
                let id = decision.id.clone();
                proposals.entry(id).or_default().decision = Some(decision);
            }
            Record::Served(served) => {
                let proposed = proposals.entry(served.decision.clone()).or_default();
                proposed.served.insert(served.choice, served);
            }
            Record::Evidence(evidence) => {
                let proposed = proposals.entry(evidence.decision.clone()).or_default();
                proposed.evidence.entry(evidence.choice).or_default().push(evidence);
            }
            _ => {}
        }
    }
    if arguments.json {
        print_json(&proposals);
    } else {
        print_table(&proposals);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(proposals: &BTreeMap<String, Proposed>) {
    for (id, proposed) in proposals {
        for (choice, served) in &proposed.served {
            let evidence = proposed.evidence.get(choice).map(Vec::as_slice).unwrap_or_default();
            let last = evidence.last();
            let object = json!({
                "decision_id": id,
                "choice": choice,
                "user": proposed.decision.as_ref().map(|d| d.user.as_str()),
                "arm": served.arm,
                "served_at": served.at_ms,
                "text": served.text,
                "ending": served.ending,
                "fate": fate(served, last),
                "kept_share": last.map_or(0.0, |e| e.kept_share),
                "accepted_chars": last.map_or(0, |e| e.accepted_chars),
                "shown_chars": served.text.chars().count(),
                "settled": last.is_some_and(|e| e.settled),
                "evidence": evidence.iter().map(|e| json!({
                    "at": e.at_ms, "fate": e.fate, "kept_share": e.kept_share, "source": e.source,
                    "kept_text": e.kept_text,
                })).collect::<Vec<_>>(),
            });
            println!("{object}");
        }
    }
}

/// A proposal without evidence is censored, and so is one that was never sent whole.
fn fate<'a>(served: &Served, last: Option<&'a Evidence>) -> &'a str {
    let complete = served.ending == "stop" || served.ending == "length";
    last.filter(|_| complete).map_or("censored", |e| e.fate.as_str())
}

fn print_table(proposals: &BTreeMap<String, Proposed>) {
    let mut counts: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for proposed in proposals.values() {
        for (choice, served) in &proposed.served {
            let last = proposed.evidence.get(choice).and_then(|e| e.last());
            let of_arm = counts.entry(served.arm.as_str()).or_default();
            *of_arm.entry(fate(served, last)).or_default() += 1;
        }
    }
    let header = ["arm", "accepted", "partial", "refined", "typed", "rejected", "undone", "not shown", "censored"];
    let fates = ["accepted", "partial", "refined", "typed_through", "rejected", "undone", "never_shown", "censored"];
    let rows = counts.iter().map(|(arm, of_arm)| {
        let mut row = [const { String::new() }; 9];
        (*arm).clone_into(&mut row[0]);
        for (cell, fate) in row[1..].iter_mut().zip(fates) {
            *cell = of_arm.get(fate).copied().unwrap_or(0).to_string();
        }
        row
    });
    println!("{}", table(header, rows));
}
