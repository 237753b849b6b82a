use crate::error::RowError;

/// One logged decision as the estimators see it.
///
/// `logged`, `target`, `baseline` and `q` have one entry per eligible arm, in the same order.
#[derive(Clone, Debug, PartialEq)]
pub struct RowParts {
    /// Index of the arm that was served.
    pub chosen: usize,
    /// Reward of the decision, in [0, 1].
    pub reward: f64,
    /// Probability of every arm when the decision was made; sums to 1.
    pub logged: Vec<f64>,
    /// Probability of every arm under the policy to be evaluated; sums to 1.
    pub target: Vec<f64>,
    /// Probability of every arm under a policy to compare with; sums to 1.
    pub baseline: Option<Vec<f64>>,
    /// Predicted reward of every arm, made without this row; needed by doubly robust estimators.
    pub q: Option<Vec<f64>>,
    /// Rows with the same number belong to the same user.
    pub cluster: u64,
    /// For how many rows this one stands: 1, unless rewards are weighed against censoring. On average 1.
    pub sample_weight: f64,
}

/// A checked [`RowParts`]: what the estimators accept.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(RowParts);

impl Row {
    /// Checks lengths, ranges and sums.
    ///
    /// # Errors
    /// [`RowError`], naming the first thing that is wrong.
    pub fn new(parts: RowParts) -> Result<Self, RowError> {
        let arms = parts.logged.len();
        if parts.chosen >= arms {
            return Err(RowError::Chosen {
                chosen: parts.chosen,
                arms,
            });
        }
        if !(0.0..=1.0).contains(&parts.reward) {
            return Err(RowError::Reward {
                reward: parts.reward,
            });
        }
        distribution("logged", &parts.logged, arms)?;
        distribution("target", &parts.target, arms)?;
        if let Some(baseline) = &parts.baseline {
            distribution("baseline", baseline, arms)?;
        }
        if let Some(q) = &parts.q {
            predictions(q, arms)?;
        }
        if !(parts.sample_weight.is_finite() && parts.sample_weight > 0.0) {
            return Err(RowError::SampleWeight {
                weight: parts.sample_weight,
            });
        }
        if parts.logged[parts.chosen] <= 0.0 {
            return Err(RowError::Propensity {
                propensity: parts.logged[parts.chosen],
            });
        }
        Ok(Self(parts))
    }

    /// The parts, all valid.
    pub fn parts(&self) -> &RowParts {
        &self.0
    }

    /// Reward, in [0, 1].
    pub fn reward(&self) -> f64 {
        self.0.reward
    }

    /// Probability of the chosen arm when the decision was made, in (0, 1].
    pub fn propensity(&self) -> f64 {
        self.0.logged[self.0.chosen]
    }

    /// Importance weight of the target policy: its probability of the chosen arm over the logged one, times the weight of
    /// the row.
    pub fn weight(&self) -> f64 {
        self.0.target[self.0.chosen] / self.propensity() * self.0.sample_weight
    }

    /// Importance weight of the baseline policy, if there is one.
    pub fn baseline_weight(&self) -> Option<f64> {
        let baseline = self.0.baseline.as_ref()?;
        Some(baseline[self.0.chosen] / self.propensity() * self.0.sample_weight)
    }
}

/// Probability mass of `policy` on arms that the log could have chosen, in [0, 1].
pub(crate) fn supported_mass(policy: &[f64], logged: &[f64]) -> f64 {
    policy
        .iter()
        .zip(logged)
        .map(|(p, l)| if *l > 0.0 { *p } else { 0.0 })
        .sum()
}

fn distribution(name: &'static str, values: &[f64], arms: usize) -> Result<(), RowError> {
    if values.len() != arms {
        return Err(RowError::Length {
            name,
            length: values.len(),
            arms,
        });
    }
    if let Some(&value) = values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(RowError::Probability { name, value });
    }
    let sum: f64 = values.iter().sum();
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(RowError::Sum { name, sum });
    }
    Ok(())
}

fn predictions(q: &[f64], arms: usize) -> Result<(), RowError> {
    if q.len() != arms {
        return Err(RowError::Length {
            name: "q",
            length: q.len(),
            arms,
        });
    }
    match q.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(RowError::Prediction { value }),
        None => Ok(()),
    }
}

/// How far a sum of probabilities may be from 1: logs written with nine digits stay valid.
const SUM_TOLERANCE: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> RowParts {
        RowParts {
            chosen: 1,
            reward: 0.5,
            logged: vec![0.75, 0.25],
            target: vec![0.0, 1.0],
            baseline: Some(vec![0.5, 0.5]),
            q: Some(vec![0.2, 0.4]),
            cluster: 7,
            sample_weight: 1.0,
        }
    }

    #[test]
    fn weights_are_ratios_of_probabilities() {
        let row = Row::new(good()).unwrap();
        assert!((row.weight() - 4.0).abs() < 1e-15);
        assert!((row.baseline_weight().unwrap() - 2.0).abs() < 1e-15);
    }

    #[test]
    fn each_fault_is_named() {
        let check = |change: fn(&mut RowParts), words: &str| {
            let mut parts = good();
            change(&mut parts);
            let message = Row::new(parts).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        };
        check(|p| p.chosen = 2, "chosen arm 2 of 2");
        check(|p| p.reward = 1.5, "reward 1.5");
        check(|p| p.reward = f64::NAN, "reward NaN");
        check(|p| p.logged = vec![1.0, 0.0], "propensity 0");
        check(|p| p.logged = vec![0.5, 0.4], "logged");
        check(|p| p.target = vec![1.0], "target");
        check(|p| p.target = vec![-0.5, 1.5], "-0.5");
        check(|p| p.baseline = Some(vec![0.5, f64::NAN]), "baseline");
        check(|p| p.q = Some(vec![0.1, f64::INFINITY]), "inf");
        check(|p| p.q = Some(vec![0.1]), "q");
        check(
            |p| {
                p.logged = vec![];
                p.target = vec![];
            },
            "chosen arm 1 of 0",
        );
    }
}
