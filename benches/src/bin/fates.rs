//! How well fates are read from requests, for each client's habits: simulated users whose every proposal has
//! a known fate.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use comfy_table::{Table, presets};

use echo_benches::report::save;
use echo_reward::Fate;
use echo_sim::fates::{Account, Matrix, PROFILES, run};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

/// Reads the fates of simulated users' proposals and compares them with the truth, for each client's habits.
#[derive(Debug, Parser)]
#[command(name = "fates", max_term_width = 100)]
struct Arguments {
    /// Seed of every choice
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Users of each client, who write a few hundred characters each
    #[arg(long, default_value_t = 400)]
    sessions: u64,
    /// Only this client; may be repeated
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// Print one JSON object a client in place of the tables
    #[arg(long)]
    json: bool,
    /// Also write the tables to a dated file in benches/runs
    #[arg(long)]
    save: bool,
    /// Tell the story of so many proposals that were misread
    #[arg(long, default_value_t = 0)]
    show: usize,
    /// Of these, only what was truly of this fate; `censored` for what nothing tells of
    #[arg(long, value_name = "FATE")]
    only: Option<Fate>,
    /// Run this one user only, and tell the story of every proposal
    #[arg(long, value_name = "NUMBER")]
    session: Option<u64>,
}

impl Arguments {
    /// Whether a proposal's story is to be told.
    fn tells(&self, account: &Account) -> bool {
        let fate = account.fate.unwrap_or(Fate::Censored);
        self.session.is_some()
            || self.show > 0 && account.is_misread && self.only.is_none_or(|only| only == fate)
    }
}

fn main() -> ExitCode {
    match report(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fates: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let is_wanted = |name: &str| {
        arguments.profiles.is_empty() || arguments.profiles.iter().any(|wanted| wanted == name)
    };
    if let Some(wrong) = arguments
        .profiles
        .iter()
        .find(|name| PROFILES.iter().all(|profile| profile.name != **name))
    {
        let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
        return Err(format!(
            "no client is called {wrong:?}; there are {}",
            names.join(", ")
        )
        .into());
    }
    let profiles = PROFILES.iter().filter(|profile| is_wanted(profile.name));
    let profiles: Vec<_> = profiles.collect();
    let bar = ProgressBar::new(arguments.sessions * profiles.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "{msg:18} {bar:40} {pos}/{len}",
    )?);
    let mut read: Vec<(&str, Matrix)> = Vec::new();
    let mut told: Vec<(&str, Account)> = Vec::new();
    for profile in profiles {
        bar.set_message(profile.name);
        let mut matrix = Matrix::default();
        let numbers = match arguments.session {
            Some(number) => number..number + 1,
            None => 0..arguments.sessions,
        };
        for number in numbers {
            let mut accounts = run(profile, arguments.seed, number, &mut matrix);
            accounts.retain(|account| arguments.tells(account));
            told.extend(accounts.into_iter().map(|account| (profile.name, account)));
            bar.inc(1);
        }
        read.push((profile.name, matrix));
    }
    bar.finish_and_clear();
    if arguments.json {
        for (name, matrix) in &read {
            println!("{}", object(name, matrix));
        }
    } else {
        println!("{}", tables(&read));
    }
    let shown = arguments.session.map_or(arguments.show, |_| usize::MAX);
    for (name, account) in told.iter().take(shown) {
        let truth = account.fate.map_or("censored", Fate::as_str);
        println!("{name}: {truth} read as {}", account.inferred);
        for line in &account.story {
            println!("    {line}");
        }
    }
    if arguments.save {
        save("fates", "Fates", &tables(&read))?;
    }
    Ok(())
}

/// The fates whose precision and recall are told, in the order of the tables.
const TOLD: [Fate; 8] = [
    Fate::Accepted,
    Fate::Partial,
    Fate::Refined,
    Fate::TypedThrough,
    Fate::Rejected,
    Fate::Undone,
    Fate::NeverShown,
    Fate::Speculative,
];

fn object(name: &str, matrix: &Matrix) -> serde_json::Value {
    let rates = TOLD.into_iter().map(|fate| {
        let rates = json!({"precision": matrix.precision(fate), "recall": matrix.recall(fate)});
        (fate.as_str(), rates)
    });
    json!({
        "client": name,
        "rates": rates.collect::<BTreeMap<_, _>>(),
        "kept_share_error": matrix.share_error(),
        "false_rejections": matrix.false_rejections,
        "perhaps_read": matrix.perhaps_read,
        "matrix": matrix.told,
        "untold": matrix.untold,
    })
}

fn tables(read: &[(&str, Matrix)]) -> String {
    let mut rates = Table::new();
    rates.load_style(presets::ASCII_MARKDOWN);
    let mut header = vec!["client".to_owned()];
    header.extend(TOLD.map(|fate| fate.to_string()));
    let others = [
        "kept share error",
        "told",
        "not told",
        "false rejections",
        "of these perhaps read",
    ];
    header.extend(others.map(str::to_owned));
    rates.set_header(header);
    for (name, matrix) in read {
        let mut row = vec![(*name).to_owned()];
        row.extend(TOLD.map(|fate| {
            let percent = |rate: Option<f64>| {
                rate.map_or("-".to_owned(), |rate| format!("{:.1}", rate * 100.0))
            };
            format!(
                "{} / {}",
                percent(matrix.precision(fate)),
                percent(matrix.recall(fate))
            )
        }));
        let error = matrix.share_error();
        row.push(error.map_or("-".to_owned(), |error| format!("{error:.3}")));
        let told: u32 = matrix.told.values().flat_map(BTreeMap::values).sum();
        let untold: u32 = matrix.untold.values().sum();
        let counts = [told, untold, matrix.false_rejections, matrix.perhaps_read];
        row.extend(counts.map(|count| count.to_string()));
        rates.add_row(row);
    }
    let mut text = vec![format!("Precision / recall in percent:\n\n{rates}\n")];
    for (name, matrix) in read {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        let mut header = vec!["truth".to_owned()];
        header.extend(Fate::ALL.map(|fate| fate.to_string()));
        table.set_header(header);
        for fate in TOLD {
            let mut row = vec![fate.to_string()];
            row.extend(Fate::ALL.map(|inferred| matrix.count(fate, inferred).to_string()));
            table.add_row(row);
        }
        let untold: Vec<String> = matrix
            .untold
            .iter()
            .map(|(why, count)| format!("{} {count}", why.as_str()))
            .collect();
        text.push(format!(
            "\n{name}\n\n{table}\n\nNot told: {}\n",
            untold.join(", ")
        ));
    }
    text.concat()
}
