//! A batch: consecutive records committed together, one row of the journal.

use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::record::{LineFault, decode};
use crate::schema::v1::{self, Record};

/// Consecutive records, one line of JSON each, under one checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The sequence number of the first record.
    pub(crate) first_seq: u64,
    /// How many records there are.
    pub(crate) count: u64,
    /// The schema version of the lines.
    pub(crate) format: u32,
    /// SHA-256 over the three numbers above and the payload.
    pub(crate) checksum: Vec<u8>,
    /// The lines, parted by newlines.
    pub(crate) payload: Vec<u8>,
}

/// Why a batch as a whole cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BatchFault {
    /// Its checksum fails, or it does not hold the records it claims.
    Damaged(String),
    /// A newer program wrote it.
    Newer(u32),
}

impl fmt::Display for BatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(reason) => f.write_str(reason),
            Self::Newer(format) => write!(f, "written in the newer format {format}"),
        }
    }
}

impl Batch {
    /// The batch of `lines`, the first of which gets `first_seq`.
    pub(crate) fn of<'a>(
        first_seq: u64,
        lines: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
    ) -> Self {
        let lines = lines.into_iter();
        let bytes = lines.clone().map(|line| line.len() + 1).sum();
        let (mut payload, mut count) = (Vec::with_capacity(bytes), 0);
        for line in lines {
            if count > 0 {
                payload.push(b'\n');
            }
            payload.extend_from_slice(line);
            count += 1;
        }
        let checksum = checksum(first_seq, count, v1::VERSION, &payload);
        Self {
            first_seq,
            count,
            format: v1::VERSION,
            checksum,
            payload,
        }
    }

    /// The sequence number after the last record's.
    pub(crate) fn end(&self) -> u64 {
        self.first_seq.saturating_add(self.count)
    }

    /// The sequence numbers of the records.
    pub(crate) fn seqs(&self) -> Range<u64> {
        self.first_seq..self.end()
    }

    /// Checks the format, the checksum and the number of lines.
    pub(crate) fn verify(&self) -> Result<(), BatchFault> {
        if self.format > v1::VERSION {
            return Err(BatchFault::Newer(self.format));
        }
        let expected = checksum(self.first_seq, self.count, self.format, &self.payload);
        if expected != self.checksum {
            return Err(BatchFault::Damaged("the checksum fails".to_owned()));
        }
        let lines = self.lines().count() as u64;
        if lines != self.count {
            return Err(BatchFault::Damaged(format!(
                "{lines} lines for {} records",
                self.count
            )));
        }
        Ok(())
    }

    /// The lines with their sequence numbers.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let ends = memchr::memchr_iter(b'\n', &self.payload).chain([self.payload.len()]);
        let mut start = 0;
        let lines = ends.map(move |end| &self.payload[std::mem::replace(&mut start, end + 1)..end]);
        (self.first_seq..).zip(lines)
    }

    /// The records from `seq` on, or why a line gave none.
    pub(crate) fn records_from(
        &self,
        seq: u64,
    ) -> impl Iterator<Item = (u64, Result<Record, LineFault>)> {
        self.lines()
            .filter(move |(at, _)| *at >= seq)
            .map(|(at, line)| (at, decode(line)))
    }
}

/// The last number of a damaged batch, whose own count cannot be trusted.
pub(crate) fn last_of_damaged(batch: &Batch, next: Option<&Batch>) -> u64 {
    let lines = batch.lines().count() as u64;
    let end = match next {
        Some(next) => next.first_seq,
        // Where count and lines differ, the larger: a number must never be used twice.
        None if batch.count <= batch.payload.len() as u64 => {
            batch.first_seq + batch.count.max(lines)
        }
        None => batch.first_seq + lines,
    };
    end - 1
}

fn checksum(first_seq: u64, count: u64, format: u32, payload: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(first_seq.to_le_bytes());
    hash.update(count.to_le_bytes());
    hash.update(format.to_le_bytes());
    hash.update(payload);
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_part_is_noticed() {
        let batch = Batch::of(7, [b"a".as_slice(), b"b"]);
        assert_eq!(batch.verify(), Ok(()));
        assert_eq!(
            (batch.seqs(), batch.payload.as_slice()),
            (7..9, b"a\nb".as_slice())
        );
        let change = |change: fn(&mut Batch)| {
            let mut changed = batch.clone();
            change(&mut changed);
            changed.verify()
        };
        assert!(matches!(
            change(|b| b.first_seq += 1),
            Err(BatchFault::Damaged(_))
        ));
        assert!(matches!(
            change(|b| b.count -= 1),
            Err(BatchFault::Damaged(_))
        ));
        assert!(matches!(
            change(|b| b.payload[0] ^= 1),
            Err(BatchFault::Damaged(_))
        ));
        assert!(matches!(
            change(|b| b.checksum[0] ^= 1),
            Err(BatchFault::Damaged(_))
        ));
        assert!(matches!(
            change(|b| b.format = 0),
            Err(BatchFault::Damaged(_))
        ));
        assert_eq!(change(|b| b.format = 9), Err(BatchFault::Newer(9)));
    }
}
