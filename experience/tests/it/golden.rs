//! Files of every schema version are read for ever. Never change a file in `tests/golden`.

use std::fs;
use std::path::PathBuf;

use echo_experience::{Entry, Kind, Record};

use crate::samples::{one_of_each, read};

fn golden(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
        .join(file)
}

#[test]
fn journal_lines_of_version_1_are_read_and_written() {
    for record in one_of_each() {
        let line = fs::read_to_string(golden(&format!("{}.json", record.kind()))).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        assert_eq!(serde_json::to_string(&record).unwrap(), line.trim_end());
    }
}

#[test]
fn segments_of_version_1_are_read() {
    for (seq, record) in (1..).zip(one_of_each()) {
        let file = format!("{}.parquet", record.kind());
        assert_eq!(read(&golden(&file)), [Entry { seq, record }], "{file}");
    }
}

#[test]
fn every_kind_has_its_golden_files() {
    let kinds: Vec<Kind> = one_of_each().iter().map(Record::kind).collect();
    assert_eq!(kinds, Kind::ALL);
    assert_eq!(
        fs::read_dir(golden("")).unwrap().count(),
        2 * Kind::ALL.len()
    );
}
