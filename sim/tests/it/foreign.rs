//! Logs that another system wrote, against the figures of an independent implementation.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use echo_sim::estimators::{Breadth, Suite, SuiteSettings, Terms};
use echo_sim::foreign::{
    ColumnMap, ForeignEvaluation, ForeignSettings, PredictionSource, evaluate_foreign,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tempfile::TempDir;

const MAP: &str = r#"
    action = "action"
    reward = "reward"
    logged = "pb_{arm}"
    predictions = "q_{arm}"

    [targets]
    softmax = "pe_{arm}"
    careful = { greedy = "greedy_arm", epsilon = 0.1 }
"#;

fn fixture() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ope_fixture.csv.gz");
    let mut text = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(File::open(path).unwrap());
    unpacked.read_to_string(&mut text).unwrap();
    text
}

fn settings(input: &Path, map: &str, target: &str) -> ForeignSettings {
    let map: ColumnMap = toml::from_str(map).unwrap();
    ForeignSettings::new(input, Some(map), input.parent().unwrap(), target)
}

fn evaluate(settings: &ForeignSettings) -> Result<ForeignEvaluation, String> {
    evaluate_foreign(settings, &|_| ()).map_err(|error| error.to_string())
}

/// Writes a log in a folder of its own.
fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// The same log as Parquet, in groups of so many rows.
fn as_parquet(text: &str, rows: usize, path: &Path) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let column = |(place, name): (usize, &String)| {
        let cells = records.iter().map(|record| &record[place]);
        let array: ArrayRef = if ["row", "action", "greedy_arm"].contains(&name.as_str()) {
            Arc::new(Int64Array::from_iter_values(
                cells.map(|cell| cell.parse::<i64>().unwrap()),
            ))
        } else {
            Arc::new(Float64Array::from_iter_values(
                cells.map(|cell| cell.parse::<f64>().unwrap()),
            ))
        };
        (name.clone(), array)
    };
    let batch = RecordBatch::try_from_iter(names.iter().enumerate().map(column)).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn every_value_and_interval_is_that_of_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ope_fixture_expected.json");
    let expected: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let (_folder, log) = written(&fixture());
    let names = BTreeMap::from([
        ("ipw", "ips"),
        ("snipw", "snips"),
        ("cipw10", "cips(10)"),
        ("switch-dr10", "switch-dr(10)"),
        ("dr-os1", "dr-os(1)"),
        ("dr-os10", "dr-os(10)"),
        ("dr-os100", "dr-os(100)"),
        ("ipw-eB", "ips-eb"),
        (
            "cressie-read(wmin=0,wmax=max observed,r in [0,1])",
            "cressie-read",
        ),
    ]);
    let mut compared = 0;
    for (target, policy) in [
        ("softmax", "softmax0.05"),
        ("careful", "eps_greedy0.1"),
        ("uniform", "uniform"),
        ("always:3", "always_3"),
    ] {
        let found = evaluate(&settings(&log, MAP, target)).unwrap();
        let reference = &expected["policies"][policy];
        let close = |got: f64, expected: &serde_json::Value, what: &str| {
            let expected = expected.as_f64().unwrap();
            assert!(
                (got - expected).abs() < 1e-12,
                "{policy} {what}: {got} {expected}"
            );
        };
        close(
            found.weights.mean,
            &reference["weights"]["mean"],
            "mean weight",
        );
        let effective = reference["weights"]["ess"].as_f64().unwrap();
        assert!((found.weights.effective_sample_size - effective).abs() < 1e-9);
        for (name, figures) in reference["estimates"].as_object().unwrap() {
            let ours = names.get(name.as_str()).copied().unwrap_or(name);
            let value = found.estimate(ours).unwrap_or_else(|| panic!("{ours}"));
            close(value.value, &figures["value"], name);
            close(value.interval.lo, &figures["ci95"][0], name);
            close(value.interval.hi, &figures["ci95"][1], name);
            compared += 1;
        }
    }
    assert_eq!(compared, 52);
}

#[test]
fn a_parquet_file_in_any_groups_gives_what_csv_gives() {
    let text = fixture();
    let (folder, log) = written(&text);
    let mut of_csv = settings(&log, MAP, "softmax");
    of_csv.suite.replicates = 40;
    let expected = evaluate(&of_csv).unwrap();
    for rows in [100, 999, 10_000] {
        let path = folder.path().join("log.parquet");
        as_parquet(&text, rows, &path);
        let mut of_parquet = settings(&path, MAP, "softmax");
        of_parquet.suite.replicates = 40;
        let found = evaluate(&of_parquet).unwrap();
        assert_eq!(found.rows, expected.rows);
        for (a, b) in found.estimates.iter().zip(&expected.estimates) {
            assert_eq!(a.estimator, b.estimator);
            assert!((a.value - b.value).abs() < 1e-12, "{}", a.estimator);
            assert!(
                (a.interval.lo - b.interval.lo).abs() < 1e-12,
                "{}",
                a.estimator
            );
            let ends = a.bootstrap.zip(b.bootstrap);
            assert!(
                ends.is_none_or(|(a, b)| (a.lo - b.lo).abs() < 1e-12),
                "{}",
                a.estimator
            );
        }
    }
}

#[test]
fn the_bootstrap_of_the_fixture_is_as_wide_as_its_normal_interval() {
    let (_folder, log) = written(&fixture());
    let mut settings = settings(&log, MAP, "softmax");
    settings.suite.replicates = 400;
    let found = evaluate(&settings).unwrap();
    for name in ["ips", "snips", "dr"] {
        let value = found.estimate(name).unwrap();
        let width = |interval: echo_sim::Interval| interval.hi - interval.lo;
        let ratio = width(value.bootstrap.unwrap()) / width(value.interval);
        // The ends of 400 replicates scatter by a few per cent.
        assert!((0.8..1.2).contains(&ratio), "{name}: {ratio}");
    }
    settings.suite.seed = 1;
    let other = evaluate(&settings).unwrap();
    assert_ne!(
        other.estimate("ips").unwrap().bootstrap,
        found.estimate("ips").unwrap().bootstrap
    );
}

#[test]
fn rewards_of_any_range_are_told_in_their_own_units() {
    let (_folder, log) = written(&fixture());
    let plain = evaluate(&settings(&log, MAP, "softmax")).unwrap();
    // A wider range than the rewards fill changes the scale of all sums, and no value that does not depend on it.
    let map = format!("reward_range = [-1, 3]\n{MAP}");
    let wide = evaluate(&settings(&log, &map, "softmax")).unwrap();
    for name in ["dr", "sndr", "snips", "dm"] {
        let (a, b) = (plain.estimate(name).unwrap(), wide.estimate(name).unwrap());
        assert!(
            (a.value - b.value).abs() < 1e-9,
            "{name}: {} {}",
            a.value,
            b.value
        );
        assert!((a.standard_error - b.standard_error).abs() < 1e-9, "{name}");
    }
    assert!((plain.logged - wide.logged).abs() < 1e-12);
}

#[test]
fn the_logged_policy_is_worth_the_mean_reward_and_users_make_units() {
    let line = |row: usize| {
        let (arm, reward) = (["a", "b"][row % 2], u8::from(row.is_multiple_of(3)));
        format!("u{},{arm},{reward},0.5,0.5\n", row % 15)
    };
    let lines: String = (0..300).map(line).collect();
    let (_folder, log) = written(&format!("user,arm,r,pa,pb\n{lines}"));
    let map = "action = 'arm'\nreward = 'r'\nlogged = 'p{arm}'\nuser = 'user'";
    let found = evaluate(&settings(&log, map, "logged")).unwrap();
    for name in ["ips", "snips", "dr"] {
        let value = found.estimate(name).unwrap();
        assert!((value.value - 1.0 / 3.0).abs() < 1e-12, "{name}");
        assert_eq!(value.by_user.unwrap().users, 15);
    }
    assert_eq!(found.predictions, "tabular:prior=20,folds=5");
    assert_eq!(found.match_rate, None, "it draws");
    let always = evaluate(&settings(&log, map, "always:a")).unwrap();
    assert!((always.match_rate.unwrap() - 0.5).abs() < 1e-12);
    let of_a = 150.0 / 150.0 / 3.0;
    assert!((always.estimate("replay").unwrap().value - of_a).abs() < 1e-12);
}

const OF_BOTH: &str = "action = 'arm'\nreward = 'r'\nlogged = 'p{arm}'\n\
                       [targets]\nt = 't{arm}'\ng = { greedy = 'best' }";
const OF_THE_SERVED: &str = "action = 'arm'\nreward = 'r'\npropensity = 'pa'\narms = ['a', 'b']";
const GOOD: &str = "a,1,0.5,0.5,0.5,0.5,a\n";

/// A log of one good row and these is refused in these words.
fn fails(map: &str, target: &str, rows: &str, words: &str) {
    let (_folder, log) = written(&format!("arm,r,pa,pb,ta,tb,best\n{GOOD}{rows}"));
    let error = evaluate(&settings(&log, map, target)).unwrap_err();
    assert!(error.contains(words), "{rows}: {error}");
}

#[test]
fn what_cannot_be_right_is_named_by_row_and_column() {
    for (target, row, words) in [
        (
            "uniform",
            "c,1,0.5,0.5,0.5,0.5,a",
            "row 2, column \"arm\": \"c\" is none of the 2 arms",
        ),
        ("uniform", "a,,0.5,0.5,0.5,0.5,a", "row 2, column \"r\""),
        (
            "uniform",
            "a,NaN,0.5,0.5,0.5,0.5,a",
            "row 2, column \"r\": the reward NaN",
        ),
        (
            "uniform",
            "a,7,0.5,0.5,0.5,0.5,a",
            "`reward_range` says what can be",
        ),
        (
            "uniform",
            "a,1,0,1,0.5,0.5,a",
            "column \"pa\": the arm served had no probability",
        ),
        (
            "uniform",
            "a,1,0.5,1.5,0.5,0.5,a",
            "column \"pb\": the probability 1.5",
        ),
        (
            "uniform",
            "a,1,0.5,,0.5,0.5,a",
            "column \"pb\": the probability is missing",
        ),
        ("uniform", "a,1,0.5,0.4,0.5,0.5,a", "sum to 0.9, not to 1"),
        (
            "t",
            "a,1,0.5,0.5,0.5,0.1,a",
            "column \"ta\": this and the columns",
        ),
        ("g", "a,1,0.5,0.5,0.5,0.5,z", "row 2, column \"best\""),
        ("uniform", "a,1,0.5", "record 2"),
    ] {
        fails(OF_BOTH, target, &format!("{row}\n"), words);
    }
    let row = "b,1,0,0,0,0,a\n";
    fails(
        OF_THE_SERVED,
        "uniform",
        row,
        "column \"pa\": the arm served had no probability",
    );
    // Two rows are no log, and a log that could not have served b says nothing of it.
    fails(OF_BOTH, "uniform", GOOD, "effective rows of 2");
    fails(
        OF_BOTH,
        "uniform",
        &"a,1,1,0,0.5,0.5,a\n".repeat(60),
        "support",
    );
}

#[test]
fn maps_and_targets_that_do_not_fit_say_what_is_missing() {
    fails(OF_BOTH, "nobody", "", "unknown target \"nobody\"");
    fails(OF_BOTH, "always:z", "", "no arm is called \"z\"");
    fails(
        OF_THE_SERVED,
        "logged",
        "",
        "needs the logged probabilities of all arms",
    );
    for (map, words) in [
        (
            "action = 'x'\nreward = 'r'\nlogged = 'p{arm}'",
            "no column \"x\"",
        ),
        (
            "action = 'arm'\nreward = 'r'\nlogged = 'p'",
            "has no {arm} in it",
        ),
        (
            "action = 'arm'\nreward = 'r'\narms = 2",
            "logged probabilities are needed",
        ),
        (
            "action = 'arm'\nreward = 'r'\npropensity = 'pa'",
            "say in `arms`",
        ),
    ] {
        fails(map, "uniform", "", words);
    }
}

#[test]
fn a_file_that_is_no_log_is_refused() {
    let map = "action = 'arm'\nreward = 'r'\nlogged = 'p{arm}'";
    let (_folder, log) = written("");
    assert!(
        evaluate(&settings(&log, map, "uniform"))
            .unwrap_err()
            .contains("no column")
    );
    let (folder, log) = written("arm,r,pa,pb\n");
    assert!(
        evaluate(&settings(&log, map, "uniform"))
            .unwrap_err()
            .contains("no")
    );
    let absent = folder.path().join("absent.csv");
    assert!(
        evaluate(&settings(&absent, map, "uniform"))
            .unwrap_err()
            .contains("absent.csv")
    );
    let torn = folder.path().join("torn.parquet");
    as_parquet(&fixture(), 500, &torn);
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();
    assert!(
        evaluate(&settings(&torn, MAP, "uniform"))
            .unwrap_err()
            .contains("torn.parquet")
    );
}

#[test]
fn a_target_by_position_needs_the_positions_of_the_log() {
    let (folder, log) = written("arm,r,p,slot\n0,1,0.5,1\n1,0,0.5,2\n");
    fs::write(
        folder.path().join("policy.csv"),
        "arm,first\n0,0.25\n1,0.75\n",
    )
    .unwrap();
    let map = "action = 'arm'\nreward = 'r'\npropensity = 'p'\narms = 2\nposition = 'slot'\n[targets]\n\
               one = { file = 'policy.csv', arm = 'arm', probabilities = ['first'] }\n\
               three = { file = 'policy.csv', arm = 'arm', probabilities = ['first', 'first', 'first'] }";
    let mut one = settings(&log, map, "one");
    one.minimum_effective = 1.0;
    let found = evaluate(&one).unwrap();
    assert!((found.estimate("ips").unwrap().value - 0.25).abs() < 1e-12);
    let error = evaluate(&settings(&log, map, "three")).unwrap_err();
    assert!(
        error.contains("for 3 positions, and the log has 2"),
        "{error}"
    );
}

#[test]
fn predictions_can_be_left_out() {
    let (_folder, log) = written(&fixture());
    let mut settings = settings(&log, MAP, "softmax");
    settings.predictions = Some(PredictionSource::None);
    let found = evaluate(&settings).unwrap();
    assert!(found.estimate("dr").is_none() && found.estimate("snips").is_some());
}

fn terms() -> impl Strategy<Value = Terms> {
    (
        0.0_f64..20.0,
        0.0_f64..=1.0,
        0.0_f64..1.0,
        0.0_f64..1.0,
        0_u64..12,
    )
        .prop_map(|(weight, reward, predicted, expected, user)| Terms {
            weight,
            reward,
            predicted,
            expected,
            spread: Some(1.0 + weight),
            epoch: None,
            user: Some(user),
            is_match: Some(weight > 10.0),
        })
}

#[test]
fn plain_estimators_alone_are_those_among_all() {
    let (_folder, log) = written(&fixture());
    let mut settings = settings(&log, MAP, "softmax");
    let all = evaluate(&settings).unwrap().estimates;
    settings.suite.breadth = Breadth::Plain;
    let plain = evaluate(&settings).unwrap().estimates;
    let names: Vec<&str> = plain.iter().map(|value| value.estimator.as_str()).collect();
    assert_eq!(names, ["ips", "snips", "dm", "dr", "sndr"]);
    for value in &plain {
        assert!(all.contains(value), "{value:?}");
    }
}

#[test]
fn epochs_are_whole_numbers() {
    let map = "action = 'a'\nreward = 'r'\nlogged = 'p{arm}'\nepoch = 'version'";
    let row = |number: usize| {
        format!(
            "{},{},0.5,0.5,{}\n",
            number % 2,
            number % 3 % 2,
            number / 200
        )
    };
    let rows: String = (0..400).map(row).collect();
    let (_folder, log) = written(&format!("a,r,p0,p1,version\n{rows}"));
    let found = evaluate(&settings(&log, map, "always:1")).unwrap();
    // Both halves have the same spread, so that it is the doubly robust value.
    let of = |name: &str| found.estimate(name).unwrap().value;
    assert!((of("epoch-aipw") - of("dr")).abs() < 1e-12);
    let bad = log.with_file_name("bad.csv");
    fs::write(&bad, format!("a,r,p0,p1,version\n{rows}1,1,0.5,0.5,new\n")).unwrap();
    let told = evaluate(&settings(&bad, map, "always:1")).unwrap_err();
    assert!(
        told.contains("row 401, column \"version\": the epoch NaN"),
        "{told}"
    );
}

fn suite(rows: &[(u64, Terms)]) -> Suite {
    let mut suite = Suite::new(&SuiteSettings {
        replicates: 24,
        ..SuiteSettings::default()
    });
    for (number, terms) in rows {
        suite.push(*number, terms);
    }
    suite
}

proptest! {
    #[test]
    fn values_do_not_depend_on_order_or_parts(
        rows in prop::collection::vec(terms(), 3..60).prop_map(|rows| (0_u64..).zip(rows).collect::<Vec<_>>()),
        cut in 0_usize..60,
    ) {
        let whole = suite(&rows);
        let cut = cut.min(rows.len());
        let mut parts = suite(&rows[cut..]);
        parts.merge(&suite(&rows[..cut]));
        let (Ok(whole), Ok(parts)) = (whole.finish(), parts.finish()) else { return Ok(()); };
        prop_assert_eq!(whole.len(), parts.len());
        for (a, b) in whole.iter().zip(&parts) {
            prop_assert_eq!(&a.estimator, &b.estimator);
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-8 * (1.0 + a.abs());
            prop_assert!(close(a.value, b.value), "{}: {} {}", a.estimator, a.value, b.value);
            prop_assert!(close(a.interval.lo, b.interval.lo), "{}", a.estimator);
            let ends = a.bootstrap.zip(b.bootstrap);
            prop_assert!(ends.is_none_or(|(a, b)| close(a.hi, b.hi)), "{}", a.estimator);
        }
    }

    #[test]
    fn values_follow_rewards_to_another_scale(
        rows in prop::collection::vec(terms(), 3..40).prop_map(|rows| (0_u64..).zip(rows).collect::<Vec<_>>()),
        scale in 0.1_f64..1.0,
        shift in 0.0_f64..1.0,
    ) {
        let moved = |shift: f64| {
            let mut moved = rows.clone();
            for (_, row) in &mut moved {
                row.reward = scale * row.reward + shift;
                row.predicted = scale * row.predicted + shift;
                row.expected = scale * row.expected + shift;
            }
            suite(&moved).finish()
        };
        let Ok(before) = suite(&rows).finish() else { return Ok(()); };
        let of = |values: &[echo_sim::estimators::Value], name: &str| {
            let value = values.iter().find(|v| v.estimator == name).unwrap();
            (value.value, value.standard_error)
        };
        // Without a shift everything scales; with one, what is weighted to a sum of 1.
        for (shift, names) in [
            (0.0, &["ips", "snips", "cips(10)", "csnips(10)", "dm", "dr", "sndr", "sg-dr(0.1)", "dr-os(10)", "switch-dr(10)"][..]),
            (shift, &["snips", "csnips(10)", "dm", "dr", "sndr", "sg-dr(0.1)", "dr-os(10)", "switch-dr(10)"]),
        ] {
            let after = moved(shift).unwrap();
            for name in names {
                let ((value, error), (expected, expected_error)) = (of(&after, name), of(&before, name));
                prop_assert!((value - (scale * expected + shift)).abs() < 1e-9 * (1.0 + value.abs()), "{}", name);
                prop_assert!((error - scale * expected_error).abs() < 1e-9 * (1.0 + error), "{}", name);
            }
        }
    }

    #[test]
    fn where_every_arm_was_served_in_its_share_the_value_is_exact(
        rewards in prop::collection::vec((0.0_f64..=1.0, 0.0_f64..=1.0, 0.0_f64..=1.0, 0.0_f64..=1.0), 1..20),
        first in 0.05_f64..0.95,
    ) {
        // Each context comes four times: under a logging policy of (1/4, 3/4), once with the first arm, three times with
        // the second. Predictions may be what they will.
        let (logged, target) = ([0.25, 0.75], [first, 1.0 - first]);
        let mut rows = Vec::new();
        let mut truth = 0.0;
        for (a, b, p, q) in &rewards {
            truth += (target[0] * a + target[1] * b) / rewards.len() as f64;
            for arm in [0, 1, 1, 1] {
                rows.push((rows.len() as u64, Terms {
                    weight: target[arm] / logged[arm],
                    reward: [*a, *b][arm],
                    predicted: [*p, *q][arm],
                    expected: target[0] * p + target[1] * q,
                    spread: None,
                    epoch: None,
                    user: None,
                    is_match: None,
                }));
            }
        }
        let values = suite(&rows).finish().unwrap();
        for name in ["ips", "snips", "dr", "sndr"] {
            let value = values.iter().find(|v| v.estimator == name).unwrap().value;
            prop_assert!((value - truth).abs() < 1e-12, "{}: {} {}", name, value, truth);
        }
    }

    #[test]
    fn a_higher_reward_never_lowers_a_value(
        rows in prop::collection::vec(terms(), 3..40).prop_map(|rows| (0_u64..).zip(rows).collect::<Vec<_>>()),
        at in 0_usize..40,
        more in 0.0_f64..1.0,
    ) {
        let mut better = rows.clone();
        let at = at % rows.len();
        better[at].1.reward += (1.0 - better[at].1.reward) * more;
        let (Ok(before), Ok(after)) = (suite(&rows).finish(), suite(&better).finish()) else { return Ok(()); };
        for name in ["ips", "snips", "cips(10)", "csnips(10)", "dr", "sndr", "dr-os(10)", "switch-dr(10)"] {
            let of = |values: &[echo_sim::estimators::Value]| values.iter().find(|v| v.estimator == name).unwrap().value;
            prop_assert!(of(&after) >= of(&before) - 1e-12, "{}", name);
        }
    }
}
