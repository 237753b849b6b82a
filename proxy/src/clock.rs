//! The one place that reads the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time in milliseconds, which may run faster than real time.
///
/// It is read once when made and goes on by the monotonic clock, so that it never steps back. A pace
/// above 1 lets a simulation live through an hour in minutes: everything that waits by this clock
/// (settling, the age of a proposal) shrinks with it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin_ms: i64,
    origin: Instant,
    pace: f64,
}

impl Clock {
    /// A clock that runs `pace` times as fast as real time; `pace` is at least 1.
    pub fn new(pace: f64) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock that everybody else is told by"
        )]
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            origin_ms: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
            origin: Instant::now(),
            pace: pace.max(1.0),
        }
    }

    /// Milliseconds since 1970, by this clock.
    pub fn now_ms(&self) -> i64 {
        let passed = self.origin.elapsed().as_secs_f64() * 1000.0 * self.pace;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "milliseconds of a process's life fit"
        )]
        let passed = passed as i64;
        self.origin_ms + passed
    }

    /// The hour of the day in UTC, 0 to 23.
    pub fn hour(&self) -> u8 {
        let hours = self.now_ms() / 3_600_000;
        u8::try_from(hours.rem_euclid(24)).unwrap_or_default()
    }

    /// How many times faster than real time it runs.
    pub fn pace(&self) -> f64 {
        self.pace
    }
}
