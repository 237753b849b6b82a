//! Policies at rest: what was kept, what it has learned, and whether another one may take over.

mod gate;
mod history;
mod running;
mod snapshots;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Outcome;
use super::admin::Operator;
use snapshots::Place;

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
    Gate(Box<gate::Gate>),
    /// Tell what was put into force, refused and rolled back, as the log has it
    History(history::History),
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

pub(super) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Action::List(place) => snapshots::list(place),
        Action::Show { snapshot, place } => {
            let snapshot = snapshots::read(snapshot, place)?;
            snapshots::show(&snapshot, place.json);
            Ok(ExitCode::SUCCESS)
        }
        Action::Diff {
            before,
            after,
            place,
        } => {
            let (before, after) = (
                snapshots::read(before, place)?,
                snapshots::read(after, place)?,
            );
            snapshots::diff(&before, &after, place.json);
            Ok(ExitCode::SUCCESS)
        }
        Action::Gate(arguments) => gate::ask(arguments),
        Action::History(arguments) => history::tell(arguments),
        Action::Status { operator } => {
            running::status(&operator.get("/policy")?, operator.json);
            Ok(ExitCode::SUCCESS)
        }
        Action::Publish {
            candidate,
            force,
            operator,
        } => running::publish(candidate, *force, operator),
        Action::Rollback { version, operator } => running::told(
            operator,
            &operator.post("/policy/rollback", &json!({"version": version}))?,
        ),
    }
}
