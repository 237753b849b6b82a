use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use echo_reward::{Fate, Scorer};
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
    /// `ending`, `fate`, `kept_share`, `accepted_chars`, `shown_chars`, `settled`, `rewards`, `evidence`
    #[arg(long)]
    json: bool,
    /// Also tell what each proposal is worth, in [0, 1]: retained@1, accepted@1, chars@1 or cursor@1; may
    /// be repeated
    #[arg(long = "scorer", value_name = "NAME")]
    scorers: Vec<Scorer>,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.log.clone().or_else(|| arguments.data_dir.clone());
    let proposals = Proposals::read(&path.unwrap_or_else(default_data_dir))?;
    if arguments.json {
        for proposal in proposals.iter() {
            println!("{}", object(&proposal, &arguments.scorers));
        }
    } else {
        print_table(&proposals, &arguments.scorers);
    }
    Ok(ExitCode::SUCCESS)
}

fn object(proposal: &ProposalRecord<'_>, scorers: &[Scorer]) -> Value {
    let (served, outcome) = (proposal.served, proposal.outcome());
    let evidence = proposal.evidence.iter().map(|e| {
        json!({"at": e.at_ms, "fate": e.fate, "kept_share": e.kept_share, "source": e.source, "kept_text": e.kept_text})
    });
    let rewards = scorers
        .iter()
        .map(|scorer| (scorer.to_string(), json!(scorer.reward(&outcome))));
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
        "rewards": rewards.collect::<serde_json::Map<_, _>>(),
        "evidence": evidence.collect::<Vec<_>>(),
    })
}

/// What is counted of one arm.
#[derive(Default)]
struct Tally {
    fates: BTreeMap<Fate, u64>,
    /// Sum and number of the rewards by each scorer.
    rewards: Vec<(f64, u32)>,
}

fn print_table(proposals: &Proposals, scorers: &[Scorer]) {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for proposal in proposals.iter() {
        let outcome = proposal.outcome();
        let tally = tallies.entry(proposal.served.arm.as_str()).or_default();
        *tally.fates.entry(outcome.fate).or_default() += 1;
        tally.rewards.resize(scorers.len(), (0.0, 0));
        for (scorer, (sum, count)) in scorers.iter().zip(&mut tally.rewards) {
            if let Some(reward) = scorer.reward(&outcome) {
                *sum += reward;
                *count += 1;
            }
        }
    }
    let mut header = vec!["arm"];
    header.extend(Fate::ALL.map(Fate::as_str));
    header.extend(scorers.iter().map(|scorer| scorer.as_str()));
    let rows = tallies.iter().map(|(arm, tally)| {
        let mut row = vec![(*arm).to_owned()];
        let count = |fate| tally.fates.get(&fate).copied().unwrap_or(0).to_string();
        row.extend(Fate::ALL.map(count));
        row.extend(tally.rewards.iter().map(|(sum, count)| match count {
            0 => "-".to_owned(),
            count => format!("{:.3}", sum / f64::from(*count)),
        }));
        row
    });
    println!("{}", table(header, rows));
}
