//! Bit flips, torn tails, lost files.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use echo_experience::{Log, LogError, LogReader};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::samples::{append, one_of_each, open, quiet, read, readable, segment_files};

/// A closed log with twenty records, one batch each, in the journal only.
fn journal_of_twenty() -> TempDir {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    append(&log, 0..20);
    drop(log);
    directory
}

#[test]
fn a_flipped_payload_is_skipped_by_readers_and_put_aside_by_the_writer() {
    let directory = journal_of_twenty();
    edit(
        directory.path(),
        "UPDATE batches SET payload = cast(replace(cast(payload AS TEXT), 'echo', 'ecxo') AS BLOB)
         WHERE first_seq IN (7, 8, 20)",
    );
    let kept: Vec<u64> = (1..20).filter(|seq| ![7, 8].contains(seq)).collect();
    let mut reader = LogReader::open(directory.path()).unwrap();
    assert_eq!(readable(&mut reader), kept);
    let lost = |reader: &LogReader| -> Vec<(u64, u64)> {
        reader
            .damage()
            .ranges()
            .map(|range| (range.first_seq, range.last_seq))
            .collect()
    };
    assert_eq!(lost(&reader), [(7, 7), (8, 8), (20, 20)]);
    assert_eq!(reader.damage().records(), 3);
    assert_eq!(readable(&mut reader), kept);
    assert_eq!(reader.damage().records(), 3, "damage is told once");

    let (log, recovery) = open(directory.path());
    assert_eq!(
        (recovery.quarantined_batches, recovery.quarantined_records),
        (3, 3)
    );
    assert_eq!((recovery.next_seq, recovery.notes.len()), (21, 3));
    append(&log, 20..22);
    log.close().unwrap();
    let mut reader = LogReader::open(directory.path()).unwrap();
    assert_eq!(readable(&mut reader), [kept, vec![21, 22]].concat());
    assert_eq!(lost(&reader), [(7, 7), (8, 8), (20, 20)]);
    let (_, recovery) = open(directory.path());
    assert!(recovery.is_clean(), "it was reported before: {recovery:?}");
}

#[test]
fn every_damaged_column_is_noticed_and_no_number_used_twice() {
    let check = |sql: &str, expected_next: u64| {
        let directory = journal_of_twenty();
        edit(directory.path(), sql);
        let mut reader = LogReader::open(directory.path()).unwrap();
        let seqs = readable(&mut reader);
        assert_eq!(seqs.len(), 19, "{sql}");
        assert!(!reader.damage().is_none(), "{sql}");
        let (log, recovery) = open(directory.path());
        assert!(!recovery.is_clean(), "{sql}");
        assert_eq!(recovery.next_seq, expected_next, "{sql}");
        assert_eq!(append(&log, [99]), [expected_next]);
    };
    check("UPDATE batches SET count = 3 WHERE first_seq = 9", 21);
    check("UPDATE batches SET count = 0 WHERE first_seq = 9", 21);
    check("UPDATE batches SET count = 1 << 40 WHERE first_seq = 9", 21);
    check(
        "UPDATE batches SET count = 1 << 40 WHERE first_seq = 20",
        21,
    );
    check(
        "UPDATE batches SET checksum = zeroblob(32) WHERE first_seq = 20",
        21,
    );
    check("UPDATE batches SET checksum = x'' WHERE first_seq = 1", 21);
    check("UPDATE batches SET payload = x'' WHERE first_seq = 20", 21);
    check("DELETE FROM batches WHERE first_seq = 5", 21);
    check("UPDATE batches SET first_seq = 30 WHERE first_seq = 20", 31);
}

#[test]
fn unknown_kinds_are_skipped_counted_and_kept_when_sealed() {
    let directory = journal_of_twenty();
    replace_batch(directory.path(), 5, br#"{"weather":{"rain":true}}"#);
    replace_batch(directory.path(), 6, br#"{"decision":{"id":"secret"}}"#);
    let expected: Vec<u64> = (1..=20).filter(|seq| ![5, 6].contains(seq)).collect();
    let mut reader = LogReader::open(directory.path()).unwrap();
    for _ in 0..2 {
        assert_eq!(readable(&mut reader), expected);
        let unknown: Vec<_> = reader.damage().unknown_kinds().iter().collect();
        assert_eq!(unknown, [(&"weather".to_owned(), &1)]);
        assert_eq!(reader.damage().records(), 2);
        assert!(!reader.damage().to_string().contains("secret"));
    }
    let (log, recovery) = open(directory.path());
    assert_eq!((recovery.quarantined_batches, recovery.next_seq), (0, 21));
    assert_eq!(log.seal(), Ok(20));
    let mut reader = LogReader::open(directory.path()).unwrap();
    assert_eq!(readable(&mut reader), expected);
    assert_eq!(reader.damage().records(), 2);
}

#[test]
fn a_damaged_segment_is_reported_and_the_rest_is_read() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    for _ in 0..3 {
        for record in one_of_each() {
            log.append(record).wait().unwrap();
        }
        log.seal().unwrap();
    }
    log.close().unwrap();
    let segments = directory.path().join("segments");
    let served = "served-00000000000000000009-00000000000000000016.parquet";
    flip(&segments.join(served), 100);
    let gone = "events-00000000000000000017-00000000000000000024.parquet";
    fs::remove_file(segments.join(gone)).unwrap();
    let mut reader = LogReader::open(directory.path()).unwrap();
    let expected: Vec<u64> = (1..=24).filter(|seq| ![10, 20].contains(seq)).collect();
    assert_eq!(readable(&mut reader), expected);
    let ranges: Vec<_> = reader.damage().ranges().collect();
    let told: Vec<_> = ranges
        .iter()
        .map(|range| {
            (
                range.first_seq,
                range.last_seq,
                range.place.as_str(),
                range.records,
            )
        })
        .collect();
    assert_eq!(told, [(9, 16, served, Some(1)), (17, 24, gone, Some(1))]);
    let (_, recovery) = open(directory.path());
    assert_eq!(recovery.notes, [format!("the sealed file {gone} is gone")]);
}

#[test]
fn flips_anywhere_in_a_lone_segment_file_never_panic() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    append(&log, 0..50);
    log.close().unwrap();
    let file = segment_files(directory.path()).remove(0);
    let sound = fs::read(&file).unwrap();
    let whole = read(&file);
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut unnoticed = 0;
    for _ in 0..400 {
        let mut bytes = sound.clone();
        let at = usize::try_from(random.next_u32()).unwrap() % bytes.len();
        bytes[at] ^= 1 << (random.next_u32() % 8);
        fs::write(&file, &bytes).unwrap();
        if let Ok(mut reader) = LogReader::open(&file) {
            let entries: Vec<_> = reader.entries().collect();
            assert!(entries.len() <= whole.len());
            unnoticed += usize::from(entries.len() == whole.len());
        }
    }
    assert!(unnoticed < 400, "some flips are noticed without a manifest");
    for length in [0, 3, 8, sound.len() / 2, sound.len() - 1] {
        fs::write(&file, &sound[..length]).unwrap();
        assert!(
            matches!(LogReader::open(&file), Err(LogError::NotALog { .. })),
            "{length}"
        );
    }
}

#[test]
fn a_log_whose_journal_is_gone_is_read_from_its_segments() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    for _ in 0..2 {
        for record in one_of_each() {
            log.append(record).wait().unwrap();
        }
        log.seal().unwrap();
    }
    log.close().unwrap();
    let all = read(directory.path());
    fs::remove_file(directory.path().join("journal.sqlite")).unwrap();
    let mut reader = LogReader::open(directory.path()).unwrap();
    let entries: Vec<_> = reader.entries().map(Result::unwrap).collect();
    assert_eq!(entries, all);
    assert_eq!(reader.damage().notes().len(), 1);
    assert_eq!(reader.after(9, 2).unwrap(), all[9..11]);

    // What an interrupted sealing left before the journal was lost is put aside.
    let segments = directory.path().join("segments");
    let first = segment_files(directory.path()).remove(0);
    let overlapping = "decisions-00000000000000000003-00000000000000000005.parquet";
    fs::copy(first, segments.join(overlapping)).unwrap();
    let (log, recovery) = open(directory.path());
    assert_eq!(recovery.next_seq, 17);
    assert_eq!(recovery.notes.len(), 3, "{recovery:?}");
    assert_eq!(append(&log, [1]), [17]);
    let entries = read(directory.path());
    assert_eq!(entries[..16], all);
    assert_eq!(entries.len(), 17);
}

#[test]
fn a_torn_write_ahead_file_is_cut_to_what_was_promised() {
    let source = TempDir::new().unwrap();
    let (log, _) = open(source.path());
    append(&log, 0..20);
    // The state of a process that was killed: the write-ahead file is there in full.
    let full = fs::read(source.path().join("journal.sqlite-wal")).unwrap();
    let mut counts = Vec::new();
    for length in (0..=full.len()).step_by(full.len() / 37) {
        let copy = TempDir::new().unwrap();
        for file in ["FORMAT", "journal.sqlite"] {
            fs::copy(source.path().join(file), copy.path().join(file)).unwrap();
        }
        fs::write(copy.path().join("journal.sqlite-wal"), &full[..length]).unwrap();
        let (torn, recovery) = open(copy.path());
        assert!(recovery.is_clean(), "{recovery:?}");
        let entries = read(copy.path());
        assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq));
        assert_eq!(append(&torn, [7]), [entries.len() as u64 + 1]);
        counts.push(entries.len());
    }
    assert!(counts.is_sorted());
    assert_eq!(counts.first(), Some(&0));
    assert!(*counts.last().unwrap() >= 19, "{counts:?}");
}

#[test]
fn a_malformed_journal_is_rebuilt_from_what_can_be_read() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut salvaged, mut read_back) = (0, 0);
    for round in 0..60 {
        let directory = TempDir::new().unwrap();
        let (log, _) = open(directory.path());
        append(&log, 0..5);
        log.seal().unwrap();
        append(&log, 5..40);
        drop(log);
        let path = directory.path().join("journal.sqlite");
        let bytes = fs::metadata(&path).unwrap().len();
        let at = random.next_u64() % bytes;
        overwrite(&path, at, &[0xA5; 64]);

        let mut reader = LogReader::open(directory.path()).map(|mut reader| {
            let seqs = readable(&mut reader);
            (seqs, reader.damage().is_none())
        });
        let (log, recovery) = match Log::open(directory.path(), quiet()) {
            Ok(opened) => opened,
            // The header may say now that it is another program's, or a newer one's.
            Err(LogError::NotALog { .. } | LogError::Newer { .. }) => continue,
            Err(error) => panic!("round {round}, byte {at}: {error}"),
        };
        let mut after = LogReader::open(directory.path()).unwrap();
        let seqs = readable(&mut after);
        assert!(
            seqs.len() >= 5,
            "round {round}, byte {at}: segments are read"
        );
        assert!(
            seqs.is_sorted_by(|a, b| a < b),
            "round {round}: nothing comes twice"
        );
        if seqs.len() < 40 {
            assert!(
                !recovery.is_clean(),
                "round {round}, byte {at}: {recovery:?}"
            );
            if let Ok((_, is_sound)) = &mut reader {
                assert!(!*is_sound, "round {round}, byte {at}: a silent loss");
            }
        }
        let is_salvaged = directory.path().join("quarantine-1.sqlite").exists();
        salvaged += usize::from(is_salvaged);
        read_back += usize::from(is_salvaged && seqs.len() > 5);
        assert!(recovery.next_seq > *seqs.last().unwrap());
        assert_eq!(append(&log, [1]), [recovery.next_seq]);
    }
    assert!(
        salvaged > 0 && read_back > 0,
        "{salvaged} salvaged, {read_back} with records"
    );
}

#[test]
fn a_journal_that_is_no_database_any_more_is_put_aside() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    append(&log, 0..5);
    log.seal().unwrap();
    append(&log, 5..8);
    drop(log);
    overwrite(&directory.path().join("journal.sqlite"), 0, &[0; 4096]);
    let mut reader = LogReader::open(directory.path()).unwrap();
    assert_eq!(readable(&mut reader), [1, 2, 3, 4, 5]);
    assert_eq!(reader.damage().notes().len(), 1);
    let (log, recovery) = open(directory.path());
    assert_eq!(recovery.next_seq, 6);
    assert!(recovery.notes.len() >= 2, "{recovery:?}");
    assert!(directory.path().join("quarantine-1.sqlite").exists());
    append(&log, [1]);
    assert_eq!(read(directory.path()).len(), 6);
}

#[test]
fn an_interrupted_replacement_of_the_journal_is_completed() {
    let directory = journal_of_twenty();
    let path = directory.path();
    fs::copy(path.join("journal.sqlite"), path.join("rebuilt.sqlite")).unwrap();
    fs::rename(
        path.join("journal.sqlite"),
        path.join("quarantine-1.sqlite"),
    )
    .unwrap();
    let (_, recovery) = open(path);
    assert_eq!((recovery.next_seq, recovery.is_clean()), (21, true));
    assert!(!path.join("rebuilt.sqlite").exists());
    assert_eq!(read(path).len(), 20);
}

#[test]
fn a_log_at_rest_is_read_where_nothing_can_be_written() {
    let directory = journal_of_twenty();
    // The library needs this file to read, and cannot make it.
    std::os::unix::fs::symlink(
        "/nonexistent/x",
        directory.path().join("journal.sqlite-shm"),
    )
    .unwrap();
    assert_eq!(read(directory.path()).len(), 20);
    // With a write-ahead file left there, the reader says what it cannot see.
    fs::write(directory.path().join("journal.sqlite-wal"), [0; 32]).unwrap();
    let mut reader = LogReader::open(directory.path()).unwrap();
    assert_eq!(readable(&mut reader).len(), 20);
    assert_eq!(reader.damage().notes().len(), 1);
}

fn edit(directory: &Path, sql: &str) {
    let journal = rusqlite::Connection::open(directory.join("journal.sqlite")).unwrap();
    journal.execute_batch(sql).unwrap();
}

/// Puts another sound payload of one line into a batch.
fn replace_batch(directory: &Path, seq: u64, payload: &[u8]) {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(seq.to_le_bytes());
    hash.update(1_u64.to_le_bytes());
    hash.update(1_u32.to_le_bytes());
    hash.update(payload);
    let checksum = hash.finalize().to_vec();
    let journal = rusqlite::Connection::open(directory.join("journal.sqlite")).unwrap();
    let changed = journal.execute(
        "UPDATE batches SET payload = ?1, checksum = ?2 WHERE first_seq = ?3",
        rusqlite::params![payload, checksum, seq.cast_signed()],
    );
    assert_eq!(changed.unwrap(), 1);
}

fn flip(path: &Path, at: u64) {
    let mut byte = [0];
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let length = fs::metadata(path).unwrap().len();
    let bytes = &bytes[..bytes.len().min(usize::try_from(length - at).unwrap())];
    OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .write_all_at(bytes, at)
        .unwrap();
}
