use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use echo_reward::Fate;
use echo_sim::editors::{EditorEvent, Truth};

use super::cohort_and_pair;
use crate::route::Cohort;

/// Counts of answers and of what users did with them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Answers that a user decided on, silent ones among them.
    pub answers: u64,
    /// Those with text.
    pub shown: u64,
    /// Those of which at least a part was taken and kept.
    pub taken: u64,
}

impl Tally {
    fn add(&mut self, truth: &Truth) {
        let silent = truth.shown_chars == 0;
        if !silent && !truth.fate.is_observed() {
            return;
        }
        self.answers += 1;
        self.shown += u64::from(!silent);
        self.taken += u64::from(truth.fate.is_taken());
    }

    /// Share of all answers that was taken, in [0, 1]; `None` without answers.
    pub fn taken_share(&self) -> Option<f64> {
        (self.answers > 0).then(|| self.taken as f64 / self.answers as f64)
    }
}

/// What the simulated users did, as they themselves know it.
#[derive(Debug)]
pub struct Board {
    started: Instant,
    length: Duration,
    buckets: Vec<[Tally; 2]>,
    /// Answers of the learning cohort by language and arm, in buckets of time.
    traffic: Vec<BTreeMap<(String, String), u64>>,
    failed: u64,
    truths: BTreeMap<String, Fate>,
}

impl Board {
    /// An empty board for a run of `length`.
    pub fn new(length: Duration) -> Self {
        Self {
            started: Instant::now(),
            length,
            buckets: vec![[Tally::default(); 2]; BUCKETS],
            traffic: vec![BTreeMap::new(); BUCKETS],
            failed: 0,
            truths: BTreeMap::new(),
        }
    }

    /// Takes note of one event.
    pub fn event(&mut self, event: EditorEvent) {
        match event {
            EditorEvent::Proposal(truth) => self.proposal(truth),
            EditorEvent::Failed { reason, .. } => {
                tracing::debug!(reason, "a simulated editor's request failed");
                self.failed += 1;
            }
            _ => {}
        }
    }

    /// Time since the editors began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Share of the time that is over, in [0, 1].
    pub fn share_done(&self) -> f64 {
        (self.elapsed().as_secs_f64() / self.length.as_secs_f64()).clamp(0.0, 1.0)
    }

    /// The whole run's length, in seconds.
    pub fn length_s(&self) -> f64 {
        self.length.as_secs_f64()
    }

    /// Requests that failed.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// What each decision's user did with it, by the decision's id.
    pub fn truths(&self) -> &BTreeMap<String, Fate> {
        &self.truths
    }

    /// The whole run's tally of a cohort.
    pub fn total(&self, cohort: Cohort) -> Tally {
        sum(self.buckets.iter().map(|bucket| bucket[place(cohort)]))
    }

    /// Share of answers taken over time: (seconds, per cent), smoothed over a tenth of the run.
    pub fn curve(&self, cohort: Cohort) -> Vec<(f64, f64)> {
        let seconds = self.length.as_secs_f64() / BUCKETS as f64;
        let full = self.bucket_now() + 1;
        let point = |end: usize| {
            let begin = end.saturating_sub(SMOOTHED);
            let tally = sum(self.buckets[begin..end]
                .iter()
                .map(|bucket| bucket[place(cohort)]));
            Some((end as f64 * seconds, tally.taken_share()? * 100.0))
        };
        (1..=full).filter_map(point).collect()
    }

    /// Share of the learning cohort's recent answers by arm, for each language, the busiest first.
    pub fn traffic(&self) -> Vec<(String, Vec<(String, f64)>)> {
        let end = self.bucket_now() + 1;
        let mut languages: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for ((language, arm), count) in self.traffic[end.saturating_sub(SMOOTHED * 2)..end]
            .iter()
            .flatten()
        {
            *languages
                .entry(language)
                .or_default()
                .entry(arm)
                .or_default() += count;
        }
        let mut rows: Vec<(u64, &str, BTreeMap<&str, u64>)> = languages
            .into_iter()
            .map(|(language, arms)| (arms.values().sum(), language, arms))
            .collect();
        rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let share =
            |all: u64, (arm, count): (&str, u64)| (arm.to_owned(), count as f64 / all as f64);
        rows.into_iter()
            .map(|(all, language, arms)| {
                (
                    language.to_owned(),
                    arms.into_iter().map(|arm| share(all, arm)).collect(),
                )
            })
            .collect()
    }

    fn proposal(&mut self, truth: Truth) {
        let now = self.bucket_now();
        let (cohort, _) = cohort_and_pair(&truth.user);
        self.buckets[now][place(cohort)].add(&truth);
        if let (Cohort::Treatment, Some(arm)) = (cohort, &truth.arm) {
            let name = arm.split('@').next().unwrap_or(arm).to_owned();
            *self.traffic[now].entry((truth.language, name)).or_default() += 1;
        }
        self.truths.insert(truth.decision_id, truth.fate);
    }

    fn bucket_now(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a small count"
        )]
        let bucket = (self.share_done() * BUCKETS as f64) as usize;
        bucket.min(BUCKETS - 1)
    }
}

/// Pieces that a run's time is cut into.
const BUCKETS: usize = 80;

/// Pieces that one point of a curve looks back over.
const SMOOTHED: usize = 10;

fn place(cohort: Cohort) -> usize {
    match cohort {
        Cohort::Treatment => 0,
        Cohort::Control => 1,
    }
}

fn sum(tallies: impl Iterator<Item = Tally>) -> Tally {
    tallies.fold(Tally::default(), |a, b| Tally {
        answers: a.answers + b.answers,
        shown: a.shown + b.shown,
        taken: a.taken + b.taken,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn truth(user: &str, id: u32, fate: Fate) -> EditorEvent {
        EditorEvent::Proposal(Truth {
            user: user.to_owned(),
            decision_id: id.to_string(),
            arm: Some("file@1".to_owned()),
            fate,
            kept_share: 1.0,
            accepted_chars: 3,
            shown_chars: u32::from(fate != Fate::NeverShown) * 3,
            language: "rust".to_owned(),
            at_ms: 0,
            latency_ms: 1.0,
        })
    }

    pub(crate) fn board() -> Board {
        let mut board = Board::new(Duration::from_secs(1_000));
        let fates = [
            Fate::Accepted,
            Fate::Rejected,
            Fate::NeverShown,
            Fate::Censored,
        ];
        for (id, fate) in (0..).zip(fates) {
            board.event(truth("learned-0", id, fate));
        }
        board.event(truth("uniform-0", 9, Fate::Rejected));
        board
    }

    #[test]
    fn counts_by_cohort_and_leaves_censored_ones_out() {
        let board = board();
        assert_eq!(
            board.total(Cohort::Treatment),
            Tally {
                answers: 3,
                shown: 2,
                taken: 1
            }
        );
        assert_eq!(board.total(Cohort::Control).taken_share(), Some(0.0));
        assert_eq!(
            board.traffic(),
            [("rust".to_owned(), vec![("file".to_owned(), 1.0)])]
        );
        assert_eq!(board.curve(Cohort::Control).len(), 1);
        assert_eq!(board.truths().len(), 5);
    }
}
