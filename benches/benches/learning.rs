//! One step of learning: a reward added, revised or withdrawn. Eight arms, 64 features.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use echo_benches::scene::{self, ARMS};
use echo_policy::{Event, FeatureSchema, Learner, Policy};

/// A reward that depends on the step.
fn reward(step: usize) -> f64 {
    (step % 17) as f64 / 16.0
}

fn state(criterion: &mut Criterion) {
    let schema = FeatureSchema::default();
    let features = scene::features(&schema);
    let mut state = scene::learned(&schema);
    let mut step = 0_usize;
    let mut group = criterion.benchmark_group("learning");
    group.bench_function("update", |bencher| {
        bencher.iter(|| {
            step += 1;
            let context = black_box(&features[step % features.len()]);
            state.update(&Event::new(ARMS[step % ARMS.len()], context), reward(step))
        });
    });
    group.bench_function("correct", |bencher| {
        bencher.iter(|| {
            step += 1;
            let context = black_box(&features[step % features.len()]);
            let event = Event::new(ARMS[step % ARMS.len()], context);
            state.correct(&event, reward(step), reward(step + 1))
        });
    });
    group.bench_function("update and retract", |bencher| {
        bencher.iter(|| {
            step += 1;
            let (arm, context) = (
                ARMS[step % ARMS.len()],
                black_box(&features[step % features.len()]),
            );
            let event = Event::new(arm, context);
            state.update(&event, reward(step))?;
            state.retract(&event, reward(step))
        });
    });
    let spec = "linucb".parse();
    if let Ok(spec) = spec
        && let Ok(mut policy) = Policy::online(&spec, &state, 1)
    {
        group.bench_function("online policy", |bencher| {
            bencher.iter(|| {
                step += 1;
                let context = black_box(&features[step % features.len()]);
                let event = Event::new(ARMS[step % ARMS.len()], context);
                state.update(&event, reward(step)).ok();
                policy.learn(&state, &event, reward(step))
            });
        });
    }
    group.finish();
    black_box(state);
}

/// The whole way of a decision through the learner: it waits, is rewarded, revised and settled.
fn learner(criterion: &mut Criterion) {
    let schema = FeatureSchema::default();
    let features = scene::features(&schema);
    let mut learner = Learner::new(&schema);
    let mut step = 0_usize;
    let mut group = criterion.benchmark_group("learning");
    group.bench_function("decision, reward, revision", |bencher| {
        bencher.iter(|| {
            step += 1;
            let (id, at_ms) = (step as u128, i64::try_from(step).unwrap_or(i64::MAX));
            let context = &features[step % features.len()];
            let event = Event::new(ARMS[step % ARMS.len()], context);
            learner.decision(&event.with_id(id).at(at_ms))?;
            learner.reward(id, Some(reward(step)), false)?;
            learner.reward(id, Some(reward(step + 1)), true)
        });
    });
    group.finish();
    black_box(learner);
}

criterion_group!(benches, state, learner);
criterion_main!(benches);
