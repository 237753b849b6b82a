//! The keys of a policy's text.

use std::collections::BTreeMap;

use crate::prior::Strength;
use crate::{Budget, Forgetting, ShareBound, SpecError, forgetting};

/// What every policy that learns has.
pub(crate) struct Common {
    pub(crate) floor: f64,
    pub(crate) strength: Strength,
    pub(crate) bounds: Vec<ShareBound>,
    pub(crate) forgetting: Forgetting,
    pub(crate) budget: Option<Budget>,
    pub(crate) weighs_censoring: bool,
    pub(crate) is_logistic: bool,
    pub(crate) window: u32,
}

impl Common {
    /// Its keys.
    pub(crate) const KEYS: &str = "floor, lambda, halflife, halflife:ARM, change, budget, cost:ARM, ipcw, model, window, least:ARM, most:ARM";
}

/// The `key=value` pairs of a spec that nobody has asked for yet.
pub(crate) struct Keys {
    policy: &'static str,
    pairs: BTreeMap<String, String>,
}

impl Keys {
    pub(crate) fn read(policy: &'static str, text: &str) -> Result<Self, SpecError> {
        let mut pairs = BTreeMap::new();
        for part in text.split(',').filter(|_| !text.trim().is_empty()) {
            let (key, value) = part
                .split_once('=')
                .filter(|(key, _)| !key.trim().is_empty())
                .ok_or_else(|| SpecError::NotKeyValue(part.to_owned()))?;
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            if pairs.insert(key.clone(), value).is_some() {
                return Err(SpecError::Repeated(key));
            }
        }
        Ok(Self { policy, pairs })
    }

    pub(crate) fn number(
        &mut self,
        key: &str,
        default: f64,
        range: &Range,
    ) -> Result<f64, SpecError> {
        match self.pairs.remove(key) {
            Some(value) => number(key, &value, range),
            None => Ok(default),
        }
    }

    fn floor_and_strength(
        &mut self,
        floor: f64,
        strength: Strength,
    ) -> Result<(f64, Strength), SpecError> {
        let floor = self.number("floor", floor, &UNIT)?;
        let strength = match self.pairs.remove("lambda") {
            None => strength,
            Some(value) if value == "auto" => Strength::Auto,
            Some(value) => Strength::Fixed(number("lambda", &value, &STRENGTH)?),
        };
        Ok((floor, strength))
    }

    /// Takes out `least:ARM` and `most:ARM`.
    pub(crate) fn bounds(&mut self) -> Result<Vec<ShareBound>, SpecError> {
        let mut bounds: BTreeMap<String, ShareBound> = BTreeMap::new();
        for (key, value) in &self.pairs {
            let Some((side, arm)) = key
                .split_once(':')
                .filter(|(side, arm)| matches!(*side, "least" | "most") && !arm.is_empty())
            else {
                continue;
            };
            let share = number(key, value, &UNIT)?;
            let bound = bounds.entry(arm.to_owned()).or_insert_with(|| ShareBound {
                pattern: arm.to_owned(),
                least: 0.0,
                most: 1.0,
            });
            match side {
                "least" => bound.least = share,
                _ => bound.most = share,
            }
            if bound.least > bound.most {
                return Err(SpecError::Value {
                    key: key.clone(),
                    value: value.clone(),
                    allowed: "a least share that is not above the greatest".to_owned(),
                });
            }
        }
        self.pairs.retain(|key, _| {
            key.split_once(':')
                .is_none_or(|(side, arm)| !matches!(side, "least" | "most") || arm.is_empty())
        });
        // A bound that holds nothing back is none.
        bounds.retain(|_, bound| bound.least > 0.0 || bound.most < 1.0);
        Ok(bounds.into_values().collect())
    }

    /// A whole number from 1 to the greatest.
    pub(crate) fn whole(&mut self, key: &str, default: u32, most: u32) -> Result<u32, SpecError> {
        let Some(value) = self.pairs.remove(key) else {
            return Ok(default);
        };
        match value.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(SpecError::Value {
                key: key.to_owned(),
                value,
                allowed: format!("a whole number in [1, {most}]"),
            }),
        }
    }

    /// All that nobody has asked for.
    pub(crate) fn rest(self) -> BTreeMap<String, String> {
        self.pairs
    }

    /// Takes out what every policy that learns has.
    /// `window` is how many of the latest decisions the policy needs by itself, if nothing else is said.
    pub(crate) fn common(
        &mut self,
        floor: f64,
        strength: Strength,
        window: u32,
    ) -> Result<Common, SpecError> {
        let (floor, strength) = self.floor_and_strength(floor, strength)?;
        let weighs_censoring = match self.pairs.remove("ipcw").as_deref() {
            None => false,
            Some("client") => true,
            Some(other) => return Err(not_allowed("ipcw", other, "client")),
        };
        let is_logistic = match self.pairs.remove("model").as_deref() {
            None | Some("ridge") => false,
            Some("logistic") => true,
            Some(other) => return Err(not_allowed("model", other, "ridge or logistic")),
        };
        let window = if is_logistic { LOGISTIC } else { window };
        if window == 0
            && let Some(value) = self.pairs.get("window")
        {
            let needed = "given with model=logistic, or to a cover";
            return Err(not_allowed("window", value, needed));
        }
        let window = if window > 0 {
            self.whole("window", window, WINDOW_MOST)?
        } else {
            0
        };
        let forgetting = self.forgetting()?;
        if is_logistic && (weighs_censoring || forgetting.change.is_some()) {
            let needed = "given without change and ipcw, which are for the sums of a ridge";
            return Err(not_allowed("model", "logistic", needed));
        }
        Ok(Common {
            floor,
            strength,
            is_logistic,
            window,
            bounds: self.bounds()?,
            forgetting,
            budget: self.budget()?,
            weighs_censoring,
        })
    }

    fn forgetting(&mut self) -> Result<Forgetting, SpecError> {
        let half_life = |key: &str, value: &str| {
            forgetting::milliseconds(value)
                .ok_or_else(|| not_allowed(key, value, "a time such as 7d, 12h or 30m"))
        };
        let all = self.pairs.remove("halflife");
        let half_life_ms = all.map(|value| half_life("halflife", &value)).transpose()?;
        let mut arms = BTreeMap::new();
        for (arm, value) in self.of_arms("halflife") {
            let milliseconds = half_life(&format!("halflife:{arm}"), &value)?;
            arms.insert(arm, milliseconds);
        }
        let change = match self.pairs.remove("change") {
            None => None,
            Some(value) => Some(number("change", &value, &LEVEL)?),
        };
        if let Some(level) = change.filter(|_| half_life_ms.is_none() && arms.is_empty()) {
            let needed = "given with a half-life: it is the last part of it that is tested";
            return Err(not_allowed("change", &level.to_string(), needed));
        }
        Ok(Forgetting {
            half_life_ms,
            arms,
            change,
        })
    }

    fn budget(&mut self) -> Result<Option<Budget>, SpecError> {
        let mean = match self.pairs.remove("budget") {
            None => None,
            Some(value) => Some(number("budget", &value, &WEIGHT)?),
        };
        let mut costs = Vec::new();
        for (arm, value) in self.of_arms("cost") {
            costs.push((
                arm.clone(),
                number(&format!("cost:{arm}"), &value, &WEIGHT)?,
            ));
        }
        match (mean, costs.first()) {
            (None, None) => Ok(None),
            (Some(mean), Some(_)) => Ok(Some(Budget { mean, costs })),
            (None, Some((arm, cost))) => {
                let key = format!("cost:{arm}");
                Err(not_allowed(&key, &cost.to_string(), "given with a budget"))
            }
            (Some(mean), None) => {
                let needed = "given with what arms cost, as in cost:ARM=1";
                Err(not_allowed("budget", &mean.to_string(), needed))
            }
        }
    }

    /// Takes out all `KEY:ARM=VALUE`, sorted by arm.
    fn of_arms(&mut self, key: &str) -> BTreeMap<String, String> {
        let arm = |pair: &str| -> Option<String> {
            let (of, arm) = pair.split_once(':')?;
            (of == key && !arm.is_empty()).then(|| arm.to_owned())
        };
        let found = self.pairs.iter();
        let found = found.filter_map(|(pair, value)| Some((arm(pair)?, value.clone())));
        let found: BTreeMap<String, String> = found.collect();
        self.pairs.retain(|pair, _| arm(pair).is_none());
        found
    }

    pub(crate) fn finish(self, known: &str) -> Result<(), SpecError> {
        match self.pairs.into_keys().next() {
            None => Ok(()),
            Some(key) => Err(SpecError::UnknownKey {
                policy: self.policy,
                key,
                known: known.to_owned(),
            }),
        }
    }
}

/// Decisions that logistic regressions are fitted to, if nothing else is said.
const LOGISTIC: u32 = 2_000;

const WINDOW_MOST: u32 = 100_000;

pub(crate) fn not_allowed(key: &str, value: &str, allowed: &str) -> SpecError {
    SpecError::Value {
        key: key.to_owned(),
        value: value.to_owned(),
        allowed: allowed.to_owned(),
    }
}

pub(crate) fn number(key: &str, value: &str, range: &Range) -> Result<f64, SpecError> {
    match value.parse::<f64>() {
        // Adding zero makes -0 a 0, so that equal policies are equal texts.
        Ok(number) if (range.low..=range.high).contains(&number) => Ok(number + 0.0),
        _ => Err(SpecError::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            allowed: range.text.to_owned(),
        }),
    }
}

pub(crate) struct Range {
    low: f64,
    high: f64,
    text: &'static str,
}

pub(crate) const UNIT: Range = Range {
    low: 0.0,
    high: 1.0,
    text: "a number in [0, 1]",
};
pub(crate) const FACTOR: Range = Range {
    low: 0.0,
    high: 1000.0,
    text: "a number in [0, 1000]",
};
pub(crate) const POSITIVE: Range = Range {
    low: 1e-6,
    high: 1e6,
    text: "a number in [0.000001, 1000000]",
};
const STRENGTH: Range = Range {
    low: POSITIVE.low,
    high: POSITIVE.high,
    text: "auto or a number in [0.000001, 1000000]",
};
pub(crate) const WEIGHT: Range = Range {
    low: 0.0,
    high: 1e6,
    text: "a weight in [0, 1000000]",
};
const LEVEL: Range = Range {
    low: 1e-12,
    high: 0.5,
    text: "a level of significance in [1e-12, 0.5]",
};
