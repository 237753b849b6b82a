mod choice;
mod row;
mod sequence;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use echo_reward::{Fate, Scorer, Scoring};

use super::Outcome;
use crate::proposals::{ProposalRecord, Proposals};
use crate::serve::default_data_dir;
use crate::table::table;
use choice::Choice;
use row::Row;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A log's folder or one of its Parquet files; --data-dir says the same
    log: Option<PathBuf>,
    /// Folder of the log, live or at rest [default: echo-proxy in the user's data folder]
    #[arg(long, value_name = "DIR", conflicts_with = "log")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// Print a JSON object for each proposal: `decision_id`, `choice`, `user`, `client`, `language`, `arm`,
    /// `served_at`, `text`, `ending`, `first_byte_ms`, `total_ms`, `fate`, `kept_share`, `accepted_chars`,
    /// `shown_chars`, `edit_distance`, `settled`, `rewards`, `evidence`
    #[arg(long)]
    json: bool,
    /// Print a line for each proposal in place of one for each arm
    #[arg(long, conflicts_with = "json")]
    list: bool,
    /// Tell one proposal's story: what was proposed beside what stood there later. The start of its id is
    /// enough
    #[arg(long, value_name = "ID", conflicts_with_all = ["json", "list"])]
    show: Option<String>,
    /// Write what --json prints to a new Parquet file, `rewards` and `evidence` as JSON text
    #[arg(long, value_name = "FILE")]
    parquet: Option<PathBuf>,
    /// Also tell what each proposal is worth, in [0, 1]: retained@1, accepted@1, chars@1, cursor@1 or
    /// codebleu@1; may be repeated
    #[arg(long = "scorer", value_name = "NAME")]
    scorers: Vec<Scorer>,
    /// Take so much off each proposal's worth for every second until its first byte
    #[arg(long, value_name = "COST", default_value_t = 0.0)]
    latency_cost: f64,
}

/// What a proposal is worth to each scoring, in [0, 1].
fn rewards(scorings: &[Scoring], proposal: &ProposalRecord<'_>) -> Vec<(Scorer, Option<f64>)> {
    let paid = |scoring: &Scoring| {
        let reward = proposal.reward(scoring.scorer)?;
        Some(scoring.paid(reward, proposal.served.first_byte_ms))
    };
    let scorings = scorings.iter();
    scorings
        .map(|scoring| (scoring.scorer, paid(scoring)))
        .collect()
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.log.clone().or_else(|| arguments.data_dir.clone());
    let proposals = Proposals::read(&path.unwrap_or_else(default_data_dir))?;
    let free = Scoring::by_measures(Scorer::default(), arguments.latency_cost)?;
    let scorings = arguments.scorers.iter();
    let scorings: Vec<Scoring> = scorings
        .map(|scorer| Scoring {
            scorer: *scorer,
            ..free
        })
        .collect();
    if let Some(id) = &arguments.show {
        for proposal in one(&proposals, id)? {
            print!("{}", sequence::tell(&proposal, is_coloured()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = arguments
        .choice
        .of(proposals.iter(), Utc::now().timestamp_millis());
    if let Some(file) = &arguments.parquet {
        if file.exists() {
            return Err(format!("{} exists already", file.display()).into());
        }
        let rows: Vec<Row> = chosen
            .iter()
            .map(|p| Row::of(p, &rewards(&scorings, p)))
            .collect();
        echo_experience::table::write(file, &rows)?;
        eprintln!("{} proposals written to {}", rows.len(), file.display());
    }
    if arguments.json {
        for proposal in &chosen {
            println!(
                "{}",
                Row::of(proposal, &rewards(&scorings, proposal)).json()
            );
        }
    } else if arguments.list {
        print_list(&chosen, &scorings);
    } else if arguments.parquet.is_none() {
        print_arms(&chosen, &scorings);
    }
    Ok(ExitCode::SUCCESS)
}

/// The alternatives of the one answer whose id starts so.
fn one<'a>(proposals: &'a Proposals, id: &str) -> Result<Vec<ProposalRecord<'a>>, String> {
    let found: Vec<_> = proposals
        .iter()
        .filter(|proposal| proposal.served.decision.starts_with(id))
        .collect();
    let Some(first) = found.first() else {
        return Err(format!("no proposal's id starts with {id:?}"));
    };
    let is_one = found
        .iter()
        .all(|other| other.served.decision == first.served.decision);
    if id.is_empty() || !is_one {
        return Err(format!("more than one proposal's id starts with {id:?}"));
    }
    Ok(found)
}

fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

fn print_list(chosen: &[ProposalRecord<'_>], scorings: &[Scoring]) {
    let mut header = vec!["decision", "served", "arm", "fate", "kept", "chars"];
    header.extend(scorings.iter().map(|scoring| scoring.scorer.as_str()));
    header.push("text");
    let rows = chosen.iter().map(|proposal| {
        let (served, outcome) = (proposal.served, proposal.outcome());
        let at = DateTime::from_timestamp_millis(served.at_ms).unwrap_or_default();
        let mut row = vec![
            served.decision.clone(),
            at.format("%Y-%m-%d %H:%M:%S").to_string(),
            served.arm.clone(),
            outcome.fate.to_string(),
            format!("{:.2}", outcome.kept_share),
            outcome.shown_chars.to_string(),
        ];
        row.extend(
            rewards(scorings, proposal)
                .iter()
                .map(|(_, reward)| match reward {
                    Some(reward) => format!("{reward:.3}"),
                    None => "-".to_owned(),
                }),
        );
        row.push(short(&served.text));
        row
    });
    println!("{}", table(header, rows));
}

/// A text on one line, cut where it is long.
fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let mut cut: String = line.chars().take(TEXT_CHARS).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    cut
}

/// Characters of a proposal's text in a list.
const TEXT_CHARS: usize = 40;

/// What is counted of one arm.
#[derive(Default)]
struct Tally {
    fates: BTreeMap<Fate, u64>,
    /// Sum and number of the rewards by each scorer.
    rewards: Vec<(f64, u32)>,
}

fn print_arms(chosen: &[ProposalRecord<'_>], scorings: &[Scoring]) {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for proposal in chosen {
        let tally = tallies.entry(proposal.served.arm.as_str()).or_default();
        *tally.fates.entry(proposal.fate()).or_default() += 1;
        tally.rewards.resize(scorings.len(), (0.0, 0));
        let rewards = rewards(scorings, proposal);
        for ((_, reward), (sum, count)) in rewards.iter().zip(&mut tally.rewards) {
            if let Some(reward) = reward {
                *sum += reward;
                *count += 1;
            }
        }
    }
    let mut header = vec!["arm"];
    header.extend(Fate::ALL.map(Fate::as_str));
    header.extend(scorings.iter().map(|scoring| scoring.scorer.as_str()));
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
