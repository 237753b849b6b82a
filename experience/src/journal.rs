//! The journal: an `SQLite` database in write-ahead mode, which other processes may read while
//! one writes, and which keeps what it committed when the process or the machine dies.
//!
//! A bare file would take four times as many records a second, but readers of a live one would
//! need a protocol of our own; with batches as rows the library is far from being the limit.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use crate::batch::Batch;
use crate::error::LogError;
use crate::format::{self, FORMAT};

/// The journal's file within a log's directory.
pub(crate) const JOURNAL_FILE: &str = "journal.sqlite";

/// Marks a database as ours ("Echo").
const APPLICATION_ID: i32 = 0x4563_686F;

/// How long to wait for another process that holds the database for a moment.
const BUSY: Duration = Duration::from_secs(5);

/// How many sequence numbers to try behind a page that cannot be read.
const PROBES: u64 = 200_000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS batches (
    first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, format INTEGER NOT NULL,
    checksum BLOB NOT NULL, payload BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS segments (
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, kind TEXT NOT NULL,
    file TEXT NOT NULL, rows INTEGER NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (last_seq, kind)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, reason TEXT NOT NULL,
    payload BLOB) STRICT;
CREATE TABLE IF NOT EXISTS pulse (beat INTEGER NOT NULL) STRICT;
";

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) connection: Connection,
    path: PathBuf,
}

/// Why a journal could not be opened.
#[derive(Debug)]
pub(crate) enum OpenFault {
    /// The library refuses it.
    Library(rusqlite::Error),
    /// It is sound, but not for us.
    Refused(LogError),
}

impl OpenFault {
    /// As an error of the log.
    pub(crate) fn into_error(self, path: &Path) -> LogError {
        match self {
            Self::Library(error) => LogError::journal(path, &error),
            Self::Refused(error) => error,
        }
    }
}

impl From<rusqlite::Error> for OpenFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Library(error)
    }
}

impl Journal {
    /// Opens the journal for writing, and makes it if there is none.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> Result<Self, OpenFault> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        let journal = Self {
            connection,
            path: path.to_path_buf(),
        };
        let is_new = journal.is_without_tables()?;
        if !is_new {
            journal.check_identity()?;
        }
        // The page size counts only for a new database, and must come first.
        journal.connection.execute_batch(
            "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             PRAGMA wal_autocheckpoint=2000; PRAGMA journal_size_limit=67108864;",
        )?;
        let page = journal.pragma("page_size")?.unsigned_abs().max(1);
        let pages = (bytes_max / page).clamp(16, u64::from(u32::MAX) - 1);
        journal
            .connection
            .query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()))?;
        if is_new {
            journal.create_tables()?;
        }
        Ok(journal)
    }

    /// Opens the journal for reading, beside a writer or at rest.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, OpenFault> {
        let connection = Connection::open_with_flags(path, READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        let journal = Self {
            connection,
            path: path.to_path_buf(),
        };
        journal.check_identity()?;
        Ok(journal)
    }

    /// Opens a damaged journal to read what can be read of it.
    pub(crate) fn open_unchecked(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open_with_flags(path, READ_ONLY)?;
        let journal = Self {
            connection,
            path: path.to_path_buf(),
        };
        journal.is_without_tables()?;
        Ok(journal)
    }

    /// Opens a journal at rest where nothing can be written, not even the library's index.
    ///
    /// What was committed but not yet moved from the write-ahead file is not seen.
    pub(crate) fn open_immutable(path: &Path) -> Result<Self, OpenFault> {
        let uri = format!("file:{}?immutable=1", percent_encoded(path));
        let connection = Connection::open_with_flags(uri, READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?;
        let journal = Self {
            connection,
            path: path.to_path_buf(),
        };
        journal.check_identity()?;
        Ok(journal)
    }

    fn is_without_tables(&self) -> rusqlite::Result<bool> {
        self.connection
            .query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
                row.get(0)
            })
    }

    fn create_tables(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {SCHEMA} INSERT INTO pulse VALUES (0);
             PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT}; COMMIT;",
        ))
    }

    /// Refuses a database that is not a journal, or is a newer one.
    fn check_identity(&self) -> Result<(), OpenFault> {
        if self.pragma("application_id")? != i64::from(APPLICATION_ID) {
            let reason = "its database was made by another program".to_owned();
            let path = self.path.clone();
            return Err(OpenFault::Refused(LogError::NotALog { path, reason }));
        }
        let found = u32::try_from(self.pragma("user_version")?).unwrap_or(u32::MAX);
        format::check(&self.path, found).map_err(OpenFault::Refused)
    }

    fn pragma(&self, name: &str) -> rusqlite::Result<i64> {
        self.connection
            .pragma_query_value(None, name, |row| row.get(0))
    }

    /// Commits one batch; it is on the disk when this returns.
    pub(crate) fn insert(
        &mut self,
        batch: &Batch,
        before_commit: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), String> {
        let transaction = self
            .connection
            .transaction()
            .map_err(|error| error.to_string())?;
        transaction
            .prepare_cached("INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut insert| {
                insert.execute(params![
                    batch.first_seq.cast_signed(),
                    batch.count.cast_signed(),
                    batch.format,
                    batch.checksum,
                    batch.payload
                ])
            })
            .map_err(|error| error.to_string())?;
        before_commit().map_err(|error| error.to_string())?;
        transaction.commit().map_err(|error| error.to_string())
    }

    /// A commit that changes nothing of the log, to see whether commits work.
    pub(crate) fn beat(&self) -> rusqlite::Result<()> {
        self.connection
            .execute("UPDATE pulse SET beat = beat + 1", [])
            .map(drop)
    }

    /// Moves everything from the write-ahead file into the database, synced.
    pub(crate) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// The batch that holds `seq`, or else the first one after it.
    pub(crate) fn batch_from(&self, seq: u64) -> rusqlite::Result<Option<Batch>> {
        let mut select = self.connection.prepare_cached(
            "SELECT first_seq, count, format, checksum, payload FROM batches
             WHERE first_seq >= coalesce((SELECT max(first_seq) FROM batches WHERE first_seq <= ?1), 0)
               AND first_seq + count > ?1
             ORDER BY first_seq LIMIT 1",
        )?;
        select.query_row([seq.cast_signed()], batch).optional()
    }

    /// The first batch that begins after `first_seq`.
    pub(crate) fn batch_after(&self, first_seq: u64) -> rusqlite::Result<Option<Batch>> {
        let mut select = self.connection.prepare_cached(
            "SELECT first_seq, count, format, checksum, payload FROM batches
             WHERE first_seq > ?1 ORDER BY first_seq LIMIT 1",
        )?;
        select
            .query_row([first_seq.cast_signed()], batch)
            .optional()
    }

    /// The first batch behind an unreadable place at `seq` that can be read.
    pub(crate) fn batch_behind(&self, seq: u64) -> Option<Batch> {
        let end = seq.saturating_add(PROBES);
        let through = self.last_batch_seq().unwrap_or(end).min(end);
        // Trying every number is slow, but loses no batch beside the unreadable ones.
        (seq..through).find_map(|seq| self.batch_after(seq).ok().flatten())
    }

    /// The last sequence number given out, be it in a batch, a segment or in quarantine; or 0.
    pub(crate) fn last_seq(&self) -> rusqlite::Result<u64> {
        let mut select = self.connection.prepare_cached(
            "SELECT max(
                coalesce((SELECT first_seq + count - 1 FROM batches ORDER BY first_seq DESC LIMIT 1), 0),
                coalesce((SELECT max(last_seq) FROM segments), 0),
                coalesce((SELECT max(last_seq) FROM quarantine), 0))",
        )?;
        select.query_row([], |row| seq(row, 0))
    }

    fn last_batch_seq(&self) -> rusqlite::Result<u64> {
        self.connection.query_row(
            "SELECT coalesce((SELECT first_seq FROM batches ORDER BY first_seq DESC LIMIT 1), 0)",
            [],
            |row| seq(row, 0),
        )
    }

    /// The library's error, with this journal's path.
    pub(crate) fn error(&self, error: &rusqlite::Error) -> LogError {
        LogError::journal(&self.path, error)
    }

    /// The journal's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether the error says that the database itself is damaged, rather than out of reach.
pub(crate) fn is_malformed(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            matches!(
                failure.code,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
            ) || message
                .as_deref()
                .is_some_and(|message| message.contains("no such table"))
        }
        // A damaged header or row may turn a column into another type.
        rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::IntegralValueOutOfRange(..) => {
            true
        }
        _ => false,
    }
}

const READ_ONLY: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

fn batch(row: &Row<'_>) -> rusqlite::Result<Batch> {
    Ok(Batch {
        first_seq: seq(row, 0)?,
        count: seq(row, 1)?,
        format: row.get(2)?,
        checksum: row.get(3)?,
        payload: row.get(4)?,
    })
}

/// A sequence number or count in a row.
pub(crate) fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// The path as it stands in a `file:` address.
fn percent_encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'%' | b'?' | b'#' | 128.. => encoded.extend(format!("%{byte:02X}").chars()),
            byte => encoded.push(char::from(*byte)),
        }
    }
    encoded
}
