use std::fmt;
use std::str::FromStr;

use crate::{Link, TrainingError};

/// A kind of regression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Ridge regression of the reward.
    Linear,
    /// Regression of the reward with both an absolute and a squared penalty (Zou and Hastie 2005), half of each.
    ElasticNet,
    /// Logistic regression with a squared penalty.
    Logistic,
    /// Logistic regression, one row after the other, by "follow the regularised leader" (`McMahan` et al. 2013).
    Ftrl,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Linear, Self::ElasticNet, Self::Logistic, Self::Ftrl];

    /// The name that recipes carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::ElasticNet => "elastic-net",
            Self::Logistic => "logistic",
            Self::Ftrl => "ftrl",
        }
    }

    /// Whether it models the chance of a label.
    pub fn is_logistic(self) -> bool {
        matches!(self, Self::Logistic | Self::Ftrl)
    }

    /// From its weighted sum to a reward.
    pub fn link(self) -> Link {
        if self.is_logistic() {
            Link::Logit
        } else {
            Link::Identity
        }
    }

    /// The penalties that cross-validation chooses from. Those of ridge and logistic regression stand beside sums over
    /// rows, that of the elastic net beside a mean, and that of FTRL is one over the learning rate.
    pub(super) fn penalties(self) -> &'static [f64] {
        match self {
            Self::Linear | Self::Logistic => &[0.1, 1.0, 10.0, 100.0],
            Self::ElasticNet => &[0.000_03, 0.000_3, 0.003, 0.03],
            Self::Ftrl => &[1.0, 3.0, 10.0, 30.0],
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is fitted: a family, and its penalty if that is not to be chosen by cross-validation. As text `logistic` or
/// `logistic:penalty=10`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// The kind of regression.
    pub family: Family,
    /// Its penalty, above 0.
    pub penalty: Option<f64>,
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.family)?;
        match self.penalty {
            Some(penalty) => write!(f, ":penalty={penalty}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Recipe {
    type Err = TrainingError;

    fn from_str(text: &str) -> Result<Self, TrainingError> {
        let refused = || TrainingError::Recipe(text.to_owned());
        let (name, rest) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        let family = Family::ALL
            .into_iter()
            .find(|family| family.as_str() == name);
        let penalty = if rest.is_empty() {
            None
        } else {
            let number = rest
                .strip_prefix("penalty=")
                .and_then(|number| number.parse::<f64>().ok());
            let number = number.filter(|number| *number > 0.0 && *number <= 1e6);
            Some(number.ok_or_else(refused)?)
        };
        Ok(Self {
            family: family.ok_or_else(refused)?,
            penalty,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_read_back_and_bad_ones_say_what_is_possible() {
        for text in [
            "linear",
            "elastic-net:penalty=0.01",
            "logistic:penalty=10",
            "ftrl",
        ] {
            assert_eq!(text.parse::<Recipe>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "forest",
            "linear:alpha=1",
            "linear:penalty=0",
            "linear:penalty=x",
        ] {
            let message = text.parse::<Recipe>().unwrap_err().to_string();
            assert!(
                message.contains("elastic-net") && message.contains("penalty="),
                "{message}"
            );
        }
    }
}
