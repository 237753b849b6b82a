/// How fast the clock of a user's requests runs, against a person at a keyboard.
///
/// Recorded traffic may be sent again faster than it was made, by somebody who tests. What nobody can have read within half
/// a second of the clock may then have been read at leisure. It shows in the typing: whoever goes on typing faster than any
/// person can is on a faster clock.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Tempo {
    /// Milliseconds a character of the latest stretches typed.
    latest: [f64; STRETCHES],
    seen: usize,
}

impl Tempo {
    /// Whether nobody goes on as fast as that.
    pub(crate) fn is_fast(chars: usize, ms: i64) -> bool {
        (ms as f64) < FASTEST_MS * chars as f64
    }

    /// Takes note that so many characters came within so many milliseconds, and that they are none of a proposal's. What
    /// is longer than anybody writes between two requests tells nothing.
    pub(crate) fn typed(&mut self, chars: usize, ms: i64) {
        if (1..=CHARS_MOST).contains(&chars) && ms >= 0 {
            self.latest[self.seen % STRETCHES] = ms as f64 / chars as f64;
            self.seen += 1;
        }
    }

    /// The milliseconds that passed for the person while `ms` passed by the clock: as many, unless half of the latest
    /// stretches were typed faster than a person can; then as if they were typed as people mostly do. Pasted text, or what
    /// an editor puts in by itself, is not half of them.
    pub(crate) fn felt(&self, ms: i64) -> i64 {
        let known = self.seen.min(STRETCHES);
        if known < STRETCHES_LEAST {
            return ms;
        }
        let mut latest = self.latest;
        let latest = &mut latest[..known];
        latest.sort_unstable_by(f64::total_cmp);
        let median = latest[known / 2];
        if median >= FASTEST_MS {
            return ms;
        }
        let pace = TYPICAL_MS / median.max(TYPICAL_MS / PACE_MOST);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most PACE_MOST times a difference of two times"
        )]
        let felt = (ms as f64 * pace) as i64;
        felt
    }
}

/// Nobody goes on faster than this, in milliseconds a character: 200 words a minute.
const FASTEST_MS: f64 = 60.0;

/// About 80 words a minute, in milliseconds a character.
const TYPICAL_MS: f64 = 150.0;

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
