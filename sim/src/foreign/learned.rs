use std::sync::Arc;

use echo_policy::{DrawKey, Event, FeatureSchema, Policy, PolicySpec, RewardState};

use super::layout::{Layout, Logged};
use super::reader::Source;
use super::rollout::rollout_rows;
use super::target::Target;
use crate::rollout::RolloutRow;

/// Makes targets ready that take something from the log itself: `best-fixed` becomes an arm, and a policy that learns its
/// probabilities for every row after the first half, from which it learned. The layout then begins there. Returns what was
/// taken, in whole sentences. Memory grows with the rows if there is such a target.
///
/// # Errors
/// In words: a row cannot be right, a policy cannot learn from these features, or no arm was drawn often enough.
pub(super) fn learn(source: &Source<'_>, layout: &mut Layout) -> Result<Vec<String>, String> {
    let targets = std::iter::once(&layout.target).chain(&layout.others);
    if !targets.into_iter().any(Target::learns) {
        return Ok(Vec::new());
    }
    if matches!(layout.logged, Logged::Unknown) {
        return Err("what learns from a log needs its logged probabilities".to_owned());
    }
    let rows = rollout_rows(source, layout)?;
    let (seen, unseen) = rows.split_at(rows.len() / 2);
    layout.from = seen.len() as u64 + 1;
    let mut notes = vec![format!(
        "Fitted on the first {} rows, evaluated on the rest.",
        seen.len()
    )];
    for target in std::iter::once(&mut layout.target).chain(&mut layout.others) {
        match target {
            Target::BestFixed => {
                let best = best_arm(seen, layout.arms.len())
                    .ok_or("no arm was drawn often enough to be called the best")?;
                let name = &layout.arms[best];
                notes.push(format!("best-fixed is {name}, by these rows."));
                *target = Target::Always(best);
            }
            Target::Spec(spec) => {
                let all = probabilities(spec, seen, unseen)
                    .map_err(|error| format!("{spec}: {error}"))?;
                *target = Target::Rows {
                    from: layout.from,
                    probabilities: Arc::new(all),
                };
            }
            _ => {}
        }
    }
    Ok(notes)
}

/// The arm that would have earned most, by self-normalised importance weights (Swaminathan and Joachims 2015); of equals
/// the first. One that was drawn fewer than [`DRAWS_LEAST`] times is not looked at.
fn best_arm(rows: &[RolloutRow], arms: usize) -> Option<usize> {
    let mut sums = vec![(0, 0.0, 0.0); arms];
    for row in rows {
        let (draws, weights, rewards) = &mut sums[row.chosen];
        *draws += 1;
        *weights += 1.0 / row.propensity;
        *rewards += row.reward / row.propensity;
    }
    let mut best: Option<(usize, f64)> = None;
    for (arm, (draws, weights, rewards)) in sums.into_iter().enumerate() {
        let value = rewards / weights;
        if draws >= DRAWS_LEAST && best.is_none_or(|(_, highest)| value > highest) {
            best = Some((arm, value));
        }
    }
    best.map(|(arm, _)| arm)
}

/// An arm that was drawn less often may be best by chance.
const DRAWS_LEAST: u64 = 30;

/// What a policy that learned from some rows makes of others: the probability of each arm, one row after the other.
fn probabilities(
    spec: &PolicySpec,
    seen: &[RolloutRow],
    unseen: &[RolloutRow],
) -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let Some(first) = unseen.first() else {
        return Ok(Vec::new());
    };
    let schema = FeatureSchema {
        dimension: first.features.dimension(),
        ..FeatureSchema::default()
    };
    let mut state = RewardState::remembering(&schema, spec.memory());
    for row in seen {
        let event = Event::new(&row.arms[row.chosen], &row.features)
            .with_id(u128::from(row.number))
            .at(row.at_ms);
        state.decided(&event)?;
        state.update(&event, row.reward)?;
    }
    let policy = Policy::build(spec, &state, 0)?;
    let names: Vec<&str> = first.arms.iter().map(String::as_str).collect();
    let mut all = Vec::with_capacity(unseen.len() * names.len());
    for row in unseen {
        let key = DrawKey {
            seed: 0,
            decision: u128::from(row.number),
        };
        let distribution = policy.distribution(&row.features, &names, key)?;
        all.extend_from_slice(distribution.probabilities());
    }
    Ok(all)
}
