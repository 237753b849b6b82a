//! What was put into force, refused and rolled back, as the log has it.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat};
use clap::Args;
use echo_experience::{LogReader, Record};
use serde_json::{Value, json};

use super::snapshots::Place;
use crate::cli::Outcome;

#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    place: Place,
    /// Also what was only learned since the version before, and the models at every start
    #[arg(long)]
    all: bool,
}

pub(super) fn tell(arguments: &History) -> Outcome {
    let mut reader = LogReader::open(&arguments.place.folder())?;
    for entry in reader.entries() {
        let entry = entry?;
        let Some(event) = event(&entry.record, arguments.all) else {
            continue;
        };
        if arguments.place.json {
            println!("{}", event.json(entry.seq));
        } else {
            event.print(entry.seq);
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Event {
    at_ms: i64,
    what: &'static str,
    which: String,
    why: String,
    figures: Value,
}

impl Event {
    fn json(&self, seq: u64) -> Value {
        json!({
            "seq": seq,
            "at_ms": self.at_ms,
            "what": self.what,
            "which": self.which,
            "why": self.why,
            "figures": self.figures,
        })
    }

    fn print(&self, seq: u64) {
        let at = DateTime::from_timestamp_millis(self.at_ms).unwrap_or_default();
        let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        println!("{seq:<9} {at}  {:<13} {}", self.what, self.which);
        println!("          {}", self.why);
    }
}

fn event(record: &Record, all: bool) -> Option<Event> {
    match record {
        Record::PolicyPublished(published)
            if published.cohort == "treatment" && (all || published.reason != "learned") =>
        {
            Some(Event {
                at_ms: published.at_ms,
                what: "policy",
                which: format!("{}: {}", published.version, published.spec),
                why: published.reason.clone(),
                figures: json!({
                    "version": published.version,
                    "through": published.through,
                    "snapshot": published.snapshot,
                    "sha256": published.sha256,
                }),
            })
        }
        Record::Verdict(verdict) => Some(Event {
            at_ms: verdict.at_ms,
            what: if verdict.accepted {
                "accepted"
            } else {
                "refused"
            },
            which: verdict.candidate.clone(),
            why: verdict.reasons.clone(),
            figures: json!({
                "subject": verdict.subject,
                "against": verdict.against,
                "difference": verdict.difference,
                "lo": verdict.lo,
                "hi": verdict.hi,
                "level": verdict.level,
                "rows": verdict.rows,
                "asked_by": verdict.asked_by,
            }),
        }),
        Record::ModelPublished(published) if all || published.reason != "start" => Some(Event {
            at_ms: published.at_ms,
            what: "model",
            which: published.arm.clone(),
            why: published.reason.clone(),
            figures: json!({"kind": published.kind}),
        }),
        Record::ConfigurationChanged(changed) => Some(Event {
            at_ms: changed.at_ms,
            what: "configuration",
            which: changed
                .sha256
                .get(..12)
                .unwrap_or(&changed.sha256)
                .to_owned(),
            why: if changed.accepted {
                "accepted".to_owned()
            } else {
                changed.message.clone()
            },
            figures: json!({"accepted": changed.accepted}),
        }),
        _ => None,
    }
}
