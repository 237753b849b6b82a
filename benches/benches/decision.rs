//! One decision: featurise the facts, score every arm, draw one. Eight arms, 64 features.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use echo_benches::scene::{self, ARMS};
use echo_policy::{DrawKey, FeatureSchema, Policy, Position};

/// Every policy, with parameters at their defaults.
const SPECS: [&str; 8] = [
    "randucb",
    "squarecb",
    "uniform",
    "fixed:ngram=0.7,copy=0.3,floor=0.05",
    "epsilon-greedy",
    "softmax",
    "linucb",
    "lints",
];

fn decision(criterion: &mut Criterion) {
    let schema = FeatureSchema::default();
    let state = scene::learned(&schema);
    let facts = scene::facts();
    let mut group = criterion.benchmark_group("decision");
    for spec in SPECS {
        let policy = Policy::build(&spec.parse().expect("it is a policy"), &state, 1)
            .expect("the state is sound");
        let name = spec.split(':').next().unwrap_or(spec);
        let mut number = 0_usize;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                number += 1;
                let features = schema.featurise(black_box(&facts[number % facts.len()]));
                let key = DrawKey {
                    seed: 1,
                    decision: number as u128,
                };
                policy
                    .decide(&features, black_box(&ARMS), key)
                    .expect("it can decide")
            });
        });
    }
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let schema = FeatureSchema::default();
    let facts = scene::facts();
    let features = scene::features(&schema);
    let policy = Policy::build(
        &"randucb".parse().expect("it is a policy"),
        &scene::learned(&schema),
        1,
    )
    .expect("the state is sound");
    let mut group = criterion.benchmark_group("decision-parts");
    let mut number = 0_usize;
    group.bench_function("featurise", |bencher| {
        bencher.iter(|| {
            number += 1;
            schema.featurise(black_box(&facts[number % facts.len()]))
        });
    });
    group.bench_function("score", |bencher| {
        bencher.iter(|| {
            number += 1;
            let key = DrawKey {
                seed: 1,
                decision: number as u128,
            };
            policy
                .distribution(black_box(&features[number % features.len()]), &ARMS, key)
                .expect("it can score")
        });
    });
    let key = DrawKey {
        seed: 1,
        decision: 1,
    };
    let distribution = policy
        .distribution(&features[0], &ARMS, key)
        .expect("it can score");
    group.bench_function("sample", |bencher| {
        bencher.iter(|| {
            number += 1;
            black_box(&distribution).sample(DrawKey {
                seed: 1,
                decision: number as u128,
            })
        });
    });
    let text = scene::source(8_192);
    group.bench_function("position", |bencher| {
        bencher.iter(|| {
            number += 1;
            let (prefix, suffix) = text.split_at(1_000 + number * 31 % 7_000);
            Position::at(black_box(prefix), black_box(suffix), Some("rust"))
        });
    });
    group.finish();
}

fn building(criterion: &mut Criterion) {
    let state = scene::learned(&FeatureSchema::default());
    let mut group = criterion.benchmark_group("build");
    for name in ["randucb", "squarecb", "linucb"] {
        let spec = name.parse().expect("it is a policy");
        group.bench_function(name, |bencher| {
            let build = |version| Policy::build(&spec, black_box(&state), version);
            bencher.iter_batched(|| 1, build, BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, decision, parts, building);
criterion_main!(benches);
