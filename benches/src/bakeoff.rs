//! Policies on data sets whose every reward is known, one decision after the other: the protocol of Bietti,
//! Agarwal, Langford (2021), "A contextual bandit bake-off".
//!
//! In each round a policy sees a context, gives every arm a probability, one arm is drawn, and its reward alone is
//! learned. What is told is the mean reward of the drawn arms over all rounds from the first on (progressive
//! validation).

pub mod set;

use std::time::Instant;

use echo_policy::{DrawKey, Event, FeatureSchema, Policy, PolicySpec, RewardState, Standardiser};

use crate::error::DataError;
use set::Set;

/// One run of a policy over a set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// Mean reward of the arms drawn, in the set's own units.
    pub mean: f64,
    /// Mean reward in the last pass.
    pub last_pass: f64,
    /// What the arms drawn cost on average, as a share of the dearest; `None` where there are no prices.
    pub mean_cost: Option<f64>,
    /// Seconds that deciding and learning took.
    pub seconds: f64,
    /// Whether every probability of every round was positive and their sum 1 to 1e-9.
    pub are_probabilities_valid: bool,
}

/// How a policy meets a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Passes over the data, in the same order.
    pub passes: usize,
    /// Rewards come so many rounds late.
    pub delay: usize,
    /// Rewards come so many at a time; 1 for each by itself.
    pub batch: usize,
    /// Half-way through all rounds every arm turns into the next one, as models do that are replaced unsaid.
    pub drifts: bool,
    /// Seed of the order of rows, and of the draws; 0 leaves the rows in their order.
    pub order: u64,
}

/// Runs one policy over one set.
///
/// # Errors
/// If the set has no rows or an arm's sums cannot be solved.
pub fn run(set: &Set, spec: &PolicySpec, protocol: Protocol) -> Result<Run, DataError> {
    let fails = |error: &dyn std::fmt::Display| DataError(format!("{}: {error}", set.name));
    if set.contexts.is_empty() {
        return Err(fails(&"it has no rows"));
    }
    let names: Vec<String> = (0..set.arms()).map(arm_name).collect();
    let arms: Vec<&str> = names.iter().map(String::as_str).collect();
    let has_products = set.dimension() <= PRODUCTS_UP_TO;
    let mut standard = Standardiser::new(set.dimension(), has_products);
    let schema = FeatureSchema {
        dimension: standard.dimension(),
        ..FeatureSchema::default()
    };
    let mut state = RewardState::remembering(&schema, spec.memory());
    let mut policy = Policy::online(spec, &state, 1).map_err(|e| fails(&e))?;
    let all = set.rewards.iter().flatten();
    let (least, most) = all.fold((0.0_f64, 1.0_f64), |(least, most), &r| {
        (least.min(r), most.max(r))
    });
    let order = order(set.contexts.len(), protocol.order);
    let mut waiting = std::collections::VecDeque::new();
    let (mut sum, mut of_pass, mut cost, mut are_valid) = (0.0, 0.0, 0.0, true);
    let started = Instant::now();
    for pass in 0..protocol.passes {
        of_pass = 0.0;
        for (place, &row) in order.iter().enumerate() {
            let context = &set.contexts[row];
            standard.observe(context).map_err(|e| fails(&e))?;
            let features = standard.features(context).map_err(|e| fails(&e))?;
            let key = DrawKey {
                seed: protocol.order,
                decision: (pass * order.len() + place) as u128,
            };
            let choice = policy
                .decide(&features, &arms, key)
                .map_err(|e| fails(&e))?;
            let probabilities = choice.distribution.probabilities();
            let total: f64 = probabilities.iter().sum();
            are_valid &= !choice.degraded
                && (total - 1.0).abs() < 1e-9
                && probabilities.iter().all(|p| *p > 0.0);
            let round = pass * order.len() + place;
            let has_turned = protocol.drifts && 2 * round >= order.len() * protocol.passes;
            let behind = (choice.chosen + usize::from(has_turned)) % arms.len();
            let reward = set.rewards[row][behind];
            of_pass += reward;
            cost += set.costs.get(choice.chosen).copied().unwrap_or(0.0);
            let id = key.decision;
            let event = Event::new(arms[choice.chosen], &features).with_id(id);
            let decided = state.decided(&event.at(at_ms(round)));
            decided.map_err(|e| fails(&e))?;
            waiting.push_back((choice.chosen, features, reward, round));
            let due = if waiting.len() >= protocol.delay + protocol.batch {
                protocol.batch
            } else {
                0
            };
            for (chosen, features, reward, round) in waiting.drain(..due) {
                let reward = (reward - least) / (most - least);
                let event = Event::new(arms[chosen], &features);
                let event = event.with_id(round as u128).at(at_ms(round));
                state.update(&event, reward).map_err(|e| fails(&e))?;
                let learned = policy.learn(&state, &event, reward);
                learned.map_err(|e| fails(&e))?;
            }
        }
        sum += of_pass;
    }
    let rounds = order.len() as f64;
    Ok(Run {
        mean: sum / (rounds * protocol.passes as f64),
        last_pass: of_pass / rounds,
        mean_cost: (!set.costs.is_empty()).then(|| cost / (rounds * protocol.passes as f64)),
        seconds: started.elapsed().as_secs_f64(),
        are_probabilities_valid: are_valid,
    })
}

/// The id of an arm, by its place.
pub fn arm_name(arm: usize) -> String {
    format!("arm{arm:03}@1")
}

/// The policy with a budget: what a decision may cost on average, as a share of the dearest arm.
///
/// # Errors
/// If the set has no prices, or the policy takes no budget.
pub fn budgeted(set: &Set, spec: &PolicySpec, budget: f64) -> Result<PolicySpec, DataError> {
    let costs = set.costs.iter().enumerate();
    let costs: Vec<String> = costs
        .map(|(arm, cost)| format!("cost:{}={cost}", arm_name(arm)))
        .collect();
    format!("{spec},budget={budget},{}", costs.join(","))
        .parse()
        .map_err(|error| DataError(format!("{}: {spec} with a budget: {error}", set.name)))
}

/// A round is a second, for policies that forget.
fn at_ms(round: usize) -> i64 {
    i64::try_from(round)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000)
}

/// The rows in the order of a seed (Fisher and Yates), by the generator of Steele, Lea, Flood (2014),
/// "Fast splittable pseudorandom number generators".
fn order(rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    if seed == 0 {
        return order;
    }
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    for i in (1..rows).rev() {
        let bound = i as u128 + 1;
        let at = (u128::from(next()) * bound) >> 64;
        order.swap(i, usize::try_from(at).unwrap_or(i));
    }
    order
}

/// With so few numbers in a context, their products are features, too.
const PRODUCTS_UP_TO: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> Set {
        // The label is the sign of the first number, of any scale.
        let number = |row: usize| (row * 7919 % 101) as f64 * 1e4 - 5e5;
        Set {
            costs: Vec::new(),
            name: "signs".to_owned(),
            contexts: (0..600).map(|row| vec![number(row), 3.0]).collect(),
            rewards: (0..600)
                .map(|row| {
                    if number(row) > 0.0 {
                        vec![1.0, 0.0]
                    } else {
                        vec![0.0, 1.0]
                    }
                })
                .collect(),
            is_labelled: true,
        }
    }

    #[test]
    fn a_policy_learns_what_can_be_learned_and_a_run_repeats() {
        let protocol = Protocol {
            passes: 1,
            delay: 0,
            batch: 1,
            drifts: false,
            order: 3,
        };
        let learned = run(&set(), &"squarecb:floor=0.01".parse().unwrap(), protocol).unwrap();
        let again = run(&set(), &"squarecb:floor=0.01".parse().unwrap(), protocol).unwrap();
        let uniform = run(&set(), &"uniform".parse().unwrap(), protocol).unwrap();
        assert!(
            learned.mean > 0.85 && (0.4..0.6).contains(&uniform.mean),
            "{learned:?} {uniform:?}"
        );
        assert!(learned.are_probabilities_valid && learned.mean == again.mean);
        let late = run(
            &set(),
            &"squarecb:floor=0.01".parse().unwrap(),
            Protocol {
                delay: 200,
                ..protocol
            },
        );
        assert!(late.unwrap().mean < learned.mean);
        let spec = "squarecb:floor=0.01".parse().unwrap();
        let at_once = run(
            &set(),
            &spec,
            Protocol {
                batch: 200,
                ..protocol
            },
        )
        .unwrap();
        assert!(at_once.mean < learned.mean && at_once.mean > uniform.mean);
        let turned = run(
            &set(),
            &spec,
            Protocol {
                drifts: true,
                ..protocol
            },
        )
        .unwrap();
        assert!(
            turned.mean < learned.mean - 0.2,
            "what was learned is wrong from half-way on"
        );
    }
}
