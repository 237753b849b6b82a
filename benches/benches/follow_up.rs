//! Reading a later request of a user for what became of his open proposals. Windows of 4 kB.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use echo_benches::scene;
use echo_reward::{Proposal, TrackerLimits, UserTracker, Window};

/// Bytes of text that a request shows, before and after the cursor together.
const WINDOW: usize = 4_096;

/// Those after it.
const SUFFIX: usize = 1_024;

/// A user who writes a function downwards, and takes every other line that is proposed.
struct Session {
    proposals: Vec<Proposal>,
    prefix: String,
    suffix: String,
}

impl Session {
    /// The moment after `open` lines, with a proposal for each of them open.
    fn with_open(open: usize) -> Self {
        let suffix = format!("\n}}\n\n{}", scene::source(SUFFIX));
        let mut prefix = format!(
            "{}fn last(rows: &[Row]) {{\n    ",
            scene::source(WINDOW - SUFFIX)
        );
        let mut proposals = Vec::new();
        for line in 0..open {
            let text = format!("let sum_{line} = rows.iter().map(|row| row.price).sum();");
            let window = Window {
                file: None,
                prefix: tail(&prefix),
                suffix: &suffix,
            };
            proposals.push(Proposal::new(line as u128, 0, &text, &window, 0));
            let own = format!("let count_{line} = rows.len() + {line};");
            prefix.push_str(if line.is_multiple_of(2) { &text } else { &own });
            prefix.push_str("\n    ");
        }
        Self {
            proposals,
            prefix: tail(&prefix).to_owned(),
            suffix,
        }
    }

    fn window(&self) -> Window<'_> {
        Window {
            file: None,
            prefix: &self.prefix,
            suffix: &self.suffix,
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

/// As much of a prefix as an editor sends.
fn tail(prefix: &str) -> &str {
    &prefix[prefix.len().saturating_sub(WINDOW - SUFFIX)..]
}

fn follow_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("follow-up");
    for open in [1, 8, 64] {
        let session = Session::with_open(open);
        let window = session.window();
        let tracker = session.tracker();
        let mut at_ms = LOOK_MS;
        assert!(
            !tracker
                .clone()
                .request(&window, false, at_ms)
                .changes
                .is_empty(),
            "the request shows what became of them"
        );
        group.bench_function(BenchmarkId::new("first look", open), |bencher| {
            bencher.iter_batched_ref(
                || tracker.clone(),
                |tracker| tracker.request(black_box(&window), false, LOOK_MS),
                criterion::BatchSize::SmallInput,
            );
        });
        let mut seen = tracker.clone();
        seen.request(&window, false, at_ms);
        group.bench_function(BenchmarkId::new("later look", open), |bencher| {
            bencher.iter(|| {
                at_ms += 1;
                seen.request(black_box(&window), false, at_ms)
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
        bencher.iter(|| tracker.request(black_box(&window), false, LOOK_MS));
    });
    group.finish();
}

/// A request this long after the answers is the user's, in milliseconds.
const LOOK_MS: i64 = 1_000;

criterion_group!(benches, follow_up);
criterion_main!(benches);
