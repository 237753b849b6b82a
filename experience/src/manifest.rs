//! The journal's manifest: which segments there are, and what was put aside.

use rusqlite::{Connection, Row, params};

use crate::journal::{Journal, seq};
use crate::quarantine::Quarantined;
use crate::segment_file::SegmentFile;

/// What one step of purging removes at most: bytes, give or take a batch, and batches.
const PURGE_BYTES: u64 = 4 << 20;
const PURGE_BATCHES: u64 = 256;

impl Journal {
    /// In one commit: the manifest names a segment's files. Its batches go by and by, see
    /// [`purge`](Self::purge); the first of them here, so that a full journal has room for this.
    pub(crate) fn seal(
        &mut self,
        files: &[SegmentFile],
        aside: &[Quarantined],
        through: u64,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        purge(&transaction, through)?;
        add_files(&transaction, files)?;
        add_quarantined(&transaction, aside)?;
        transaction.commit()
    }

    /// In one commit: removes some batches up to `through`, oldest first, which are sealed and
    /// count no more. False once there are none.
    ///
    /// All at once would hold up the next commit for as long as a hundred of them take.
    pub(crate) fn purge(&mut self, through: u64) -> rusqlite::Result<bool> {
        let transaction = self.connection.transaction()?;
        let removed = purge(&transaction, through)?;
        transaction.commit()?;
        Ok(removed > 0)
    }

    /// Adds files to the manifest, in one commit.
    pub(crate) fn adopt(&mut self, files: &[SegmentFile]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        add_files(&transaction, files)?;
        transaction.commit()
    }

    /// In one commit: notes what was put aside, and removes the batches that begin there.
    pub(crate) fn quarantine(&mut self, aside: &[Quarantined]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for stretch in aside {
            transaction.execute(
                "DELETE FROM batches WHERE first_seq = ?1",
                [stretch.first_seq.cast_signed()],
            )?;
        }
        add_quarantined(&transaction, aside)?;
        transaction.commit()
    }

    /// Everything that was put aside, without the payloads, in the log's order.
    pub(crate) fn quarantined(&self) -> rusqlite::Result<Vec<Quarantined>> {
        let mut select = self.connection.prepare_cached(
            "SELECT first_seq, last_seq, reason FROM quarantine ORDER BY first_seq",
        )?;
        let rows = select.query_map([], |row| {
            Ok(Quarantined {
                first_seq: seq(row, 0)?,
                last_seq: seq(row, 1)?,
                reason: row.get(2)?,
                payload: None,
            })
        })?;
        rows.collect()
    }

    /// The files of the first segment that ends at `seq` or later.
    ///
    /// Ask the batches first: a batch that is found missing there was in the manifest before that,
    /// so that no transaction around the two is needed.
    pub(crate) fn segment_from(&self, seq: u64) -> rusqlite::Result<Vec<SegmentFile>> {
        let mut select = self.connection.prepare_cached(
            "SELECT first_seq, last_seq, kind, file, rows, sha256 FROM segments
             WHERE last_seq = (SELECT min(last_seq) FROM segments WHERE last_seq >= ?1)",
        )?;
        select
            .query_map([seq.cast_signed()], segment_file)?
            .collect()
    }

    /// The whole manifest, in the log's order.
    pub(crate) fn segments(&self) -> rusqlite::Result<Vec<SegmentFile>> {
        let mut select = self.connection.prepare_cached(
            "SELECT first_seq, last_seq, kind, file, rows, sha256 FROM segments ORDER BY last_seq, kind",
        )?;
        select.query_map([], segment_file)?.collect()
    }

    /// The last sequence number that is sealed, or 0.
    pub(crate) fn sealed_through(&self) -> rusqlite::Result<u64> {
        self.connection.query_row(
            "SELECT coalesce(max(last_seq), 0) FROM segments",
            [],
            |row| seq(row, 0),
        )
    }
}

fn purge(connection: &Connection, through: u64) -> rusqlite::Result<usize> {
    let mut select = connection.prepare_cached(
        "SELECT first_seq, length(payload) FROM batches WHERE first_seq <= ?1 ORDER BY first_seq",
    )?;
    let mut rows = select.query([through.cast_signed()])?;
    let (mut last, mut bytes, mut batches) = (0, 0, 0);
    while bytes < PURGE_BYTES && batches < PURGE_BATCHES {
        let Some(row) = rows.next()? else { break };
        last = seq(row, 0)?;
        bytes += seq(row, 1)?;
        batches += 1;
    }
    drop(rows);
    connection
        .prepare_cached("DELETE FROM batches WHERE first_seq <= ?1")?
        .execute([last.cast_signed()])
}

fn add_files(connection: &Connection, files: &[SegmentFile]) -> rusqlite::Result<()> {
    for file in files {
        connection.execute(
            "INSERT INTO segments VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                file.first_seq.cast_signed(),
                file.last_seq.cast_signed(),
                file.kind,
                file.file,
                file.rows.cast_signed(),
                file.sha256
            ],
        )?;
    }
    Ok(())
}

fn add_quarantined(connection: &Connection, aside: &[Quarantined]) -> rusqlite::Result<()> {
    for stretch in aside {
        connection.execute(
            "INSERT INTO quarantine VALUES (?1, ?2, ?3, ?4)",
            params![
                stretch.first_seq.cast_signed(),
                stretch.last_seq.cast_signed(),
                stretch.reason,
                stretch.payload
            ],
        )?;
    }
    Ok(())
}

fn segment_file(row: &Row<'_>) -> rusqlite::Result<SegmentFile> {
    Ok(SegmentFile {
        first_seq: seq(row, 0)?,
        last_seq: seq(row, 1)?,
        kind: row.get(2)?,
        file: row.get(3)?,
        rows: seq(row, 4)?,
        sha256: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::journal::JOURNAL_FILE;
    use crate::options::LogOptions;
    use crate::recovery::recover;

    const SEALED: u64 = 2 * PURGE_BATCHES + 10;
    const ALL: u64 = SEALED + 20;

    /// A journal of many small batches, of which most are sealed but not purged.
    fn sealed_journal(directory: &std::path::Path) -> Journal {
        let mut journal = Journal::open(&directory.join(JOURNAL_FILE), 1 << 30).unwrap();
        let transaction = journal.connection.transaction().unwrap();
        for seq in 1..=ALL {
            let batch = Batch::of(seq, [b"{}".as_slice()]);
            let row = params![seq.cast_signed(), 1, 1, batch.checksum, batch.payload];
            transaction
                .execute("INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5)", row)
                .unwrap();
        }
        transaction.commit().unwrap();
        let file = SegmentFile {
            first_seq: 1,
            last_seq: SEALED,
            kind: "served".to_owned(),
            file: "served-1-2.parquet".to_owned(),
            rows: SEALED,
            sha256: Some(String::new()),
        };
        journal.seal(&[file], &[], SEALED).unwrap();
        journal
    }

    fn first(journal: &Journal) -> u64 {
        journal.batch_after(0).unwrap().unwrap().first_seq
    }

    #[test]
    fn sealed_batches_go_step_by_step_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = sealed_journal(directory.path());
        assert_eq!(
            first(&journal),
            PURGE_BATCHES + 1,
            "one step is part of sealing"
        );
        assert!(journal.purge(SEALED).unwrap());
        assert_eq!(first(&journal), 2 * PURGE_BATCHES + 1);
        assert!(journal.purge(SEALED).unwrap());
        assert!(!journal.purge(SEALED).unwrap());
        assert_eq!(
            (first(&journal), journal.last_seq().unwrap()),
            (SEALED + 1, ALL)
        );
    }

    #[test]
    fn what_was_not_purged_before_a_crash_is_purged_on_opening() {
        let directory = tempfile::tempdir().unwrap();
        drop(sealed_journal(directory.path()));
        let (journal, _lock, sealed, recovery) =
            recover(directory.path(), &LogOptions::default()).unwrap();
        assert_eq!((sealed, recovery.next_seq), (SEALED, ALL + 1));
        assert_eq!(first(&journal), SEALED + 1);
        let left: i64 = journal
            .connection
            .query_row("SELECT count(*) FROM batches", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, (ALL - SEALED).cast_signed());
    }
}
