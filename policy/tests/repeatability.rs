//! What an earlier release decided, this one decides again, bit for bit: logs outlive releases.

#![expect(clippy::unwrap_used, reason = "tests")]

use echo_policy::{DrawKey, Event, FeatureSchema, Features, Policy, PolicySpec, RewardState};

const SCHEMA: FeatureSchema = FeatureSchema {
    dimension: 24,
    version: 1,
};

const ARMS: [&str; 12] = [
    "a@1", "b@1", "c@1", "d@1", "e@1", "f@1", "g@1", "h@1", "i@1", "j@1", "k@1", "l@1",
];

/// A number in [0, 1) that follows from two others (`SplitMix64`).
fn number(row: usize, purpose: usize) -> f64 {
    let mut bits = ((row as u64) << 8 | purpose as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 40) as f64 / f64::from(1 << 24)
}

/// From [0, 1) to [-1, 1), as a multiple of 1/4096.
#[expect(
    clippy::cast_possible_truncation,
    reason = "13 bits, which f32 holds exactly"
)]
fn on_grid(share: f64) -> f32 {
    ((share * 8_192.0).floor() / 4_096.0 - 1.0) as f32
}

fn context(row: usize) -> Features {
    let value = |place: usize| match place {
        0 => 1.0,
        _ if number(row, 100 + place) < 0.6 => 0.0,
        _ => on_grid(number(row, place)),
    };
    Features::from_logged((0..24).map(value).collect(), &SCHEMA).unwrap()
}

/// What is true of one arm is true of all: a prior with common weights is chosen.
fn learned(spec: &PolicySpec) -> RewardState {
    let mut state = RewardState::remembering(&SCHEMA, spec.memory());
    for row in 0..3_000 {
        let x = context(row);
        let likely = 0.5 + 0.4 * f64::from(x.as_slice()[1]);
        let reward = f64::from(u8::from(number(row, 250) < likely));
        let event = Event::new(ARMS[row % ARMS.len()], &x).with_id(row as u128);
        state
            .update(&event.at(i64::try_from(row).unwrap()), reward)
            .unwrap();
    }
    state
}

/// FNV-1a over the bits of the probabilities of a hundred decisions.
fn digest(text: &str) -> u64 {
    let spec: PolicySpec = text.parse().unwrap();
    let policy = Policy::build(&spec, &learned(&spec), 1).unwrap();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for row in 5_000..5_100 {
        let key = DrawKey {
            seed: 9,
            decision: row as u128,
        };
        let choice = policy.decide(&context(row), &ARMS, key).unwrap();
        for p in choice.distribution.probabilities() {
            for byte in p.to_bits().to_le_bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    hash
}

#[test]
fn decisions_are_those_of_earlier_releases() {
    let digests = DECIDED.map(|(spec, _)| (spec, digest(spec)));
    assert_eq!(digests, DECIDED);
}

/// As commit 9f40228 decided.
const DECIDED: [(&str, u64); 7] = [
    ("randucb", 0x1f4b_3276_f25c_090e),
    ("randucb:lambda=0.5", 0x49a6_8810_eb65_396f),
    ("squarecb:lambda=auto", 0x829c_28ab_c14c_e477),
    ("linucb", 0xa4a5_3637_e616_388d),
    ("lints:draws=16", 0x2f7f_5da7_edf0_8cc7),
    ("softmax", 0xc7c5_e744_ae3e_14e4),
    ("bootstrap:replicates=3", 0x2ba7_abe9_deca_58bd),
];
