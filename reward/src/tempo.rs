use crate::typing::{FASTEST, TYPICAL};

/// How fast the clock of a user's requests runs, against a person at a keyboard.
///
/// Recorded traffic may be sent again faster than it was made, by somebody who tests. What nobody can have read within half
/// a second of the clock may then have been read at leisure. It shows in the typing: whoever goes on typing faster than any
/// person can is on a faster clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tempo {
    /// Seconds a character of the latest stretches typed.
    latest: [f64; STRETCHES],
    seen: usize,
    /// How many times as fast as the person's the clock runs.
    pace: f64,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            latest: [0.0; STRETCHES],
            seen: 0,
            pace: 1.0,
        }
    }
}

impl Tempo {
    /// Whether nobody goes on as fast as that.
    pub(crate) fn is_fast(chars: usize, ms: i64) -> bool {
        seconds_a_char(chars, ms) < FASTEST
    }

    /// Takes note that so many characters came within so many milliseconds, and that they are none of a proposal's. What
    /// is longer than anybody writes between two requests tells nothing.
    ///
    /// The clock is the person's own, unless half of the latest stretches were typed faster than a person can; then it is
    /// that by which they were typed as people mostly type. Pasted text, or what an editor puts in by itself, is not half
    /// of them.
    pub(crate) fn typed(&mut self, chars: usize, ms: i64) {
        if !(1..=CHARS_MOST).contains(&chars) || ms < 0 {
            return;
        }
        self.latest[self.seen % STRETCHES] = seconds_a_char(chars, ms);
        self.seen += 1;
        let known = self.seen.min(STRETCHES);
        let mut latest = self.latest;
        latest[..known].sort_unstable_by(f64::total_cmp);
        let median = latest[known / 2];
        self.pace = if known >= STRETCHES_LEAST && median < FASTEST {
            (TYPICAL / median).min(PACE_MOST)
        } else {
            1.0
        };
    }

    /// Whether the clock is the person's own.
    pub(crate) fn is_own(&self) -> bool {
        self.pace <= 1.0
    }

    /// The milliseconds that passed for the person while `ms` passed by the clock.
    pub(crate) fn felt(&self, ms: i64) -> i64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most PACE_MOST times a difference of two times"
        )]
        let felt = (ms as f64 * self.pace) as i64;
        felt
    }
}

fn seconds_a_char(chars: usize, ms: i64) -> f64 {
    ms as f64 / 1000.0 / chars as f64
}

/// No clock is taken to run faster than so many times.
const PACE_MOST: f64 = 100.0;

/// Stretches of typing that are remembered.
const STRETCHES: usize = 9;

/// From so many on they tell something.
const STRETCHES_LEAST: usize = 3;

/// Characters that are typed between two requests at most.
const CHARS_MOST: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_types_as_people_do_is_on_the_clock() {
        let mut tempo = Tempo::default();
        for _ in 0..20 {
            tempo.typed(1, 90);
            // A word that the editor completes, and a paste.
            tempo.typed(9, 60);
            tempo.typed(30, 1_900);
            tempo.typed(3_000, 10);
        }
        assert_eq!(tempo.felt(499), 499);
    }

    #[test]
    fn who_types_faster_than_anybody_is_on_a_faster_clock() {
        let mut tempo = Tempo::default();
        tempo.typed(1, 10);
        tempo.typed(20, 200);
        assert_eq!(tempo.felt(100), 100, "two stretches are chance");
        tempo.typed(2, 20);
        assert_eq!(tempo.felt(100), 1_500);
        for _ in 0..STRETCHES {
            tempo.typed(1, 0);
        }
        assert_eq!(tempo.felt(7), 700);
    }
}
