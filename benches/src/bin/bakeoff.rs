//! Policies on data sets whose every reward is known: which learns best in one pass?

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use comfy_table::{Table, presets};
use echo_benches::bakeoff::set::{Set, read_all};
use echo_benches::bakeoff::{Protocol, Run, budgeted, run};
use echo_benches::report::save;
use echo_policy::PolicySpec;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

/// Runs policies over data sets as contextual bandits, one decision after the other, and tells the mean loss or
/// reward of what they drew.
#[derive(Debug, Parser)]
#[command(name = "bakeoff", max_term_width = 100)]
struct Arguments {
    /// Folder with `ds_ID_CLASSES.vw.gz`, or `scores.csv` with its features, in it or below
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Policy in the words of the configuration; may be repeated. The first is the default one
    #[arg(long = "policy", value_name = "SPEC")]
    policies: Vec<PolicySpec>,
    /// Only sets whose name holds this; may be repeated
    #[arg(long = "set", value_name = "NAME")]
    sets: Vec<String>,
    /// Orders of the rows, each with draws of its own; the first is that of the file
    #[arg(long, default_value_t = 5)]
    orders: u64,
    /// Passes over the data
    #[arg(long, default_value_t = 1)]
    passes: usize,
    /// Rewards come so many rounds late
    #[arg(long, default_value_t = 0)]
    delay: usize,
    /// Rewards come so many at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Half-way through, every arm turns into the next one
    #[arg(long)]
    drift: bool,
    /// What the dearest model's price takes off a score, where there are prices; may be repeated
    #[arg(long = "price", value_name = "SHARE", default_values_t = [0.0, 0.2])]
    prices: Vec<f64>,
    /// What a decision may cost on average, as a share of the dearest model, on the sets with prices alone; may be
    /// repeated
    #[arg(long = "budget", value_name = "SHARE")]
    budgets: Vec<f64>,
    /// Print one JSON object a set, policy and order in place of the table
    #[arg(long)]
    json: bool,
    /// Also write the table to a dated file in benches/runs
    #[arg(long)]
    save: bool,
}

fn main() -> ExitCode {
    match report(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bakeoff: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The default policy, and each kind as it did well over the sets. Their small floor keeps every arm possible and
/// costs at most 0.0005 a round and arm.
const POLICIES: [&str; 7] = [
    "randucb",
    "linucb:alpha=0.3,floor=0.0005,lambda=0.5",
    "linucb:alpha=0.1,floor=0.0005,lambda=0.5",
    "squarecb",
    "squarecb:gamma=100,floor=0.0005,lambda=0.5",
    "lints:scale=0.1,floor=0.0005",
    "epsilon-greedy:epsilon=0.05,floor=0.0005",
];

fn report(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut sets = read_all(&arguments.data, &arguments.prices)?;
    sets.retain(|set| {
        arguments.sets.is_empty() || arguments.sets.iter().any(|name| set.name.contains(name))
    });
    let specs = if arguments.policies.is_empty() {
        let specs = POLICIES.iter().map(|text| text.parse());
        specs.collect::<Result<Vec<PolicySpec>, _>>()?
    } else {
        arguments.policies.clone()
    };
    if !arguments.budgets.is_empty() {
        sets.retain(|set| !set.costs.is_empty());
        return under_budgets(&sets, &specs, arguments);
    }
    let tasks: Vec<(usize, usize, u64)> = (0..sets.len())
        .flat_map(|set| {
            let specs = 0..specs.len();
            specs.flat_map(move |spec| (0..arguments.orders).map(move |order| (set, spec, order)))
        })
        .collect();
    let runs = run_all(&sets, &specs, &tasks, arguments)?;
    if arguments.json {
        for (&(set, spec, order), run) in tasks.iter().zip(&runs) {
            println!("{}", object(&sets[set], &specs[spec], order, run));
        }
    } else {
        println!("{}", table(&sets, &specs, &runs, arguments));
    }
    if arguments.save {
        save(
            "bakeoff",
            "Bake-off",
            &table(&sets, &specs, &runs, arguments),
        )?;
    }
    Ok(())
}

/// Every policy under every budget, on the sets that have prices.
fn under_budgets(
    sets: &[Set],
    specs: &[PolicySpec],
    arguments: &Arguments,
) -> Result<(), Box<dyn Error>> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["set", "policy", "budget", "mean cost", "mean reward"]);
    for set in sets {
        for spec in specs {
            for &budget in &arguments.budgets {
                let own = [budgeted(set, spec, budget)?];
                let tasks: Vec<_> = (0..arguments.orders).map(|order| (0, 0, order)).collect();
                let runs = run_all(std::slice::from_ref(set), &own, &tasks, arguments)?;
                if arguments.json {
                    for (&(_, _, order), run) in tasks.iter().zip(&runs) {
                        println!("{}", object(set, &own[0], order, run));
                    }
                }
                let costs: Vec<f64> = runs.iter().filter_map(|run| run.mean_cost).collect();
                let rewards: Vec<f64> = runs.iter().map(|run| run.mean).collect();
                table.add_row([
                    set.name.clone(),
                    spec.to_string(),
                    budget.to_string(),
                    spread(&costs),
                    spread(&rewards),
                ]);
            }
        }
    }
    if !arguments.json {
        println!(
            "Costs are shares of the dearest arm's price. Mean over {} orders [least, most].\n\n{table}",
            arguments.orders
        );
    }
    Ok(())
}

/// The mean, the least and the most.
fn spread(values: &[f64]) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{mean:.4} [{least:.3}, {most:.3}]")
}

/// Runs every task, on as many threads as there are processors.
fn run_all(
    sets: &[Set],
    specs: &[PolicySpec],
    tasks: &[(usize, usize, u64)],
    arguments: &Arguments,
) -> Result<Vec<Run>, Box<dyn Error>> {
    let bar = ProgressBar::new(tasks.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}")?);
    let next = AtomicUsize::new(0);
    let runs = Mutex::new(vec![None; tasks.len()]);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&(set, spec, order)) = tasks.get(at) else {
                        break;
                    };
                    let protocol = Protocol {
                        passes: arguments.passes,
                        delay: arguments.delay,
                        batch: arguments.batch as usize,
                        drifts: arguments.drift,
                        order,
                    };
                    match run(&sets[set], &specs[spec], protocol) {
                        Ok(run) => {
                            if let Ok(mut runs) = runs.lock() {
                                runs[at] = Some(run);
                            }
                        }
                        Err(error) => {
                            if let Ok(mut failed) = failed.lock() {
                                *failed = Some(error);
                            }
                            next.store(tasks.len(), Ordering::Relaxed);
                        }
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    if let Some(error) = failed.into_inner().unwrap_or_default() {
        return Err(error.into());
    }
    let runs: Option<Vec<Run>> = runs.into_inner().unwrap_or_default().into_iter().collect();
    runs.ok_or_else(|| "a run did not end".into())
}

fn object(set: &Set, spec: &PolicySpec, order: u64, run: &Run) -> serde_json::Value {
    json!({
        "set": set.name,
        "rows": set.contexts.len(),
        "features": set.dimension(),
        "arms": set.arms(),
        "policy": spec.to_string(),
        "order": order,
        "loss": set.is_labelled.then_some(1.0 - run.mean),
        "mean_reward": run.mean,
        "mean_reward_last_pass": run.last_pass,
        "mean_cost": run.mean_cost,
        "seconds": run.seconds,
        "probabilities_valid": run.are_probabilities_valid,
    })
}

/// Mean over the orders, and the spread from the best to the worst.
fn cell(set: &Set, runs: &[Run]) -> (f64, String) {
    let value = |run: &Run| {
        if set.is_labelled {
            1.0 - run.mean
        } else {
            run.mean
        }
    };
    let values: Vec<f64> = runs.iter().map(value).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let mark = if runs.iter().all(|run| run.are_probabilities_valid) {
        ""
    } else {
        " invalid"
    };
    (mean, format!("{}{mark}", spread(&values)))
}

fn table(sets: &[Set], specs: &[PolicySpec], runs: &[Run], arguments: &Arguments) -> String {
    let orders = usize::try_from(arguments.orders).unwrap_or(1);
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let columns = ["set", "rows", "features", "arms"].map(str::to_owned);
    table.set_header(
        columns
            .into_iter()
            .chain(specs.iter().map(ToString::to_string)),
    );
    let mut losses = vec![Vec::new(); specs.len()];
    for (at, set) in sets.iter().enumerate() {
        let mut row = vec![
            set.name.clone(),
            set.contexts.len().to_string(),
            set.dimension().to_string(),
            set.arms().to_string(),
        ];
        for (spec, losses) in losses.iter_mut().enumerate() {
            let from = (at * specs.len() + spec) * orders;
            let (mean, text) = cell(set, &runs[from..from + orders]);
            if set.is_labelled {
                losses.push(mean);
            }
            row.push(text);
        }
        table.add_row(row);
    }
    if losses.iter().all(|losses| !losses.is_empty()) {
        let mut row = vec![
            "mean loss".to_owned(),
            String::new(),
            String::new(),
            String::new(),
        ];
        let means = losses
            .iter()
            .map(|losses| losses.iter().sum::<f64>() / losses.len() as f64);
        row.extend(means.map(|mean| format!("{mean:.4}")));
        table.add_row(row);
    }
    format!(
        "Loss of labelled sets, mean reward of the others: mean over {} orders [least, most]; {} pass(es), delay \
         {}, batches of {}{}.\n\n{table}",
        arguments.orders,
        arguments.passes,
        arguments.delay,
        arguments.batch,
        if arguments.drift { ", drift" } else { "" }
    )
}
