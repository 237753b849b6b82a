use std::collections::BTreeMap;
use std::path::Path;

use super::columns::{ColumnMap, expand, spread_out};
use super::reader::{Batch, Column};
use super::regression::Context;
use super::target::Target;

/// Columns that are to be read, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) names: Vec<String>,
    pub(crate) texts: Vec<String>,
}

impl Wanted {
    /// The place of a column of numbers among those read.
    pub(crate) fn number(&mut self, name: &str) -> usize {
        if let Some(place) = self.names.iter().position(|known| known == name) {
            return place;
        }
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    /// The place of a column that is read as text.
    pub(crate) fn text(&mut self, name: &str) -> usize {
        if !self.texts.iter().any(|known| known == name) {
            self.texts.push(name.to_owned());
        }
        self.number(name)
    }
}

/// Where everything stands in the rows that are read.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) wanted: Wanted,
    pub(crate) arms: Vec<String>,
    pub(crate) target: Target,
    /// Policies to compare with it.
    pub(crate) others: Vec<Target>,
    pub(crate) logged: Logged,
    /// The first row that is evaluated, from 1: those before it are learned from.
    pub(crate) from: u64,
    pub(crate) predictions: Option<Vec<usize>>,
    pub(crate) position: Option<usize>,
    pub(crate) user: Option<usize>,
    epoch: Option<usize>,
    /// Columns of numbers and of texts that predict the reward.
    pub(crate) features: Vec<usize>,
    pub(crate) categories: Vec<usize>,
    action: usize,
    reward: usize,
    range: [f64; 2],
    places: BTreeMap<String, usize>,
}

/// What is known of the policy that wrote the log.
#[derive(Clone, Debug)]
pub(crate) enum Logged {
    /// A column for each arm.
    All(Vec<usize>),
    /// The probability of the arm served alone.
    Served(usize),
    /// Nothing: weights are estimated.
    Unknown,
}

impl Layout {
    pub(crate) fn new(
        map: &ColumnMap,
        folder: &Path,
        targets: &[&str],
        header: &[String],
        with_predictions: bool,
    ) -> Result<Self, String> {
        let range = map.range()?;
        let mut wanted = Wanted::default();
        let action = wanted.text(&map.action);
        let reward = wanted.number(&map.reward);
        let given = map.arms.as_ref().map(super::columns::Arms::names);
        let pattern = map.logged.as_ref().or(map.predictions.as_ref());
        let arms = match (given, pattern) {
            (Some(arms), _) => arms,
            (None, Some(pattern)) => {
                let named = expand(pattern, None, header)?;
                named.into_iter().map(|(arm, _)| arm).collect()
            }
            (None, None) => {
                return Err("say in `arms` how many arms there are, or their names".to_owned());
            }
        };
        if arms.is_empty() {
            return Err("there are no arms".to_owned());
        }
        let of_arms = |pattern: &str, wanted: &mut Wanted| -> Result<Vec<usize>, String> {
            let named = expand(pattern, Some(&arms), header)?;
            Ok(named
                .iter()
                .map(|(_, column)| wanted.number(column))
                .collect())
        };
        let logged = match (&map.logged, &map.propensity) {
            (Some(_), _) | (_, Some(_)) if map.balanced => {
                return Err(
                    "`balanced` is for logs whose probabilities are not known, and these are given"
                        .to_owned(),
                );
            }
            (Some(pattern), None) => Logged::All(of_arms(pattern, &mut wanted)?),
            (None, Some(column)) => Logged::Served(wanted.number(column)),
            (Some(_), Some(_)) => {
                return Err("give one of `logged` and `propensity`, not both".to_owned());
            }
            (None, None) if map.balanced => Logged::Unknown,
            (None, None) => {
                return Err("the logged probabilities are needed: columns of all arms in `logged`, or that of the arm \
                            served in `propensity`; or `balanced = true`, which estimates weights, with all that the arms \
                            were chosen by in `features` and `categories`"
                    .to_owned());
            }
        };
        let predictions = match &map.predictions {
            Some(pattern) if with_predictions => Some(of_arms(pattern, &mut wanted)?),
            _ => None,
        };
        let position = map.position.as_ref().map(|column| wanted.number(column));
        let epoch = map.epoch.as_ref().map(|column| wanted.number(column));
        let user = map.user.as_ref().map(|column| wanted.text(column));
        let features = spread_out(&map.features, &map.categories, header)?;
        let features = features.iter().map(|name| wanted.number(name)).collect();
        let categories = spread_out(&map.categories, &[], header)?;
        let categories = categories.iter().map(|name| wanted.text(name)).collect();
        let mut found = Vec::new();
        for target in targets {
            let target = Target::find(target, map, folder, &arms, header, &mut wanted)?;
            if matches!(target, Target::Logged) && !matches!(logged, Logged::All(_)) {
                return Err(
                    "the target `logged` needs the logged probabilities of all arms".to_owned(),
                );
            }
            found.push(target);
        }
        let mut found = found.into_iter();
        let target = found.next().ok_or("there is no target")?;
        let others = found.collect();
        let places = arms
            .iter()
            .enumerate()
            .map(|(place, arm)| (arm.clone(), place))
            .collect();
        Ok(Self {
            wanted,
            arms,
            target,
            others,
            logged,
            from: 1,
            predictions,
            position,
            user,
            epoch,
            features,
            categories,
            action,
            reward,
            range,
            places,
        })
    }

    /// An error in one cell.
    pub(crate) fn fault(&self, batch: &Batch, row: usize, column: usize, what: &str) -> String {
        format!(
            "row {}, column {:?}: {what}",
            batch.first + row as u64,
            self.wanted.names[column]
        )
    }

    /// The arm that a cell names, by name or by place.
    pub(crate) fn arm(&self, batch: &Batch, row: usize, column: usize) -> Result<usize, String> {
        let Column::Texts(texts) = &batch.columns[column] else {
            return Err(self.fault(batch, row, column, "it was not read as text"));
        };
        let text = texts[row].trim();
        if let Some(place) = self.places.get(text) {
            return Ok(*place);
        }
        // A whole number may be written with a point.
        let whole = text.strip_suffix(".0").unwrap_or(text);
        let place = self.places.get(whole).copied();
        let place = place.or_else(|| whole.parse().ok().filter(|place| *place < self.arms.len()));
        place.ok_or_else(|| {
            let what = format!("{text:?} is none of the {} arms", self.arms.len());
            self.fault(batch, row, column, &what)
        })
    }

    /// What predicts a row's reward.
    pub(crate) fn context(&self, batch: &Batch, row: usize) -> Result<Context, String> {
        let mut numbers = Vec::with_capacity(self.features.len());
        for column in &self.features {
            let value = batch.columns[*column].number(row);
            if !value.is_finite() {
                return Err(self.fault(batch, row, *column, "the feature is missing or no number"));
            }
            numbers.push(value);
        }
        let text = |column: &usize| match &batch.columns[*column] {
            Column::Texts(texts) => texts[row].clone(),
            Column::Numbers(numbers) => numbers[row].to_string(),
        };
        Ok(Context {
            numbers,
            categories: self.categories.iter().map(text).collect(),
        })
    }

    /// The same by column, for a program.
    pub(crate) fn named_context(
        &self,
        batch: &Batch,
        row: usize,
    ) -> Result<serde_json::Map<String, serde_json::Value>, String> {
        let context = self.context(batch, row)?;
        let name = |column: &usize| self.wanted.names[*column].clone();
        let numbers = self.features.iter().map(name).zip(context.numbers);
        let texts = self.categories.iter().map(name).zip(context.categories);
        let numbers = numbers.map(|(name, value)| (name, value.into()));
        Ok(numbers
            .chain(texts.map(|(name, value)| (name, value.into())))
            .collect())
    }

    pub(crate) fn served(&self, batch: &Batch, row: usize) -> Result<usize, String> {
        self.arm(batch, row, self.action)
    }

    /// The reward, brought to [0, 1].
    pub(crate) fn reward(&self, batch: &Batch, row: usize) -> Result<f64, String> {
        let value = batch.columns[self.reward].number(row);
        let [least, most] = self.range;
        if !(least..=most).contains(&value) {
            let what = format!(
                "the reward {value} is not in [{least}, {most}]; `reward_range` says what can be"
            );
            return Err(self.fault(batch, row, self.reward, &what));
        }
        Ok((value - least) / (most - least))
    }

    /// A prediction, brought to the scale of rewards.
    pub(crate) fn prediction(
        &self,
        batch: &Batch,
        row: usize,
        column: usize,
    ) -> Result<f64, String> {
        let value = batch.columns[column].number(row);
        if !value.is_finite() {
            return Err(self.fault(batch, row, column, "the prediction is missing or no number"));
        }
        Ok((value - self.range[0]) / (self.range[1] - self.range[0]))
    }

    /// From [0, 1] to the log's own units.
    pub(crate) fn unscaled(&self, value: f64) -> f64 {
        self.range[0] + value * self.span()
    }

    pub(crate) fn span(&self) -> f64 {
        self.range[1] - self.range[0]
    }

    pub(crate) fn probability(
        &self,
        batch: &Batch,
        row: usize,
        column: usize,
    ) -> Result<f64, String> {
        let value = batch.columns[column].number(row);
        if (0.0..=1.0).contains(&value) {
            return Ok(value);
        }
        let what = if value.is_nan() {
            "the probability is missing or no number".to_owned()
        } else {
            format!("the probability {value} is not in [0, 1]")
        };
        Err(self.fault(batch, row, column, &what))
    }

    /// Probabilities of every arm from columns, which must sum to 1.
    pub(crate) fn probabilities(
        &self,
        batch: &Batch,
        row: usize,
        columns: &[usize],
        into: &mut Vec<f64>,
    ) -> Result<(), String> {
        into.clear();
        for column in columns {
            into.push(self.probability(batch, row, *column)?);
        }
        let sum: f64 = into.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            let what = format!("this and the columns of the other arms sum to {sum}, not to 1");
            return Err(self.fault(batch, row, columns[0], &what));
        }
        Ok(())
    }

    /// The epoch of a row, where the log names them.
    pub(crate) fn epoch(&self, batch: &Batch, row: usize) -> Result<Option<u64>, String> {
        let Some(column) = self.epoch else {
            return Ok(None);
        };
        let value = batch.columns[column].number(row);
        if value.fract() != 0.0 || !(0.0..=EPOCH_MOST).contains(&value) {
            let what = format!("the epoch {value} is no whole number from 0 on");
            return Err(self.fault(batch, row, column, &what));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number in range"
        )]
        Ok(Some(value as u64))
    }

    pub(crate) fn position(&self, batch: &Batch, row: usize) -> Result<i64, String> {
        let Some(column) = self.position else {
            return Ok(0);
        };
        let value = batch.columns[column].number(row);
        if value.fract() != 0.0 || value.abs() > POSITION_MOST {
            let what = format!("the position {value} is no whole number");
            return Err(self.fault(batch, row, column, &what));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
        Ok(value as i64)
    }
}

/// How far a sum of probabilities may be from 1: logs written with few digits stay valid.
const SUM_TOLERANCE: f64 = 1e-6;

/// Whole numbers beyond are not exact.
const EPOCH_MOST: f64 = 9_007_199_254_740_992.0;

/// No slate is longer.
const POSITION_MOST: f64 = 1e6;
