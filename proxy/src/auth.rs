//! Who is asking: API keys, stored as digests only.

use echo_experience::LOCAL_TENANT;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::ids::unhex;

/// One accepted API key.
///
/// Keys are random numbers of 256 bits, so that a plain digest of one cannot be turned back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    name: String,
    tenant: String,
    sha256: [u8; 32],
}

impl Key {
    /// A key by the hexadecimal SHA-256 of its text; `None` if that is not 64 digits.
    pub fn from_digest(name: &str, tenant: &str, sha256: &str) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            tenant: tenant.to_owned(),
            sha256: unhex(sha256)?.try_into().ok()?,
        })
    }
}

/// The accepted API keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

/// Who asks, as far as his key tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The tenant of the key; [`LOCAL_TENANT`] where no keys are asked for.
    pub tenant: String,
    /// The name of the key, or a digest of the token where keys are not asked for; empty without one.
    pub name: String,
}

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// Missing, malformed or unknown: not told apart, so that nothing can be learned by trying.
    Refused,
    /// Two headers with different keys.
    Contradiction,
}

impl Keys {
    /// A set of keys.
    pub fn new(keys: Vec<Key>) -> Self {
        Self(keys)
    }

    /// Whether no key is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Finds out who calls, by the headers `Authorization: Bearer KEY` and `x-api-key: KEY`.
    ///
    /// Every key is compared, in constant time, whatever comes of it.
    ///
    /// # Errors
    ///
    /// [`AuthError`] when keys are asked for and this is none of them.
    pub fn caller(
        &self,
        authorization: Option<&str>,
        api_key: Option<&str>,
    ) -> Result<Caller, AuthError> {
        let bearer =
            authorization.map(|header| header.strip_prefix("Bearer ").unwrap_or(header).trim());
        let token = match (
            bearer.filter(|b| !b.is_empty()),
            api_key.filter(|k| !k.is_empty()),
        ) {
            (Some(a), Some(b)) if a != b => return Err(AuthError::Contradiction),
            (a, b) => a.or(b),
        };
        let digest = Sha256::digest(token.unwrap_or_default().as_bytes());
        if self.0.is_empty() {
            let name = token
                .map(|_| crate::ids::hex(&digest[..6]))
                .unwrap_or_default();
            return Ok(Caller {
                tenant: LOCAL_TENANT.to_owned(),
                name,
            });
        }
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.sha256.ct_eq(digest.as_slice())) {
                found = Some(key);
            }
        }
        let key = found
            .filter(|_| token.is_some())
            .ok_or(AuthError::Refused)?;
        Ok(Caller {
            tenant: key.tenant.clone(),
            name: key.name.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::hex;

    fn keys() -> Keys {
        let digest = hex(&Sha256::digest(b"k1"));
        Keys::new(vec![Key::from_digest("alice", "acme", &digest).unwrap()])
    }

    #[test]
    fn tells_callers_apart() {
        let alice = Ok(Caller {
            tenant: "acme".to_owned(),
            name: "alice".to_owned(),
        });
        let cases = [
            (Some("Bearer k1"), None, alice.clone()),
            (None, Some("k1"), alice.clone()),
            (Some("Bearer k1"), Some("k1"), alice.clone()),
            (Some("Bearer "), Some("k1"), alice),
            (Some("Bearer k1"), Some("k2"), Err(AuthError::Contradiction)),
            (Some("Bearer k2"), None, Err(AuthError::Refused)),
            (Some("Bearer "), None, Err(AuthError::Refused)),
            (None, None, Err(AuthError::Refused)),
        ];
        for (bearer, api_key, expected) in cases {
            assert_eq!(
                keys().caller(bearer, api_key),
                expected,
                "{bearer:?} {api_key:?}"
            );
        }
    }

    #[test]
    fn without_keys_everybody_is_local() {
        let open = Keys::default();
        assert_eq!(open.caller(None, None).unwrap().tenant, "local");
        let (a, b) = (
            open.caller(Some("Bearer a"), None),
            open.caller(Some("Bearer b"), None),
        );
        assert_ne!(a, b);
    }
}
