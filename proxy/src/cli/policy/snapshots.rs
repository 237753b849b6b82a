//! Snapshots at rest: listed, shown, compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use echo_policy::Snapshot;
use serde_json::{Value, json};

use crate::cli::Outcome;
use crate::serve::default_data_dir;
use crate::table::table;

#[derive(Debug, Args)]
pub(super) struct Place {
    /// Folder of the log [default: echo-proxy in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    pub(super) fn folder(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default_data_dir)
    }

    /// The snapshots in the data directory, of every scorer and published ones, oldest first.
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

pub(super) fn list(place: &Place) -> Outcome {
    let mut rows = Vec::new();
    for path in place.snapshots()? {
        let (bytes, snapshot) = load(&path)?;
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
        let folder = folder.to_string_lossy().into_owned();
        if place.json {
            let mut object = described(&snapshot);
            object["folder"] = json!(folder);
            object["sha256"] = json!(Snapshot::sha256(&bytes));
            object["file"] = json!(path);
            println!("{object}");
        } else {
            rows.push(vec![
                folder,
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
            "folder",
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
pub(super) fn read(name: &str, place: &Place) -> Result<Snapshot, String> {
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

pub(super) fn show(snapshot: &Snapshot, json: bool) {
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

pub(super) fn diff(before: &Snapshot, after: &Snapshot, json: bool) {
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
