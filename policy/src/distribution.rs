use crate::DistributionError;

/// A probability for each of the arms, in the order in which they were given.
///
/// Every value is finite and at least 0, and they sum to 1 within [`Distribution::TOLERANCE`].
/// They are used exactly as given: the logged probability is the sampling probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution(Vec<f64>);

impl Distribution {
    /// How far from 1 the sum may lie, which allows for rounding and no more.
    pub const TOLERANCE: f64 = 1e-9;

    /// Takes probabilities as they are.
    ///
    /// # Errors
    /// If there are none, one is negative or not finite, or they do not sum to 1.
    pub fn new(probabilities: Vec<f64>) -> Result<Self, DistributionError> {
        if probabilities.is_empty() {
            return Err(DistributionError::Empty);
        }
        for (index, &value) in probabilities.iter().enumerate() {
            if !value.is_finite() || value < 0.0 {
                return Err(DistributionError::Value { index, value });
            }
        }
        let sum: f64 = probabilities.iter().sum();
        if (sum - 1.0).abs() > Self::TOLERANCE {
            return Err(DistributionError::Sum(sum));
        }
        Ok(Self(probabilities))
    }

    /// The same probability for each of `arms` arms.
    ///
    /// # Errors
    /// If `arms` is 0.
    pub fn uniform(arms: usize) -> Result<Self, DistributionError> {
        Self::new(vec![1.0 / arms as f64; arms])
    }

    /// The probabilities, one for each arm.
    pub fn probabilities(&self) -> &[f64] {
        &self.0
    }

    /// How many arms there are, at least one.
    #[expect(clippy::len_without_is_empty, reason = "a distribution is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_distributions_are_taken() {
        let nan = Distribution::new(vec![0.5, f64::NAN]);
        assert!(matches!(
            nan,
            Err(DistributionError::Value { index: 1, .. })
        ));
        for (values, error) in [
            (vec![], DistributionError::Empty),
            (
                vec![1.5, -0.5],
                DistributionError::Value {
                    index: 1,
                    value: -0.5,
                },
            ),
            (
                vec![f64::INFINITY],
                DistributionError::Value {
                    index: 0,
                    value: f64::INFINITY,
                },
            ),
            (vec![0.5, 0.25], DistributionError::Sum(0.75)),
        ] {
            assert_eq!(Distribution::new(values), Err(error));
        }
        let kept = vec![1.0 / 3.0 + 1e-11, 1.0 / 3.0, 1.0 / 3.0];
        assert_eq!(
            Distribution::new(kept.clone()).map(|d| d.probabilities().to_vec()),
            Ok(kept)
        );
        assert_eq!(Distribution::uniform(0), Err(DistributionError::Empty));
    }
}
