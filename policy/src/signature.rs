use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::snapshot::SIGNATURE;

/// The key that snapshots are signed with: HMAC-SHA-256 (RFC 2104). It never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct SnapshotKey(Vec<u8>);

impl SnapshotKey {
    /// The fewest bytes that a key may have.
    pub const LEAST_BYTES: usize = 16;

    /// A key of these bytes; `None` for fewer than [`SnapshotKey::LEAST_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::LEAST_BYTES).then(|| Self(bytes.to_vec()))
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; SIGNATURE] {
        self.mac(bytes).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    pub(crate) fn verify(&self, bytes: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        self.mac(bytes).verify_slice(signature).is_ok()
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length is taken");
        mac.update(bytes);
        mac
    }
}

impl fmt::Debug for SnapshotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotKey(...)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_published_test_vector() {
        // RFC 4231, section 4.2.
        let key = SnapshotKey::new(&[0x0b; 20]).unwrap();
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        let signature = key.sign(b"Hi There");
        let digits =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let expected: Vec<u8> = expected.as_bytes().chunks(2).map(digits).collect();
        assert_eq!(signature.as_slice(), expected);
        assert!(key.verify(b"Hi There", &key.sign(b"Hi There")));
        assert!(!key.verify(b"Hi there", &key.sign(b"Hi There")));
        assert!(SnapshotKey::new(b"short").is_none());
        assert_eq!(format!("{key:?}"), "SnapshotKey(...)");
    }
}
