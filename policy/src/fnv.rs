/// FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923), of several parts in a row.
///
/// A zero byte closes each part, so that ("ab", "c") and ("a", "bc") differ. Letters are taken in
/// lower case, and of each part at most [`PART_BYTES`] bytes are read.
pub(crate) fn fnv1a(parts: &[&str]) -> u64 {
    let mut hash = OFFSET;
    for part in parts {
        let end = part.len().min(PART_BYTES);
        for byte in &part.as_bytes()[..end] {
            hash = step(hash, byte.to_ascii_lowercase());
        }
        hash = step(hash, 0);
    }
    hash
}

/// FNV-1a of a whole string as it stands.
pub(crate) fn fnv1a_exact(text: &str) -> u64 {
    text.bytes().fold(OFFSET, step)
}

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(PRIME)
}

const PART_BYTES: usize = 64;
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_vectors() {
        assert_eq!(fnv1a_exact(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a_exact("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a_exact("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn parts_are_kept_apart_and_case_is_not() {
        assert_ne!(fnv1a(&["ab", "c"]), fnv1a(&["a", "bc"]));
        assert_eq!(fnv1a(&["Rust"]), fnv1a(&["rust"]));
    }
}
