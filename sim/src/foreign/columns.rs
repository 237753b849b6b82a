use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::reader::missing;

/// Which column of a log that another system wrote holds what: a TOML file.
///
/// ```
/// use echo_sim::foreign::ColumnMap;
///
/// let map: ColumnMap = toml::from_str(r#"
///     action = "action"
///     reward = "click"
///     logged = "pb_{arm}"          # a probability for each arm; or propensity = "pscore" for that of the arm served
///     predictions = "q_{arm}"
///
///     [targets]
///     candidate = "pe_{arm}"
///     careful = { greedy = "best_arm", epsilon = 0.1 }
/// "#)?;
/// assert_eq!(map.action, "action");
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnMap {
    /// The arm served: its name, or its place among the arms from 0.
    pub action: String,
    /// The reward, in [0, 1] unless `reward_range` says otherwise.
    pub reward: String,
    /// Least and greatest reward there can be. Values are told in these units.
    pub reward_range: Option<[f64; 2]>,
    /// The arms: their names, or how many, named from 0. Without, what `{arm}` stands for in the columns.
    pub arms: Option<Arms>,
    /// Columns of the logged probability of each arm, with `{arm}` in their name.
    pub logged: Option<String>,
    /// The logged probability of the arm served, where that of the others is not known.
    pub propensity: Option<String>,
    /// Whether the logged probabilities are not known: weights are then estimated from features and categories, which must
    /// hold all that the arms were chosen by.
    #[serde(default)]
    pub balanced: bool,
    /// Columns of the predicted reward of each arm, with `{arm}` in their name.
    pub predictions: Option<String>,
    /// Columns of numbers that predict the reward, for regressions, programs and snapshots; a name that ends in `*` means
    /// all columns that begin so, but for those named as categories.
    #[serde(default)]
    pub features: Vec<String>,
    /// Columns of texts that predict the reward.
    #[serde(default)]
    pub categories: Vec<String>,
    /// The place of a row in a slate: a number, of which the smallest counts as the first.
    pub position: Option<String>,
    /// Rows with the same value belong to the same user.
    pub user: Option<String>,
    /// Rows with the same whole number were drawn by one unchanging policy; a policy that came later has a greater one.
    pub epoch: Option<String>,
    /// Policies to evaluate, by name.
    #[serde(default)]
    pub targets: BTreeMap<String, TargetColumns>,
}

impl ColumnMap {
    /// Least and greatest reward there can be.
    pub(crate) fn range(&self) -> Result<[f64; 2], String> {
        let [least, greatest] = self.reward_range.unwrap_or([0.0, 1.0]);
        if least < greatest {
            Ok([least, greatest])
        } else {
            Err(format!(
                "reward_range is [{least}, {greatest}], of which the first must be less"
            ))
        }
    }
}

/// The arms of a log.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Arms {
    /// So many, named 0, 1, 2 ...
    Count(usize),
    /// These.
    Names(Vec<String>),
}

impl Arms {
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Self::Count(count) => (0..*count).map(|arm| arm.to_string()).collect(),
            Self::Names(names) => names.clone(),
        }
    }
}

/// Where the probabilities of a policy to be evaluated come from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum TargetColumns {
    /// Columns of the log, with `{arm}` in their name.
    Columns(String),
    /// The arm in this column with probability 1 - epsilon, and any with the rest.
    Greedy {
        /// Column of the best arm.
        greedy: String,
        /// Share of uniform draws, in [0, 1].
        #[serde(default)]
        epsilon: f64,
    },
    /// A file of its own, CSV or Parquet, with one row for each row of the log, in the same order.
    Rows {
        /// Path, from the folder of the map.
        rows: PathBuf,
        /// Its columns of probabilities, with `{arm}` in their name.
        probabilities: String,
    },
    /// A program that is asked about every row, see [`PolicyProcess`](crate::PolicyProcess).
    Process {
        /// The command, as a shell takes it.
        process: String,
    },
    /// A CSV file of its own, one line an arm.
    File {
        /// Path, from the folder of the map.
        file: PathBuf,
        /// Its column of arms.
        arm: String,
        /// Its columns of probabilities: one, or one for each position.
        probabilities: Vec<String>,
    },
}

/// The names that features are given by, with `*` expanded to what is not named in `apart`.
pub(crate) fn spread_out(
    names: &[String],
    apart: &[String],
    header: &[String],
) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for name in names {
        match name.strip_suffix('*') {
            None if !header.contains(name) => return Err(missing(name, header.iter())),
            None => all.push(name.clone()),
            Some(start) => {
                let found = header
                    .iter()
                    .filter(|column| column.starts_with(start) && !apart.contains(column));
                let before = all.len();
                all.extend(found.cloned());
                if all.len() == before {
                    return Err(format!("no column begins with {start:?}"));
                }
            }
        }
    }
    Ok(all)
}

/// The names of columns that a pattern means: for given arms, or for those that the header has.
pub(crate) fn expand(
    pattern: &str,
    arms: Option<&[String]>,
    header: &[String],
) -> Result<Vec<(String, String)>, String> {
    let Some((before, after)) = pattern.split_once(ARM) else {
        return Err(format!("{pattern:?} has no {ARM} in it"));
    };
    let column = |arm: &str| format!("{before}{arm}{after}");
    let named: Vec<(String, String)> = match arms {
        Some(arms) => arms.iter().map(|arm| (arm.clone(), column(arm))).collect(),
        None => header
            .iter()
            .filter_map(|name| {
                let arm = name.strip_prefix(before)?.strip_suffix(after)?;
                (!arm.is_empty()).then(|| (arm.to_owned(), name.clone()))
            })
            .collect(),
    };
    if named.is_empty() {
        return Err(format!("no column is of the form {pattern:?}"));
    }
    Ok(named)
}

const ARM: &str = "{arm}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_the_arms_or_are_given_them() {
        let header = ["pb_a", "pb_b", "q_a"].map(str::to_owned);
        let found = expand("pb_{arm}", None, &header).unwrap();
        assert_eq!(found[1], ("b".to_owned(), "pb_b".to_owned()));
        let given = expand("p{arm}x", Some(&["z".to_owned()]), &header).unwrap();
        assert_eq!(given, [("z".to_owned(), "pzx".to_owned())]);
        assert!(expand("pb", None, &header).unwrap_err().contains("{arm}"));
        assert!(expand("x{arm}", None, &header).is_err());
    }

    #[test]
    fn unknown_keys_are_refused() {
        let map = toml::from_str::<ColumnMap>("action = 'a'\nreward = 'r'\npropensty = 'p'");
        assert!(map.unwrap_err().to_string().contains("propensty"));
    }
}
