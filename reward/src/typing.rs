/// How fast one user types, learned from text that he is known to have typed himself.
///
/// It tells text that was put in from text that was typed: a proposal that was taken and changed
/// before the next request looks like the user's own text with a chance likeness, but for the time
/// that it took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TypingSpeed {
    seconds_per_char: f64,
}

impl Default for TypingSpeed {
    fn default() -> Self {
        Self {
            seconds_per_char: TYPICAL,
        }
    }
}

impl TypingSpeed {
    /// Takes note that `chars` characters were typed within `seconds`, pauses included.
    pub fn typed(&mut self, chars: u32, seconds: f64) {
        if chars < CHARS_LEAST || seconds <= 0.0 {
            return;
        }
        let observed = (seconds / f64::from(chars)).clamp(FASTEST, SLOWEST);
        self.seconds_per_char += WEIGHT * (observed - self.seconds_per_char);
    }

    /// Whether `chars` new characters that came within `seconds`, `alike` of which stand in a proposal,
    /// were put in rather than typed: the time is closer to that of typing the others alone than to
    /// that of typing them all.
    pub fn is_put_in(&self, chars: u32, alike: u32, seconds: f64) -> bool {
        let between = f64::from(chars) - f64::from(alike.min(chars)) / 2.0;
        alike >= CHARS_LEAST && seconds < between * self.seconds_per_char
    }
}

/// Seconds a character, before anything is known: about 80 words a minute, with no pause.
pub(crate) const TYPICAL: f64 = 0.15;

/// No person is faster than this, in seconds a character.
pub(crate) const FASTEST: f64 = 0.05;

/// A slower pace than this, in seconds a character, is one of pauses.
const SLOWEST: f64 = 0.5;

/// Weight of one observation.
const WEIGHT: f64 = 0.2;

/// Fewer characters tell nothing.
const CHARS_LEAST: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_put_in_from_typed() {
        let mut speed = TypingSpeed::default();
        assert!(speed.is_put_in(40, 35, 2.0));
        assert!(!speed.is_put_in(40, 35, 6.0));
        assert!(!speed.is_put_in(40, 3, 0.1), "too little is alike");
        for _ in 0..50 {
            speed.typed(100, 30.0);
        }
        assert!(
            speed.is_put_in(40, 35, 6.0),
            "a slow typist cannot have typed it"
        );
    }
}
