use std::collections::BTreeMap;

use crate::prior::Strength;
use crate::query::Query;
use crate::reward_state::Inheritance;
use crate::triangle::{Cholesky, packed_length};
use crate::widest::{Work, widest};
use crate::{Link, Memory, PolicyError, RewardState};

/// A logistic regression of the reward on the context for each arm, over the decisions that the state's window keeps.
///
/// The reward expected of arm a is `1 / (1 + exp(-(c + x' theta_a)))`, where c stands for the mean reward of all arms, so
/// that an arm nobody has tried is expected to earn it. `theta_a` is the maximum of the posterior under normal weights
/// about 0 of variance 1 / lambda, found by Newton's method (Hastie, Tibshirani, Friedman 2009, "The elements of
/// statistical learning", section 4.4.1), a reward of 0.3 counting as three tenths of a success. Its uncertainty is that
/// of Laplace's approximation (`MacKay` 1992, "The evidence framework applied to classification networks", section 2).
/// Old decisions count less where the policy forgets, and those of a predecessor as the lineage says.
#[derive(Debug, Clone)]
pub(crate) struct Logistic {
    arms: Vec<String>,
    models: Vec<Model>,
    centre: f64,
    lambda: f64,
}

#[derive(Debug, Clone)]
struct Model {
    theta: Vec<f64>,
    /// Of lambda I + sum p (1 - p) x x'.
    factor: Cholesky,
}

/// A decision of an arm: its features that are not zero, its reward, and how much it counts.
struct Counted {
    x: Vec<(usize, f64)>,
    reward: f64,
    weight: f64,
}

impl Logistic {
    /// Solves every arm: about n d^2 / 2 multiply-adds a step for n decisions, and seldom more than six steps.
    ///
    /// # Errors
    /// If the rewards of an arm are such as no reward can be.
    pub(crate) fn fit(
        state: &RewardState,
        strength: Strength,
        mean: f64,
    ) -> Result<Self, PolicyError> {
        let lambda = match strength {
            Strength::Fixed(lambda) => lambda,
            Strength::Auto => 1.0,
        };
        let centre = Link::Logit.sum(mean);
        let own = own_decisions(state);
        let mut logistic = Self {
            arms: Vec::new(),
            models: Vec::new(),
            centre,
            lambda,
        };
        for arm in in_force(state, &own) {
            let mut all: Vec<(&Counted, f64)> = Vec::new();
            let (mut of, mut widen) = (arm, 1.0);
            loop {
                let decisions = own.get(of).into_iter().flatten();
                all.extend(decisions.map(|decision| (decision, decision.weight / widen)));
                let Some(Inheritance { from, widen: more }) = state.lineage().get(of) else {
                    break;
                };
                of = from;
                widen *= more;
            }
            let model = widest(Newton {
                decisions: &all,
                centre,
                lambda,
                dimension: state.schema().dimension,
            });
            let model = model.ok_or_else(|| PolicyError::NotPositive(arm.to_owned()))?;
            logistic.arms.push(arm.to_owned());
            logistic.models.push(model);
        }
        Ok(logistic)
    }

    fn model(&self, arm: &str) -> Option<&Model> {
        let place = self.arms.binary_search_by(|known| known.as_str().cmp(arm));
        place.ok().map(|place| &self.models[place])
    }

    fn prediction(&self, model: Option<&Model>, query: &Query<'_>) -> f64 {
        let sum = model.map_or(0.0, |model| {
            let products = query.nonzero.iter();
            products
                .map(|&(place, x)| f64::from(x) * model.theta[place])
                .sum()
        });
        Link::Logit.reward(self.centre + sum)
    }

    /// The rewards expected of the arms.
    pub(crate) fn predictions(&self, query: &Query<'_>) -> Vec<f64> {
        let arms = query.arms.iter();
        arms.map(|arm| self.prediction(self.model(arm), query))
            .collect()
    }

    /// The deviation of each expected reward, in units of the reward.
    pub(crate) fn widths(&self, query: &Query<'_>) -> Vec<f64> {
        let width = |arm: &&str| {
            let model = self.model(arm);
            let p = self.prediction(model, query);
            let mut x: Vec<f64> = query.x.iter().map(|&x| f64::from(x)).collect();
            let squared: f64 = match model {
                Some(model) => {
                    model.factor.solve_half(&mut x);
                    x.iter().map(|x| x * x).sum()
                }
                None => x.iter().map(|x| x * x).sum::<f64>() / self.lambda,
            };
            p * (1.0 - p) * squared.sqrt()
        };
        query.arms.iter().map(width).collect()
    }
}

/// The decisions of each arm that have a reward and count.
fn own_decisions(state: &RewardState) -> BTreeMap<&str, Vec<Counted>> {
    let mut own: BTreeMap<&str, Vec<Counted>> = BTreeMap::new();
    for (at_ms, decision) in state.window().decisions() {
        let Some(reward) = decision.reward else {
            continue;
        };
        let arm = decision.arm.as_str();
        let epoch = state.memory().epoch(arm, at_ms);
        let weight = Memory::weight(epoch, state.epoch(arm));
        let x = decision.features.as_slice().iter().enumerate();
        let x = x.filter(|(_, x)| **x != 0.0);
        own.entry(arm).or_default().push(Counted {
            x: x.map(|(place, x)| (place, f64::from(*x))).collect(),
            reward,
            weight,
        });
    }
    own
}

/// The arms that have decisions or inherit, and are not retired, sorted.
fn in_force<'a>(state: &'a RewardState, own: &BTreeMap<&'a str, Vec<Counted>>) -> Vec<&'a str> {
    let heirs = state.lineage().keys().map(String::as_str);
    let mut arms: Vec<&str> = own.keys().copied().chain(heirs).collect();
    arms.retain(|arm| !state.is_retired(arm));
    arms.sort_unstable();
    arms.dedup();
    arms
}

struct Newton<'a> {
    decisions: &'a [(&'a Counted, f64)],
    centre: f64,
    lambda: f64,
    dimension: usize,
}

impl Newton<'_> {
    /// Minus the logarithm of the posterior, up to a constant.
    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    fn loss(&self, theta: &[f64]) -> f64 {
        let prior: f64 = theta.iter().map(|t| t * t).sum();
        let each = self.decisions.iter().map(|(decision, weight)| {
            let sum = self.sum(decision, theta);
            // ln(1 + e^s) - r s, without overflow.
            weight * (sum.max(0.0) + libm::log1p(libm::exp(-sum.abs())) - decision.reward * sum)
        });
        0.5 * self.lambda * prior + each.sum::<f64>()
    }

    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    fn sum(&self, decision: &Counted, theta: &[f64]) -> f64 {
        let products = decision.x.iter().map(|&(place, x)| x * theta[place]);
        self.centre + products.sum::<f64>()
    }

    /// The slope and, packed by columns, the curvature of the loss without the prior's.
    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    fn slope_and_curvature(&self, theta: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut slope: Vec<f64> = theta.iter().map(|t| self.lambda * t).collect();
        let mut curvature = vec![0.0; packed_length(self.dimension)];
        for (decision, weight) in self.decisions {
            let p = Link::Logit.reward(self.sum(decision, theta));
            let (off, bend) = (weight * (p - decision.reward), weight * p * (1.0 - p));
            for (at, &(j, xj)) in decision.x.iter().enumerate() {
                slope[j] += off * xj;
                let start = packed_length(j);
                let column = &mut curvature[start..=start + j];
                for &(i, xi) in &decision.x[..=at] {
                    column[i] += bend * xj * xi;
                }
            }
        }
        (slope, curvature)
    }
}

impl Work for Newton<'_> {
    type Output = Option<Model>;

    #[expect(clippy::inline_always, reason = "as the trait says")]
    #[inline(always)]
    fn run(self) -> Option<Model> {
        let mut theta = vec![0.0; self.dimension];
        let mut loss = self.loss(&theta);
        for _ in 0..STEPS_MOST {
            let (mut step, curvature) = self.slope_and_curvature(&theta);
            let factor = Cholesky::new(&curvature, self.lambda, self.dimension)?;
            factor.solve(&mut step);
            let largest = step.iter().fold(0.0_f64, |most, s| most.max(s.abs()));
            if largest < ENOUGH {
                // The last step has as many digits as there are.
                for (t, s) in theta.iter_mut().zip(&step) {
                    *t -= s;
                }
                return Some(Model { theta, factor });
            }
            // A step that leads too far is halved: the loss is convex, so that a short one always helps.
            let mut share = 1.0;
            loop {
                let next: Vec<f64> = theta
                    .iter()
                    .zip(&step)
                    .map(|(t, s)| t - share * s)
                    .collect();
                let after = self.loss(&next);
                if after <= loss || share < 1e-6 {
                    (theta, loss) = (next, after);
                    break;
                }
                share *= 0.5;
            }
        }
        let (_, curvature) = self.slope_and_curvature(&theta);
        let factor = Cholesky::new(&curvature, self.lambda, self.dimension)?;
        Some(Model { theta, factor })
    }
}

/// Newton's method doubles the digits with every step.
const STEPS_MOST: usize = 25;

/// A step after which no other is worth its while: the one after would be about its square.
const ENOUGH: f64 = 1e-7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, FeatureSchema, Features};

    const SCHEMA: FeatureSchema = FeatureSchema {
        dimension: 2,
        version: 1,
    };

    fn state(rows: &[([f32; 2], f64)]) -> RewardState {
        let memory = Memory {
            window: 1_000,
            ..Memory::default()
        };
        let mut state = RewardState::remembering(&SCHEMA, memory);
        for (id, (x, reward)) in (1..).zip(rows) {
            let x = Features::from_logged(x.to_vec(), &SCHEMA).unwrap();
            let event = Event::new("a@1", &x).with_id(id);
            state.update(&event, *reward).unwrap();
        }
        state
    }

    #[test]
    fn the_slope_of_the_posterior_is_zero_where_it_ends() {
        let rows = [
            ([1.0, 0.5], 1.0),
            ([1.0, -0.5], 0.0),
            ([1.0, 1.0], 0.75),
            ([0.5, 0.0], 0.25),
        ];
        let state = state(&rows);
        let fitted = Logistic::fit(&state, Strength::Fixed(0.3), 0.4).unwrap();
        let theta = &fitted.models[0].theta;
        for place in 0..2 {
            let mut slope = 0.3 * theta[place];
            for (x, reward) in &rows {
                let x = x.map(f64::from);
                let sum = fitted.centre + x[0] * theta[0] + x[1] * theta[1];
                slope += (1.0 / (1.0 + (-sum).exp()) - reward) * x[place];
            }
            assert!(slope.abs() < 1e-8, "{slope}");
        }
        let arms = ["a@1", "b@1"];
        let query = Query::new(&arms, &[1.0, 0.5]);
        let predictions = fitted.predictions(&query);
        assert!(predictions[0] > 0.5, "{predictions:?}");
        assert!(
            (predictions[1] - 0.4).abs() < 1e-12,
            "the mean reward of all"
        );
        let widths = fitted.widths(&query);
        // 0.4 times 0.6 times sqrt(1.25 / 0.3).
        assert!((widths[1] - 0.24 * (1.25_f64 / 0.3).sqrt()).abs() < 1e-12);
        assert!(widths[0] < widths[1], "{widths:?}");
    }

    #[test]
    fn rewards_that_never_fail_stay_within_bounds() {
        let rows: Vec<([f32; 2], f64)> = (0..400).map(|_| ([1.0, 1.0], 1.0)).collect();
        let fitted = Logistic::fit(&state(&rows), Strength::Fixed(1.0), 0.9).unwrap();
        let arms = ["a@1"];
        let query = Query::new(&arms, &[1.0, 1.0]);
        let prediction = fitted.predictions(&query)[0];
        assert!((0.97..1.0).contains(&prediction), "{prediction}");
        assert!(fitted.widths(&query)[0] > 0.0);
    }

    #[test]
    fn an_heir_starts_from_its_predecessor() {
        let rows: Vec<([f32; 2], f64)> = (0..100).map(|_| ([1.0, 0.0], 1.0)).collect();
        let mut state = state(&rows);
        state.inherit("a@1", "a@2", 4.0).unwrap();
        let fitted = Logistic::fit(&state, Strength::Fixed(1.0), 0.5).unwrap();
        let arms = ["a@1", "a@2", "b@1"];
        let query = Query::new(&arms, &[1.0, 0.0]);
        let predictions = fitted.predictions(&query);
        assert!(predictions.is_sorted_by(|a, b| a > b), "{predictions:?}");
        state.retire("a@1");
        let after = Logistic::fit(&state, Strength::Fixed(1.0), 0.5).unwrap();
        assert_eq!(after.arms, ["a@2"]);
        assert_eq!(after.predictions(&query)[1], predictions[1]);
    }
}
