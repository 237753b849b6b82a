//! Processes that are killed while they append, and two processes on one directory.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use echo_experience::{Log, LogOptions, LogReader, Record};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::samples::{decision, open, quiet};

/// Tells a copy of this program to append to the directory named, from the number given on.
const DIRECTORY: &str = "ECHO_TEST_APPEND_TO";
const FIRST: &str = "ECHO_TEST_APPEND_FROM";

const ROUNDS: u64 = 20;
const WORKERS: usize = 4;
/// The numbers that one round may use.
const STRIDE: u64 = 1_000_000;

/// Kills an appending process at 20 random moments and looks for every acknowledged record.
#[test]
fn no_acknowledged_record_is_lost_when_the_process_is_killed() {
    let directory = TempDir::new().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(2_026);
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = start(directory.path(), round * STRIDE);
        let enough = 1 + random.next_u64() % 3_000;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let before = acknowledged.len() as u64;
        for line in lines.by_ref() {
            acknowledged.extend(acknowledgement(&line.unwrap()));
            if acknowledged.len() as u64 - before >= enough {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had acknowledged before it died counts too; the last line may be torn.
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        acknowledged.extend(rest.iter().filter_map(|line| acknowledgement(line)));
        assert!(
            acknowledged.len() as u64 - before >= enough,
            "round {round} wrote too little"
        );
        let (log, recovery) = open(directory.path());
        assert!(recovery.is_clean(), "round {round}: {recovery:?}");
        drop(log);
        check(directory.path(), &mut acknowledged, round);
    }
}

fn check(directory: &Path, acknowledged: &mut [(u64, u64)], round: u64) {
    acknowledged.sort_unstable();
    let mut reader = LogReader::open(directory).unwrap();
    let (mut expected, mut last) = (acknowledged.iter().peekable(), 0);
    for entry in reader.entries() {
        let entry = entry.unwrap();
        assert_eq!(entry.seq, last + 1, "round {round}: numbers are dense");
        last = entry.seq;
        while expected.peek().is_some_and(|(seq, _)| *seq == last) {
            let (_, number) = expected.next().unwrap();
            assert_eq!(
                entry.record,
                decision(*number),
                "round {round}: record {last}"
            );
        }
    }
    assert_eq!(
        expected.next(),
        None,
        "round {round}: an acknowledged record is lost"
    );
    assert!(
        reader.damage().is_none(),
        "round {round}: {}",
        reader.damage()
    );
}

/// `a SEQ NUMBER .`: whole lines only.
fn acknowledgement(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split(' ');
    let (mark, seq, number, end) = (words.next()?, words.next()?, words.next()?, words.next()?);
    (mark.ends_with('a') && end == ".").then(|| Some((seq.parse().ok()?, number.parse().ok()?)))?
}

fn start(directory: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "kill::appending_process",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY, directory)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Not a test of its own: the process that the others start. It appends until it is killed.
#[test]
fn appending_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let options = LogOptions {
        seal_records: 400,
        seal_after: Duration::from_hours(1),
        ..LogOptions::default()
    };
    let (log, _) = Log::open(Path::new(&directory), options).unwrap();
    let workers: Vec<_> = (first..)
        .take(WORKERS)
        .map(|worker| {
            let log = log.clone();
            std::thread::spawn(move || append_for_ever(&log, worker))
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
}

fn append_for_ever(log: &Log, first: u64) {
    for number in (first..).step_by(WORKERS * 8) {
        let numbers: Vec<u64> = (number..).step_by(WORKERS).take(8).collect();
        let tickets: Vec<_> = numbers
            .iter()
            .map(|number| log.append(decision(*number)))
            .collect();
        for (number, ticket) in numbers.iter().zip(tickets) {
            let seq = ticket.wait().unwrap();
            println!("a {seq} {number} .");
        }
    }
}

#[test]
fn another_process_reads_a_live_log_and_may_not_write_it() {
    let directory = TempDir::new().unwrap();
    let mut child = start(directory.path(), 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (seq, number) = lines
        .find_map(|line| acknowledgement(&line.unwrap()))
        .unwrap();
    let refused = Log::open(directory.path(), quiet()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "the log in {} is being written by another process",
            directory.path().display()
        )
    );
    let mut reader = LogReader::open(directory.path()).unwrap();
    let found = reader.after(seq - 1, 1).unwrap();
    assert_eq!((found[0].seq, &found[0].record), (seq, &decision(number)));
    let mut last = 0;
    while last < 2_000 {
        // Drains the child's output, so that it never waits for us.
        lines.next().unwrap().unwrap();
        for entry in reader.after(last, 1_000).unwrap() {
            assert_eq!(entry.seq, last + 1);
            assert!(matches!(entry.record, Record::Decision(_)));
            last = entry.seq;
        }
    }
    assert!(reader.damage().is_none(), "{}", reader.damage());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A limit on the size of files makes the disk refuse, for real, in the middle of appending.
#[test]
fn a_process_whose_disk_refuses_keeps_every_acknowledged_record() {
    let directory = TempDir::new().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "kill::refused_process",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    let mut acknowledged: Vec<_> = lines.iter().filter_map(|l| acknowledgement(l)).collect();
    assert!(
        lines.iter().any(|line| line.starts_with("dead")),
        "{lines:?}"
    );
    assert!(!acknowledged.is_empty());
    drop(open(directory.path()));
    check(directory.path(), &mut acknowledged, 0);
}

/// Not a test of its own: appends until the disk refuses.
#[test]
fn refused_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let (log, _) = open(Path::new(&directory));
    for number in 0..100_000 {
        match log.append(decision(number)).wait() {
            Ok(seq) => println!("a {seq} {number} ."),
            Err(error) => {
                println!("dead {error}");
                return;
            }
        }
    }
}
