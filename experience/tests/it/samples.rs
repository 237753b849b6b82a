//! Records and logs for tests.

use std::path::Path;
use std::time::Duration;

use echo_experience::{
    ConfigurationChanged, Decision, Entry, Event, Evidence, Log, LogOptions, LogReader,
    ModelPublished, PolicyPublished, Record, Recovery, Served, Verdict,
};

/// A decision that is told apart by its number.
pub(crate) fn decision(number: u64) -> Record {
    Record::Decision(Decision {
        id: format!("00000000-0000-7000-8000-{number:012x}"),
        at_ms: 1_700_000_000_000 + number.cast_signed(),
        tenant: "default".to_owned(),
        user: "u-1".to_owned(),
        client: "continue".to_owned(),
        cohort: "treatment".to_owned(),
        language: Some("rust".to_owned()),
        file: None,
        prefix: Some("fn main() {\n    ".to_owned()),
        suffix: Some("\n}\n".to_owned()),
        facts: r#"{"hour":12}"#.to_owned(),
        features: vec![1.0, -0.0, 0.1, f32::MIN_POSITIVE, f32::MAX],
        schema: "feature-schema-hash".to_owned(),
        arms: vec![
            "ngram@1".to_owned(),
            "file@2".to_owned(),
            "silence@1".to_owned(),
        ],
        probabilities: vec![0.7, 0.1 + 0.2 - 0.05, 0.05],
        chosen: 1,
        routed: true,
        degraded: false,
        policy_version: 3,
        model: "echo".to_owned(),
    })
}

/// One record of each kind, in the order of the kinds.
pub(crate) fn one_of_each() -> Vec<Record> {
    let id = "00000000-0000-7000-8000-000000000001".to_owned();
    vec![
        decision(1),
        Record::Served(Served {
            decision: id.clone(),
            choice: 0,
            at_ms: 1_700_000_000_120,
            arm: "file@2".to_owned(),
            fallback: false,
            text: "println!(\"h\u{e9}llo\\n\");".to_owned(),
            ending: "stop".to_owned(),
            first_byte_ms: Some(0.1 + 0.2),
            total_ms: 120.5,
            tokens: 7,
        }),
        Record::Evidence(Evidence {
            decision: id.clone(),
            choice: 0,
            at_ms: 1_700_000_010_000,
            fate: "partial".to_owned(),
            kept_share: 1.0 / 3.0,
            accepted_chars: 12,
            shown_chars: 22,
            edit_distance: 0.25,
            settled: true,
            source: "request".to_owned(),
            kept_text: None,
        }),
        Record::Event(Event {
            decision: id,
            choice: 0,
            at_ms: 1_700_000_000_500,
            kind: "accepted".to_owned(),
            accepted_chars: Some(12),
            text: Some("println!".to_owned()),
        }),
        Record::PolicyPublished(PolicyPublished {
            at_ms: 1_700_000_020_000,
            version: 4,
            through: 4,
            seed: u64::MAX,
            cohort: "treatment".to_owned(),
            spec: "squarecb:floor=0.05".to_owned(),
            sha256: "ab".repeat(32),
            reason: "learned".to_owned(),
            snapshot: None,
        }),
        Record::ModelPublished(ModelPublished {
            at_ms: 1_700_000_030_000,
            arm: "ngram@2".to_owned(),
            kind: "ngram".to_owned(),
            sha256: None,
            reason: "start".to_owned(),
        }),
        Record::ConfigurationChanged(ConfigurationChanged {
            at_ms: -1,
            sha256: "cd".repeat(32),
            accepted: false,
            message: "unknown key".to_owned(),
        }),
        Record::Verdict(Verdict {
            at_ms: 1_700_000_040_000,
            subject: "policy".to_owned(),
            candidate: "randucb".to_owned(),
            against: "latest".to_owned(),
            accepted: false,
            difference: Some(-0.01),
            lo: Some(-0.1),
            hi: None,
            level: 0.95,
            rows: 1_200,
            asked_by: "schedule".to_owned(),
            reasons: "It is not shown to be worth more than what runs.".to_owned(),
        }),
    ]
}

/// Options under which nothing happens by itself.
pub(crate) fn quiet() -> LogOptions {
    LogOptions {
        seal_records: u64::MAX,
        seal_after: Duration::from_hours(24),
        revive_after: None,
        ..LogOptions::default()
    }
}

pub(crate) fn open(directory: &Path) -> (Log, Recovery) {
    Log::open(directory, quiet()).unwrap()
}

/// Appends decisions with these numbers, and waits for each.
pub(crate) fn append(log: &Log, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    numbers
        .into_iter()
        .map(|number| log.append(decision(number)).wait().unwrap())
        .collect()
}

/// Everything in the log, which must be undamaged.
pub(crate) fn read(path: &Path) -> Vec<Entry> {
    let mut reader = LogReader::open(path).unwrap();
    let entries: Vec<Entry> = reader.entries().map(Result::unwrap).collect();
    assert!(reader.damage().is_none(), "{}", reader.damage());
    entries
}

/// The sequence numbers of everything that can be read.
pub(crate) fn readable(reader: &mut LogReader) -> Vec<u64> {
    reader.entries().map(|entry| entry.unwrap().seq).collect()
}

/// The files of the log's sealed segments.
pub(crate) fn segment_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(directory.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}
