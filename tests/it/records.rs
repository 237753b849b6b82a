//! Reading the experience log that a server has written.

use std::path::Path;

use echo_experience::{
    Decision, Entry, Event, Evidence, LogReader, PolicyPublished, Record, Served,
};

/// Everything that is on disk, in order.
///
/// # Panics
///
/// When the log cannot be read, is damaged, or does not number its entries from 1 on without a gap.
pub(crate) fn entries(data: &Path) -> Vec<Entry> {
    let mut reader = LogReader::open(data).unwrap();
    let entries: Vec<Entry> = reader.entries().collect::<Result<_, _>>().unwrap();
    assert!(reader.damage().is_none(), "{}", reader.damage());
    for (entry, seq) in entries.iter().zip(1..) {
        assert_eq!(entry.seq, seq, "sequence numbers are dense");
    }
    entries
}

/// The decisions among entries.
pub(crate) fn decisions(entries: &[Entry]) -> impl Iterator<Item = &Decision> {
    entries.iter().filter_map(|entry| match &entry.record {
        Record::Decision(decision) => Some(decision),
        _ => None,
    })
}

/// The answers among entries.
pub(crate) fn served(entries: &[Entry]) -> impl Iterator<Item = &Served> {
    entries.iter().filter_map(|entry| match &entry.record {
        Record::Served(served) => Some(served),
        _ => None,
    })
}

/// What became of proposals, among entries.
pub(crate) fn evidence(entries: &[Entry]) -> impl Iterator<Item = &Evidence> {
    entries.iter().filter_map(|entry| match &entry.record {
        Record::Evidence(evidence) => Some(evidence),
        _ => None,
    })
}

/// The editors' words among entries.
pub(crate) fn events(entries: &[Entry]) -> impl Iterator<Item = &Event> {
    entries.iter().filter_map(|entry| match &entry.record {
        Record::Event(event) => Some(event),
        _ => None,
    })
}

/// The published policies of everybody but the control cohort, among entries.
pub(crate) fn policies(entries: &[Entry]) -> impl Iterator<Item = &PolicyPublished> {
    entries.iter().filter_map(|entry| match &entry.record {
        Record::PolicyPublished(published) if published.cohort == "treatment" => Some(published),
        _ => None,
    })
}
