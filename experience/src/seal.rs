//! Sealing: the oldest batches of the journal become a segment.

use std::path::Path;

use crate::batch::Batch;
use crate::error::LogError;
use crate::journal::{JOURNAL_FILE, Journal};
use crate::options::{LogOptions, Step};
use crate::quarantine::Quarantined;
use crate::record::Entry;
use crate::segment::SegmentWriter;
use crate::segment_file::SegmentFile;

/// A segment whose files are in place, but which no manifest names yet.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// The last sequence number in it.
    pub(crate) through: u64,
    /// Its files.
    pub(crate) files: Vec<SegmentFile>,
    /// What could not become columns.
    pub(crate) aside: Vec<Quarantined>,
}

/// Writes the next segment, from `from` and through `through` at most; `None` if there is nothing.
pub(crate) fn seal(
    directory: &Path,
    options: &LogOptions,
    from: u64,
    through: u64,
) -> Result<Option<Sealed>, LogError> {
    let path = directory.join(JOURNAL_FILE);
    options
        .reach(Step::Segment)
        .map_err(|error| LogError::io("write a segment in", directory, &error))?;
    let failed = |error: rusqlite::Error| LogError::journal(&path, &error);
    let journal = Journal::open_read_only(&path).map_err(|fault| fault.into_error(&path))?;
    let known = journal.quarantined().map_err(failed)?;
    let mut segment = SegmentWriter::new(directory, from);
    let (mut next, mut records, mut aside) = (from, 0, Vec::new());
    while records < options.seal_records {
        let Some(batch) = journal.batch_after(next - 1).map_err(failed)? else {
            break;
        };
        if batch.first_seq > through {
            break;
        }
        aside.extend(Quarantined::missing(next, batch.first_seq, &known));
        next = if let Err(fault) = batch.verify() {
            let following = journal.batch_after(batch.first_seq).map_err(failed)?;
            let damaged = Quarantined::damaged(batch, following.as_ref(), fault.to_string());
            let end = damaged.last_seq + 1;
            aside.push(damaged);
            end
        } else {
            add(&batch, &mut segment, &mut aside)?;
            records += batch.count;
            batch.end()
        };
    }
    if next == from {
        return Ok(None);
    }
    let files = segment.finish(next - 1)?;
    Ok(Some(Sealed {
        through: next - 1,
        files,
        aside,
    }))
}

fn add(
    batch: &Batch,
    segment: &mut SegmentWriter,
    aside: &mut Vec<Quarantined>,
) -> Result<(), LogError> {
    for ((seq, line), (_, record)) in batch.lines().zip(batch.records_from(batch.first_seq)) {
        match record {
            Ok(record) => segment.push(Entry { seq, record }, line.len())?,
            Err(fault) => aside.push(Quarantined {
                first_seq: seq,
                last_seq: seq,
                reason: fault.to_string(),
                payload: Some(line.to_vec()),
            }),
        }
    }
    Ok(())
}
