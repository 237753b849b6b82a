//! Many policies on the same rows.

use std::path::Path;
use std::process::ExitCode;

use echo_sim::estimators::Value;
use echo_sim::{Comparison, Estimate, EvaluationSettings, Interval, Target, compare};

use super::estimators;
use crate::cli::{Outcome, at_work};
use crate::table::table;

pub(super) fn run(
    path: &Path,
    targets: &[Target],
    settings: &EvaluationSettings,
    shown: &estimators::Arguments,
    json: bool,
) -> Outcome {
    let comparison = at_work("reading the log", || compare(path, targets, settings))?;
    let drawn: Vec<Value> = comparison
        .policies
        .iter()
        .map(|policy| Value {
            estimator: policy.target.clone(),
            value: policy.value.value,
            standard_error: policy.value.standard_error,
            interval: wider(&policy.value),
            guarantee: "simultaneous",
            by_user: policy.value.by_user,
            anytime: None,
            bootstrap: None,
            chosen: None,
            warning: None,
        })
        .collect();
    shown.draw("policies compared, doubly robust", &drawn)?;
    if json {
        println!("{}", serde_json::to_string(&comparison)?);
    } else {
        print(&comparison);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(comparison: &Comparison) {
    println!(
        "rows     {} of {} decisions, {} users",
        comparison.rows.rows, comparison.rows.decisions, comparison.users
    );
    for (reason, count) in &comparison.rows.excluded {
        println!("         {count} left out: {reason}");
    }
    let rows = comparison.policies.iter().map(|policy| {
        let difference = policy.difference.as_ref();
        vec![
            policy.target.clone(),
            format!("{:.4}", policy.value.value),
            interval(wider(&policy.value), ""),
            format!("{:.0}", policy.value.effective_sample_size),
            difference.map_or("-".to_owned(), |difference| {
                format!("{:+.4}", difference.value)
            }),
            difference.map_or("-".to_owned(), |difference| {
                interval(wider(difference), "+")
            }),
        ]
    });
    let header = vec![
        "policy",
        "value",
        "interval",
        "effective rows",
        "minus the first",
        "interval",
    ];
    println!("\n{}\n", table(header, rows));
    println!(
        "Doubly robust. All {} intervals hold together at {:.0} % (Bonferroni); each is the wider of those by row and by user.",
        comparison.intervals,
        100.0 * comparison.level
    );
    if comparison.optimistic {
        println!(
            "Optimistic: a policy was evaluated on rows that it has learned from. Evaluate with a split."
        );
    }
}

/// The wider of the intervals by row and by user.
fn wider(estimate: &Estimate) -> Interval {
    let by_user = estimate.by_user.map(|by_user| by_user.interval);
    by_user
        .filter(|by| by.hi - by.lo > estimate.interval.hi - estimate.interval.lo)
        .unwrap_or(estimate.interval)
}

fn interval(interval: Interval, sign: &str) -> String {
    if sign.is_empty() {
        format!("[{:.4}, {:.4}]", interval.lo, interval.hi)
    } else {
        format!("[{:+.4}, {:+.4}]", interval.lo, interval.hi)
    }
}
