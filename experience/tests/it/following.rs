//! Appending, reading, following, sealing, reopening.

use echo_experience::{Entry, Health, Kind, Log, LogError, LogOptions, LogReader, Record};
use tempfile::TempDir;

use crate::samples::{append, decision, one_of_each, open, quiet, read, segment_files};

fn assert_send<T: Send>(_: &T) {}

#[test]
fn what_is_appended_is_read_while_the_log_is_open_and_after() {
    let directory = TempDir::new().unwrap();
    let (log, recovery) = open(directory.path());
    assert_eq!((recovery.next_seq, recovery.is_clean()), (1, true));
    let mut expected = Vec::new();
    for (seq, record) in (1..).zip(one_of_each()) {
        assert_eq!(log.append(record.clone()).wait(), Ok(seq));
        expected.push(Entry { seq, record });
    }
    assert_eq!(log.health(), Health::Writable);
    assert_eq!(read(directory.path()), expected);
    log.close().unwrap();
    assert_eq!(segment_files(directory.path()).len(), Kind::ALL.len());
    assert_eq!(read(directory.path()), expected);
}

#[test]
fn notes_keep_their_place_and_share_commits() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    for number in 0..1_000 {
        log.note(decision(number));
    }
    assert_eq!(log.append(decision(1_000)).wait(), Ok(1_001));
    assert_eq!(log.counts().records, 1_001);
    assert!(log.counts().commits < 500, "{:?}", log.counts());
    // One that nothing follows is written all the same.
    let mut durable = log.durable();
    log.note(decision(1_001));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(durable.wait_for(|seq| *seq == 1_002))
        .unwrap();
    let seqs: Vec<u64> = read(directory.path())
        .iter()
        .map(|entry| entry.seq)
        .collect();
    assert_eq!(seqs, (1..=1_002).collect::<Vec<_>>());
}

#[test]
fn a_follower_gets_each_entry_once_across_sealing() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    let mut reader = LogReader::open(directory.path()).unwrap();
    assert_send(&reader);
    let (mut seq, mut seen) = (0, Vec::new());
    for round in 0..6_u64 {
        append(&log, round * 10..round * 10 + 10);
        if round % 2 == 1 {
            log.seal().unwrap();
        }
        // Less than there is, so that the follower lags, then everything.
        for limit in [3, 4, 100].into_iter().take(if round == 5 { 3 } else { 2 }) {
            let entries = reader.after(seq, limit).unwrap();
            seq = entries.last().map_or(seq, |entry| entry.seq);
            seen.extend(entries);
        }
    }
    assert_eq!(seen, read(directory.path()));
    assert_eq!(seen.len(), 60);
    assert!(reader.after(seq, 100).unwrap().is_empty());
    assert!(reader.after(1_000, 1).unwrap().is_empty());
}

#[test]
fn any_place_can_be_read_from() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    append(&log, 0..20);
    log.seal().unwrap();
    for record in one_of_each() {
        log.append(record).wait().unwrap();
    }
    log.seal().unwrap();
    append(&log, 0..5);
    let all = read(directory.path());
    assert_eq!(all.len(), 33);
    let mut reader = LogReader::open(directory.path()).unwrap();
    for from in (0..=33).rev() {
        let found = reader.after(from as u64, 4).unwrap();
        assert_eq!(found, all[from..(from + 4).min(33)], "after {from}");
    }
    assert!(reader.after(3, 0).unwrap().is_empty());
}

#[test]
fn numbers_go_on_after_a_restart() {
    let directory = TempDir::new().unwrap();
    for round in 0..4 {
        let (log, recovery) = open(directory.path());
        assert_eq!(recovery.next_seq, round * 3 + 1);
        assert_eq!(
            append(&log, 0..3),
            [round * 3 + 1, round * 3 + 2, round * 3 + 3]
        );
        assert_eq!(*log.durable().borrow(), round * 3 + 3);
        if round == 1 {
            log.close().unwrap();
        }
    }
    assert_eq!(read(directory.path()).len(), 12);
}

#[test]
fn many_threads_append_and_each_keeps_its_order() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    let workers: Vec<_> = (0..4_u64)
        .map(|worker| {
            let log = log.clone();
            std::thread::spawn(move || {
                let tickets: Vec<_> = (0..500)
                    .map(|n| log.append(decision(worker * 1_000 + n)))
                    .collect();
                tickets
                    .into_iter()
                    .map(|ticket| ticket.wait().unwrap())
                    .collect::<Vec<u64>>()
            })
        })
        .collect();
    let seqs: Vec<Vec<u64>> = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .collect();
    assert!(seqs.iter().all(|seqs| seqs.is_sorted()));
    let entries = read(directory.path());
    assert_eq!(entries.len(), 2_000);
    for (worker, seqs) in (0_u64..).zip(&seqs) {
        for (n, seq) in (0_u64..).zip(seqs) {
            let entry = &entries[usize::try_from(*seq).unwrap() - 1];
            assert_eq!(
                (entry.seq, &entry.record),
                (*seq, &decision(worker * 1_000 + n))
            );
        }
    }
    assert!(
        log.counts().commits < 2_000,
        "records are committed in groups"
    );
}

#[test]
fn a_flush_covers_what_was_appended_before() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    let tickets: Vec<_> = (0..100).map(|n| log.append(decision(n))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(log.flush()), Ok(100));
    assert_eq!(read(directory.path()).len(), 100);
    let last = tickets.into_iter().last().unwrap();
    assert_eq!(runtime.block_on(last.durable()), Ok(100));
    log.close().unwrap();
    assert_eq!(runtime.block_on(log.flush()), Err(LogError::Closed));
    assert_eq!(log.append(decision(1)).wait(), Err(LogError::Closed));
    assert!(matches!(log.health(), Health::Dead { .. }));
    assert_eq!(log.seal(), Err(LogError::Closed));
    assert_eq!(log.close(), Ok(()));
}

#[test]
fn segments_are_sealed_when_there_are_many_records() {
    let directory = TempDir::new().unwrap();
    let options = LogOptions {
        seal_records: 10,
        ..quiet()
    };
    let (log, _) = Log::open(directory.path(), options).unwrap();
    append(&log, 0..35);
    wait_until_sealed(&log, 30);
    assert_eq!(read(directory.path()).len(), 35);
}

#[test]
fn segments_are_sealed_when_their_time_has_come() {
    let directory = TempDir::new().unwrap();
    let options = LogOptions {
        seal_after: std::time::Duration::ZERO,
        ..quiet()
    };
    let (log, _) = Log::open(directory.path(), options).unwrap();
    append(&log, 0..3);
    wait_until_sealed(&log, 3);
    assert_eq!(read(directory.path()).len(), 3);
}

fn wait_until_sealed(log: &Log, seq: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut sealed = log.sealed();
    let reached =
        runtime.block_on(async { *sealed.wait_for(|sealed| *sealed >= seq).await.unwrap() });
    assert!(reached >= seq);
}

#[test]
fn one_segment_file_can_be_read_alone() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    for _ in 0..3 {
        for record in one_of_each() {
            log.append(record).wait().unwrap();
        }
    }
    log.close().unwrap();
    let all = read(directory.path());
    for file in segment_files(directory.path()) {
        let entries = read(&file);
        assert_eq!(entries.len(), 3);
        assert!(entries.iter().all(|entry| all.contains(entry)));
        assert!(
            entries
                .iter()
                .all(|e| e.record.kind() == entries[0].record.kind())
        );
    }
}

#[test]
fn large_records_and_many_of_them_are_read_back() {
    let directory = TempDir::new().unwrap();
    let (log, _) = open(directory.path());
    let text = |n: u64| format!("{n} ").repeat(100_000);
    let tickets: Vec<_> = (0..40)
        .map(|n| {
            let Record::Decision(mut decision) = decision(n) else {
                unreachable!()
            };
            decision.prefix = Some(text(n));
            log.append(Record::Decision(decision))
        })
        .collect();
    assert!(tickets.into_iter().all(|ticket| ticket.wait().is_ok()));
    log.seal().unwrap();
    for (n, entry) in (0..).zip(read(directory.path())) {
        let Record::Decision(decision) = entry.record else {
            panic!("another kind")
        };
        assert_eq!(decision.prefix, Some(text(n)));
    }
}
