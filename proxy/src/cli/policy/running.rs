//! The policy of a running server: shown, published, rolled back.

use std::fs;
use std::process::ExitCode;

use chrono::DateTime;
use serde_json::{Value, json};

use crate::cli::Outcome;
use crate::cli::admin::{Answered, Operator};

pub(super) fn status(policy: &Value, json: bool) {
    if json {
        println!("{policy}");
        return;
    }
    let text = |key: &str| policy[key].as_str().unwrap_or_default().to_owned();
    println!("version    {}", policy["version"]);
    println!("policy     {}", text("policy"));
    println!(
        "state      {}, {} rewards learned",
        if policy["learning"] == true {
            "learning"
        } else {
            "frozen"
        },
        policy["learned"]
    );
    println!("because    {}", text("reason"));
    println!("configured {}", text("configured"));
    if let Some(price) = policy["price"].as_f64() {
        println!("price      {price:.4} of reward for a unit of cost");
    }
    for change in policy["changes"].as_array().into_iter().flatten() {
        let since = change["since_ms"].as_i64().unwrap_or_default();
        let since = DateTime::from_timestamp_millis(since).unwrap_or_default();
        println!(
            "changed    {}: {:+.3} of reward since {} (p = {:.1e})",
            change["arm"].as_str().unwrap_or_default(),
            change["shift"].as_f64().unwrap_or_default(),
            since.format("%Y-%m-%d %H:%M:%S"),
            change["p_value"].as_f64().unwrap_or_default(),
        );
    }
    for before in policy["before"].as_array().into_iter().flatten() {
        println!("before     {}", before.as_str().unwrap_or_default());
    }
}

pub(super) fn publish(candidate: &str, force: bool, operator: &Operator) -> Outcome {
    let mut candidate = candidate.to_owned();
    if let Some(file) = candidate.strip_prefix("snapshot:") {
        let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        let kept = operator.send("/policy/snapshots", bytes)?;
        if !kept.done {
            return Err(format!("{file}: {}", kept.message()).into());
        }
        candidate = format!(
            "sha256:{}",
            kept.body["sha256"].as_str().unwrap_or_default()
        );
    }
    let body = json!({"candidate": candidate, "force": force});
    told(operator, &operator.post("/policy/publish", &body)?)
}

pub(super) fn told(operator: &Operator, answered: &Answered) -> Outcome {
    if operator.json {
        println!("{}", answered.body);
        return Ok(if answered.done {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    if !answered.done {
        return Err(answered.message().into());
    }
    let reason = answered.body["reason"].as_str().unwrap_or_default();
    println!("version {} decides: {reason}", answered.body["version"]);
    Ok(ExitCode::SUCCESS)
}
