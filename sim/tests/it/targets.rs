//! Targets that come from elsewhere: files of probabilities, programs, snapshots; and regressions that predict.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use echo_sim::foreign::{
    ColumnMap, ForeignEvaluation, ForeignSettings, evaluate_foreign, roll_out_foreign,
};
use echo_sim::{
    EvaluationSettings, Level, LogRows, ReplayError, RolloutSettings, RowOptions, Used, compare,
    evaluate, export, rollout,
};
use tempfile::TempDir;

use crate::world::{Life, World, value_of_uniform};

fn evaluated(
    folder: &Path,
    map: &str,
    target: &str,
    predictions: &str,
) -> Result<ForeignEvaluation, String> {
    let map: ColumnMap = toml::from_str(map).unwrap();
    let log = folder.join("log.csv");
    let mut settings = ForeignSettings::new(&log, Some(map), folder, target);
    settings.predictions = Some(predictions.parse().unwrap());
    settings.suite.level = Level::new(0.95).unwrap();
    evaluate_foreign(&settings, &|_| ()).map_err(|error| error.to_string())
}

/// A number in [0, 1) that follows from the row and a purpose.
fn chance(row: u64, purpose: u64) -> f64 {
    let x = (row * 4 + purpose).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0
}

/// Arm b is right where x is large, a where it is small; what is asked in German earns less. The log draws b with
/// probability 0.2.
fn expected_reward(arm: usize, x: f64, language: &str) -> f64 {
    let right = if arm == 1 { x } else { 1.0 - x };
    0.2 + 0.6 * right - if language == "de" { 0.15 } else { 0.0 }
}

/// The log, with the probabilities of "b where x is above 1/2" in a file of its own; and what that policy is worth.
fn world(folder: &TempDir, rows: u64) -> f64 {
    let mut log = "arm,reward,p_a,p_b,x,language\n".to_owned();
    let mut target = "to_a,to_b\n".to_owned();
    let mut truth = 0.0;
    for row in 0..rows {
        let x = chance(row, 0);
        let language = if chance(row, 1) < 0.5 { "de" } else { "en" };
        let arm = usize::from(chance(row, 2) < 0.2);
        let reward = u8::from(chance(row, 3) < expected_reward(arm, x, language));
        let best = usize::from(x > 0.5);
        truth += expected_reward(best, x, language) / rows as f64;
        writeln!(log, "{},{reward},0.8,0.2,{x},{language}", ["a", "b"][arm]).unwrap();
        writeln!(target, "{},{}", 1 - best, best).unwrap();
    }
    fs::write(folder.path().join("log.csv"), log).unwrap();
    fs::write(folder.path().join("target.csv"), target).unwrap();
    truth
}

const MAP: &str = r#"
    action = "arm"
    reward = "reward"
    logged = "p_{arm}"
    features = ["x"]
    categories = ["language"]

    [targets]
    file = { rows = "target.csv", probabilities = "to_{arm}" }
    program = { process = """while read -r line; do case $line in *'"x":0.5'*|*'"x":0.6'*|*'"x":0.7'*|*'"x":0.8'*|*'"x":0.9'*) echo '[0, 1]';; *) echo '{"a": 1}';; esac; done""" }
"#;

#[test]
fn a_file_and_a_program_of_the_same_policy_are_worth_the_same_and_a_good_regression_makes_it_sure()
{
    let folder = tempfile::tempdir().unwrap();
    let truth = world(&folder, 4_000);
    let of = |target: &str, predictions: &str| {
        let found = evaluated(folder.path(), MAP, target, predictions).unwrap();
        let dr = found.estimate("dr").unwrap();
        let dm = found.estimate("dm").unwrap().value;
        (dr.value, dr.standard_error, dm)
    };
    let constant = of("file", "tabular");
    for predictions in [
        "linear:by=arm",
        "logistic:by=arm",
        "elastic-net:by=arm",
        "ftrl:by=arm",
        "mrdr:by=arm",
    ] {
        let (value, error, dm) = of("file", predictions);
        // Four deviations: by chance once in 16,000.
        assert!(
            (value - truth).abs() < 4.0 * error,
            "{predictions}: {value} {truth} {error}"
        );
        // A table does not know x, so that its predictions are far off where they matter.
        assert!(error < constant.1, "{predictions}: {error} {}", constant.1);
        assert!((dm - truth).abs() < 0.05, "{predictions}: {dm} {truth}");
        assert!((constant.2 - truth).abs() > 0.1, "{constant:?}");
        assert_eq!(
            of("program", predictions),
            (value, error, dm),
            "{predictions}"
        );
    }
    // One in which arms differ by a constant says that x does nothing for the mean of both.
    let (_, _, dm) = of("file", "linear");
    assert!((dm - truth).abs() > 0.1, "{dm}");
}

#[test]
fn what_a_target_lacks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    world(&folder, 200);
    let fails = |map: &str, target: &str, predictions: &str| {
        evaluated(folder.path(), map, target, predictions).unwrap_err()
    };
    let short = fs::read_to_string(folder.path().join("target.csv")).unwrap();
    let lines: Vec<&str> = short.lines().collect();
    let write =
        |lines: &[&str]| fs::write(folder.path().join("target.csv"), lines.join("\n")).unwrap();
    write(&lines[..101]);
    let told = fails(MAP, "file", "tabular");
    assert!(
        told.contains("row 101: the target has no such row"),
        "{told}"
    );
    let more: Vec<&str> = lines.iter().copied().chain(["1,0"]).collect();
    write(&more);
    let told = fails(MAP, "file", "tabular");
    assert!(
        told.contains("probabilities for 201 rows, and the log has 200"),
        "{told}"
    );
    let wrong: Vec<&str> = lines[..5].iter().copied().chain(["0.5,0.6"]).collect();
    write(&wrong);
    let told = fails(MAP, "file", "tabular");
    assert!(
        told.contains("row 5: the probabilities sum to 1.1"),
        "{told}"
    );
    let told = fails(MAP, "process:exit 1", "tabular");
    assert!(told.contains("asked about row 1"), "{told}");
    let told = fails(&MAP.replace("\"x\"]", "\"language\"]"), "uniform", "linear");
    assert!(
        told.contains("row 1, column \"language\": the feature is missing or no number"),
        "{told}"
    );
    let told = fails(&MAP.replace("\"x\"]", "\"y_*\"]"), "uniform", "linear");
    assert!(told.contains("no column begins with \"y_\""), "{told}");
}

#[test]
fn a_snapshot_is_worth_the_same_on_a_log_and_on_its_export() {
    let world = World::new(2_000, "squarecb:floor=0.05", Life::Mixed, 5);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("candidate.policy");
    let spec = "softmax:floor=0.02".parse().unwrap();
    fs::write(&snapshot, world.fold.snapshot(&spec, 9).to_bytes()).unwrap();
    let target = format!("snapshot:{}", snapshot.display());
    let mut settings = EvaluationSettings::new(target.parse().unwrap());
    settings.split = None;
    let own = evaluate(world.path(), &settings).unwrap();
    let table = folder.path().join("log.parquet");
    export(world.path(), &RowOptions::default(), &table).unwrap();
    let map: ColumnMap = toml::from_str(
        "action = 'arm'\nreward = 'reward'\nlogged = 'p_{arm}'\nuser = 'user'\nfeatures = ['x_*']",
    )
    .unwrap();
    let settings = ForeignSettings::new(&table, Some(map), folder.path(), &target);
    let foreign = evaluate_foreign(&settings, &|_| ()).unwrap();
    let value = own
        .values
        .iter()
        .find(|value| value.estimator == "ips")
        .unwrap();
    let other = foreign.estimate("ips").unwrap();
    assert!(
        (value.value - other.value).abs() < 1e-12,
        "{} {}",
        value.value,
        other.value
    );
    assert_eq!(foreign.rows, own.rows.rows);
}

#[test]
fn a_table_of_probabilities_is_worth_what_its_policy_is() {
    let world = World::new(1_000, "uniform", Life::Plain, 6);
    let folder = tempfile::tempdir().unwrap();
    let value = |target: &str| {
        let mut settings = EvaluationSettings::new(target.parse().unwrap());
        settings.split = None;
        evaluate(world.path(), &settings)
    };
    let named = value("always:copy").unwrap();
    // An exported log gives the decisions; its probabilities are those of the log.
    let export = |name: &str| {
        let path = folder.path().join(name);
        export(world.path(), &RowOptions::default(), &path).unwrap();
        format!("table:{}", path.display())
    };
    let logged = value(&export("log.parquet")).unwrap();
    assert!((logged.estimates[0].value - logged.logged.value).abs() < 1e-12);
    let mut ids = Vec::new();
    LogRows::scan(world.path(), RowOptions::default())
        .unwrap()
        .rows(0, |row| {
            ids.push(row.id);
            Ok(Used::Row)
        })
        .unwrap();
    let table = |line: &dyn Fn(u128) -> String| {
        let path = folder.path().join("table.csv");
        let lines: Vec<String> = ids.iter().map(|id| line(*id)).collect();
        let text = format!("decision,p_copy@1,p_ngram@1,p_else\n{}", lines.join("\n"));
        fs::write(&path, text).unwrap();
        value(&format!("table:{}", path.display()))
    };
    let same = table(&|id| format!("{id:032x},1,0,0")).unwrap();
    for (ours, theirs) in same.values.iter().zip(&named.values) {
        assert_eq!(ours, theirs);
    }
    let cases: [(&dyn Fn(u128) -> String, &str); 4] = [
        (
            &|id| format!("{id:032x},0.5,0.4,0"),
            "row 1: its probabilities",
        ),
        (&|_| format!("{:032x},1,0,0", 7), "row 2: decision"),
        (&|id| format!("{id:x}z,1,0,0"), "no id of a decision"),
        (
            &|id| format!("{id:032x},0.5,0,0.5"),
            "the arms that were eligible",
        ),
    ];
    for (line, words) in cases {
        let told = table(line).unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }
    // Decisions that it lacks are left out, and too many of them are refused.
    let missing = table(&|id| format!("{:032x},1,0,0", id ^ (1 << 100))).unwrap_err();
    assert!(
        matches!(missing, ReplayError::Undefined { .. }),
        "{missing}"
    );
}

#[test]
fn a_program_is_asked_about_echos_own_log_too() {
    let world = World::new(1_000, "uniform", Life::Plain, 6);
    // Python is not needed for it; a policy in it would read the same lines.
    let program = r#"process:while read -r line; do
        case $line in *'"language":"rust"'*) echo '{"copy@1": 1}';; *) echo '{"ngram@1": 1}';; esac
    done"#;
    let settings = EvaluationSettings::new(program.parse().unwrap());
    let found = evaluate(world.path(), &settings).unwrap();
    let dr = &found.estimates[2];
    // The best arm of each language earns 0.6 and 0.5; four deviations.
    assert!((dr.value - 0.55).abs() < 4.0 * dr.standard_error, "{dr:?}");
    assert_eq!(found.rows.rows, 1_000);
    let targets = ["uniform".parse().unwrap(), program.parse().unwrap()];
    let compared = compare(world.path(), &targets, &settings).unwrap();
    let difference = compared.policies[1].difference.as_ref().unwrap();
    assert!(difference.value > 0.1, "{difference:?}");
    let mut failing = settings.clone();
    failing.target = "process:exit 0".parse().unwrap();
    let refused = evaluate(world.path(), &failing);
    assert!(
        matches!(refused, Err(ReplayError::Process(_))),
        "{refused:?}"
    );
}

#[test]
fn policies_let_loose_on_a_uniform_log_do_as_they_would_have() {
    let world = World::new(6_000, "uniform", Life::Plain, 11);
    let specs = [
        "always:copy",
        "uniform",
        "randucb",
        "epsilon-greedy:epsilon=0.1,halflife=20m",
    ];
    let settings = RolloutSettings {
        runs: 4,
        ..RolloutSettings::new(specs.map(|spec| spec.parse().unwrap()).to_vec())
    };
    let rows = RowOptions::default();
    let rolled = rollout(world.path(), &rows, &settings, &mut |_| ()).unwrap();
    let [copy, uniform, learns, forgets] = &rolled.policies[..] else {
        panic!("{rolled:?}");
    };
    // Every row in which the arm was served is accepted: a plain mean.
    let evaluated = evaluate(
        world.path(),
        &EvaluationSettings::new("always:copy".parse().unwrap()),
    );
    let replayed = evaluated.unwrap().values;
    let replayed = replayed
        .iter()
        .find(|value| value.estimator == "replay")
        .unwrap();
    assert!(
        (copy.value - replayed.value).abs() < 1e-12,
        "{copy:?} {replayed:?}"
    );
    // Four deviations of one run; four runs vary less.
    assert!((uniform.value - value_of_uniform()).abs() < 4.0 * uniform.standard_error);
    for policy in [learns, forgets] {
        // The best arm of each language earns 0.55; 2,000 decisions are enough to find it.
        assert!(policy.tenths[9] > policy.tenths[0] + 0.05, "{policy:?}");
        assert!(
            policy.value > value_of_uniform() + 0.1 && policy.value < 0.6,
            "{policy:?}"
        );
        assert!(
            policy.cut_share == 0.0 && policy.decisions > 1_500.0,
            "{policy:?}"
        );
    }
    let again = rollout(world.path(), &rows, &settings, &mut |_| ()).unwrap();
    assert_eq!(again, rolled);
    let few = World::new(200, "uniform", Life::Plain, 12);
    let refused = rollout(few.path(), &rows, &settings, &mut |_| ());
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("too few to say how it learns"), "{told}");
}

#[test]
fn what_learns_from_a_foreign_log_is_evaluated_on_its_second_half() {
    let folder = tempfile::tempdir().unwrap();
    world(&folder, 8_000);
    let value = |target: &str| evaluated(folder.path(), MAP, target, "tabular").unwrap();
    let best = value("best-fixed");
    assert_eq!((best.rows, best.from_row), (4_000, 4_001));
    let named = best
        .notes
        .iter()
        .find(|note| note.starts_with("best-fixed is"));
    let arm = named
        .unwrap()
        .split(' ')
        .nth(2)
        .unwrap()
        .trim_end_matches(',');
    let learned = value("randucb:floor=0.02");
    assert_eq!((learned.rows, learned.from_row), (4_000, 4_001));
    // The best arm hangs on the context, which the fixed one cannot follow.
    let (fixed, learned) = (
        best.estimate("dr").unwrap(),
        learned.estimate("dr").unwrap(),
    );
    assert!(
        learned.value > fixed.value + 3.0 * (learned.standard_error + fixed.standard_error),
        "{learned:?} {fixed:?}"
    );
    let always = value(&format!("always:{arm}"));
    assert_eq!((always.rows, always.from_row), (8_000, 1));
    for (target, words) in [
        ("uniform:x=1", "unknown target"),
        ("softmax:floor=2", "floor"),
    ] {
        let told = evaluated(folder.path(), MAP, target, "tabular").unwrap_err();
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn policies_are_let_loose_on_a_foreign_log_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let truth = world(&folder, 8_000);
    let map: ColumnMap = toml::from_str(MAP).unwrap();
    let log = folder.path().join("log.csv");
    let foreign = ForeignSettings::new(&log, Some(map), folder.path(), "uniform");
    let mut settings = RolloutSettings::new(vec!["randucb".parse().unwrap()]);
    settings.runs = 2;
    let rolled = roll_out_foreign(&foreign, &settings, &mut |_| ()).unwrap();
    let learned = &rolled.policies[0];
    assert!((rolled.acceptance - 0.2).abs() < 1e-12);
    // Near the best policy in the last tenth, of some 200 decisions each with a deviation of 0.035.
    assert!(
        (learned.tenths[9] - truth).abs() < 0.14,
        "{learned:?} {truth}"
    );
    assert!(
        learned.tenths[9] > rolled.logged + 0.05,
        "{learned:?} {}",
        rolled.logged
    );
}

#[test]
fn a_log_without_probabilities_is_balanced_by_its_features() {
    let folder = tempfile::tempdir().unwrap();
    // Arm b is drawn with probability x: who is in the know takes the better arm.
    let (mut log, mut truth, rows) = ("arm,reward,p_a,p_b,x,language\n".to_owned(), 0.0, 8_000);
    for row in 0..rows {
        let x = 0.1 + 0.8 * chance(row, 0);
        let arm = usize::from(chance(row, 2) < x);
        let reward = u8::from(chance(row, 3) < expected_reward(arm, x, "en"));
        truth += 0.5 * (expected_reward(0, x, "en") + expected_reward(1, x, "en")) / rows as f64;
        writeln!(log, "{},{reward},{},{x},{x},en", ["a", "b"][arm], 1.0 - x).unwrap();
    }
    fs::write(folder.path().join("log.csv"), log).unwrap();
    let map = MAP.replace(
        "logged = \"p_{arm}\"",
        "balanced = true\narms = [\"a\", \"b\"]",
    );
    let balanced = evaluated(folder.path(), &map, "uniform", "tabular").unwrap();
    let known = evaluated(folder.path(), MAP, "uniform", "tabular").unwrap();
    let of = |found: &ForeignEvaluation, name: &str| found.estimate(name).unwrap().clone();
    let (one, other) = (of(&balanced, "snips"), of(&known, "snips"));
    // The log earns more than an even draw would.
    assert!(known.logged > truth + 0.05, "{} {truth}", known.logged);
    assert!(
        (other.value - truth).abs() < 4.0 * other.standard_error,
        "{other:?} {truth}"
    );
    assert!(
        (one.value - truth).abs() < 4.0 * one.standard_error,
        "{one:?} {truth}"
    );
    assert!(one.warning.is_some_and(|w| w.contains("balancing")) && one.guarantee == "none");
    assert!(
        (balanced.weights.mean - 1.0).abs() < 0.05,
        "{}",
        balanced.weights.mean
    );
    let both = MAP.replace(
        "reward = \"reward\"",
        "reward = \"reward\"\nbalanced = true",
    );
    let told = evaluated(folder.path(), &both, "uniform", "tabular").unwrap_err();
    assert!(told.contains("and these are given"), "{told}");
}

#[test]
fn targets_are_compared_on_the_rows_of_a_foreign_log() {
    let folder = tempfile::tempdir().unwrap();
    let truth = world(&folder, 6_000);
    let map: ColumnMap = toml::from_str(MAP).unwrap();
    let log = folder.path().join("log.csv");
    let mut settings = ForeignSettings::new(&log, Some(map), folder.path(), "logged");
    settings.compare = vec!["uniform".to_owned(), "file".to_owned(), "logged".to_owned()];
    settings.predictions = Some("linear:by=arm".parse().unwrap());
    let found = evaluate_foreign(&settings, &|_| ()).unwrap();
    let [logged, uniform, file, again] = &found.compared[..] else {
        panic!("{:?}", found.compared);
    };
    assert_eq!(logged.difference, None);
    let none = again.difference.as_ref().unwrap();
    assert!(
        none.value.abs() < 1e-12 && none.standard_error < 1e-12,
        "{none:?}"
    );
    let better = file.difference.as_ref().unwrap();
    assert!(
        (better.value - (truth - found.logged)).abs() < 5.0 * better.standard_error,
        "{better:?}"
    );
    assert!(better.interval.lo > 0.0, "{better:?}");
    // Seven intervals at 95 % together are wider than one.
    let alone = evaluated(folder.path(), MAP, "uniform", "linear:by=arm").unwrap();
    let dr = alone.estimate("dr").unwrap();
    assert!((dr.value - uniform.value.value).abs() < 1e-12);
    let (wide, plain) = (uniform.value.interval, dr.interval);
    assert!(
        wide.hi - wide.lo > 1.2 * (plain.hi - plain.lo),
        "{wide:?} {plain:?}"
    );
}
