//! A circuit breaker: leaves an arm alone that fails again and again.
//!
//! It is told the time and the jitter and does nothing by itself, so every run can be repeated.

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSettings {
    /// Failures in a row that open it, at least 1.
    pub failures: u32,
    /// How long it stays open the first time, in milliseconds; doubled each time that the request
    /// after it fails too.
    pub open_ms: u64,
    /// The longest it stays open, in milliseconds, without jitter.
    pub longest_ms: u64,
    /// How much longer than that, at most, as a share: replicas then do not come back together.
    pub jitter: f64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            open_ms: 2_000,
            longest_ms: 60_000,
            jitter: 0.25,
        }
    }
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One request, to see.
    HalfOpen,
}

/// The breaker of one arm.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    phase: Phase,
    /// Goes up with every change of phase: what was admitted in another phase says nothing of this.
    epoch: u64,
    /// Openings in a row.
    openings: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed { failures: u32 },
    Open { until_ms: u64 },
    Probing,
}

/// One admitted request; give it back with what became of it.
#[derive(Debug)]
#[must_use = "the breaker waits for what became of the request"]
pub struct Admission {
    epoch: u64,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            phase: Phase::Closed { failures: 0 },
            epoch: 0,
            openings: 0,
        }
    }

    /// What it lets through at `now_ms`, on any clock that does not go back.
    pub fn state(&self, now_ms: u64) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until_ms } if now_ms < until_ms => BreakerState::Open,
            Phase::Open { .. } | Phase::Probing => BreakerState::HalfOpen,
        }
    }

    /// Whether [`Breaker::admit`] would admit a request.
    pub fn admits(&self, now_ms: u64) -> bool {
        match self.phase {
            Phase::Closed { .. } => true,
            Phase::Open { until_ms } => now_ms >= until_ms,
            Phase::Probing => false,
        }
    }

    /// Milliseconds until it may admit a request, 0 when it does now or waits for one that is under
    /// way.
    pub fn wait_ms(&self, now_ms: u64) -> u64 {
        match self.phase {
            Phase::Open { until_ms } => until_ms.saturating_sub(now_ms),
            Phase::Closed { .. } | Phase::Probing => 0,
        }
    }

    /// Admits a request: any while closed, one at a time after having been open.
    pub fn admit(&mut self, now_ms: u64) -> Option<Admission> {
        if !self.admits(now_ms) {
            return None;
        }
        if matches!(self.phase, Phase::Open { .. }) {
            self.enter(Phase::Probing);
        }
        Some(Admission { epoch: self.epoch })
    }

    /// The request was answered.
    pub fn success(&mut self, admission: &Admission) {
        if admission.epoch != self.epoch {
            return;
        }
        match &mut self.phase {
            Phase::Closed { failures } => *failures = 0,
            Phase::Probing | Phase::Open { .. } => {
                self.openings = 0;
                self.enter(Phase::Closed { failures: 0 });
            }
        }
    }

    /// The request failed at `now_ms`. `jitter` in [0, 1) is drawn by the caller. An upstream that
    /// said for how long to leave it alone (`retry_after_ms`) is left alone for that long at once,
    /// within the longest time.
    pub fn failure(
        &mut self,
        admission: &Admission,
        now_ms: u64,
        jitter: f64,
        retry_after_ms: Option<u64>,
    ) {
        if admission.epoch != self.epoch {
            return;
        }
        if let Phase::Closed { failures } = &mut self.phase {
            *failures = failures.saturating_add(1);
            if *failures < self.settings.failures && retry_after_ms.is_none() {
                return;
            }
        }
        let open_ms = self
            .open_ms(jitter)
            .max(retry_after_ms.unwrap_or(0).min(self.settings.longest_ms));
        self.openings = self.openings.saturating_add(1);
        self.enter(Phase::Open {
            until_ms: now_ms.saturating_add(open_ms),
        });
    }

    /// Nobody waited for the answer: it says nothing. If it was the one request after having been
    /// open, another may be admitted.
    pub fn cancelled(&mut self, admission: &Admission, now_ms: u64) {
        if admission.epoch == self.epoch && self.phase == Phase::Probing {
            self.enter(Phase::Open { until_ms: now_ms });
        }
    }

    fn open_ms(&self, jitter: f64) -> u64 {
        let doubled = self
            .settings
            .open_ms
            .saturating_mul(1 << self.openings.min(DOUBLINGS));
        let base = doubled.min(self.settings.longest_ms);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast from float saturates, and the share is not negative"
        )]
        let more = (base as f64 * self.settings.jitter.max(0.0) * jitter.clamp(0.0, 1.0)) as u64;
        base.saturating_add(more)
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }
}

/// 2^20 times the first time is more than any longest one.
const DOUBLINGS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(BreakerSettings {
            failures,
            open_ms: 100,
            longest_ms: 1_000,
            jitter: 0.0,
        })
    }

    fn fail(breaker: &mut Breaker, now_ms: u64) {
        let admission = breaker.admit(now_ms).unwrap();
        breaker.failure(&admission, now_ms, 0.0, None);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_half_opens_in_time() {
        let mut breaker = breaker(2);
        fail(&mut breaker, 0);
        let good = breaker.admit(0).unwrap();
        breaker.success(&good);
        fail(&mut breaker, 1);
        assert_eq!(breaker.state(1), BreakerState::Closed);
        fail(&mut breaker, 2);
        assert_eq!(
            (breaker.state(101), breaker.wait_ms(52)),
            (BreakerState::Open, 50)
        );
        assert_eq!(breaker.state(102), BreakerState::HalfOpen);
        let probe = breaker.admit(102).unwrap();
        assert!(!breaker.admits(102) && breaker.admit(5_000).is_none());
        breaker.success(&probe);
        assert_eq!(breaker.state(102), BreakerState::Closed);
    }

    #[test]
    fn it_stays_open_twice_as_long_each_time_up_to_a_bound() {
        let mut breaker = breaker(1);
        let mut now_ms = 0;
        for expected in [100, 200, 400, 800, 1_000, 1_000] {
            fail(&mut breaker, now_ms);
            assert_eq!(breaker.wait_ms(now_ms), expected);
            now_ms += expected;
        }
        let probe = breaker.admit(now_ms).unwrap();
        breaker.success(&probe);
        fail(&mut breaker, now_ms);
        assert_eq!(breaker.wait_ms(now_ms), 100);
    }

    #[test]
    fn a_cancelled_request_is_neither_success_nor_failure() {
        let mut breaker = breaker(2);
        fail(&mut breaker, 0);
        let left = breaker.admit(0).unwrap();
        breaker.cancelled(&left, 0);
        fail(&mut breaker, 0);
        assert_eq!(breaker.state(0), BreakerState::Open);
        let probe = breaker.admit(100).unwrap();
        breaker.cancelled(&probe, 100);
        assert!(breaker.admit(100).is_some());
    }

    #[test]
    fn what_was_admitted_in_another_phase_changes_nothing() {
        let mut breaker = breaker(1);
        let (early, slow) = (breaker.admit(0).unwrap(), breaker.admit(0).unwrap());
        fail(&mut breaker, 0);
        breaker.success(&early);
        assert_eq!(breaker.state(0), BreakerState::Open);
        let probe = breaker.admit(100).unwrap();
        breaker.failure(&slow, 100, 0.0, None);
        breaker.cancelled(&early, 100);
        assert!(!breaker.admits(100));
        breaker.success(&probe);
        assert_eq!(breaker.state(100), BreakerState::Closed);
    }

    #[test]
    fn an_upstream_that_says_when_to_come_back_is_left_alone_until_then() {
        let mut breaker = breaker(5);
        let admission = breaker.admit(0).unwrap();
        breaker.failure(&admission, 0, 0.0, Some(700));
        assert_eq!(breaker.wait_ms(0), 700);
        let probe = breaker.admit(700).unwrap();
        breaker.failure(&probe, 700, 0.0, Some(86_400_000));
        assert_eq!(breaker.wait_ms(700), 1_000);
    }

    #[test]
    fn jitter_lengthens_by_its_share() {
        let settings = BreakerSettings {
            failures: 1,
            open_ms: 1_000,
            longest_ms: 1_000,
            jitter: 0.25,
        };
        let mut breaker = Breaker::new(settings);
        let admission = breaker.admit(0).unwrap();
        breaker.failure(&admission, 0, 0.5, None);
        assert_eq!(breaker.wait_ms(0), 1_125);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Pass(u64),
        Admit,
        Success(usize),
        Failure(usize, f64, Option<u64>),
        Cancel(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u64..500).prop_map(Step::Pass),
            Just(Step::Admit),
            (0usize..4).prop_map(Step::Success),
            (0usize..4, 0.0..1.0f64, proptest::option::of(0u64..5_000))
                .prop_map(|(which, jitter, after)| Step::Failure(which, jitter, after)),
            (0usize..4).prop_map(Step::Cancel),
        ]
    }

    proptest! {
        /// Whatever happens: open admits nothing, half-open at most one, and never longer than the
        /// longest time with jitter.
        #[test]
        fn it_keeps_its_promises(steps in proptest::collection::vec(step(), 0..80), failures in 1u32..4) {
            let settings = BreakerSettings { failures, open_ms: 100, longest_ms: 1_000, jitter: 0.5 };
            let (mut breaker, mut now_ms) = (Breaker::new(settings), 0u64);
            let mut under_way: Vec<(Admission, bool)> = Vec::new();
            for step in steps {
                let take = |under_way: &mut Vec<_>, which: usize| (which < under_way.len()).then(|| under_way.remove(which));
                match step {
                    Step::Pass(ms) => now_ms += ms,
                    Step::Admit => {
                        let state = breaker.state(now_ms);
                        let could = breaker.admits(now_ms);
                        let admission = breaker.admit(now_ms);
                        prop_assert_eq!(admission.is_some(), could);
                        if let Some(admission) = admission {
                            prop_assert_ne!(state, BreakerState::Open);
                            let probe = state == BreakerState::HalfOpen;
                            if probe {
                                prop_assert!(!breaker.admits(now_ms));
                            }
                            under_way.push((admission, probe));
                        }
                    }
                    Step::Success(which) => {
                        if let Some((admission, _)) = take(&mut under_way, which) {
                            breaker.success(&admission);
                        }
                    }
                    Step::Failure(which, jitter, after) => {
                        if let Some((admission, _)) = take(&mut under_way, which) {
                            breaker.failure(&admission, now_ms, jitter, after);
                        }
                    }
                    Step::Cancel(which) => {
                        if let Some((admission, _)) = take(&mut under_way, which) {
                            breaker.cancelled(&admission, now_ms);
                        }
                    }
                }
                prop_assert!(breaker.wait_ms(now_ms) <= 1_500);
                if breaker.state(now_ms) == BreakerState::Open {
                    prop_assert!(!breaker.admits(now_ms) && breaker.wait_ms(now_ms) > 0);
                }
            }
            // However it stands, it lets requests through again once all is over and time has passed.
            for (admission, _) in under_way {
                breaker.cancelled(&admission, now_ms);
            }
            prop_assert!(breaker.admits(now_ms + 1_500));
        }
    }
}
