//! The writer's handle.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use tokio::sync::{oneshot, watch};

use crate::error::LogError;
use crate::health::{Counts, Health};
use crate::options::LogOptions;
use crate::queue::{Command, Line, Queue, Reply};
use crate::record::encode;
use crate::recovery::{Recovery, recover};
use crate::schema::v1::Record;
use crate::sync::Mutex;
use crate::sync::thread::{self, JoinHandle};
use crate::ticket::Ticket;
use crate::validity;
use crate::writer::Writer;

/// An append-only log of facts, open for writing; its clones write the same log.
///
/// When the last clone is dropped, what was appended is committed and the directory is free.
#[derive(Debug, Clone)]
pub struct Log(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    directory: PathBuf,
    record_bytes: usize,
    queue: Arc<Queue>,
    durable: watch::Receiver<u64>,
    sealed: watch::Receiver<u64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Opens the log in `directory` for writing, and makes it if there is none.
    ///
    /// Checks the whole journal (not the sealed segments), puts aside what is damaged, removes
    /// files that no manifest names, and tells of it in the [`Recovery`].
    ///
    /// # Errors
    /// [`LogError::InUse`] if the log is open for writing elsewhere, [`LogError::Newer`] if a newer
    /// program wrote it, [`LogError::NotALog`] if its journal is something else, and
    /// [`LogError::Io`] or [`LogError::Journal`] if the disk refuses.
    pub fn open(directory: &Path, options: LogOptions) -> Result<(Self, Recovery), LogError> {
        let (journal, lock, sealed, recovery) = recover(directory, &options)?;
        let record_bytes = options.record_bytes.min(options.queue_bytes);
        let last = recovery.next_seq - 1;
        let writer = Writer::new(
            directory.to_path_buf(),
            options,
            journal,
            lock,
            (last, sealed),
        );
        let queue = Arc::clone(&writer.queue);
        let (durable, sealed) = (writer.durable.subscribe(), writer.sealed.subscribe());
        let thread = thread::Builder::new()
            .name("echo-journal".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| LogError::io("start the writer of", directory, &error))?;
        let (directory, thread) = (directory.to_path_buf(), Mutex::new(Some(thread)));
        let handle = Handle {
            directory,
            record_bytes,
            queue,
            durable,
            sealed,
            thread,
        };
        Ok((Self(Arc::new(handle)), recovery))
    }

    /// Hands a record to the writer. Never blocks: a record that cannot be taken is refused by the
    /// ticket. Records of one thread get their sequence numbers in the order of its calls.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the fact is the log's from now on, wherever it is encoded"
    )]
    pub fn append(&self, record: Record) -> Ticket {
        let (reply, answer) = oneshot::channel();
        match self.push(&record, Some(reply)) {
            Ok(()) => Ticket::coming(answer),
            Err(error) => Ticket::refused(error),
        }
    }

    /// Hands over a record that nobody waits for: it shares a commit with what comes within a few
    /// milliseconds. Otherwise as [`append`](Self::append), in the same order; one that cannot be taken
    /// is counted.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the fact is the log's from now on, wherever it is encoded"
    )]
    pub fn note(&self, record: Record) {
        // What is refused is in the counts.
        let _ = self.push(&record, None);
    }

    fn push(&self, record: &Record, reply: Option<Reply<u64>>) -> Result<(), LogError> {
        let line = validity::check(record).and_then(|()| {
            let (text, limit) = (encode(record), self.0.record_bytes);
            let bytes = text.len();
            if bytes > limit {
                return Err(LogError::TooLarge { bytes, limit });
            }
            Ok(Line { text, reply })
        });
        match line {
            Ok(line) => self.0.queue.push(line),
            Err(error) => {
                self.0.queue.count(|counts| counts.refused_invalid += 1);
                Err(error)
            }
        }
    }

    /// Whether records are taken.
    pub fn health(&self) -> Health {
        self.0.queue.health()
    }

    /// What was taken and refused since the log was opened.
    pub fn counts(&self) -> Counts {
        self.0.queue.counts()
    }

    /// The highest durable sequence number, as it grows; 0 while the log is empty.
    ///
    /// A reader sees everything up to it.
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.0.durable.clone()
    }

    /// The highest sealed sequence number, as it grows.
    pub fn sealed(&self) -> watch::Receiver<u64> {
        self.0.sealed.clone()
    }

    /// The log's directory.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Waits until everything appended before is durable; gives the highest durable number.
    ///
    /// # Errors
    /// [`LogError::Dead`] if the journal is dead, [`LogError::Closed`] if the log is closed.
    pub async fn flush(&self) -> Result<u64, LogError> {
        self.0
            .ask(Command::Flush)?
            .await
            .unwrap_or(Err(LogError::Closed))
    }

    /// Seals everything appended before, without waiting for its time; blocks the thread.
    /// Gives the highest sealed sequence number.
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and [`LogError::Io`] or [`LogError::Segment`] if the files could
    /// not be written; the records stay in the journal then.
    pub fn seal(&self) -> Result<u64, LogError> {
        self.0
            .ask(Command::Seal)?
            .blocking_recv()
            .unwrap_or(Err(LogError::Closed))
    }

    /// Opens a dead journal afresh, without waiting for its time; blocks the thread.
    /// Gives the highest durable number.
    ///
    /// # Errors
    /// Why it is still dead; [`LogError::Closed`] if the log is closed.
    pub fn revive(&self) -> Result<u64, LogError> {
        self.0
            .ask(Command::Revive)?
            .blocking_recv()
            .unwrap_or(Err(LogError::Closed))
    }

    /// Commits and seals everything appended before, and frees the directory; blocks the thread.
    /// A closed log stays closed, and closing it again does nothing.
    ///
    /// # Errors
    /// What could not be committed or sealed; the directory is free all the same.
    pub fn close(&self) -> Result<(), LogError> {
        self.0.stop(true)
    }
}

impl Handle {
    fn ask(
        &self,
        command: impl FnOnce(Reply<u64>) -> Command,
    ) -> Result<oneshot::Receiver<Result<u64, LogError>>, LogError> {
        let (reply, answer) = oneshot::channel();
        self.queue.command(command(reply))?;
        Ok(answer)
    }

    fn stop(&self, seal: bool) -> Result<(), LogError> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = thread.take() else {
            return Ok(());
        };
        let (reply, mut answer) = oneshot::channel();
        let asked = self.queue.command(Command::Close { seal, reply });
        // Joined rather than only answered: the lock is free when this returns.
        let joined = thread.join();
        asked?;
        joined.map_err(|_| LogError::Dead {
            reason: "the writer panicked".to_owned(),
        })?;
        answer.try_recv().unwrap_or(Err(LogError::Closed)).map(drop)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Nobody is left to be told of a failure; tickets have told it.
        let _ = self.stop(false);
    }
}
