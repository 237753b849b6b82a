//! A log as a flat table, and back.

use std::fs;

use echo_sim::foreign::{ColumnMap, ForeignSettings, evaluate_foreign};
use echo_sim::{EvaluationSettings, RowOptions, evaluate, export};

use crate::world::{Life, World};

#[test]
fn an_exported_log_is_worth_what_the_log_is() {
    let world = World::new(9_000, "uniform", Life::Mixed, 8);
    let table = world.directory.path().join("log.parquet");
    let exported = export(world.path(), &RowOptions::default(), &table).unwrap();
    assert_eq!(exported.arms, ["copy@1", "ngram@1", "silence@1"]);
    assert!(exported.rows.rows > 1_000 && exported.rows.decisions > exported.rows.rows);

    let map: ColumnMap =
        toml::from_str("action = 'arm'\nreward = 'reward'\nlogged = 'p_{arm}'\nuser = 'user'")
            .unwrap();
    for arm in ["copy", "ngram"] {
        let target = format!("always:{arm}");
        let direct = evaluate(
            world.path(),
            &EvaluationSettings::new(target.parse().unwrap()),
        )
        .unwrap();
        let settings = ForeignSettings::new(
            &table,
            Some(map.clone()),
            world.path(),
            &format!("{target}@1"),
        );
        let back = evaluate_foreign(&settings, &|_| ()).unwrap();
        assert_eq!(
            (back.rows, direct.rows.rows),
            (exported.rows.rows, exported.rows.rows)
        );
        for name in ["ips", "snips", "cressie-read", "replay"] {
            let there = direct
                .values
                .iter()
                .find(|value| value.estimator == name)
                .unwrap();
            let here = back.estimate(name).unwrap();
            assert!((there.value - here.value).abs() < 1e-12, "{target} {name}");
            assert!(
                (there.interval.lo - here.interval.lo).abs() < 1e-12,
                "{target} {name}"
            );
            let errors = there.by_user.zip(here.by_user);
            let is_same =
                errors.is_none_or(|(a, b)| (a.standard_error - b.standard_error).abs() < 1e-12);
            assert!(is_same, "{target} {name}");
        }
        // What `replay` has told from the start is what the suite tells.
        for name in ["ips", "snips", "dr"] {
            let old = direct.estimate(name).unwrap();
            let new = direct
                .values
                .iter()
                .find(|value| value.estimator == name)
                .unwrap();
            assert!(
                (old.value - new.value).abs() < 1e-12
                    && (old.standard_error - new.standard_error).abs() < 1e-12
            );
        }
    }
}

#[test]
fn a_table_that_cannot_be_written_is_named() {
    let world = World::new(100, "uniform", Life::Plain, 9);
    let absent = world.directory.path().join("absent/log.parquet");
    let error = export(world.path(), &RowOptions::default(), &absent).unwrap_err();
    assert!(error.to_string().contains("absent/log.parquet"), "{error}");
    assert!(fs::metadata(&absent).is_err());
}
