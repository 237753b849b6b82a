//! Reading a later request of a user for what became of his open proposals. Windows of 4 kB.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use echo_benches::scene;
use echo_reward::{Proposal, TrackerLimits, UserTracker, Window};

/// Bytes of text that a request shows.
const WINDOW: usize = 4_096;

/// The text that stands before and after the cursor, and the proposals made on the way there.
struct Session {
    text: String,
    proposals: Vec<Proposal>,
    cursor: usize,
}

impl Session {
    /// A user who has taken one line in two and written the others himself, with `open` proposals.
    fn with_open(open: usize) -> Self {
        let text = scene::source(WINDOW);
        let starts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        let last = starts.len() - starts.len() / 8;
        let proposal = |number: usize| {
            let start = starts[last - open.min(last - 1) + number % open.min(last - 1)];
            let line = text[start..].lines().next().unwrap_or_default();
            let proposed = if number.is_multiple_of(2) {
                line.to_owned()
            } else {
                line.replace("row", "column")
            };
            let window = Window {
                file: None,
                prefix: &text[..start],
                suffix: &text[start + line.len()..],
            };
            Proposal::new(number as u128, 0, &format!("{proposed} "), &window, 0)
        };
        Self {
            proposals: (0..open).map(proposal).collect(),
            cursor: starts[last],
            text,
        }
    }

    fn window(&self) -> Window<'_> {
        let (prefix, suffix) = self.text.split_at(self.cursor);
        Window {
            file: None,
            prefix,
            suffix,
        }
    }

    fn tracker(&self) -> UserTracker {
        let mut tracker = UserTracker::new(TrackerLimits::default());
        for proposal in &self.proposals {
            tracker.proposed(proposal.clone());
        }
        tracker
    }
}

fn follow_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("follow-up");
    for open in [1, 8, 64] {
        let session = Session::with_open(open);
        let window = session.window();
        let tracker = session.tracker();
        let mut at_ms = LOOK_MS;
        assert!(
            !tracker.clone().request(&window, at_ms).is_empty(),
            "the request shows what became of them"
        );
        group.bench_function(BenchmarkId::new("first look", open), |bencher| {
            bencher.iter_batched_ref(
                || tracker.clone(),
                |tracker| tracker.request(black_box(&window), LOOK_MS),
                criterion::BatchSize::SmallInput,
            );
        });
        let mut seen = tracker.clone();
        seen.request(&window, at_ms);
        group.bench_function(BenchmarkId::new("later look", open), |bencher| {
            bencher.iter(|| {
                at_ms += 1;
                seen.request(black_box(&window), at_ms)
            });
        });
    }
    let elsewhere = scene::source(3 * WINDOW).split_off(2 * WINDOW);
    let session = Session::with_open(64);
    let mut tracker = session.tracker();
    group.bench_function("another place, 64 open", |bencher| {
        let window = Window {
            file: None,
            prefix: &elsewhere[..WINDOW / 2],
            suffix: &elsewhere[WINDOW / 2..],
        };
        bencher.iter(|| tracker.request(black_box(&window), LOOK_MS));
    });
    group.finish();
}

/// A request this long after the answers is the user's, in milliseconds.
const LOOK_MS: i64 = 1_000;

criterion_group!(benches, follow_up);
criterion_main!(benches);
