//! Evaluations of policies on a log of a world whose truth is known.

use crate::world::{Life, World, rewritten, value_of, value_of_uniform};
use echo_experience::{Log, LogOptions, Record};
use echo_sim::{Estimate, EstimateError, Evaluation, EvaluationSettings, ReplayError, evaluate};
use std::collections::BTreeSet;
use std::fs;
use tempfile::TempDir;

fn settings(target: &str) -> EvaluationSettings {
    EvaluationSettings::new(target.parse().unwrap())
}

fn check_holds(estimate: &Estimate, truth: f64) {
    // Fixed seeds: a row-wise error of more than 4 standard errors has probability 6e-5 for a right
    // estimator, and some 20 estimates are checked in this file.
    let away = (estimate.value - truth).abs() / estimate.standard_error;
    assert!(
        away < 4.0,
        "{} against {truth}: {away:.1} errors",
        estimate.value
    );
}

#[test]
fn fixed_policies_are_worth_what_they_are_worth() {
    let world = World::new(4_000, "uniform", Life::Plain, 1);
    for (target, truth) in [
        ("uniform", value_of_uniform()),
        ("always:copy", value_of(0)),
        ("always:ngram", value_of(1)),
        (
            "fixed:copy=0.5,ngram=0.5",
            f64::midpoint(value_of(0), value_of(1)),
        ),
    ] {
        let found = evaluate(world.path(), &settings(target)).unwrap();
        assert_eq!(found.estimates.len(), 3);
        for estimate in &found.estimates {
            check_holds(estimate, truth);
            assert!(estimate.interval.holds(estimate.value) && estimate.rows == 4_000);
        }
        assert!((found.weights.coverage - 1.0).abs() < 1e-9);
        assert!(!found.optimistic && found.split.is_none());
        assert!((found.logged.value - world.mean_reward).abs() < 1e-12);
        assert_eq!(found.users, 50);
        assert!(found.estimates[0].by_user.is_some());
    }
}

#[test]
fn the_reward_model_narrows_the_doubly_robust_interval() {
    let world = World::new(4_000, "uniform", Life::Plain, 2);
    let found = evaluate(world.path(), &settings("always:copy")).unwrap();
    let width = |name| found.estimate(name).unwrap().standard_error;
    assert!(width("dr") < width("snips") && width("snips") < width("ips"));
}

fn learned(world: &World, split: Option<f64>) -> Evaluation {
    let settings = EvaluationSettings {
        baseline: Some("uniform".parse().unwrap()),
        split,
        ..settings("squarecb")
    };
    evaluate(world.path(), &settings).unwrap()
}

#[test]
fn a_learned_policy_beats_uniform_on_rows_it_has_not_seen() {
    let world = World::new(4_000, "uniform", Life::Plain, 3);
    let found = learned(&world, Some(0.5));
    assert_eq!(found.split, Some(0.5));
    assert_eq!(found.rows.excluded["before_split"], 2_000);
    assert!(found.fitted.through > 0 && found.fitted.through < found.from_seq);
    // The last decision before the split may have been rewarded after it.
    assert!(
        (1_990..=2_000).contains(&found.fitted.rewards),
        "{}",
        found.fitted.rewards
    );
    assert!(!found.optimistic && found.notes[0].contains("50 %"));
    let difference = found.difference.unwrap();
    assert!(difference.interval.lo > 0.0, "{difference:?}");
    // The best arm everywhere is worth 0.55; the floor keeps 5 % on each of the others.
    check_holds(found.estimates.last().unwrap(), found.estimates[1].value);
    assert!(found.estimates[2].value > value_of_uniform() && found.estimates[2].value < 0.6);
}

#[test]
fn without_a_split_the_result_says_that_it_flatters() {
    let world = World::new(1_000, "uniform", Life::Plain, 4);
    let found = learned(&world, None);
    assert!(found.optimistic && found.notes[0].starts_with("Optimistic"));
    assert_eq!(found.rows.rows, 1_000);
}

#[test]
fn what_is_no_row_is_counted_by_reason() {
    let world = World::new(1_000, "squarecb", Life::Mixed, 5);
    let found = evaluate(world.path(), &settings("uniform")).unwrap();
    assert_eq!(found.rows.decisions, 1_000);
    assert_eq!(found.rows.rows, world.counts["rows"]);
    assert_eq!(found.rows.several_choices, 50);
    let excluded: Vec<_> = found.rows.excluded.iter().map(|(k, v)| (*k, *v)).collect();
    let expected: Vec<_> = world
        .counts
        .iter()
        .filter(|(kind, _)| **kind != "rows")
        .map(|(k, v)| (*k, *v))
        .collect();
    assert_eq!(excluded, expected);
    assert!((found.logged.value - world.mean_reward).abs() < 1e-12);

    let mut with_control = settings("uniform");
    with_control.rows.include_control = true;
    let found = evaluate(world.path(), &with_control).unwrap();
    assert_eq!(
        found.rows.rows,
        world.counts["rows"] + world.counts["control_cohort"]
    );
}

#[test]
fn published_policies_are_evaluated_on_what_came_after() {
    let world = World::new(2_000, "squarecb", Life::Mixed, 6);
    let version = world.last_version / 2;
    let found = evaluate(world.path(), &settings(&format!("logged:{version}"))).unwrap();
    assert_eq!(found.fitted.version, Some(version));
    assert!(found.from_seq == found.fitted.through + 1 && !found.optimistic);
    let latest = evaluate(world.path(), &settings("latest")).unwrap();
    assert!(latest.fitted.through < latest.from_seq && !latest.optimistic);
    assert!(latest.rows.rows > 500);

    let missing = evaluate(world.path(), &settings("logged:100000")).unwrap_err();
    assert!(
        missing
            .to_string()
            .contains(&format!("the newest is {}", world.last_version))
    );
}

#[test]
fn a_snapshot_is_the_policy_that_was_published_from_it() {
    let world = World::new(1_000, "squarecb", Life::Plain, 7);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.policy");
    let spec = "squarecb".parse().unwrap();
    fs::write(&file, world.fold.snapshot(&spec, 9).to_bytes()).unwrap();
    let target = format!("snapshot:{}", file.display());
    // Nothing came after it, so that an honest evaluation has no row.
    let none = evaluate(world.path(), &settings(&target)).unwrap_err();
    assert!(
        matches!(none, ReplayError::Estimate(EstimateError::NoRows)),
        "{none}"
    );
    let all = |target: &str| {
        let settings = EvaluationSettings {
            split: None,
            ..settings(target)
        };
        evaluate(world.path(), &settings).unwrap()
    };
    let (kept, learned) = (all(&target), all("squarecb"));
    assert_eq!(kept.estimates, learned.estimates);
    assert!(kept.optimistic && kept.fitted.version == Some(9));

    fs::write(&file, b"not a snapshot").unwrap();
    assert!(matches!(
        evaluate(world.path(), &settings(&target)),
        Err(ReplayError::Snapshot(_))
    ));
    fs::remove_file(&file).unwrap();
    assert!(matches!(
        evaluate(world.path(), &settings(&target)),
        Err(ReplayError::File { .. })
    ));
}

#[test]
fn what_cannot_be_concluded_is_an_error() {
    let world = World::new(300, "always:copy,floor=0", Life::Plain, 8);
    let error = |target: &str| evaluate(world.path(), &settings(target)).unwrap_err();
    let unsupported = error("uniform");
    assert!(
        matches!(
            unsupported,
            ReplayError::Estimate(EstimateError::NoSupport {
                rows_without: 300,
                ..
            })
        ),
        "{unsupported}"
    );
    let absent = error("always:oracle");
    assert!(
        matches!(
            absent,
            ReplayError::Undefined {
                undefined: 300,
                rows: 300
            }
        ),
        "{absent}"
    );

    let few = World::new(20, "uniform", Life::Plain, 9);
    let few = evaluate(few.path(), &settings("always:copy")).unwrap_err();
    assert!(few.to_string().contains("effective rows"), "{few}");

    let empty = TempDir::new().unwrap();
    Log::open(empty.path(), LogOptions::default())
        .unwrap()
        .0
        .close()
        .unwrap();
    let nothing = evaluate(empty.path(), &settings("uniform")).unwrap_err();
    assert!(
        matches!(nothing, ReplayError::Estimate(EstimateError::NoRows)),
        "{nothing}"
    );
    let nowhere = evaluate(&empty.path().join("nothing"), &settings("uniform")).unwrap_err();
    assert!(matches!(nowhere, ReplayError::Log(_)), "{nowhere}");

    let split = EvaluationSettings {
        split: Some(1.0),
        ..settings("uniform")
    };
    let split = evaluate(world.path(), &split).unwrap_err();
    assert!(matches!(split, ReplayError::Split { .. }), "{split}");
}

#[test]
fn rewards_that_are_seen_less_often_count_for_more() {
    let world = World::new(6_000, "uniform", Life::Plain, 21);
    // What is written in rust comes from a client of whom every second reward is seen.
    let mut hidden = BTreeSet::new();
    let censored = rewritten(&world, |seq, record| match record {
        Record::Decision(decision) if decision.language.as_deref() == Some("rust") => {
            decision.client = "rare".to_owned();
            if seq % 2 == 0 {
                hidden.insert(decision.id.clone());
            }
        }
        Record::Evidence(evidence) if hidden.contains(&evidence.decision) => {
            evidence.fate = "censored".to_owned();
        }
        _ => {}
    });
    let value = |weighs_censoring| {
        let mut settings = EvaluationSettings::new("always:copy".parse().unwrap());
        settings.rows.weighs_censoring = weighs_censoring;
        let found = evaluate(censored.path(), &settings).unwrap();
        let dr = found.estimates[2].clone();
        let snips = found.values.iter().find(|value| value.estimator == "snips");
        assert_eq!(
            found
                .notes
                .iter()
                .any(|note| note.contains("kind of client")),
            weighs_censoring
        );
        assert!(
            (found.weights.mean - 1.0).abs() < 0.1,
            "{}",
            found.weights.mean
        );
        (dr.value, dr.standard_error, snips.unwrap().value)
    };
    // A copy is kept in 0.6 of rust and in 0.2 of python; a third of what is seen is rust's.
    let (plain, error, _) = value(false);
    assert!((plain - 1.0 / 3.0).abs() < 4.0 * error, "{plain} {error}");
    let (weighed, error, snips) = value(true);
    assert!(
        (weighed - value_of(0)).abs() < 4.0 * error,
        "{weighed} {error}"
    );
    assert!((snips - value_of(0)).abs() < 4.0 * error, "{snips}");
    assert!(weighed - plain > 0.04, "{plain} {weighed}");
}

#[test]
fn the_best_fixed_arm_is_found_in_the_first_part_and_evaluated_on_the_second() {
    let world = World::new(6_000, "uniform", Life::Plain, 31);
    let found = evaluate(world.path(), &settings("best-fixed")).unwrap();
    // A copy and an n-gram earn 0.4 each, silence nothing.
    assert!(
        found.fitted.spec.starts_with("always:copy@1")
            || found.fitted.spec.starts_with("always:ngram@1")
    );
    check_holds(&found.estimates[2], value_of(0));
    assert!(
        found.from_seq > found.fitted.through && found.fitted.through > 0,
        "{:?}",
        found.fitted
    );
    assert!(!found.optimistic);
}

#[test]
fn a_policys_own_model_predicts_as_well() {
    let world = World::new(6_000, "uniform", Life::Plain, 32);
    let mut own = settings("epsilon-greedy:epsilon=0");
    own.uses_policy_model = true;
    let by_policy = evaluate(world.path(), &own).unwrap();
    own.uses_policy_model = false;
    let by_ridge = evaluate(world.path(), &own).unwrap();
    // Each language's best arm earns 0.55.
    check_holds(&by_policy.estimates[2], 0.55);
    let (one, other) = (&by_policy.estimates[2], &by_ridge.estimates[2]);
    assert!(
        (one.value - other.value).abs() < one.standard_error,
        "{one:?} {other:?}"
    );
    assert!(
        one.standard_error < 1.05 * other.standard_error,
        "{one:?} {other:?}"
    );
    let mut none = settings("uniform");
    none.uses_policy_model = true;
    let refused = evaluate(world.path(), &none).unwrap_err().to_string();
    assert!(refused.contains("no reward model of its own"), "{refused}");
}

#[test]
fn an_estimator_is_chosen_by_splits_of_the_log() {
    let world = World::new(4_000, "uniform", Life::Plain, 33);
    let mut settings = settings("always:copy");
    settings.selects = true;
    let found = evaluate(world.path(), &settings).unwrap();
    let selection = found.selection.unwrap();
    assert!(selection.is_sorted_by(|a, b| a.rmse <= b.rmse) && selection.len() > 10);
    // A log of 4,000 rows, a fifth of which stand for one of the target: errors of a few hundredths at the most.
    let of = |name: &str| selection.iter().find(|s| s.estimator == name).unwrap().rmse;
    assert!(of("dr") < 0.05 && of("ips") < 0.1, "{selection:?}");
    settings.selects = false;
    assert_eq!(evaluate(world.path(), &settings).unwrap().selection, None);
}
