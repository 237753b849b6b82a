//! A record with its place in the log, its kind, and its line in the journal.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::schema::v1::Record;

/// A record and its place in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The sequence number: 1 for a log's first record, dense, never used twice.
    pub seq: u64,
    /// The record.
    pub record: Record,
}

/// The kinds of record; each has its own files among the sealed segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`Record::Decision`]
    Decision,
    /// [`Record::Served`]
    Served,
    /// [`Record::Evidence`]
    Evidence,
    /// [`Record::Event`]
    Event,
    /// [`Record::PolicyPublished`]
    PolicyPublished,
    /// [`Record::ModelPublished`]
    ModelPublished,
    /// [`Record::ConfigurationChanged`]
    ConfigurationChanged,
    /// [`Record::Verdict`]
    Verdict,
}

impl Kind {
    /// Every kind, in the order of the files' names in a segment.
    pub const ALL: [Self; 8] = [
        Self::Decision,
        Self::Served,
        Self::Evidence,
        Self::Event,
        Self::PolicyPublished,
        Self::ModelPublished,
        Self::ConfigurationChanged,
        Self::Verdict,
    ];

    /// The name that files and counts carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decisions",
            Self::Served => "served",
            Self::Evidence => "evidence",
            Self::Event => "events",
            Self::PolicyPublished => "policies",
            Self::ModelPublished => "models",
            Self::ConfigurationChanged => "configurations",
            Self::Verdict => "verdicts",
        }
    }

    /// The tag of this kind's line in the journal.
    fn tag(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Served => "served",
            Self::Evidence => "evidence",
            Self::Event => "event",
            Self::PolicyPublished => "policy_published",
            Self::ModelPublished => "model_published",
            Self::ConfigurationChanged => "configuration_changed",
            Self::Verdict => "verdict",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// A name that is none of the kinds'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind(pub String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown record kind {:?}", self.0)
    }
}

impl std::error::Error for UnknownKind {}

impl Record {
    /// When it happened, in milliseconds since 1970.
    pub fn at_ms(&self) -> i64 {
        match self {
            Self::Decision(decision) => decision.at_ms,
            Self::Served(served) => served.at_ms,
            Self::Evidence(evidence) => evidence.at_ms,
            Self::Event(event) => event.at_ms,
            Self::PolicyPublished(published) => published.at_ms,
            Self::ModelPublished(published) => published.at_ms,
            Self::ConfigurationChanged(changed) => changed.at_ms,
            Self::Verdict(verdict) => verdict.at_ms,
        }
    }

    /// This record's kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Decision(_) => Kind::Decision,
            Self::Served(_) => Kind::Served,
            Self::Evidence(_) => Kind::Evidence,
            Self::Event(_) => Kind::Event,
            Self::PolicyPublished(_) => Kind::PolicyPublished,
            Self::ModelPublished(_) => Kind::ModelPublished,
            Self::ConfigurationChanged(_) => Kind::ConfigurationChanged,
            Self::Verdict(_) => Kind::Verdict,
        }
    }
}

/// Why a line of a sound batch gave no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineFault {
    /// A well-formed line of a kind that this program does not know.
    UnknownKind(String),
    /// Not a record at all.
    Unreadable(String),
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(tag) => write!(f, "unknown record kind {tag:?}"),
            Self::Unreadable(reason) => write!(f, "unreadable record: {reason}"),
        }
    }
}

/// One line of JSON, without the line's end; JSON escapes any newline within.
pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let mut line = Vec::with_capacity(about(record));
    serde_json::to_writer(&mut line, record)
        .expect("records hold only strings, numbers, lists and options");
    line
}

/// About how many bytes a record's line has, rather too many than too few: a line that has to move as it
/// grows costs more than writing it.
fn about(record: &Record) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let texts = match record {
        Record::Decision(decision) => {
            length(&decision.prefix)
                + length(&decision.suffix)
                + decision.facts.len() * 2
                + decision.features.len() * NUMBER_BYTES
                + decision.probabilities.len() * 2 * NUMBER_BYTES
        }
        Record::Served(served) => served.text.len(),
        Record::Evidence(evidence) => length(&evidence.kept_text),
        _ => 0,
    };
    // Line ends and quotes take a second byte.
    REST_BYTES + texts + texts / 8
}

/// Bytes of a number with its comma.
const NUMBER_BYTES: usize = 12;

/// Bytes of a line beside its texts and lists.
const REST_BYTES: usize = 768;

/// The record on a line.
pub(crate) fn decode(line: &[u8]) -> Result<Record, LineFault> {
    serde_json::from_slice(line).map_err(|error| fault(line, &error))
}

fn fault(line: &[u8], error: &serde_json::Error) -> LineFault {
    if let Ok(Tag(tag)) = serde_json::from_slice(line)
        && Kind::ALL.into_iter().all(|kind| kind.tag() != tag)
    {
        return LineFault::UnknownKind(tag);
    }
    // The category and place only: the library's message may quote the logged text.
    let (category, column) = (error.classify(), error.column());
    LineFault::Unreadable(format!("{category:?} error at byte {column}"))
}

/// The one key of an object, whatever its value.
struct Tag(String);

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TagVisitor)
    }
}

struct TagVisitor;

impl<'de> Visitor<'de> for TagVisitor {
    type Value = Tag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of one key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tag, A::Error> {
        let tag: Option<(String, IgnoredAny)> = map.next_entry()?;
        let (tag, IgnoredAny) = tag.ok_or_else(|| A::Error::custom("an empty object"))?;
        Ok(Tag(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_their_names() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>().unwrap(), kind);
        }
        assert_eq!(
            "rewards".parse::<Kind>(),
            Err(UnknownKind("rewards".to_owned()))
        );
    }

    #[test]
    fn faulty_lines_are_told_apart() {
        let check = |line: &str, expected: fn(&LineFault) -> bool| {
            let fault = decode(line.as_bytes()).unwrap_err();
            assert!(expected(&fault), "{line}: {fault:?}");
        };
        check(r#"{"reward":{"value":1}}"#, |f| {
            *f == LineFault::UnknownKind("reward".to_owned())
        });
        check(r#"{"served":{"decision":"secret"}}"#, |f| {
            !f.to_string().contains("secret")
        });
        check(r#"{"served":"#, |f| matches!(f, LineFault::Unreadable(_)));
        check("", |f| matches!(f, LineFault::Unreadable(_)));
        check("[1]", |f| matches!(f, LineFault::Unreadable(_)));
    }
}
