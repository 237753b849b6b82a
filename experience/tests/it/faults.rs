//! Disks that fail, fill up, or take their time.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use echo_experience::{Health, Log, LogError, LogOptions, Step, Ticket};
use tempfile::TempDir;

use crate::samples::{append, decision, open, quiet, read, segment_files};

/// Options under which `step` fails while the switch is on.
fn failing_at(step: Step) -> (LogOptions, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&switch);
    let fail_point = Arc::new(move |at: Step| {
        let fails = at == step && seen.load(Ordering::SeqCst);
        if fails {
            Err(io::Error::other("no space left on device"))
        } else {
            Ok(())
        }
    });
    (
        LogOptions {
            fail_point: Some(fail_point),
            ..quiet()
        },
        switch,
    )
}

fn is_dead<T>(result: &Result<T, LogError>) -> bool {
    matches!(result, Err(LogError::Dead { reason }) if reason.contains("no space left"))
}

#[test]
fn a_failed_commit_kills_the_journal_until_it_is_opened_afresh() {
    let directory = TempDir::new().unwrap();
    let (options, fails) = failing_at(Step::Commit);
    let (log, _) = Log::open(directory.path(), options).unwrap();
    append(&log, 0..3);
    fails.store(true, Ordering::SeqCst);
    assert!(is_dead(&log.append(decision(9)).wait()));
    assert!(matches!(log.health(), Health::Dead { .. }));
    fails.store(false, Ordering::SeqCst);
    // The disk is well again, but this handle is not used again by itself.
    assert!(is_dead(&log.append(decision(9)).wait()));
    assert!(is_dead(&log.seal()));
    assert_eq!(log.counts().refused_dead, 2);
    assert_eq!(read(directory.path()).len(), 3);
    assert_eq!(log.revive(), Ok(3));
    assert_eq!((log.health(), log.counts().revivals), (Health::Writable, 1));
    assert_eq!(append(&log, 3..5), [4, 5]);
    let entries = read(directory.path());
    assert_eq!(entries[3].record, decision(3));
    assert_eq!(entries.len(), 5);
}

#[test]
fn a_dead_journal_comes_back_by_itself() {
    let directory = TempDir::new().unwrap();
    let (options, fails) = failing_at(Step::Commit);
    let options = LogOptions {
        revive_after: Some(Duration::from_millis(1)),
        ..options
    };
    let (log, _) = Log::open(directory.path(), options).unwrap();
    fails.store(true, Ordering::SeqCst);
    assert!(is_dead(&log.append(decision(0)).wait()));
    fails.store(false, Ordering::SeqCst);
    while log.health() != Health::Writable {
        std::thread::yield_now();
    }
    assert_eq!(append(&log, 1..2), [1]);
}

#[test]
fn a_revival_that_fails_leaves_the_journal_dead() {
    let directory = TempDir::new().unwrap();
    let both = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&both);
    let fail_point = Arc::new(move |step: Step| {
        let fails = matches!(step, Step::Commit | Step::Revive) && seen.load(Ordering::SeqCst);
        if fails {
            Err(io::Error::other("no space left on device"))
        } else {
            Ok(())
        }
    });
    let options = LogOptions {
        fail_point: Some(fail_point),
        ..quiet()
    };
    let (log, _) = Log::open(directory.path(), options).unwrap();
    assert!(is_dead(&log.append(decision(0)).wait()));
    assert!(matches!(log.revive(), Err(LogError::Io { .. })));
    assert!(is_dead(&log.append(decision(0)).wait()));
    assert!(is_dead(&log.close()));
    assert_eq!(open(directory.path()).1.next_seq, 1);
}

#[test]
fn a_journal_that_lost_what_it_promised_stays_dead() {
    let directory = TempDir::new().unwrap();
    let (options, fails) = failing_at(Step::Commit);
    let (log, _) = Log::open(directory.path(), options).unwrap();
    append(&log, 0..3);
    fails.store(true, Ordering::SeqCst);
    assert!(is_dead(&log.append(decision(9)).wait()));
    fails.store(false, Ordering::SeqCst);
    edit(directory.path(), "DELETE FROM batches WHERE first_seq = 3");
    assert!(matches!(log.revive(), Err(LogError::Journal { .. })));
    assert!(matches!(log.health(), Health::Dead { .. }));
}

#[test]
fn a_slow_disk_delays_tickets_but_not_appends() {
    let directory = TempDir::new().unwrap();
    let (entered, wait_for_entry) = mpsc::channel();
    let (release, wait_for_release) = mpsc::channel::<()>();
    let (entered, wait_for_release) = (Mutex::new(entered), Mutex::new(wait_for_release));
    let fail_point = Arc::new(move |step: Step| {
        if step == Step::Commit {
            // Both ends are gone once the test is over.
            let _ = entered.lock().unwrap().send(());
            let _ = wait_for_release.lock().unwrap().recv();
        }
        Ok(())
    });
    let options = LogOptions {
        queue_records: 10,
        fail_point: Some(fail_point),
        ..quiet()
    };
    let (log, _) = Log::open(directory.path(), options).unwrap();
    let first = log.append(decision(0));
    wait_for_entry.recv().unwrap();
    // The writer now sits in its commit. Ten more fit, then the queue is full.
    let waiting: Vec<_> = (1..11).map(|n| log.append(decision(n))).collect();
    let refused = log.append(decision(11)).wait();
    assert!(
        matches!(refused, Err(LogError::QueueFull { records: 10, .. })),
        "{refused:?}"
    );
    assert_eq!(
        (log.health(), *log.durable().borrow()),
        (Health::Writable, 0)
    );
    drop(release);
    assert_eq!(first.wait(), Ok(1));
    let seqs: Vec<u64> = waiting
        .into_iter()
        .map(|ticket| ticket.wait().unwrap())
        .collect();
    assert_eq!(seqs, (2..=11).collect::<Vec<u64>>());
    assert_eq!(log.counts().refused_full, 1);
    assert_eq!(append(&log, 11..12), [12]);
}

#[test]
fn the_queue_is_bounded_in_bytes_too() {
    let directory = TempDir::new().unwrap();
    let (release, wait_for_release) = mpsc::channel::<()>();
    let wait_for_release = Mutex::new(wait_for_release);
    let fail_point = Arc::new(move |_: Step| {
        let _ = wait_for_release.lock().unwrap().recv();
        Ok(())
    });
    let options = LogOptions {
        queue_bytes: 5_000,
        fail_point: Some(fail_point),
        ..quiet()
    };
    let (log, _) = Log::open(directory.path(), options).unwrap();
    let tickets: Vec<_> = (0..100).map(|n| log.append(decision(n))).collect();
    drop(release);
    let results: Vec<_> = tickets.into_iter().map(Ticket::wait).collect();
    let taken = results.iter().filter(|result| result.is_ok()).count();
    assert!((1..100).contains(&taken), "{taken} taken");
    assert!(
        results
            .iter()
            .all(|r| matches!(r, Ok(_) | Err(LogError::QueueFull { .. })))
    );
    assert_eq!(read(directory.path()).len(), taken);
}

#[test]
fn a_full_journal_dies_keeps_what_it_promised_and_is_freed_by_sealing() {
    let directory = TempDir::new().unwrap();
    // A bound that the database itself enforces, as it reports a full disk.
    let options = LogOptions {
        journal_bytes: 1 << 20,
        ..quiet()
    };
    let (log, _) = Log::open(directory.path(), options).unwrap();
    let mut taken = 0;
    let error = loop {
        match log.append(decision(taken)).wait() {
            Ok(seq) => {
                taken += 1;
                assert_eq!(seq, taken);
            }
            Err(error) => break error,
        }
        assert!(taken < 100_000, "the bound has no effect");
    };
    assert!(error.to_string().contains("full"), "{error}");
    assert!(matches!(log.health(), Health::Dead { .. }));
    assert_eq!(read(directory.path()).len() as u64, taken);
    // Coming back begins a segment, which frees the journal.
    assert_eq!(log.revive(), Ok(taken));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        log.sealed()
            .wait_for(|sealed| *sealed == taken)
            .await
            .unwrap();
    });
    assert_eq!(append(&log, taken..taken + 10).last(), Some(&(taken + 10)));
    assert_eq!(read(directory.path()).len() as u64, taken + 10);
}

#[test]
fn a_segment_that_cannot_be_written_leaves_the_records_in_the_journal() {
    let directory = TempDir::new().unwrap();
    let (options, fails) = failing_at(Step::Segment);
    let (log, _) = Log::open(directory.path(), options).unwrap();
    append(&log, 0..5);
    fails.store(true, Ordering::SeqCst);
    assert!(matches!(log.seal(), Err(LogError::Io { .. })));
    assert_eq!(
        (log.health(), log.counts().seal_failures),
        (Health::Writable, 1)
    );
    assert_eq!(append(&log, 5..6), [6]);
    assert!(segment_files(directory.path()).is_empty());
    fails.store(false, Ordering::SeqCst);
    assert_eq!(log.seal(), Ok(6));
    assert_eq!(read(directory.path()).len(), 6);
}

#[test]
fn a_segment_whose_manifest_was_not_written_is_listed_on_revival() {
    let directory = TempDir::new().unwrap();
    let (options, fails) = failing_at(Step::Manifest);
    let (log, _) = Log::open(directory.path(), options).unwrap();
    append(&log, 0..5);
    fails.store(true, Ordering::SeqCst);
    assert!(is_dead(&log.seal()));
    assert_eq!(read(directory.path()).len(), 5);
    fails.store(false, Ordering::SeqCst);
    assert_eq!(log.revive(), Ok(5));
    assert_eq!(
        (
            *log.sealed().borrow(),
            segment_files(directory.path()).len()
        ),
        (5, 1)
    );
    assert_eq!(append(&log, 5..6), [6]);
    assert_eq!(read(directory.path()).len(), 6);
}

#[test]
fn a_crash_between_files_and_manifest_loses_and_doubles_nothing() {
    let directory = TempDir::new().unwrap();
    let (options, fails) = failing_at(Step::Manifest);
    let (log, _) = Log::open(directory.path(), options).unwrap();
    append(&log, 0..5);
    fails.store(true, Ordering::SeqCst);
    assert!(is_dead(&log.seal()));
    assert_eq!(segment_files(directory.path()).len(), 1);
    drop(log);
    std::fs::write(directory.path().join("segments/served-0001.tmp"), "half").unwrap();
    assert_eq!(read(directory.path()).len(), 5);
    let (log, recovery) = open(directory.path());
    assert_eq!((recovery.orphans_removed, recovery.next_seq), (2, 6));
    assert!(segment_files(directory.path()).is_empty());
    assert_eq!(append(&log, 5..6), [6]);
    log.close().unwrap();
    assert_eq!(read(directory.path()).len(), 6);
}

#[test]
fn a_panic_of_the_writer_is_a_dead_journal() {
    let directory = TempDir::new().unwrap();
    let fail_point = Arc::new(|step: Step| -> io::Result<()> {
        assert!(step != Step::Commit, "a panic as planned");
        Ok(())
    });
    let options = LogOptions {
        fail_point: Some(fail_point),
        ..quiet()
    };
    let (log, _) = Log::open(directory.path(), options).unwrap();
    assert!(matches!(
        log.append(decision(0)).wait(),
        Err(LogError::Dead { .. })
    ));
    while log.health() == Health::Writable {
        std::thread::yield_now();
    }
    assert!(matches!(
        log.append(decision(0)).wait(),
        Err(LogError::Dead { .. })
    ));
    assert!(matches!(log.revive(), Err(LogError::Dead { .. })));
    assert!(matches!(log.close(), Err(LogError::Dead { .. })));
    assert_eq!(open(directory.path()).1.next_seq, 1);
}

fn edit(directory: &Path, sql: &str) {
    let journal = rusqlite::Connection::open(directory.join("journal.sqlite")).unwrap();
    journal.execute_batch(sql).unwrap();
}
