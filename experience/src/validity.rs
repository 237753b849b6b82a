//! What a record must fulfil to be taken into the log.

use crate::error::LogError;
use crate::schema::v1::{Decision, Evidence, Record, Served, Verdict};

/// How far from one the probabilities of a decision may sum.
pub const PROBABILITY_TOLERANCE: f64 = 1e-6;

/// Checks that every number is finite and that a decision is a draw from a distribution.
pub(crate) fn check(record: &Record) -> Result<(), LogError> {
    match record {
        Record::Decision(decision) => check_decision(decision),
        Record::Served(served) => check_served(served),
        Record::Evidence(evidence) => check_evidence(evidence),
        Record::Event(_)
        | Record::PolicyPublished(_)
        | Record::ModelPublished(_)
        | Record::ConfigurationChanged(_) => Ok(()),
        Record::Verdict(verdict) => check_verdict(verdict),
    }
}

fn check_decision(decision: &Decision) -> Result<(), LogError> {
    if let Some(index) = decision
        .features
        .iter()
        .position(|feature| !feature.is_finite())
    {
        return Err(invalid(
            "features",
            format!("holds {} at {index}", decision.features[index]),
        ));
    }
    let (arms, probabilities) = (decision.arms.len(), &decision.probabilities);
    if probabilities.len() != arms {
        return Err(invalid(
            "probabilities",
            format!("has length {} for {arms} arms", probabilities.len()),
        ));
    }
    if let Some(p) = probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(invalid(
            "probabilities",
            format!("holds {p}, which is not in [0, 1]"),
        ));
    }
    let sum: f64 = probabilities.iter().sum();
    if (sum - 1.0).abs() > PROBABILITY_TOLERANCE {
        return Err(invalid("probabilities", format!("sums to {sum}, not to 1")));
    }
    if decision.chosen as usize >= arms {
        return Err(invalid(
            "chosen",
            format!("is {} of {arms} arms", decision.chosen),
        ));
    }
    Ok(())
}

fn check_served(served: &Served) -> Result<(), LogError> {
    if let Some(first) = served.first_byte_ms {
        finite("first_byte_ms", first)?;
    }
    finite("total_ms", served.total_ms)
}

fn check_verdict(verdict: &Verdict) -> Result<(), LogError> {
    for (field, value) in [
        ("difference", verdict.difference),
        ("lo", verdict.lo),
        ("hi", verdict.hi),
        ("level", Some(verdict.level)),
    ] {
        finite(field, value.unwrap_or(0.0))?;
    }
    Ok(())
}

fn check_evidence(evidence: &Evidence) -> Result<(), LogError> {
    finite("kept_share", evidence.kept_share)?;
    finite("edit_distance", evidence.edit_distance)
}

fn finite(field: &'static str, value: f64) -> Result<(), LogError> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(invalid(field, format!("is {value}")))
    }
}

fn invalid(field: &'static str, reason: String) -> LogError {
    LogError::Invalid { field, reason }
}
