//! Replays of a log: everything decided and learned comes out again, bit for bit.

use crate::world::{Life, World, rewritten};
use echo_experience::{Entry, LogReader, ModelPublished, Record};
use echo_policy::{Facts, FeatureSchema, Features, Learner, PolicySpec};
use echo_reward::{Scorer, Scoring};
use echo_sim::learning::Fold;
use echo_sim::{LogRows, RowOptions, Used, VerifySettings, verify};

fn check_holds(spec: &str) {
    let world = World::new(1_000, spec, Life::Mixed, 3);
    let found = verify(world.path(), &VerifySettings::default()).unwrap();
    assert!(found.holds(), "{spec}: {found:?}");
    assert_eq!(found.decisions, 1_000);
    assert_eq!(found.named, world.counts["named_by_client"]);
    assert_eq!(found.checked, 1_000 - found.named);
    assert_eq!(found.publications, world.last_version);
    assert_eq!(
        (found.other_schema, found.refused, found.lost_records),
        (0, 0, 0)
    );
}

#[test]
fn every_decision_and_state_is_repeated_bit_for_bit() {
    for spec in [
        "squarecb",
        "lints:draws=16",
        "linucb",
        "softmax",
        "epsilon-greedy",
        "uniform",
        "bootstrap:replicates=3",
        "randucb:halflife=2m,halflife:copy=1m,change=0.05",
        "squarecb:budget=0.2,cost:ngram=1,ipcw=client",
        "squarecb:model=logistic,window=100",
        "cover:window=200,halflife=5m",
    ] {
        check_holds(spec);
    }
}

#[test]
fn a_log_outlives_the_rules_that_it_began_with() {
    let newest = FeatureSchema::default();
    let oldest = newest.older().next().unwrap();
    for spec in ["randucb", "squarecb:model=logistic,window=100"] {
        let world = World::grown(1_000, spec, Life::Mixed, 12, [oldest, newest]);
        let found = verify(world.path(), &VerifySettings::default()).unwrap();
        assert!(found.holds(), "{spec}: {found:?}");
        assert_eq!(found.checked, 1_000 - found.named);
        assert_eq!(found.other_schema, 0);
        // What was learned under the old rules is known under the new ones.
        assert_eq!(world.fold.schema(), &newest);
        assert_eq!(world.fold.learner().state().total(), world.counts["rows"]);
        let mut rows = 0;
        LogRows::scan(world.path(), RowOptions::default())
            .unwrap()
            .rows(0, |row| {
                let mut facts: Facts = serde_json::from_str(&row.facts).unwrap();
                assert_eq!(
                    facts.tenant.is_none(),
                    row.seq < world.half_way,
                    "{}",
                    row.seq
                );
                facts.tenant = Some("t".to_owned());
                assert_eq!(row.features, newest.featurise(&facts));
                rows += 1;
                Ok(Used::Row)
            })
            .unwrap();
        assert_eq!(rows, world.counts["rows"]);
    }
}

#[test]
fn one_bit_of_one_probability_is_noticed() {
    let world = World::new(300, "squarecb", Life::Mixed, 4);
    let mut changed = None;
    let log = rewritten(&world, |seq, record| {
        let Record::Decision(decision) = record else {
            return;
        };
        if seq > 500 && decision.routed && changed.is_none() {
            let p = &mut decision.probabilities[1];
            *p = f64::from_bits(p.to_bits() ^ 1);
            changed = Some((seq, decision.id.clone()));
        }
    });
    let found = verify(log.path(), &VerifySettings::default()).unwrap();
    assert_eq!(found.checked - found.identical, 1);
    let mismatch = found.first_mismatch.clone().unwrap();
    assert_eq!(Some((mismatch.seq, mismatch.decision.unwrap())), changed);
    assert!(!found.holds());
}

#[test]
fn a_changed_reward_is_noticed_in_the_next_state() {
    let world = World::new(300, "squarecb", Life::Mixed, 5);
    let mut changed = 0;
    let log = rewritten(&world, |seq, record| {
        let Record::Evidence(evidence) = record else {
            return;
        };
        if changed == 0 && evidence.settled && evidence.fate == "accepted" {
            evidence.kept_share = 0.5;
            changed = seq;
        }
    });
    let found = verify(log.path(), &VerifySettings::default()).unwrap();
    assert!(found.publications_identical < found.publications);
    let mismatch = found.first_mismatch.clone().unwrap();
    assert!(
        mismatch.seq > changed && mismatch.decision.is_none(),
        "{mismatch:?}"
    );
}

#[test]
fn a_decision_by_an_unpublished_version_is_noticed() {
    let world = World::new(100, "squarecb", Life::Plain, 6);
    let log = rewritten(&world, |_, record| {
        if let Record::Decision(decision) = record {
            decision.policy_version += 1_000;
        }
    });
    let found = verify(log.path(), &VerifySettings::default()).unwrap();
    assert_eq!((found.checked, found.identical), (100, 0));
    assert!(
        found
            .first_mismatch
            .unwrap()
            .reason
            .contains("was not published")
    );
}

#[test]
fn a_fold_stopped_and_resumed_ends_in_the_same_state() {
    for spec in [
        "squarecb",
        "bootstrap:halflife=1m,change=0.05,ipcw=client,budget=1,cost:copy=2",
        "cover:model=logistic,window=60",
    ] {
        check_resumes(spec);
    }
}

fn check_resumes(spec: &str) {
    let world = World::new(400, spec, Life::Mixed, 7);
    let schema = *world.fold.learner().state().schema();
    let spec: PolicySpec = spec.parse().unwrap();
    let entries: Vec<_> = LogReader::open(world.path())
        .unwrap()
        .entries()
        .map(|entry| entry.unwrap())
        .collect();
    for cut in [0, 1, 17, 333, entries.len() / 2, entries.len()] {
        let (scorer, memory) = (Scorer::default(), spec.memory());
        let mut fold = Fold::remembering(&schema, scorer, Learner::PENDING_MAX, memory);
        for entry in &entries[..cut] {
            fold.entry(entry).unwrap();
        }
        let bytes = fold.snapshot(&spec, 1).to_bytes();
        let snapshot = echo_policy::Snapshot::from_bytes(&bytes).unwrap();
        let mut fold = Fold::resume(snapshot, Scorer::default(), Learner::PENDING_MAX).unwrap();
        assert_eq!(fold.through(), cut as u64);
        for entry in &entries[cut..] {
            fold.entry(entry).unwrap();
        }
        assert_eq!(
            fold.state_sha256(),
            world.fold.state_sha256(),
            "cut at {cut}"
        );
    }
}

#[test]
fn waiting_costs_the_learner_and_the_evaluation_the_same() {
    let world = World::new(400, "uniform", Life::Mixed, 8);
    // Of a copy nobody waits, of an n-gram model everybody does.
    let slow = rewritten(&world, |_, record| {
        if let Record::Served(served) = record {
            served.first_byte_ms = Some(if served.arm == "copy@1" { 0.0 } else { 500.0 });
        }
    });
    let scoring = Scoring::by_measures(Scorer::default(), 0.5).unwrap();
    let schema = *world.fold.learner().state().schema();
    let mut fold = Fold::new(&schema, scoring, Learner::PENDING_MAX);
    for entry in LogReader::open(slow.path()).unwrap().entries() {
        fold.entry(&entry.unwrap()).unwrap();
    }
    let options = RowOptions {
        scoring,
        ..RowOptions::default()
    };
    let (mut sums, mut rows) = ([0.0; 3], [0_u64; 3]);
    LogRows::scan(slow.path(), options)
        .unwrap()
        .rows(0, |row| {
            sums[row.chosen] += row.reward;
            rows[row.chosen] += 1;
            Ok(Used::Row)
        })
        .unwrap();
    let (learned, free) = (fold.learner().state(), world.fold.learner().state());
    for (arm, (sum, n)) in ["copy@1", "ngram@1", "silence@1"]
        .iter()
        .zip(sums.iter().zip(rows))
    {
        assert_eq!(learned.count(arm), n);
        assert_eq!(learned.mean(arm), Some(sum / n as f64), "{arm}");
    }
    assert_eq!(learned.mean("copy@1"), free.mean("copy@1"));
    assert_eq!(
        learned.mean("ngram@1"),
        free.mean("ngram@1").map(|mean| 0.75 * mean)
    );
}

#[test]
fn only_treated_whole_answers_are_learned_from() {
    let world = World::new(400, "uniform", Life::Mixed, 8);
    assert_eq!(world.fold.learner().state().total(), world.counts["rows"]);
}

fn model_published(seq: u64, arm: &str) -> Entry {
    Entry {
        seq,
        record: Record::ModelPublished(ModelPublished {
            at_ms: 0,
            arm: arm.to_owned(),
            kind: "test".to_owned(),
            sha256: None,
            reason: "start".to_owned(),
        }),
    }
}

#[test]
fn a_new_version_of_an_arm_starts_from_its_predecessor() {
    let mut world = World::new(600, "uniform", Life::Plain, 9);
    let fold = &mut world.fold;
    let last = fold.through();
    let schema = *fold.learner().state().schema();
    let features = Features::from_logged(vec![0.5; schema.dimension], &schema).unwrap();
    let spec = "squarecb".parse().unwrap();
    let predicted = |fold: &Fold, arm| {
        fold.policy(&spec, 1)
            .unwrap()
            .prediction(&features, arm)
            .unwrap()
    };
    let before = predicted(fold, "copy@3");
    fold.entry(&model_published(last + 1, "copy@3")).unwrap();
    let after = predicted(fold, "copy@3");
    assert!((after - predicted(fold, "copy@1")).abs() < (before - predicted(fold, "copy@1")).abs());
    // Neither a restart nor an arm of its own version or another name changes anything.
    let state = fold.state_sha256();
    for (number, arm) in ["copy@3", "copy@1", "other@2", "copy", "copy@x"]
        .iter()
        .enumerate()
    {
        fold.entry(&model_published(last + 2 + number as u64, arm))
            .unwrap();
        assert_eq!(fold.state_sha256(), state, "{arm}");
    }
}

#[test]
fn what_no_server_writes_is_refused_and_passed_over() {
    let world = World::new(5, "uniform", Life::Plain, 10);
    let mut entries = LogReader::open(world.path()).unwrap();
    let entries: Vec<Entry> = entries.entries().map(|entry| entry.unwrap()).collect();
    let mut fold = Fold::new(world.fold.learner().state().schema(), Scorer::default(), 10);
    for entry in entries {
        let mut bad = entry.clone();
        match &mut bad.record {
            Record::Decision(decision) => decision.id = "no id".to_owned(),
            Record::Evidence(evidence) => evidence.fate = "lost".to_owned(),
            _ => continue,
        }
        assert!(fold.entry(&bad).is_err());
        assert_eq!(fold.through(), bad.seq);
    }
    assert_eq!(fold.learner().state().total(), 0);
}
