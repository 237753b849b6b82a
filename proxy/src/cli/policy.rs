//! Policies at rest: what was kept, what it has learned, and whether another one may take over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use echo_policy::Snapshot;
use echo_sim::{GateSettings, Level, Target, Verdict, gate};
use serde_json::{Value, json};

use super::Outcome;
use super::admin::{Answered, Operator};
use crate::serve::default_data_dir;
use crate::table::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the snapshots that the server keeps
    List(Place),
    /// Show what a snapshot has learned
    Show {
        /// A snapshot's file, or the version of one in the data directory
        snapshot: String,
        #[command(flatten)]
        place: Place,
    },
    /// Show how two snapshots differ
    Diff {
        /// The older: a file or a version
        before: String,
        /// The newer: a file or a version
        after: String,
        #[command(flatten)]
        place: Place,
    },
    /// Say whether a candidate may take over from the policy that runs; exit status 1 means no
    Gate(Gate),
    /// Show the policy that a running server decides by, and those before it
    Status {
        #[command(flatten)]
        operator: Operator,
    },
    /// Have a running server decide by another policy, if its gate accepts that
    Publish {
        /// A policy such as randucb:floor=0.02, which goes on learning, or snapshot:FILE, which does not
        candidate: String,
        /// Pass by the gate
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        operator: Operator,
    },
    /// Have a running server decide as before its last change, or as a version did
    Rollback {
        /// The version; it does not go on learning
        version: Option<u64>,
        #[command(flatten)]
        operator: Operator,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// Folder of the log [default: echo-proxy in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Gate {
    /// The candidate: a policy such as randucb:floor=0.02, or snapshot:FILE
    candidate: Target,
    #[command(flatten)]
    place: Place,
    /// What it is compared with
    #[arg(long, value_name = "SPEC", default_value = "latest")]
    against: Target,
    /// How much it may lose against what runs, in units of the reward; 0 asks for a gain
    #[arg(long, default_value_t = 0.0)]
    margin: f64,
    /// The greatest share of decisions that one arm may get
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    share_most: f64,
    /// The least share of decisions that each arm must get
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    share_least: f64,
    /// What an outcome is worth: retained@1, accepted@1, chars@1 or cursor@1
    #[arg(long, default_value = "retained@1", value_parser = echo_reward::Scorer::by_measures)]
    scorer: echo_reward::Scorer,
    /// Both are fitted on this first share of the log's time, and compared on the rest
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    split: f64,
    /// Nominal coverage of the confidence sequence
    #[arg(long, default_value_t = 0.95)]
    level: f64,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Action::List(place) => list(place),
        Action::Show { snapshot, place } => {
            let snapshot = read(snapshot, place)?;
            show(&snapshot, place.json);
            Ok(ExitCode::SUCCESS)
        }
        Action::Diff {
            before,
            after,
            place,
        } => {
            diff(&read(before, place)?, &read(after, place)?, place.json);
            Ok(ExitCode::SUCCESS)
        }
        Action::Gate(arguments) => ask(arguments),
        Action::Status { operator } => {
            status(&operator.get("/policy")?, operator.json);
            Ok(ExitCode::SUCCESS)
        }
        Action::Publish {
            candidate,
            force,
            operator,
        } => publish(candidate, *force, operator),
        Action::Rollback { version, operator } => told(
            operator,
            operator.post("/policy/rollback", &json!({"version": version}))?,
        ),
    }
}

impl Place {
    fn folder(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default_data_dir)
    }

    /// The snapshots in the data directory, of every scorer, oldest first.
    fn snapshots(&self) -> Result<Vec<PathBuf>, String> {
        let folder = self.folder().join("policy");
        let at = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut found = Vec::new();
        for scorer in fs::read_dir(&folder).map_err(at)? {
            let scorer = scorer.map_err(at)?.path();
            if !scorer.is_dir() {
                continue;
            }
            for file in fs::read_dir(&scorer).map_err(at)? {
                let file = file.map_err(at)?.path();
                if file.extension().is_some_and(|ending| ending == "policy") {
                    found.push(file);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

fn list(place: &Place) -> Outcome {
    let mut rows = Vec::new();
    for path in place.snapshots()? {
        let (bytes, snapshot) = load(&path)?;
        let scorer = path.parent().and_then(Path::file_name).unwrap_or_default();
        let scorer = scorer.to_string_lossy().into_owned();
        if place.json {
            let mut object = described(&snapshot);
            object["scorer"] = json!(scorer);
            object["sha256"] = json!(Snapshot::sha256(&bytes));
            object["file"] = json!(path);
            println!("{object}");
        } else {
            rows.push(vec![
                scorer,
                snapshot.version.to_string(),
                snapshot.spec.to_string(),
                snapshot.through.to_string(),
                snapshot.state.total().to_string(),
                Snapshot::sha256(&bytes)[..12].to_owned(),
            ]);
        }
    }
    if !place.json {
        let header = vec![
            "scorer",
            "version",
            "policy",
            "learned through",
            "rewards",
            "sha256",
        ];
        println!("{}", table(header, rows));
    }
    Ok(ExitCode::SUCCESS)
}

fn load(path: &Path) -> Result<(Vec<u8>, Snapshot), String> {
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| at(&error))?;
    let snapshot = Snapshot::from_bytes(&bytes).map_err(|error| at(&error))?;
    Ok((bytes, snapshot))
}

/// A snapshot by its file, or by its version among those in the data directory.
fn read(name: &str, place: &Place) -> Result<Snapshot, String> {
    let Ok(version) = name.parse::<u64>() else {
        return Ok(load(Path::new(name))?.1);
    };
    let mut known = Vec::new();
    for path in place.snapshots()? {
        let (_, snapshot) = load(&path)?;
        if snapshot.version == version {
            return Ok(snapshot);
        }
        known.push(snapshot.version.to_string());
    }
    Err(format!(
        "no snapshot has version {version}; there are {}",
        known.join(", ")
    ))
}

fn described(snapshot: &Snapshot) -> Value {
    let state = &snapshot.state;
    let arms = state.arms().map(
        |arm| json!({"arm": arm, "rewards": state.count(arm), "mean_reward": state.mean(arm)}),
    );
    json!({
        "version": snapshot.version,
        "policy": snapshot.spec.to_string(),
        "through": snapshot.through,
        "rewards": state.total(),
        "pending": snapshot.pending.len(),
        "trained": snapshot.model.as_ref().map(|model| json!({
            "recipe": model.recipe,
            "from": model.trained_on.0,
            "through": model.trained_on.1,
            "rewards": model.rows,
        })),
        "schema": snapshot.schema_hash,
        "features": state.schema().dimension,
        "arms": arms.collect::<Vec<_>>(),
    })
}

fn show(snapshot: &Snapshot, json: bool) {
    if json {
        println!("{}", described(snapshot));
        return;
    }
    let state = &snapshot.state;
    println!("version  {}", snapshot.version);
    println!("policy   {}", snapshot.spec);
    println!(
        "learned  {} rewards, through record {}",
        state.total(),
        snapshot.through
    );
    if let Some(model) = &snapshot.model {
        let (from, through) = model.trained_on;
        println!(
            "model    {}, {} rewards, records {from} to {through}",
            model.recipe, model.rows
        );
    }
    println!("pending  {} decisions", snapshot.pending.len());
    println!(
        "schema   {} ({} features)",
        &snapshot.schema_hash[..12],
        state.schema().dimension
    );
    let rows = state.arms().map(|arm| {
        let deviation = state.variance(arm).map(f64::sqrt);
        let number = |number: Option<f64>| number.map_or("-".to_owned(), |x| format!("{x:.4}"));
        vec![
            arm.to_owned(),
            state.count(arm).to_string(),
            number(state.mean(arm)),
            number(deviation),
        ]
    });
    println!(
        "\n{}",
        table(vec!["arm", "rewards", "mean reward", "deviation"], rows)
    );
}

fn diff(before: &Snapshot, after: &Snapshot, json: bool) {
    let mut arms: Vec<&str> = before.state.arms().chain(after.state.arms()).collect();
    arms.sort_unstable();
    arms.dedup();
    if json {
        let changes = arms.iter().map(|arm| {
            json!({
                "arm": arm,
                "rewards": [before.state.count(arm), after.state.count(arm)],
                "mean_reward": [before.state.mean(arm), after.state.mean(arm)],
            })
        });
        println!(
            "{}",
            json!({
                "version": [before.version, after.version],
                "policy": [before.spec.to_string(), after.spec.to_string()],
                "through": [before.through, after.through],
                "same_schema": before.schema_hash == after.schema_hash,
                "arms": changes.collect::<Vec<_>>(),
            })
        );
        return;
    }
    let line = |name: &str, before: String, after: String| {
        let mark = if before == after { "" } else { "   (changed)" };
        println!("{name:8} {before} -> {after}{mark}");
    };
    line(
        "version",
        before.version.to_string(),
        after.version.to_string(),
    );
    line("policy", before.spec.to_string(), after.spec.to_string());
    line(
        "through",
        before.through.to_string(),
        after.through.to_string(),
    );
    line(
        "schema",
        before.schema_hash[..12].to_owned(),
        after.schema_hash[..12].to_owned(),
    );
    let rows = arms.iter().map(|arm| {
        let mean = |snapshot: &Snapshot| {
            snapshot
                .state
                .mean(arm)
                .map_or("-".to_owned(), |mean| format!("{mean:.4}"))
        };
        vec![
            (*arm).to_owned(),
            before.state.count(arm).to_string(),
            after.state.count(arm).to_string(),
            mean(before),
            mean(after),
        ]
    });
    let header = vec!["arm", "rewards before", "after", "mean before", "after"];
    println!("\n{}", table(header, rows));
}

fn ask(arguments: &Gate) -> Outcome {
    let mut settings = GateSettings::new(arguments.candidate.clone());
    settings.evaluation.baseline = Some(arguments.against.clone());
    settings.evaluation.rows.scorer = arguments.scorer;
    settings.evaluation.split = Some(arguments.split);
    settings.evaluation.estimates.level = Level::new(arguments.level)?;
    settings.margin = arguments.margin;
    settings.share_most = arguments.share_most;
    settings.share_least = arguments.share_least;
    let verdict = gate(&arguments.place.folder(), &settings)?;
    if arguments.place.json {
        println!("{}", serde_json::to_string(&verdict)?);
    } else {
        print(&verdict);
    }
    Ok(if verdict.accepted {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn status(policy: &Value, json: bool) {
    if json {
        println!("{policy}");
        return;
    }
    let text = |key: &str| policy[key].as_str().unwrap_or_default().to_owned();
    println!("version    {}", policy["version"]);
    println!("policy     {}", text("policy"));
    println!(
        "state      {}, {} rewards learned",
        if policy["learning"] == true {
            "learning"
        } else {
            "frozen"
        },
        policy["learned"]
    );
    println!("because    {}", text("reason"));
    println!("configured {}", text("configured"));
    for before in policy["before"].as_array().into_iter().flatten() {
        println!("before     {}", before.as_str().unwrap_or_default());
    }
}

fn publish(candidate: &str, force: bool, operator: &Operator) -> Outcome {
    let mut candidate = candidate.to_owned();
    if let Some(file) = candidate.strip_prefix("snapshot:") {
        let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        let kept = operator.send("/policy/snapshots", bytes)?;
        if !kept.done {
            return Err(format!("{file}: {}", kept.message()).into());
        }
        candidate = format!(
            "sha256:{}",
            kept.body["sha256"].as_str().unwrap_or_default()
        );
    }
    let body = json!({"candidate": candidate, "force": force});
    told(operator, operator.post("/policy/publish", &body)?)
}

fn told(operator: &Operator, answered: Answered) -> Outcome {
    if operator.json {
        println!("{}", answered.body);
        return Ok(if answered.done {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    if !answered.done {
        return Err(answered.message().into());
    }
    let reason = answered.body["reason"].as_str().unwrap_or_default();
    println!("version {} decides: {reason}", answered.body["version"]);
    Ok(ExitCode::SUCCESS)
}

fn print(verdict: &Verdict) {
    println!("candidate  {}", verdict.candidate);
    println!("against    {}", verdict.against);
    println!(
        "difference {:+.4}, confidence sequence {:+.4} to {:+.4}, {} rows ({:.0} effective)",
        verdict.difference,
        verdict.interval.lo,
        verdict.interval.hi,
        verdict.rows,
        verdict.effective_sample_size
    );
    println!(
        "{}",
        if verdict.accepted {
            "accepted"
        } else {
            "refused"
        }
    );
    for reason in &verdict.reasons {
        println!("  {reason}");
    }
}
