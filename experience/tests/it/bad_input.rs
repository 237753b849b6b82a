//! Records and directories that are refused.

use std::fs;
use std::path::Path;

use echo_experience::{Decision, Log, LogError, LogOptions, LogReader, Record};
use tempfile::TempDir;

use crate::samples::{append, decision, one_of_each, open, quiet, read};

#[test]
fn impossible_records_are_refused_by_field_and_nothing_is_written() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    let check = |field: &str, change: fn(&mut Decision)| {
        let Record::Decision(mut decision) = decision(1) else {
            unreachable!()
        };
        change(&mut decision);
        let refused = log.append(Record::Decision(decision)).wait();
        assert!(
            matches!(&refused, Err(LogError::Invalid { field: found, .. }) if *found == field),
            "{field}: {refused:?}"
        );
    };
    check("features", |d| d.features[2] = f32::NAN);
    check("features", |d| d.features[0] = f32::INFINITY);
    check("probabilities", |d| d.probabilities[0] = f64::NAN);
    check("probabilities", |d| d.probabilities = vec![0.5, 0.5]);
    check("probabilities", |d| d.probabilities[0] += 1.1e-6);
    check("probabilities", |d| d.probabilities = vec![1.1, -0.1, 0.0]);
    check("probabilities", |d| {
        (d.arms, d.probabilities) = (vec![], vec![]);
    });
    check("chosen", |d| d.chosen = 3);
    let Record::Served(mut served) = one_of_each().remove(1) else {
        unreachable!()
    };
    served.total_ms = f64::NEG_INFINITY;
    let refused = log.append(Record::Served(served.clone())).wait();
    assert!(
        matches!(
            refused,
            Err(LogError::Invalid {
                field: "total_ms",
                ..
            })
        ),
        "{refused:?}"
    );
    (served.total_ms, served.first_byte_ms) = (1.0, Some(f64::NAN));
    let refused = log.append(Record::Served(served)).wait();
    assert!(matches!(
        refused,
        Err(LogError::Invalid {
            field: "first_byte_ms",
            ..
        })
    ));
    for change in [0, 1] {
        let Record::Evidence(mut evidence) = one_of_each().remove(2) else {
            unreachable!()
        };
        let field = if change == 0 {
            "kept_share"
        } else {
            "edit_distance"
        };
        *(if change == 0 {
            &mut evidence.kept_share
        } else {
            &mut evidence.edit_distance
        }) = f64::NAN;
        let refused = log.append(Record::Evidence(evidence)).wait();
        assert!(matches!(&refused, Err(LogError::Invalid { field: f, .. }) if *f == field));
    }
    assert_eq!(log.counts().refused_invalid, 12);
    assert_eq!(append(&log, 0..1), [1]);
    assert_eq!(read(directory.path()).len(), 1);
}

#[test]
fn a_record_over_the_limit_is_refused() {
    let directory = TempDir::new().unwrap();
    let options = LogOptions {
        record_bytes: 2_000,
        ..quiet()
    };
    let (log, _) = Log::open(directory.path(), options).unwrap();
    let Record::Decision(mut large) = decision(1) else {
        unreachable!()
    };
    large.prefix = Some("x".repeat(2_000));
    let refused = log.append(Record::Decision(large)).wait();
    assert!(
        matches!(refused, Err(LogError::TooLarge { limit: 2_000, .. })),
        "{refused:?}"
    );
    assert_eq!(append(&log, 0..1), [1]);
}

#[test]
fn a_second_writer_is_turned_away_in_one_line() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    let error = Log::open(directory.path(), quiet()).unwrap_err();
    assert_eq!(
        error,
        LogError::InUse {
            directory: directory.path().to_path_buf()
        }
    );
    assert_eq!(error.to_string().lines().count(), 1);
    assert!(
        error
            .to_string()
            .contains(&directory.path().display().to_string())
    );
    append(&log, 0..1);
    drop(log);
    assert_eq!(open(directory.path()).1.next_seq, 2);
}

#[test]
fn what_is_no_log_is_told_apart() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let failing = |path: &Path| LogReader::open(path).unwrap_err();
    assert!(matches!(failing(&path.join("absent")), LogError::Io { .. }));
    assert!(matches!(failing(path), LogError::Empty { .. }));
    fs::write(path.join("notes.txt"), "not a log").unwrap();
    assert!(matches!(failing(path), LogError::NotALog { .. }));
    assert!(matches!(
        failing(&path.join("notes.txt")),
        LogError::NotALog { .. }
    ));
    fs::write(path.join("FORMAT"), "one").unwrap();
    assert!(matches!(failing(path), LogError::NotALog { .. }));
    assert!(matches!(
        Log::open(path, quiet()),
        Err(LogError::NotALog { .. })
    ));
    assert!(matches!(
        Log::open(&path.join("notes.txt"), quiet()),
        Err(LogError::Io { .. })
    ));
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("journal.sqlite");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE mine (x); INSERT INTO mine VALUES (1);")
        .unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    assert!(matches!(
        Log::open(directory.path(), quiet()),
        Err(LogError::NotALog { .. })
    ));
    assert!(matches!(
        LogReader::open(directory.path()),
        Err(LogError::NotALog { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_log_is_refused_with_both_numbers() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    append(&log, 0..2);
    log.close().unwrap();
    let expect = |result: Result<(), LogError>| {
        assert!(
            matches!(
                result,
                Err(LogError::Newer {
                    found: 2,
                    supported: 1,
                    ..
                })
            ),
            "{result:?}"
        );
    };
    fs::write(directory.path().join("FORMAT"), "2\n").unwrap();
    expect(LogReader::open(directory.path()).map(drop));
    expect(Log::open(directory.path(), quiet()).map(drop));
    fs::write(directory.path().join("FORMAT"), "1\n").unwrap();
    edit(directory.path(), "PRAGMA user_version=2");
    expect(LogReader::open(directory.path()).map(drop));
    expect(Log::open(directory.path(), quiet()).map(drop));
}

#[test]
fn a_batch_of_a_newer_schema_stops_the_reader() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    append(&log, 0..3);
    drop(log);
    edit(
        directory.path(),
        "UPDATE batches SET format = 2 WHERE first_seq = 2",
    );
    let mut reader = LogReader::open(directory.path()).unwrap();
    let results: Vec<_> = reader.entries().collect();
    assert_eq!(results.len(), 2);
    assert!(matches!(
        results[1],
        Err(LogError::Newer {
            found: 2,
            supported: 1,
            ..
        })
    ));
}

/// Changes the journal of a closed log behind its back.
fn edit(directory: &Path, sql: &str) {
    let journal = rusqlite::Connection::open(directory.join("journal.sqlite")).unwrap();
    journal.execute_batch(sql).unwrap();
}
