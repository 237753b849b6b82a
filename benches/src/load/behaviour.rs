use std::fmt;
use std::str::FromStr;

/// How the upstream answers one request. It stands in the last comment before the cursor, which every proxy
/// passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Which text it gives.
    pub text: usize,
    /// Pieces of a streamed answer, each flushed by itself.
    pub pieces: usize,
    /// Time to the first byte, in microseconds.
    pub first_us: u64,
    /// Time between two pieces, in milliseconds.
    pub every_ms: u64,
}

impl Behaviour {
    /// The text of piece `number`.
    pub fn piece(&self, number: usize) -> String {
        let end = if number + 1 == self.pieces { ";" } else { "" };
        format!(".step_{}_{number}(|x| x + {number}){end}", self.text)
    }

    /// The whole text.
    pub fn answer(&self) -> String {
        (0..self.pieces).map(|number| self.piece(number)).collect()
    }
}

/// Marks the line in a prompt.
pub(super) const MARK: &str = "// upstream ";

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            text,
            pieces,
            first_us,
            every_ms,
        } = self;
        write!(f, "{MARK}{text} {pieces} {first_us} {every_ms} ")
    }
}

/// What follows [`MARK`] is no behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoBehaviour;

impl FromStr for Behaviour {
    type Err = NoBehaviour;

    fn from_str(text: &str) -> Result<Self, NoBehaviour> {
        let numbers = text.strip_prefix(MARK).ok_or(NoBehaviour)?;
        let mut numbers = numbers
            .split(' ')
            .map_while(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().ok_or(NoBehaviour);
        let small = |number: u64| usize::try_from(number).map_err(|_| NoBehaviour);
        Ok(Self {
            text: small(next()?)?,
            pieces: small(next()?)?,
            first_us: next()?,
            every_ms: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let behaviour = Behaviour {
            text: 3,
            pieces: 16,
            first_us: 20_000,
            every_ms: 1,
        };
        assert_eq!(
            format!("{behaviour}\\nfn main() {{}}").parse(),
            Ok(behaviour)
        );
        assert_eq!("// upstream 1 2 x".parse::<Behaviour>(), Err(NoBehaviour));
        assert_eq!("fn main() {}".parse::<Behaviour>(), Err(NoBehaviour));
    }
}
