use crate::RewardState;
use crate::memory::Memory;
use crate::pattern::matches;

/// What decisions may cost on average, and what each arm costs.
///
/// Costs have any unit, the same for all; an arm without one is free.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Mean cost of a decision, at least 0.
    pub mean: f64,
    /// Cost of each arm, by name or id, at least 0; sorted by pattern, each pattern once.
    pub costs: Vec<(String, f64)>,
}

impl Budget {
    /// The cost of an arm: by its id before its name.
    pub(crate) fn cost(&self, arm: &str) -> f64 {
        let by = |is: &dyn Fn(&str) -> bool| {
            let found = self.costs.iter().find(|(pattern, _)| is(pattern));
            found.map(|(_, cost)| *cost)
        };
        by(&|pattern| pattern == arm)
            .or_else(|| by(&|pattern| matches(pattern, arm)))
            .unwrap_or(0.0)
    }

    /// What a unit of cost is worth in rewards: the dual variable of the budget (Agrawal and Devanur 2016, "Linear
    /// contextual bandits with knapsacks"), by dual averaging: with S the cost beyond the budget of all N decisions and
    /// c the greatest cost, `max(0, S) / (c^2 sqrt(1 + N))`.
    ///
    /// Where the budget binds, S grows as sqrt(N) until the price is right, so that the mean cost exceeds the budget
    /// by an amount that falls as 1 / sqrt(N). Like everything else the price follows from sums, those of the decisions
    /// by arm; where the policy forgets, old decisions count less here too.
    pub(crate) fn price(&self, state: &RewardState) -> f64 {
        let highest = self.costs.iter().fold(0.0_f64, |most, (_, c)| most.max(*c));
        if highest <= 0.0 {
            return 0.0;
        }
        let (mut beyond, mut decisions) = (0.0, 0.0);
        for (arm, ages) in state.ages() {
            let (cost, now) = (self.cost(arm), state.epoch(arm));
            for (part, kept) in ages.parts() {
                let counted = kept.decisions as f64 * Memory::weight(part.epoch, now);
                beyond += counted * (cost - self.mean);
                decisions += counted;
            }
        }
        beyond.max(0.0) / (highest * highest * (1.0 + decisions).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, FeatureSchema, Features, Memory};

    #[test]
    fn the_price_rises_with_what_was_spent_beyond_the_budget() {
        let budget = Budget {
            mean: 0.5,
            costs: vec![("big".to_owned(), 2.0), ("big@2".to_owned(), 1.0)],
        };
        assert_eq!(budget.cost("big@1"), 2.0);
        assert_eq!(budget.cost("big@2"), 1.0);
        assert_eq!(budget.cost("small@1"), 0.0);
        let schema = FeatureSchema {
            dimension: 1,
            version: 1,
        };
        let memory = Memory {
            counts_decisions: true,
            ..Memory::default()
        };
        let x = Features::from_logged(vec![1.0], &schema).unwrap();
        let mut state = RewardState::remembering(&schema, memory);
        assert_eq!(budget.price(&state), 0.0);
        for arm in ["small@1", "big@1", "big@1"] {
            state.decided(&Event::new(arm, &x)).unwrap();
        }
        // -0.5 + 1.5 + 1.5 beyond, divided by 2^2 sqrt(1 + 3).
        assert_eq!(budget.price(&state), 2.5 / 8.0);
        for _ in 0..5 {
            state.decided(&Event::new("small@1", &x)).unwrap();
        }
        assert_eq!(budget.price(&state), 0.0);
    }
}
