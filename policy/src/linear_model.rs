//! Reward models that were fitted in one go.

use std::collections::BTreeMap;

use crate::pattern::versioned;
use crate::{SnapshotError, bytes};

/// How a weighted sum of features becomes an expected reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// As it is.
    Identity,
    /// By the logistic function, into (0, 1).
    Logit,
}

impl Link {
    /// The expected reward that a weighted sum stands for.
    pub fn reward(self, sum: f64) -> f64 {
        match self {
            Self::Identity => sum,
            Self::Logit => 1.0 / (1.0 + libm::exp(-sum)),
        }
    }

    /// The weighted sum that stands for an expected reward; one of 0 or 1 is moved away from it a little.
    pub fn sum(self, reward: f64) -> f64 {
        match self {
            Self::Identity => reward,
            Self::Logit => {
                let inside = reward.clamp(1e-6, 1.0 - 1e-6);
                libm::log(inside / (1.0 - inside))
            }
        }
    }
}

/// Weights of each arm, fitted by [`training`](crate::training) on a part of a log: the expected reward of arm a in context x is
/// `link(intercept_a + x' weights_a)`.
///
/// A policy that has such a model decides by it and does not learn; what was learned since stays in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearModel {
    /// How it was fitted, in words such as `logistic:alpha=1`.
    pub recipe: String,
    /// First and last record of the log that it was fitted on.
    pub trained_on: (u64, u64),
    /// Rewards that it was fitted on.
    pub rows: u64,
    /// From the weighted sum to the reward.
    pub link: Link,
    /// The reward expected of an arm without weights, in [0, 1].
    pub mean: f64,
    /// Intercept and weights by arm.
    pub arms: BTreeMap<String, ArmWeights>,
}

/// The weights of one arm.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmWeights {
    /// What is added whatever the context.
    pub intercept: f64,
    /// One weight a feature.
    pub weights: Vec<f64>,
}

impl LinearModel {
    /// Whether every number is finite and every arm has `dimension` weights.
    pub fn fits(&self, dimension: usize) -> bool {
        let whole = |arm: &ArmWeights| {
            arm.weights.len() == dimension
                && arm.intercept.is_finite()
                && arm.weights.iter().all(|weight| weight.is_finite())
        };
        self.mean.is_finite() && self.arms.values().all(whole)
    }

    /// The expected reward of an arm; a version without weights has those of the newest version before it.
    pub(crate) fn prediction(&self, arm: &str, x: &[f32]) -> f64 {
        let Some(arm) = self.arms.get(arm).or_else(|| self.predecessor(arm)) else {
            return self.mean;
        };
        let products = x
            .iter()
            .zip(&arm.weights)
            .map(|(&x, weight)| f64::from(x) * weight);
        self.link.reward(arm.intercept + products.sum::<f64>())
    }

    fn predecessor(&self, arm: &str) -> Option<&ArmWeights> {
        let (name, version) = versioned(arm)?;
        let older = self.arms.iter().filter_map(|(id, weights)| {
            let (other, older) = versioned(id)?;
            (other == name && older < version).then_some((older, weights))
        });
        older
            .max_by_key(|(version, _)| *version)
            .map(|(_, weights)| weights)
    }

    pub(crate) fn write(&self, writer: &mut bytes::Writer) {
        writer.text(&self.recipe);
        writer.u64(self.trained_on.0);
        writer.u64(self.trained_on.1);
        writer.u64(self.rows);
        writer.u8(u8::from(self.link == Link::Logit));
        writer.f64s(&[self.mean]);
        writer.u64(self.arms.len() as u64);
        for (arm, ArmWeights { intercept, weights }) in &self.arms {
            writer.text(arm);
            writer.f64s(&[*intercept]);
            writer.f64s(weights);
        }
    }

    pub(crate) fn read(
        reader: &mut bytes::Reader<'_>,
        dimension: usize,
    ) -> Result<Self, SnapshotError> {
        let recipe = reader.text()?.to_owned();
        let trained_on = (reader.u64()?, reader.u64()?);
        let rows = reader.u64()?;
        let link = match reader.u8()? {
            0 => Link::Identity,
            1 => Link::Logit,
            _ => {
                return Err(SnapshotError::Malformed(
                    "the link of the reward model is unknown",
                ));
            }
        };
        let mean = reader.f64()?;
        let mut arms = BTreeMap::new();
        for _ in 0..reader.u64()? {
            let arm = reader.text()?.to_owned();
            let intercept = reader.f64()?;
            let weights = reader.f64s(dimension)?;
            if arms
                .insert(arm, ArmWeights { intercept, weights })
                .is_some()
            {
                return Err(SnapshotError::Malformed("an arm has weights twice"));
            }
        }
        let model = Self {
            recipe,
            trained_on,
            rows,
            link,
            mean,
            arms,
        };
        if model.fits(dimension) {
            Ok(model)
        } else {
            Err(SnapshotError::Number(
                "the weights of the reward model".to_owned(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_is_expected_to_earn_what_the_last_one_did() {
        let weights = |intercept: f64| ArmWeights {
            intercept,
            weights: vec![0.5],
        };
        let arms = [("a@1", 0.0), ("a@3", 1.0), ("b@1", 2.0)];
        let mut model = LinearModel {
            recipe: "linear".to_owned(),
            trained_on: (1, 2),
            rows: 2,
            link: Link::Identity,
            mean: 0.25,
            arms: arms
                .into_iter()
                .map(|(arm, i)| (arm.to_owned(), weights(i)))
                .collect(),
        };
        let at = |model: &LinearModel, arm: &str| model.prediction(arm, &[2.0]);
        assert_eq!(at(&model, "a@1"), 1.0);
        assert_eq!(at(&model, "a@2"), 1.0);
        assert_eq!(at(&model, "a@9"), 2.0);
        assert_eq!(at(&model, "c@1"), 0.25);
        model.link = Link::Logit;
        assert!((at(&model, "a@1") - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-15);
        assert!(model.fits(1) && !model.fits(2));
    }
}
