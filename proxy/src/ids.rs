//! Identifiers: of decisions, and digests as text.

use std::fmt::Write as _;

use uuid::Uuid;

/// A decision's id: a UUID of version 7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DecisionId(Uuid);

impl DecisionId {
    /// A new id.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// Reads an id as a client returns it: bare, or behind `cmpl-`.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix(COMPLETION).unwrap_or(text);
        Uuid::try_parse(bare).ok().map(Self)
    }

    /// The number behind the id, which keys the draw.
    pub fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// The id of an `OpenAI` completion.
    pub fn completion(self) -> String {
        format!("{COMPLETION}{}", self.0)
    }
}

impl Default for DecisionId {
    fn default() -> Self {
        Self::new()
    }
}

impl From<u128> for DecisionId {
    fn from(number: u128) -> Self {
        Self(Uuid::from_u128(number))
    }
}

impl std::fmt::Display for DecisionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

const COMPLETION: &str = "cmpl-";

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// Hexadecimal digits as bytes; `None` for anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes
        .collect::<Option<Vec<u8>>>()
        .filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back() {
        let id = DecisionId::new();
        assert_eq!(DecisionId::parse(&id.to_string()), Some(id));
        assert_eq!(DecisionId::parse(&id.completion()), Some(id));
        assert_eq!(DecisionId::from(id.as_u128()), id);
        assert_eq!(DecisionId::parse("cmpl-x"), None);
    }

    #[test]
    fn digits_read_back() {
        assert_eq!(unhex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        for bad in ["0", "0g", "é0"] {
            assert_eq!(unhex(bad), None);
        }
    }
}
