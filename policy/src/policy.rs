use crate::change::Change;
use crate::cover::Cover;
use crate::logistic::Logistic;
use crate::policies::{
    bootstrap, cover, epsilon_greedy, fixed, lin_ts, lin_ucb, rand_ucb, reg_cb, softmax, square_cb,
    uniform,
};
use crate::prior::Prior;
use crate::query::Query;
use crate::ridge::{Fitting, Ridge};
use crate::{
    Distribution, DrawKey, Event, Features, LinearModel, PolicyError, PolicySpec, RewardState,
    Rule, Snapshot, floor, share,
};

/// A policy, ready to decide: immutable, and with all systems solved.
///
/// Probabilities follow from the policy's spec, the state it was built from, the context, the
/// eligible arms and (for Thompson sampling) the key, and from nothing else.
#[derive(Debug, Clone)]
pub struct Policy {
    spec: PolicySpec,
    version: u64,
    learned: u64,
    /// What a unit of cost is worth in rewards; 0 without a budget.
    price: f64,
    ridge: Ridge,
    /// The same regression over what the replicates of a bootstrap count.
    replicates: Vec<Ridge>,
    /// What the arms are scored by in place of the ridge.
    model: Option<LinearModel>,
    /// What the latest decisions came to, for policies that need them one by one.
    latest: Latest,
}

/// Solutions over the latest decisions.
#[derive(Debug, Clone, Default)]
struct Latest {
    logistic: Option<Logistic>,
    cover: Option<Cover>,
    /// Events after which a policy that learns by itself solves them anew.
    solve_at: u64,
}

/// A decision: what every arm's probability was, and which was drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The probability of each eligible arm.
    pub distribution: Distribution,
    /// The index of the drawn one.
    pub chosen: usize,
    /// The policy could not score the arms, and all had the same probability. Nothing should be
    /// learned about the policy from such a decision, but its probabilities are true ones.
    pub degraded: bool,
}

impl Policy {
    /// Solves the ridge systems of a state: about d^3 / 6 multiply-adds for each arm.
    ///
    /// # Errors
    /// If the sums of an arm are not those of any set of events, or the state does not tell apart what the policy needs
    /// told apart (see [`PolicySpec::memory`]).
    pub fn build(
        spec: &PolicySpec,
        state: &RewardState,
        version: u64,
    ) -> Result<Self, PolicyError> {
        let widths = matches!(
            spec.rule,
            Rule::LinUcb { .. } | Rule::LinTs { .. } | Rule::RandUcb { .. } | Rule::RegCb { .. }
        );
        Self::from_ridges(spec, state, version, |fitting, prior| {
            Ridge::fit(state, fitting, prior, widths)
        })
    }

    fn from_ridges(
        spec: &PolicySpec,
        state: &RewardState,
        version: u64,
        fit: impl Fn(Fitting, Option<Prior>) -> Result<Ridge, PolicyError>,
    ) -> Result<Self, PolicyError> {
        if spec.rule.learns() && *state.memory() != spec.memory() {
            return Err(PolicyError::Memory(spec.to_string()));
        }
        let of = |replicate| Fitting {
            strength: spec.strength,
            change: spec.forgetting.change,
            replicate,
        };
        let ridge = fit(of(0), None)?;
        let replicates = 1..=spec.memory().replicates as usize;
        let replicates = replicates.map(|replicate| fit(of(replicate), Some(ridge.prior())));
        let mut policy = Self {
            version,
            learned: state.total(),
            price: spec.price(state),
            replicates: replicates.collect::<Result<_, _>>()?,
            ridge,
            spec: spec.clone(),
            model: None,
            latest: Latest::default(),
        };
        policy.solve_latest(state)?;
        Ok(policy)
    }

    /// Solves what rests on the latest decisions.
    fn solve_latest(&mut self, state: &RewardState) -> Result<(), PolicyError> {
        self.latest.solve_at = self.learned + (self.learned / 16).max(8);
        if self.spec.is_logistic {
            let logistic = Logistic::fit(state, self.spec.strength, self.ridge.mean())?;
            self.latest.logistic = Some(logistic);
        }
        if let Rule::Cover { size, psi } = self.spec.rule {
            let predict =
                |query: &Query<'_>| self.predictions(query, &self.ridge.places(query.arms));
            let cover = Cover::fit(state, size, psi, &self.ridge, predict)?;
            self.latest.cover = Some(cover);
        }
        Ok(())
    }

    /// The policy that a snapshot holds: by its reward model, where it has one.
    ///
    /// # Errors
    /// As [`Policy::build`].
    pub fn of_snapshot(snapshot: &Snapshot, version: u64) -> Result<Self, PolicyError> {
        let mut policy = Self::build(&snapshot.spec, &snapshot.state, version)?;
        policy.model.clone_from(&snapshot.model);
        Ok(policy)
    }

    /// A policy that learns by itself, one event at a time: for one thread that decides and learns, as a
    /// simulation does. It decides as [`Policy::build`] would after each event, up to rounding, but that the
    /// variance of the noise and a prior of `lambda=auto` are those of a while ago: they are taken anew whenever
    /// there are a third more events, and what rests on the latest decisions whenever there are a sixteenth more.
    ///
    /// # Errors
    /// As [`Policy::build`].
    pub fn online(
        spec: &PolicySpec,
        state: &RewardState,
        version: u64,
    ) -> Result<Self, PolicyError> {
        Self::from_ridges(spec, state, version, |fitting, prior| {
            Ridge::online(state, fitting, prior)
        })
    }

    /// Takes in the event that `state` has learned last, in about 3 d^2 multiply-adds: the arm was chosen in
    /// this context and earned this reward. A policy that was built is solved anew first.
    ///
    /// # Errors
    /// If the context has another dimension, or the sums of an arm are not those of any set of events.
    pub fn learn(
        &mut self,
        state: &RewardState,
        event: &Event<'_>,
        reward: f64,
    ) -> Result<(), PolicyError> {
        self.check(event.features)?;
        // One out of range, which has no place on the grid, was refused by the state.
        let reward = RewardState::reward_on_grid(reward).unwrap_or(reward);
        self.learned = self.ridge.learn(state, event, reward)?;
        for replicate in &mut self.replicates {
            replicate.learn(state, event, reward)?;
        }
        self.price = self.spec.price(state);
        if self.learned >= self.latest.solve_at {
            self.solve_latest(state)?;
        }
        Ok(())
    }

    /// The version given when it was built.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What the policy does.
    pub fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    /// The number of rewards the policy has learned from.
    pub fn learned(&self) -> u64 {
        self.learned
    }

    /// The changes that were found in the rewards of arms, if the policy looks for any.
    pub fn changes(&self) -> Vec<Change> {
        self.ridge.changes().found()
    }

    /// What a unit of cost is worth in rewards, under a budget; 0 without one, or while less than it is spent.
    pub fn price(&self) -> f64 {
        self.price
    }

    /// The reward expected of an arm in a context; near [0, 1], but not confined to it.
    ///
    /// # Errors
    /// If the context has another dimension.
    pub fn prediction(&self, features: &Features, arm: &str) -> Result<f64, PolicyError> {
        self.check(features)?;
        let arms = [arm];
        let query = Query::new(&arms, features.as_slice());
        Ok(self.predictions(&query, &self.ridge.places(&arms))[0])
    }

    /// The probability of every given arm, in the order given.
    ///
    /// Each is at least the floor (or 1/K for K arms, if that is less); for a live policy, all are
    /// positive, those of unknown arms too. Permuting the arms permutes the probabilities, up to
    /// rounding.
    ///
    /// # Errors
    /// If there is no arm, one stands twice, the context has another dimension, a score is not
    /// finite, or the policy is one of weights and no arm has one.
    pub fn distribution(
        &self,
        features: &Features,
        arms: &[&str],
        key: DrawKey,
    ) -> Result<Distribution, PolicyError> {
        let places = self.ridge.places(arms);
        check_arms(arms, &places)?;
        self.check(features)?;
        let query = Query::new(arms, features.as_slice());
        let mut probabilities = self.scores(&query, &places)?;
        self.weigh(&mut probabilities, &query, &places, key)?;
        floor::mix(&mut probabilities, self.spec.floor);
        if !self.spec.bounds.is_empty() {
            share::keep(&mut probabilities, arms, &self.spec.bounds, self.spec.floor);
        }
        Ok(Distribution::new(probabilities)?)
    }

    /// Computes the probabilities and draws one arm.
    ///
    /// Where the arms cannot be weighed (a score is not finite, no arm has a weight), the choice is
    /// uniform over them and marked as degraded: serving goes on.
    ///
    /// # Errors
    /// If there is no arm, one stands twice, or the context has another dimension.
    pub fn decide(
        &self,
        features: &Features,
        arms: &[&str],
        key: DrawKey,
    ) -> Result<Choice, PolicyError> {
        let (distribution, degraded) = match self.distribution(features, arms, key) {
            Ok(distribution) => (distribution, false),
            Err(error) if error.degrades() => (Distribution::uniform(arms.len())?, true),
            Err(error) => return Err(error),
        };
        Ok(Choice {
            chosen: distribution.sample(key),
            distribution,
            degraded,
        })
    }

    fn predictions(&self, query: &Query<'_>, places: &[Option<usize>]) -> Vec<f64> {
        match &self.model {
            Some(model) => {
                let arms = query.arms.iter();
                arms.map(|arm| model.prediction(arm, query.x)).collect()
            }
            None => match &self.latest.logistic {
                Some(logistic) => logistic.predictions(query),
                None => self.ridge.predictions(query, places),
            },
        }
    }

    /// Predicted rewards, where the rule needs them.
    fn scores(&self, query: &Query<'_>, places: &[Option<usize>]) -> Result<Vec<f64>, PolicyError> {
        if !self.spec.rule.learns() {
            return Ok(vec![0.0; query.arms.len()]);
        }
        let mut scores = self.predictions(query, places);
        self.charge(&mut scores, query.arms);
        for (arm, &score) in query.arms.iter().zip(&scores) {
            finite(arm, score)?;
        }
        Ok(scores)
    }

    /// Takes what the arms cost off their scores.
    fn charge(&self, scores: &mut [f64], arms: &[&str]) {
        if let Some(budget) = self.spec.budget.as_ref().filter(|_| self.price > 0.0) {
            for (score, arm) in scores.iter_mut().zip(arms) {
                *score -= self.price * budget.cost(arm);
            }
        }
    }

    /// From scores to probabilities, in place.
    fn weigh(
        &self,
        scores: &mut [f64],
        query: &Query<'_>,
        places: &[Option<usize>],
        key: DrawKey,
    ) -> Result<(), PolicyError> {
        let arms = query.arms;
        match &self.spec.rule {
            Rule::Uniform => uniform::probabilities(scores),
            Rule::Fixed { weights } => {
                if !fixed::probabilities(scores, arms, weights) {
                    return Err(PolicyError::NoWeight);
                }
            }
            Rule::EpsilonGreedy { epsilon } => epsilon_greedy::probabilities(scores, *epsilon),
            Rule::Bootstrap { .. } => {
                let of_replicate = |ridge: &Ridge| {
                    let mut scores = ridge.predictions(query, &ridge.places(arms));
                    self.charge(&mut scores, arms);
                    scores
                };
                let others: Vec<Vec<f64>> = self.replicates.iter().map(of_replicate).collect();
                bootstrap::probabilities(scores, others);
            }
            Rule::Cover { .. } => {
                let bonuses = self.latest.cover.iter();
                cover::probabilities(scores, bonuses.flat_map(|cover| cover.bonuses(query)));
            }
            Rule::Softmax { temperature } => softmax::probabilities(scores, *temperature),
            Rule::LinUcb { alpha } => {
                let widths = self.widths(query, places)?;
                lin_ucb::probabilities(scores, widths.into_iter(), *alpha);
            }
            Rule::LinTs { scale, draws } => {
                let widths = self.widths(query, places)?;
                lin_ts::probabilities(scores, &widths, arms, *scale, *draws, key);
            }
            Rule::RandUcb { scale } => {
                let mut widths = self.widths(query, places)?;
                // Those of a logistic regression have the unit of the reward already.
                let unit = match self.latest.logistic {
                    Some(_) => 1.0,
                    None => self.ridge.deviation(),
                };
                for width in &mut widths {
                    *width *= unit;
                }
                rand_ucb::probabilities(scores, &widths, *scale);
            }
            Rule::RegCb {
                mellowness,
                eliminates,
            } => {
                let widths = self.widths(query, places)?;
                let beta = reg_cb::beta(*mellowness, arms.len(), self.ridge.weight());
                if *eliminates {
                    reg_cb::elimination(scores, &widths, beta);
                } else {
                    reg_cb::optimistic(scores, &widths, beta);
                }
            }
            Rule::SquareCb { gamma } => {
                let gamma = square_cb::gamma(*gamma, arms.len(), self.ridge.weight());
                square_cb::probabilities(scores, gamma);
            }
        }
        Ok(())
    }

    fn widths(&self, query: &Query<'_>, places: &[Option<usize>]) -> Result<Vec<f64>, PolicyError> {
        let widths = match &self.latest.logistic {
            Some(logistic) => logistic.widths(query),
            None => self.ridge.widths(query, places),
        };
        for (arm, &width) in query.arms.iter().zip(&widths) {
            finite(arm, width)?;
        }
        Ok(widths)
    }

    fn check(&self, features: &Features) -> Result<(), PolicyError> {
        let (expected, actual) = (self.ridge.dimension(), features.dimension());
        if expected == actual {
            Ok(())
        } else {
            Err(PolicyError::Dimension { expected, actual })
        }
    }
}

fn finite(arm: &str, score: f64) -> Result<(), PolicyError> {
    if score.is_finite() {
        return Ok(());
    }
    Err(PolicyError::Score {
        arm: arm.to_owned(),
        score,
    })
}

/// Whether there is an arm, and none stands twice. Where two are known, their places tell.
fn check_arms(arms: &[&str], places: &[Option<usize>]) -> Result<(), PolicyError> {
    if arms.is_empty() {
        return Err(PolicyError::NoArms);
    }
    for (index, (arm, place)) in arms.iter().zip(places).enumerate() {
        let is_repeated = match place {
            Some(_) => places[..index].contains(place),
            None => arms[..index].contains(arm),
        };
        if is_repeated {
            return Err(PolicyError::RepeatedArm((*arm).to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeatureSchema;

    const KEY: DrawKey = DrawKey {
        seed: 1,
        decision: 1,
    };

    #[test]
    fn scores_that_are_not_finite_degrade_to_uniform() {
        // No checked constructor lets such a context through; a policy survives it all the same.
        let schema = FeatureSchema::default();
        let mut state = RewardState::new(&schema);
        let ones = Features::from_logged(vec![1.0; 64], &schema).unwrap();
        state.update(&Event::new("a", &ones), 1.0).unwrap();
        for bad in [f32::NAN, f32::INFINITY] {
            let features = Features(vec![bad; 64]);
            for spec in [
                "epsilon-greedy",
                "softmax",
                "linucb",
                "lints",
                "squarecb",
                "randucb",
            ] {
                let policy = Policy::build(&spec.parse().unwrap(), &state, 1).unwrap();
                let choice = policy.decide(&features, &["a", "b"], KEY).unwrap();
                assert!(choice.degraded, "{spec}");
                assert_eq!(choice.distribution.probabilities(), [0.5, 0.5]);
                let refused = policy.distribution(&features, &["a", "b"], KEY);
                assert!(matches!(refused, Err(PolicyError::Score { .. })));
            }
        }
    }

    #[test]
    fn weights_that_no_arm_has_degrade_to_uniform() {
        let schema = FeatureSchema::default();
        let features = Features::from_logged(vec![0.0; 64], &schema).unwrap();
        let spec = "always:gone".parse().unwrap();
        let policy = Policy::build(&spec, &RewardState::new(&schema), 1).unwrap();
        let refused = policy.distribution(&features, &["a", "b"], KEY);
        assert_eq!(refused, Err(PolicyError::NoWeight));
        assert!(policy.decide(&features, &["a", "b"], KEY).unwrap().degraded);
    }

    #[test]
    fn lists_of_arms_are_checked() {
        let schema = FeatureSchema::default();
        let features = Features::from_logged(vec![0.0; 64], &schema).unwrap();
        let state = RewardState::new(&schema);
        let policy = Policy::build(&"squarecb".parse().unwrap(), &state, 1).unwrap();
        assert_eq!(policy.decide(&features, &[], KEY), Err(PolicyError::NoArms));
        let twice = Err(PolicyError::RepeatedArm("a".to_owned()));
        assert_eq!(policy.decide(&features, &["a", "b", "a"], KEY), twice);
        let short = Features(vec![0.0; 3]);
        let wrong = PolicyError::Dimension {
            expected: 64,
            actual: 3,
        };
        assert_eq!(policy.decide(&short, &["a"], KEY), Err(wrong));
    }
}
