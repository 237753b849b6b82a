//! What a reader could not give.

use std::collections::BTreeMap;
use std::fmt;

/// What a reader came across and could not give; nothing is ever left out without a trace here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    ranges: BTreeMap<(u64, String), DamagedRange>,
    unknown_kinds: BTreeMap<String, u64>,
    notes: Vec<String>,
}

/// A stretch of the log with records missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRange {
    /// The first sequence number of the stretch.
    pub first_seq: u64,
    /// The last sequence number of the stretch.
    pub last_seq: u64,
    /// Where it lies: `journal`, or a segment's file.
    pub place: String,
    /// How many records are missing; `None` if that cannot be known. A segment's file holds one
    /// kind of record, so fewer may be missing than the stretch is long.
    pub records: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

/// The place of damage that is in no segment's file.
const JOURNAL: &str = "journal";

impl Damage {
    /// Whether everything was read.
    pub fn is_none(&self) -> bool {
        self.ranges.is_empty() && self.unknown_kinds.is_empty() && self.notes.is_empty()
    }

    /// The stretches with records missing, in the log's order.
    pub fn ranges(&self) -> impl Iterator<Item = &DamagedRange> {
        self.ranges.values()
    }

    /// Records of kinds that this program does not know, by kind; they were skipped.
    pub fn unknown_kinds(&self) -> &BTreeMap<String, u64> {
        &self.unknown_kinds
    }

    /// Damage that has no place in the sequence, such as a lost journal.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Records known to be missing or skipped.
    pub fn records(&self) -> u64 {
        let missing: u64 = self.ranges.values().filter_map(|range| range.records).sum();
        missing + self.unknown_kinds.values().sum::<u64>()
    }

    pub(crate) fn add(&mut self, range: DamagedRange) {
        self.ranges
            .entry((range.first_seq, range.place.clone()))
            .or_insert(range);
    }

    /// The first number from `from` on that no noted stretch of the journal holds.
    pub(crate) fn first_unknown(&self, from: u64) -> u64 {
        let in_journal = self.ranges().filter(|range| range.place == JOURNAL);
        in_journal.fold(from, |from, range| {
            if range.first_seq <= from {
                from.max(range.last_seq.saturating_add(1))
            } else {
                from
            }
        })
    }

    /// Whether a stretch that begins at `seq` of the journal is noted.
    pub(crate) fn knows(&self, seq: u64) -> bool {
        self.ranges.contains_key(&(seq, JOURNAL.to_owned()))
    }

    pub(crate) fn add_unknown(&mut self, kind: String, records: u64) {
        *self.unknown_kinds.entry(kind).or_default() += records;
    }

    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl DamagedRange {
    /// A stretch of which every record is missing.
    pub(crate) fn in_journal(first_seq: u64, last_seq: u64, reason: String) -> Self {
        let records = Some(last_seq.saturating_sub(first_seq).saturating_add(1));
        let place = JOURNAL.to_owned();
        Self {
            first_seq,
            last_seq,
            place,
            records,
            reason,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("no damage");
        }
        let ranges = self.ranges.values().map(ToString::to_string);
        let kinds = self.unknown_kinds.iter().map(|(kind, records)| {
            format!("{records} records of the unknown kind {kind:?} skipped")
        });
        let lines: Vec<String> = self
            .notes
            .iter()
            .cloned()
            .chain(ranges)
            .chain(kinds)
            .collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for DamagedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first_seq,
            last_seq,
            place,
            records,
            reason,
        } = self;
        match records {
            Some(records) => write!(
                f,
                "{place}: {records} records in {first_seq}..={last_seq}: {reason}"
            ),
            None => write!(f, "{place}: records in {first_seq}..={last_seq}: {reason}"),
        }
    }
}
