/// Tells quickly of most short texts that a document does not hold them.
///
/// Every run of [`RUN`] bytes sets a bit by its hash: a text whose last bytes have no bit is not there; one
/// that has it may be.
#[derive(Debug)]
pub(crate) struct Filter(Vec<u64>);

impl Filter {
    pub(crate) fn of(document: &str) -> Self {
        let mut bits = vec![0; WORDS];
        for run in document.as_bytes().windows(RUN) {
            let (word, bit) = place(run);
            bits[word] |= bit;
        }
        Self(bits)
    }

    /// Whether the document may hold what `text` ends with.
    pub(crate) fn may_hold_end_of(&self, text: &str) -> bool {
        let Some(run) = text.as_bytes().last_chunk::<RUN>() else {
            return true;
        };
        let (word, bit) = place(run);
        self.0[word] & bit != 0
    }
}

/// Bytes of a run.
const RUN: usize = 8;

/// 65,536 bits: a text of 4 kB sets one in sixteen.
const WORDS: usize = 1_024;

/// A number that two different texts hardly ever share.
pub(crate) fn digest(text: &str) -> u64 {
    let mix = |digest: u64, word: u64| (digest ^ word).wrapping_mul(GOLDEN).rotate_left(29);
    let (words, rest) = text.as_bytes().as_chunks::<RUN>();
    let digest = words.iter().fold(text.len() as u64, |digest, word| {
        mix(digest, u64::from_le_bytes(*word))
    });
    rest.iter()
        .fold(digest, |digest, byte| mix(digest, u64::from(*byte)))
}

/// 2^64 divided by the golden ratio: the upper bits of a product with it depend on all of the other factor.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn place(run: &[u8]) -> (usize, u64) {
    let mut bytes = [0; RUN];
    bytes.copy_from_slice(run);
    let hash = u64::from_le_bytes(bytes).wrapping_mul(GOLDEN) >> 48;
    let hash = hash as usize;
    (hash / 64, 1 << (hash % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_there_is_never_denied(text in any::<String>(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
            let from = text.floor_char_boundary(from.index(text.len() + 1));
            let to = text.floor_char_boundary(to.index(text.len() + 1)).max(from);
            prop_assert!(Filter::of(&text).may_hold_end_of(&text[from..to]));
        }
    }

    #[test]
    fn most_of_what_is_not_there_is_denied() {
        let filter = Filter::of(&"fn one() -> usize { 1 }\n".repeat(170));
        let denied = (0..1_000).filter(|n| !filter.may_hold_end_of(&format!("let other_{n:06}")));
        assert!(denied.count() > 990);
    }
}
