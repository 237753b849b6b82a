//! What a snapshot refuses, and that old ones stay readable.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use echo_policy::{
    ArmWeights, Event, FeatureSchema, Features, Learner, LinearModel, Link, Snapshot,
    SnapshotError, SnapshotKey,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const SCHEMA: FeatureSchema = FeatureSchema {
    dimension: 3,
    version: 1,
};

const HEADER: usize = 20;
const CHECKSUM: usize = 32;

fn x(values: [f32; 3]) -> Features {
    Features::from_logged(values.to_vec(), &SCHEMA).unwrap()
}

fn snapshot() -> Snapshot {
    let mut learner = Learner::new(&SCHEMA).with_pending_max(100);
    let contexts = [[1.0, 0.5, -0.25], [1.0, -0.5, 0.125], [1.0, 0.75, 0.0]];
    for (id, (arm, values)) in (1..).zip(["a@1", "b@1", "a@1"].into_iter().zip(contexts)) {
        let x = x(values);
        let event = Event::new(arm, &x).with_id(id).at(1_000);
        learner.decision(&event).unwrap();
        learner.reward(id, Some(0.8125), id == 1).unwrap();
    }
    let waits = x([1.0, 1.0, 1.0]);
    let event = Event::new("b@1", &waits).with_id(9).at(3_000);
    learner.decision(&event).unwrap();
    learner.inherit("a@1", "a@2", 4.0).unwrap();
    learner.snapshot(&"squarecb".parse().unwrap(), 7, 42)
}

/// The snapshot with other content and a checksum that fits.
fn sealed(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut content = bytes[HEADER..bytes.len() - CHECKSUM].to_vec();
    change(&mut content);
    let mut changed = bytes[..12].to_vec();
    changed.extend_from_slice(&(content.len() as u64).to_le_bytes());
    changed.extend_from_slice(&content);
    let digest = Sha256::digest(&changed);
    changed.extend_from_slice(&digest);
    changed
}

/// The snapshot with the n-th occurrence of some bytes replaced by others, and a fitting checksum.
fn replaced(bytes: &[u8], nth: usize, old: &[u8], new: &[u8]) -> Vec<u8> {
    sealed(bytes, |content| {
        let mut places = (0..content.len()).filter(|&at| content[at..].starts_with(old));
        let at = places.nth(nth).unwrap();
        content.splice(at..at + old.len(), new.iter().copied());
    })
}

fn refusal(bytes: &[u8]) -> SnapshotError {
    Snapshot::from_bytes(bytes).unwrap_err()
}

#[test]
fn a_snapshot_comes_back_bit_for_bit() {
    let snapshot = snapshot();
    let bytes = snapshot.to_bytes();
    let back = Snapshot::from_bytes(&bytes).unwrap();
    assert_eq!(back, snapshot);
    assert_eq!(back.to_bytes(), bytes);
    assert!(back.check_schema(&SCHEMA).is_ok());
    let other = back.check_schema(&FeatureSchema::default());
    assert!(matches!(
        other,
        Err(SnapshotError::Schema { older: None, .. })
    ));
    let newer = FeatureSchema {
        version: 2,
        ..SCHEMA
    };
    let older = back.check_schema(&newer).unwrap_err().to_string();
    assert!(
        older.contains("version 1") && older.contains("train it anew"),
        "{older}"
    );
}

#[test]
fn a_snapshot_of_format_1_stays_readable() {
    let golden = include_bytes!("golden/snapshot-1.bin");
    let read = Snapshot::from_bytes(golden).unwrap();
    assert_eq!(read.format, 1);
    assert_eq!(
        Snapshot {
            format: Snapshot::FORMAT,
            ..read
        },
        snapshot()
    );
}

#[test]
fn a_snapshot_of_format_2_stays_readable() {
    let golden = include_bytes!("golden/snapshot-2.bin");
    let read = Snapshot::from_bytes(golden).unwrap();
    assert_eq!(read.format, 2);
    assert_eq!(
        Snapshot {
            format: Snapshot::FORMAT,
            ..read
        },
        trained()
    );
    assert!(Snapshot::check_signature(golden, &key()).is_ok());
    trained().policy(1).unwrap();
}

#[test]
fn a_snapshot_of_format_3_stays_readable() {
    let golden = include_bytes!("golden/snapshot-3.bin");
    let read = Snapshot::from_bytes(golden).unwrap();
    assert_eq!(read.format, 3);
    assert_eq!(
        Snapshot {
            format: Snapshot::FORMAT,
            ..read
        },
        forgetting()
    );
    assert!(Snapshot::check_signature(golden, &key()).is_ok());
    forgetting().policy(1).unwrap();
}

#[test]
fn a_snapshot_of_format_4_stays_readable() {
    let golden = include_bytes!("golden/snapshot-4.bin");
    assert_eq!(Snapshot::from_bytes(golden).unwrap(), looking_back());
    assert!(Snapshot::check_signature(golden, &key()).is_ok());
    looking_back().policy(1).unwrap();
}

/// A snapshot of a policy that needs everything told apart that can be.
fn forgetting() -> Snapshot {
    busy(
        "bootstrap:replicates=3,halflife=4s,halflife:b=1h,change=0.01,budget=0.5,cost:a=1,ipcw=client",
    )
}

/// A snapshot of a policy that needs decisions one by one, of which some are gone and some have no reward.
fn looking_back() -> Snapshot {
    busy("cover:size=3,model=logistic,window=20,halflife=10s")
}

fn busy(spec: &str) -> Snapshot {
    let spec: echo_policy::PolicySpec = spec.parse().unwrap();
    let mut learner = Learner::remembering(&SCHEMA, spec.memory());
    let contexts = [[1.0, 0.5, -0.25], [1.0, -0.5, 0.125], [1.0, 0.75, 0.0]];
    for id in 0..30_u32 {
        let x = x(contexts[id as usize % 3]);
        let arm = ["a@1", "b@1"][id as usize % 2];
        let event = Event::new(arm, &x).with_id(u128::from(id));
        let event = event
            .at(1_000 * i64::from(id))
            .asked_by(["vim", "emacs"][id as usize % 2]);
        learner.decision(&event).unwrap();
        if id > 25 {
            learner.charge(u128::from(id), 0.125);
        }
        if id % 5 > 0 {
            let reward = f64::from(id % 4) / 4.0;
            learner
                .reward(u128::from(id), Some(reward), id < 25)
                .unwrap();
        }
    }
    learner
        .snapshot(&spec, 7, 42)
        .with_golden_vectors()
        .unwrap()
}

#[test]
fn a_snapshot_whose_policy_needs_other_sums_is_refused() {
    let mut other = snapshot();
    other.spec = "squarecb:halflife=1h".parse().unwrap();
    let error = other.policy(1).unwrap_err().to_string();
    assert!(error.contains("must learn from the log"), "{error}");
}

fn key() -> SnapshotKey {
    SnapshotKey::new(b"0123456789abcdef").unwrap()
}

/// A snapshot with everything that one can have.
fn trained() -> Snapshot {
    let weights = |intercept: f64| ArmWeights {
        intercept,
        weights: vec![0.5, -0.25, 0.125],
    };
    let mut snapshot = snapshot();
    snapshot.state.retire("c@1");
    snapshot.model = Some(LinearModel {
        recipe: "linear".to_owned(),
        trained_on: (3, 42),
        rows: 3,
        link: Link::Identity,
        mean: 0.5,
        arms: BTreeMap::from([
            ("a@1".to_owned(), weights(0.25)),
            ("b@1".to_owned(), weights(0.75)),
        ]),
    });
    snapshot.with_golden_vectors().unwrap()
}

#[test]
fn a_trained_snapshot_decides_by_its_model_and_only_as_its_examples_say() {
    let trained = trained();
    let bytes = trained.to_bytes();
    let back = Snapshot::from_bytes(&bytes).unwrap();
    assert_eq!(back, trained);
    let policy = back.policy(9).unwrap();
    assert_eq!(policy.version(), 9);
    let expected = 0.75 + 0.5 - 0.25 + 0.125;
    assert_eq!(
        policy.prediction(&x([1.0, 1.0, 1.0]), "b@1").unwrap(),
        expected
    );
    assert_eq!(back.golden.len(), 8);
    let mut other = back.clone();
    other.golden[3].probabilities[0] += 1e-12;
    assert_eq!(other.policy(1).unwrap_err(), SnapshotError::Golden(3));
    // Numbers that no training gives.
    let mut bad = back;
    bad.model.as_mut().unwrap().mean = f64::NAN;
    assert!(matches!(refusal(&bad.to_bytes()), SnapshotError::Number(_)));
}

#[test]
fn only_what_the_key_has_signed_is_taken() {
    let (key, trained) = (key(), trained());
    let unsigned = trained.to_bytes();
    assert_eq!(
        Snapshot::check_signature(&unsigned, &key),
        Err(SnapshotError::Unsigned)
    );
    let signed = trained.to_signed_bytes(&key);
    assert_eq!(Snapshot::check_signature(&signed, &key), Ok(()));
    assert_eq!(Snapshot::from_bytes(&signed).unwrap(), trained);
    let other = SnapshotKey::new(b"another key, long enough").unwrap();
    assert_eq!(
        Snapshot::check_signature(&signed, &other),
        Err(SnapshotError::Signature)
    );
    let mut changed = signed.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(
        Snapshot::check_signature(&changed, &key),
        Err(SnapshotError::Signature)
    );
    assert!(matches!(
        refusal(&signed[..signed.len() - 1]),
        SnapshotError::Trailing { .. }
    ));
}

#[test]
fn every_cut_is_noticed() {
    let bytes = snapshot().to_bytes();
    for length in 0..bytes.len() {
        let refused = refusal(&bytes[..length]);
        assert!(
            matches!(refused, SnapshotError::Truncated { actual, .. } if actual == length as u64),
            "{length}: {refused}"
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let declared = bytes.len() as u64;
    let actual = declared + 1;
    assert_eq!(
        refusal(&longer),
        SnapshotError::Trailing { declared, actual }
    );
}

#[test]
fn foreign_newer_and_changed_bytes_are_refused() {
    let bytes = snapshot().to_bytes();
    assert_eq!(refusal(b"PAR1 and so on"), SnapshotError::Foreign);
    let mut newer = bytes.clone();
    newer[8] = 5;
    let (format, newest) = (5, 4);
    assert_eq!(refusal(&newer), SnapshotError::Newer { format, newest });
    for at in [HEADER, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(refusal(&changed), SnapshotError::Checksum, "{at}");
    }
}

#[test]
fn lengths_are_never_believed() {
    let bytes = snapshot().to_bytes();
    let mut bomb = bytes.clone();
    bomb[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(refusal(&bomb), SnapshotError::Truncated { .. }));
    // The length of the schema's hash, which is 64.
    let text = replaced(&bytes, 0, &64_u64.to_le_bytes(), &u64::MAX.to_le_bytes());
    assert!(matches!(refusal(&text), SnapshotError::Malformed(_)));
    let mut arms = vec![];
    // Through, bound, evicted, what is told apart and kept (nothing) and the time stand before the number of arms.
    for value in [42_u64, 100, 0, 0, 0, 0] {
        arms.extend_from_slice(&value.to_le_bytes());
    }
    arms.extend_from_slice(&[0; 2 + 8 + 8]);
    let mut many = arms.clone();
    arms.extend_from_slice(&2_u64.to_le_bytes());
    many.extend_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(
        refusal(&replaced(&bytes, 0, &arms, &many)),
        SnapshotError::Malformed(_)
    ));
}

#[test]
fn numbers_are_checked() {
    let bytes = snapshot().to_bytes();
    // 1.625 is the sum of the two rewards of a@1; 0.8125 first that of b@1, then a pending reward.
    let sum = 1.625_f64.to_le_bytes();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let refused = refusal(&replaced(&bytes, 0, &sum, &bad.to_le_bytes()));
        let place = "the sums of arm a@1".to_owned();
        assert_eq!(refused, SnapshotError::Number(place));
    }
    let pending: Vec<u8> = [&[1_u8][..], &0.8125_f64.to_le_bytes()].concat();
    for bad in [f64::NAN, -0.5, 1.5, 0.1] {
        let with: Vec<u8> = [&[1_u8][..], &bad.to_le_bytes()].concat();
        let refused = refusal(&replaced(&bytes, 0, &pending, &with));
        assert!(matches!(refused, SnapshotError::Number(_)), "{refused}");
    }
    let feature: Vec<u8> = [1.0_f32, 1.0, 1.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let nan: Vec<u8> = [1.0_f32, f32::NAN, 1.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let refused = refusal(&replaced(&bytes, 0, &feature, &nan));
    assert!(matches!(refused, SnapshotError::Number(_)), "{refused}");
    let refused = refusal(&replaced(
        &bytes,
        0,
        &4.0_f64.to_le_bytes(),
        &0.5_f64.to_le_bytes(),
    ));
    assert!(matches!(refused, SnapshotError::Number(_)), "{refused}");
}

#[test]
fn dimension_schema_and_policy_are_checked() {
    let bytes = snapshot().to_bytes();
    for dimension in [0, 1_000_000, u64::MAX] {
        let changed = sealed(&bytes, |content| {
            content[..8].copy_from_slice(&dimension.to_le_bytes());
        });
        assert_eq!(refusal(&changed), SnapshotError::Dimension(dimension));
    }
    let other_dimension = sealed(&bytes, |content| content[0] = 4);
    assert!(matches!(
        refusal(&other_dimension),
        SnapshotError::Schema { .. }
    ));
    let unknown_policy = replaced(&bytes, 0, b"squarecb:", b"squareXX:");
    assert!(matches!(refusal(&unknown_policy), SnapshotError::Spec(_)));
    let repeated_arm = replaced(&bytes, 0, b"b@1", b"a@1");
    assert!(matches!(
        refusal(&repeated_arm),
        SnapshotError::Malformed(_)
    ));
    let own_heir = replaced(&bytes, 0, b"a@2", b"a@1");
    assert!(matches!(refusal(&own_heir), SnapshotError::Malformed(_)));
    let longer = sealed(&bytes, |content| content.push(0));
    assert!(matches!(refusal(&longer), SnapshotError::Malformed(_)));
}

proptest! {
    #[test]
    fn any_content_is_read_or_refused(
        at in 0_usize..700, with in prop::collection::vec(any::<u8>(), 0..20), junk: Vec<u8>,
    ) {
        let bytes = snapshot().to_bytes();
        let changed = sealed(&bytes, |content| {
            let at = at.min(content.len());
            let end = (at + with.len()).min(content.len());
            content.splice(at..end, with);
        });
        if let Ok(read) = Snapshot::from_bytes(&changed) {
            prop_assert_eq!(Snapshot::from_bytes(&read.to_bytes()), Ok(read));
        }
        prop_assert!(Snapshot::from_bytes(&junk).is_err());
    }
}
