use crate::typing::{FASTEST, TYPICAL};

/// How a user's keys and the client's requests follow each other, learned from what changed between requests.
///
/// A request tells when it was made and not when its user began to type: before it came as many keys as the text has
/// changed by, and the client's pause. How long both take has to be known to tell how long a proposal was on the screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rhythm {
    latest: [Stretch; STRETCHES],
    seen: usize,
    /// The shortest two of all stretches, in milliseconds.
    shortest_ms: [u32; 2],
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            latest: [Stretch::default(); STRETCHES],
            seen: 0,
            shortest_ms: [u32::MAX; 2],
        }
    }
}

/// What lay between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Stretch {
    keys: u32,
    ms: u32,
}

impl Rhythm {
    /// Takes note that so many keys were pressed within so many milliseconds from one request to the next.
    pub(crate) fn went_on(&mut self, keys: usize, ms: i64) {
        let (Ok(keys), Ok(ms)) = (u32::try_from(keys), u32::try_from(ms)) else {
            return;
        };
        if keys > 0 {
            self.latest[self.seen % STRETCHES] = Stretch { keys, ms };
            self.seen += 1;
            let [shortest, second] = self.shortest_ms;
            self.shortest_ms = [shortest.min(ms), second.min(ms.max(shortest))];
        }
    }

    /// How long the client waits for a further key before it asks, in milliseconds: no two of its requests are closer
    /// together, a chance one aside. Zero for one that does not wait; as long as nothing is known, the longest.
    pub(crate) fn pause_ms(&self) -> i64 {
        let known = self.known().count();
        if known < STRETCHES_LEAST {
            return PAUSE_MOST_MS;
        }
        let runs = self.known().filter(|s| RUN.contains(&s.keys)).count();
        if runs * 3 < known {
            // It asks at every key, for all that is known.
            return 0;
        }
        i64::from(self.shortest_ms[1]).min(PAUSE_MOST_MS)
    }

    /// How long it takes from the first to the last of so many keys, in milliseconds, at so many times the speed that the
    /// user types at when nothing holds him up, behind a client that waits for `pause_ms`. Zero where that many cannot
    /// have been typed within `ms`.
    pub(crate) fn typing_ms(&self, keys: usize, times: f64, pause_ms: i64, ms: i64) -> i64 {
        let gaps = keys.saturating_sub(1) as f64;
        if gaps * FASTEST * 1000.0 > ms as f64 {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most five times the milliseconds of the stretch"
        )]
        let typing_ms = (gaps * self.key_ms(pause_ms) / times) as i64;
        typing_ms
    }

    /// Milliseconds a key, when nothing holds the user up.
    fn key_ms(&self, pause_ms: i64) -> f64 {
        let of =
            |stretch: &Stretch| (f64::from(stretch.ms) - pause_ms as f64) / f64::from(stretch.keys);
        let is_run = |stretch: &&Stretch| RUN.contains(&stretch.keys);
        let mut times: Vec<f64> = self.known().filter(is_run).map(of).collect();
        times.retain(|ms| *ms >= FASTEST * 1000.0);
        if times.len() < STRETCHES_LEAST {
            return TYPICAL * 1000.0;
        }
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 10].min(SLOWEST_MS)
    }

    fn known(&self) -> impl Iterator<Item = &Stretch> {
        self.latest.iter().take(self.seen)
    }
}

/// Stretches that are remembered.
const STRETCHES: usize = 32;

/// From so many on they tell something.
const STRETCHES_LEAST: usize = 3;

/// Fewer keys tell little of how fast they are pressed, and more were not pressed one by one.
const RUN: std::ops::RangeInclusive<u32> = 4..=40;

/// No client that is not known by name waits longer than this, in milliseconds: what is longer is the user's own pause.
const PAUSE_MOST_MS: i64 = 300;

/// Nobody who goes on typing is slower than this, in milliseconds a key.
const SLOWEST_MS: f64 = 250.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_waits_is_known_by_its_closest_requests() {
        let mut rhythm = Rhythm::default();
        rhythm.went_on(9, 1_900);
        rhythm.went_on(1, 220);
        assert_eq!(rhythm.pause_ms(), PAUSE_MOST_MS, "nothing is known yet");
        rhythm.went_on(7, 1_300);
        rhythm.went_on(5, 900);
        assert_eq!(rhythm.pause_ms(), PAUSE_MOST_MS);
        rhythm.went_on(1, 240);
        assert_eq!(rhythm.pause_ms(), 240);
        rhythm.went_on(1, 30);
        assert_eq!(rhythm.pause_ms(), 220, "one may be chance");
        for _ in 0..STRETCHES {
            rhythm.went_on(1, 230);
        }
        assert_eq!(rhythm.pause_ms(), 0, "it asks at every key");
    }

    #[test]
    fn typing_takes_as_long_as_it_mostly_does_without_a_pause() {
        let mut rhythm = Rhythm::default();
        assert_eq!(
            rhythm.typing_ms(11, 1.0, 400, 9_000),
            1_500,
            "as most people"
        );
        for thought_ms in [0, 0, 0, 500, 1_000, 2_000, 4_000, 9_000] {
            rhythm.went_on(10, 400 + 2_000 + thought_ms);
        }
        let typing_ms = |keys, times| rhythm.typing_ms(keys, times, 400, 9_000);
        assert_eq!(typing_ms(1, 1.0), 0, "from the first key on");
        assert_eq!((typing_ms(11, 1.0), typing_ms(11, 2.0)), (2_000, 1_000));
        assert_eq!(typing_ms(300, 1.0), 0, "pasted");
    }
}
