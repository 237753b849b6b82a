//! The one thread that writes: commits batches, answers tickets, seals, dies and comes back.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::batch::Batch;
use crate::error::LogError;
use crate::health::Health;
use crate::journal::Journal;
use crate::lock::DirectoryLock;
use crate::options::{LogOptions, Step};
use crate::priority::lower_priority;
use crate::queue::{Command, Line, Queue, Reply, Work};
use crate::revival::reopen;
use crate::seal::{Sealed, seal};
use crate::sync::thread::{self, JoinHandle};

/// How long to wait after a segment could not be sealed.
const SEAL_RETRY: Duration = Duration::from_secs(30);

/// The writer's own state; nobody else touches the journal for writing.
pub(crate) struct Writer {
    pub(crate) directory: PathBuf,
    pub(crate) options: LogOptions,
    pub(crate) queue: Arc<Queue>,
    pub(crate) durable: watch::Sender<u64>,
    pub(crate) sealed: watch::Sender<u64>,
    /// `None` while the journal is dead: a handle on which a commit failed is never used again.
    pub(crate) journal: Option<Journal>,
    pub(crate) _lock: DirectoryLock,
    sealing: Option<JoinHandle<Result<Option<Sealed>, LogError>>>,
    /// A segment in place that the manifest could not take.
    unlisted: Option<Sealed>,
    /// When the oldest record came that is not sealed yet.
    oldest: Option<Instant>,
    /// No segment is begun before this.
    seal_not_before: Option<Instant>,
    revive_at: Option<Instant>,
    /// Whether sealed batches are still in the journal.
    purging: bool,
}

impl Writer {
    pub(crate) fn new(
        directory: PathBuf,
        options: LogOptions,
        journal: Journal,
        lock: DirectoryLock,
        (last, sealed): (u64, u64),
    ) -> Self {
        let queue = Arc::new(Queue::new(options.clone()));
        let oldest = (last > sealed).then(Instant::now);
        Self {
            directory,
            options,
            queue,
            durable: watch::Sender::new(last),
            sealed: watch::Sender::new(sealed),
            journal: Some(journal),
            _lock: lock,
            sealing: None,
            unlisted: None,
            oldest,
            seal_not_before: None,
            revive_at: None,
            purging: false,
        }
    }

    /// Works until told to close.
    pub(crate) fn run(mut self) {
        let _end = EndGuard(Arc::clone(&self.queue));
        loop {
            match self.queue.take(self.deadline()) {
                Work::Lines(lines) => self.commit(lines),
                Work::Command(command) => {
                    if let ControlFlow::Break((reply, answer)) = self.obey(command) {
                        self.queue.end(&LogError::Closed);
                        // The journal and the lock are free before the answer is given.
                        drop(self);
                        let _ = reply.send(answer);
                        return;
                    }
                }
                Work::Idle => {}
            }
            self.keep_house();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.purging && self.journal.is_some() {
            return Some(Instant::now());
        }
        match (&self.journal, &self.sealing) {
            (None, _) => self.revive_at,
            (Some(_), None) => self.seal_at(),
            (Some(_), Some(_)) => None,
        }
    }

    fn obey(&mut self, command: Command) -> ControlFlow<(Reply<u64>, Result<u64, LogError>)> {
        // A reply that nobody waits for any more is no fault.
        match command {
            Command::Flush(reply) => {
                let _ = reply.send(self.alive().map(|()| self.last()));
            }
            Command::Seal(reply) => {
                let answer = self.seal_everything();
                let _ = reply.send(answer);
            }
            Command::Revive(reply) => {
                let answer = if self.journal.is_some() {
                    Ok(self.last())
                } else {
                    self.revive()
                };
                let _ = reply.send(answer);
            }
            Command::Sealed => self.end_sealing(),
            Command::Close { seal, reply } => {
                let answer = self.close(seal);
                return ControlFlow::Break((reply, answer));
            }
        }
        ControlFlow::Continue(())
    }

    fn keep_house(&mut self) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.journal.is_none() {
            if due(self.revive_at) {
                // Its failure is in the health, and is tried again in its time.
                let _ = self.revive();
            }
            return;
        }
        if self.sealing.is_none() && due(self.seal_at()) {
            self.begin_sealing();
        }
        if self.purging {
            self.purge();
        }
    }

    /// One step of removing what is sealed.
    fn purge(&mut self) {
        let sealed = *self.sealed.borrow();
        let Some(journal) = &mut self.journal else {
            return;
        };
        match journal.purge(sealed) {
            Ok(more) => self.purging = more,
            Err(error) => self.die(&format!("purge: {error}")),
        }
    }

    fn last(&self) -> u64 {
        *self.durable.borrow()
    }

    fn alive(&self) -> Result<(), LogError> {
        match self.queue.health() {
            Health::Writable => Ok(()),
            Health::Dead { reason } => Err(LogError::Dead { reason }),
        }
    }

    fn commit(&mut self, lines: Vec<Line>) {
        let first = self.last() + 1;
        let count = lines.len() as u64;
        let batch = Batch::of(first, lines.iter().map(|line| line.text.as_slice()));
        let committed = match &mut self.journal {
            Some(journal) => journal.insert(&batch, || self.options.reach(Step::Commit)),
            None => Err("it was not opened again".to_owned()),
        };
        if let Err(reason) = committed {
            let reason = format!("commit: {reason}");
            self.die(&reason);
            self.queue.count(|counts| counts.refused_dead += count);
            for line in lines {
                line.answer(Err(LogError::Dead {
                    reason: reason.clone(),
                }));
            }
            return;
        }
        self.queue.count(|counts| {
            counts.records += count;
            counts.commits += 1;
        });
        self.durable.send_replace(first + count - 1);
        for (seq, line) in (first..).zip(lines) {
            line.answer(Ok(seq));
        }
        self.oldest.get_or_insert_with(Instant::now);
    }

    /// When the next segment is due.
    fn seal_at(&self) -> Option<Instant> {
        let oldest = self.oldest?;
        let unsealed = self.last() - *self.sealed.borrow();
        let many = unsealed >= self.options.seal_records;
        let at = if many {
            oldest
        } else {
            oldest + self.options.seal_after
        };
        Some(
            self.seal_not_before
                .map_or(at, |not_before| at.max(not_before)),
        )
    }

    /// Drops the journal's handle and refuses everything until it is opened afresh.
    fn die(&mut self, reason: &str) {
        self.journal = None;
        self.revive_at = self
            .options
            .revive_after
            .map(|after| Instant::now() + after);
        self.queue.die(reason);
    }

    fn revive(&mut self) -> Result<u64, LogError> {
        match self.reopen() {
            Ok(()) => {
                self.revive_at = None;
                self.queue.revive();
                if self.last() > *self.sealed.borrow() {
                    // A full journal gets its space back by sealing.
                    self.begin_sealing();
                }
                Ok(self.last())
            }
            Err(error) => {
                self.die(&error.to_string());
                Err(error)
            }
        }
    }

    fn reopen(&mut self) -> Result<(), LogError> {
        let (last, sealed) = (self.last(), *self.sealed.borrow());
        let mut journal = reopen(&self.directory, &self.options, last, sealed)?;
        if let Some(sealed) = &self.unlisted {
            journal
                .seal(&sealed.files, &sealed.aside, sealed.through)
                .map_err(|error| journal.error(&error))?;
            self.sealed.send_replace(sealed.through);
            (self.unlisted, self.purging) = (None, true);
        }
        // A commit that failed late may have reached the disk: its numbers are taken then.
        let last = journal.last_seq().map_err(|error| journal.error(&error))?;
        self.durable.send_replace(last);
        self.journal = Some(journal);
        Ok(())
    }

    fn begin_sealing(&mut self) {
        if self.sealing.is_some() {
            return;
        }
        let (directory, options) = (self.directory.clone(), self.options.clone());
        let (from, through) = (*self.sealed.borrow() + 1, self.last());
        let done = SealedGuard(Arc::clone(&self.queue));
        let work = move || {
            let _done = done;
            lower_priority();
            seal(&directory, &options, from, through)
        };
        match thread::Builder::new()
            .name("echo-seal".to_owned())
            .spawn(work)
        {
            Ok(handle) => self.sealing = Some(handle),
            Err(_) => self.seal_failed(),
        }
    }

    /// Takes the sealing thread's result, if one is at work.
    fn end_sealing(&mut self) {
        let Some(handle) = self.sealing.take() else {
            return;
        };
        // A panic of the thread is a failure as any other: the records are still in the journal.
        match handle.join() {
            Ok(Ok(Some(sealed))) => {
                // A failure is in the health from now on.
                let _ = self.list(sealed);
            }
            Ok(Ok(None)) => self.seal_not_before = Some(Instant::now() + SEAL_RETRY),
            Ok(Err(_)) | Err(_) => self.seal_failed(),
        }
    }

    fn seal_failed(&mut self) {
        self.queue.count(|counts| counts.seal_failures += 1);
        self.seal_not_before = Some(Instant::now() + SEAL_RETRY);
    }

    /// Commits a segment to the manifest.
    fn list(&mut self, sealed: Sealed) -> Result<(), LogError> {
        let Some(journal) = &mut self.journal else {
            self.unlisted = Some(sealed);
            return self.alive();
        };
        let step = self
            .options
            .reach(Step::Manifest)
            .map_err(|error| error.to_string());
        let listed = step.and_then(|()| {
            let listed = journal.seal(&sealed.files, &sealed.aside, sealed.through);
            listed.map_err(|error| error.to_string())
        });
        if let Err(reason) = listed {
            self.unlisted = Some(sealed);
            self.die(&format!("manifest: {reason}"));
            return Err(LogError::Dead { reason });
        }
        self.queue.count(|counts| counts.segments += 1);
        self.sealed.send_replace(sealed.through);
        self.purging = true;
        self.seal_not_before = None;
        self.oldest = (self.last() > sealed.through).then(Instant::now);
        Ok(())
    }

    fn seal_everything(&mut self) -> Result<u64, LogError> {
        self.end_sealing();
        self.alive()?;
        while *self.sealed.borrow() < self.last() {
            let from = *self.sealed.borrow() + 1;
            match seal(&self.directory, &self.options, from, self.last()) {
                Ok(Some(sealed)) => self.list(sealed)?,
                Ok(None) => break,
                Err(error) => {
                    self.seal_failed();
                    return Err(error);
                }
            }
        }
        Ok(*self.sealed.borrow())
    }

    fn close(&mut self, seal: bool) -> Result<u64, LogError> {
        let sealed = if seal {
            self.seal_everything()
        } else {
            self.end_sealing();
            self.alive().map(|()| self.last())
        };
        while self.purging && self.journal.is_some() {
            self.purge();
        }
        if let Some(journal) = self.journal.take() {
            journal
                .checkpoint()
                .map_err(|error| journal.error(&error))?;
        }
        sealed.map(|_| self.last())
    }
}

/// Tells the queue that nobody writes any more, even if the writer panicked.
struct EndGuard(Arc<Queue>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            let reason = "the writer panicked".to_owned();
            self.0.die(&reason);
            self.0.end(&LogError::Dead { reason });
        }
    }
}

/// Wakes the writer when the sealing thread ends, however it ends.
struct SealedGuard(Arc<Queue>);

impl Drop for SealedGuard {
    fn drop(&mut self) {
        // A closed queue has no use for it.
        let _ = self.0.command(Command::Sealed);
    }
}
