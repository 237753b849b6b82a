use serde::{Deserialize, Serialize};

use crate::prior::Strength;
use crate::{Budget, Forgetting, Memory, RewardState, ShareBound, SpecError};

/// Which policy, with which parameters: read from and written as one line of text.
///
/// The text is the policy's name, a colon, and `key=value` pairs in any order; a key left out has
/// its default. Written out, every key stands in a fixed order, so that equal policies are equal
/// texts.
///
/// | text | keys of its own and their defaults |
/// |---|---|
/// | `uniform` | none |
/// | `fixed:ngram=0.7,file=0.3` | a weight per arm; `floor=0` |
/// | `always:ngram` | the arm; `floor=0` |
/// | `epsilon-greedy` | `epsilon=0.1` |
/// | `softmax` | `temperature=0.05` |
/// | `linucb` | `alpha=0.3` |
/// | `lints` | `scale=0.1`, `draws=64` |
/// | `squarecb` | `gamma=10` |
/// | `regcb-opt`, `regcb-elim` | `mellowness=0.01` |
/// | `bootstrap` | `replicates=8` |
/// | `cover` | `size=4`, `psi=0.1`, `window=1000` |
/// | `randucb` | `scale=1.3`; `floor=0.0005`, `lambda=auto` |
///
/// The last ten learn, and have `floor=0.05` and `lambda=1` besides, if nothing else is said: the least
/// probability of any arm, and the strength of the ridge. With `lambda=auto` the strength, and whether arms lean on
/// one another, is the one of a few under which what was learned is likeliest. The arms of `fixed` and `always` are
/// meant by name, in all their versions, or by a full id such as `ngram@2`.
///
/// Every policy takes bounds on an arm's share: `most:ngram@2=0.1` is the greatest probability that the arm gets,
/// `least:file=0.2` the least. What an arm may not have goes to the others in their ratio.
///
/// A policy that learns takes these besides:
///
/// | key | what it does |
/// |---|---|
/// | `halflife=7d` | an event counts half after this time, and nothing after eight such times; also `halflife:ARM=12h` |
/// | `change=0.01` | when an arm's rewards have changed, at this level of significance, what it earned before counts a tenth of what it has earned since; needs a half-life |
/// | `budget=0.5`, `cost:ARM=1` | what a decision may cost on average, and what each arm costs (nothing, if it is not said): scores are lowered by the cost times a price that rises while too much is spent |
/// | `model=logistic`, `window=2000` | rewards are expected by a logistic regression over so many of the latest decisions, in place of the ridge over all |
/// | `ipcw=client` | where rewards of one kind of client are seen less often, each counts for more |
///
/// The default is `randucb`. Its scale, and what `auto` chooses from, did well in the bake-off in `benches`; the
/// other defaults on simulated worlds of four and eight arms, over 500 to 5,000 decisions.
///
/// ```
/// use echo_policy::PolicySpec;
///
/// let spec: PolicySpec = "squarecb:floor=0.02".parse()?;
/// assert_eq!(spec.to_string(), "squarecb:gamma=10,floor=0.02,lambda=1");
/// # Ok::<(), echo_policy::SpecError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicySpec {
    pub(crate) rule: Rule,
    pub(crate) floor: f64,
    pub(crate) strength: Strength,
    /// Sorted by pattern, each pattern once.
    pub(crate) bounds: Vec<ShareBound>,
    pub(crate) forgetting: Forgetting,
    pub(crate) budget: Option<Budget>,
    pub(crate) weighs_censoring: bool,
    /// Whether rewards are expected by logistic regressions.
    pub(crate) is_logistic: bool,
    /// How many of the latest decisions it needs one by one.
    pub(crate) window: u32,
}

/// How scores become probabilities.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// All arms alike.
    Uniform,
    /// By given weights; `always` is one weight.
    Fixed {
        /// Patterns of arms and their weights, sorted, each pattern once.
        weights: Vec<(String, f64)>,
    },
    /// The best arm, and sometimes any.
    EpsilonGreedy {
        /// How often any arm, in [0, 1].
        epsilon: f64,
    },
    /// The better, the likelier.
    Softmax {
        /// The difference of rewards that makes a factor of e.
        temperature: f64,
    },
    /// The best arm in the best of plausible cases.
    LinUcb {
        /// Widths added to the score.
        alpha: f64,
    },
    /// As often as it would be best, for all that is known.
    LinTs {
        /// The deviation of the posterior, in widths.
        scale: f64,
        /// Draws from the posterior.
        draws: u32,
    },
    /// The best arm in the best of plausible cases, as plausible as chance says.
    RandUcb {
        /// The deviation of the widths added to the score.
        scale: f64,
    },
    /// The arm whose best plausible reward is highest, or all that may be the best.
    RegCb {
        /// How much loss is plausible, in squared rewards and units of ln(1 + K n).
        mellowness: f64,
        /// Whether all arms that may be the best share; else the most hopeful wins.
        eliminates: bool,
    },
    /// As often as it is best under regressions over resampled events.
    Bootstrap {
        /// Regressions, the one over all events among them.
        replicates: u32,
    },
    /// As often as greedy policies that were made to differ prefer it.
    Cover {
        /// Policies.
        size: u32,
        /// What an arm that the policies before never take is worth more, in rewards.
        psi: f64,
    },
    /// Inverse gap weighting.
    SquareCb {
        /// The constant of the schedule gamma = c sqrt(K (1 + n)).
        gamma: f64,
    },
}

impl PolicySpec {
    /// How scores become probabilities.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The least probability of any arm, in [0, 1].
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// The strength of the ridge.
    pub fn strength(&self) -> Strength {
        self.strength
    }

    /// The bounds on arms' shares, sorted by pattern.
    pub fn bounds(&self) -> &[ShareBound] {
        &self.bounds
    }

    /// How it forgets.
    pub fn forgetting(&self) -> &Forgetting {
        &self.forgetting
    }

    /// What decisions may cost, if that is bounded.
    pub fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    /// Whether rewards of kinds of clients of whom few are seen count for more.
    pub fn weighs_censoring(&self) -> bool {
        self.weighs_censoring
    }

    /// Whether rewards are expected by logistic regressions over the latest decisions.
    pub fn is_logistic(&self) -> bool {
        self.is_logistic
    }

    /// What a state must tell apart for this policy. Policies that do not learn take any state, and ask for a plain one.
    pub fn memory(&self) -> Memory {
        let replicates = match self.rule {
            Rule::Bootstrap { replicates } => replicates - 1,
            _ => 0,
        };
        Memory {
            half_life_ms: self.forgetting.half_life_ms,
            arms: self.forgetting.arms.clone(),
            replicates,
            by_stratum: self.weighs_censoring,
            counts_decisions: self.weighs_censoring || self.budget.is_some(),
            window: self.window,
        }
    }

    /// See [`Budget::price`]; 0 without a budget.
    pub(crate) fn price(&self, state: &RewardState) -> f64 {
        self.budget
            .as_ref()
            .map_or(0.0, |budget| budget.price(state))
    }

    /// The same policy with these bounds besides its own; a pattern that has one already gets the new one.
    #[must_use]
    pub fn bounded(mut self, bounds: impl IntoIterator<Item = ShareBound>) -> Self {
        for bound in bounds {
            self.bounds.retain(|own| own.pattern != bound.pattern);
            self.bounds.push(bound);
        }
        self.bounds.sort_by(|a, b| a.pattern.cmp(&b.pattern));
        self
    }

    /// The same policy without bounds.
    #[must_use]
    pub fn unbounded(mut self) -> Self {
        self.bounds.clear();
        self
    }

    /// Whether the policy may decide about live traffic.
    ///
    /// A log of decisions in which an arm had no chance says nothing about that arm: without a
    /// floor, a policy can be evaluated on a log, but must not write one. Uniform needs none.
    ///
    /// # Errors
    /// If the floor is 0.
    pub fn check_live(&self) -> Result<(), SpecError> {
        if self.floor > 0.0 || self.rule == Rule::Uniform {
            Ok(())
        } else {
            Err(SpecError::NoFloor(self.to_string()))
        }
    }
}

impl Default for PolicySpec {
    /// Randomised upper confidence bounds.
    fn default() -> Self {
        Self {
            rule: Rule::RandUcb { scale: 1.3 },
            floor: 0.0005,
            strength: Strength::Auto,
            bounds: Vec::new(),
            forgetting: Forgetting::default(),
            budget: None,
            weighs_censoring: false,
            is_logistic: false,
            window: 0,
        }
    }
}

impl Rule {
    /// Whether the probabilities depend on what was learned.
    pub fn learns(&self) -> bool {
        !matches!(self, Self::Uniform | Self::Fixed { .. })
    }
}
