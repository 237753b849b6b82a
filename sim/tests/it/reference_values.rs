//! The estimators against values computed from the formulas by `tests/reference/ope_reference.py`.

use echo_sim::estimators::{Dr, DrDifference, Ips, Snips};
use echo_sim::{EstimateSettings, Estimator, Row, RowParts, Weights};
use serde_json::Value;

const ARMS: usize = 9;

/// One line of `ope_slice.csv`.
struct Line {
    action: usize,
    reward: f64,
    logged: Vec<f64>,
    softmax: Vec<f64>,
    q: Vec<f64>,
    greedy: usize,
}

fn lines() -> Vec<Line> {
    let text = include_str!("../reference/ope_slice.csv");
    text.lines().skip(1).map(line).collect()
}

fn line(text: &str) -> Line {
    let fields: Vec<f64> = text
        .split(',')
        .map(|field| field.parse().unwrap())
        .collect();
    let index = |at: usize| {
        (0..ARMS)
            .find(|&k| (fields[at] - k as f64).abs() < 0.5)
            .unwrap()
    };
    let block = |at: usize| fields[3 + at * ARMS..3 + (at + 1) * ARMS].to_vec();
    Line {
        action: index(1),
        reward: fields[2],
        logged: block(0),
        softmax: block(1),
        q: block(2),
        greedy: index(3 + 3 * ARMS),
    }
}

fn target(policy: &str, line: &Line) -> Vec<f64> {
    let only = |arm: usize, share: f64| {
        let rest = (1.0 - share) / ARMS as f64;
        (0..ARMS)
            .map(|k| if k == arm { share + rest } else { rest })
            .collect()
    };
    match policy {
        "softmax0.05" => line.softmax.clone(),
        "eps_greedy0.1" => only(line.greedy, 0.9),
        "uniform" => only(0, 0.0),
        "always_3" => only(3, 1.0),
        other => panic!("no policy {other}"),
    }
}

fn rows(policy: &str) -> Vec<Row> {
    let parts = |(at, line): (usize, &Line)| RowParts {
        chosen: line.action,
        reward: line.reward,
        logged: line.logged.clone(),
        target: target(policy, line),
        baseline: Some(target("uniform", line)),
        q: Some(line.q.clone()),
        cluster: at as u64,
        sample_weight: 1.0,
    };
    lines()
        .iter()
        .enumerate()
        .map(|row| Row::new(parts(row)).unwrap())
        .collect()
}

/// Largest relative difference between an estimator's figures and those expected.
fn difference<E: Estimator + Default>(rows: &[Row], expected: &Value) -> f64 {
    // Parts merged in another order than they were pushed: the merge is under test too.
    let (mut first, mut second) = (E::default(), E::default());
    for (at, row) in rows.iter().enumerate() {
        if at % 3 == 0 {
            first.push(row);
        } else {
            second.push(row);
        }
    }
    second.merge(&first);
    let settings = EstimateSettings {
        minimum_effective: 10.0,
        ..EstimateSettings::default()
    };
    let estimate = second.finish(&settings).unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    [
        (estimate.value, number(&expected["value"])),
        (estimate.interval.lo, number(&expected["ci95"][0])),
        (estimate.interval.hi, number(&expected["ci95"][1])),
    ]
    .iter()
    .map(|(got, expected)| ((got - expected) / expected).abs())
    .fold(0.0, f64::max)
}

#[test]
fn estimates_and_intervals_match() {
    let expected: Value =
        serde_json::from_str(include_str!("../reference/ope_expected.json")).unwrap();
    for policy in ["softmax0.05", "eps_greedy0.1", "uniform", "always_3"] {
        let rows = rows(policy);
        let estimates = &expected["policies"][policy]["estimates"];
        for (name, worst) in [
            ("ips", difference::<Ips>(&rows, &estimates["ipw"])),
            ("snips", difference::<Snips>(&rows, &estimates["snipw"])),
            ("dr", difference::<Dr>(&rows, &estimates["dr"])),
        ] {
            assert!(worst < 1e-11, "{policy} {name}: {worst:e}");
        }
    }
}

#[test]
fn weight_diagnostics_match() {
    let expected: Value =
        serde_json::from_str(include_str!("../reference/ope_expected.json")).unwrap();
    for policy in ["softmax0.05", "eps_greedy0.1", "uniform", "always_3"] {
        let mut weights = Weights::default();
        for row in rows(policy) {
            weights.push(row.weight(), &row.parts().target, &row.parts().logged);
        }
        let summary = weights.summary().unwrap();
        let expected = &expected["policies"][policy]["weights"];
        for (got, name) in [
            (summary.mean, "mean"),
            (summary.largest, "max"),
            (summary.effective_sample_size, "ess"),
        ] {
            let expected = expected[name].as_f64().unwrap();
            assert!(
                ((got - expected) / expected).abs() < 1e-12,
                "{policy} {name}: {got} {expected}"
            );
        }
    }
}

#[test]
fn the_difference_is_that_of_the_two_values() {
    let settings = EstimateSettings {
        minimum_effective: 10.0,
        ..EstimateSettings::default()
    };
    let (mut ours, mut theirs, mut paired) =
        (Dr::default(), Dr::default(), DrDifference::default());
    for row in rows("softmax0.05") {
        ours.push(&row);
        paired.push(&row);
    }
    for row in rows("uniform") {
        theirs.push(&row);
    }
    let value = |estimator: &Dr| estimator.finish(&settings).unwrap().value;
    let difference = paired.finish(&settings).unwrap();
    assert!((difference.value - (value(&ours) - value(&theirs))).abs() < 1e-12);
    // Pairing must pay: narrower than errors of two independent logs would be.
    let error = |estimator: &Dr| estimator.finish(&settings).unwrap().standard_error;
    assert!(difference.standard_error < error(&ours).hypot(error(&theirs)));
}
