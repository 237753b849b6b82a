//! Stretches of the log that were put aside, since they could not be read.

use crate::batch::{Batch, last_of_damaged};

/// A stretch of the log that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quarantined {
    /// The first sequence number of the stretch.
    pub(crate) first_seq: u64,
    /// The last sequence number of the stretch.
    pub(crate) last_seq: u64,
    /// What is wrong with it.
    pub(crate) reason: String,
    /// What was found there, if anything.
    pub(crate) payload: Option<Vec<u8>>,
}

impl Quarantined {
    /// A damaged batch; `following` is the batch after it.
    pub(crate) fn damaged(batch: Batch, following: Option<&Batch>, reason: String) -> Self {
        let (first_seq, last_seq) = (batch.first_seq, last_of_damaged(&batch, following));
        Self {
            first_seq,
            last_seq,
            reason,
            payload: Some(batch.payload),
        }
    }

    /// What is missing between `from` and `to`, the latter excluded, unless it is `known` already.
    pub(crate) fn missing(from: u64, to: u64, known: &[Self]) -> Option<Self> {
        let first_seq = known.iter().fold(from, |from, stretch| {
            if stretch.first_seq <= from {
                from.max(stretch.last_seq + 1)
            } else {
                from
            }
        });
        let reason = "missing from the journal".to_owned();
        (first_seq < to).then(|| Self {
            first_seq,
            last_seq: to - 1,
            reason,
            payload: None,
        })
    }

    /// How many records it held.
    pub(crate) fn records(&self) -> u64 {
        self.last_seq - self.first_seq + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_known_is_missing() {
        let known = |first_seq, last_seq| Quarantined {
            first_seq,
            last_seq,
            reason: String::new(),
            payload: None,
        };
        let check = |stretches: &[(u64, u64)], expected: Option<(u64, u64)>| {
            let known: Vec<_> = stretches
                .iter()
                .map(|(first, last)| known(*first, *last))
                .collect();
            let missing = Quarantined::missing(5, 9, &known);
            assert_eq!(
                missing.map(|stretch| (stretch.first_seq, stretch.last_seq)),
                expected
            );
        };
        check(&[], Some((5, 8)));
        check(&[(1, 4)], Some((5, 8)));
        check(&[(5, 8)], None);
        check(&[(1, 6), (7, 7)], Some((8, 8)));
        check(&[(5, 5), (6, 20)], None);
        assert_eq!(Quarantined::missing(5, 5, &[]), None);
    }
}
