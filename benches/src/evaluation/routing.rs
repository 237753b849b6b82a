//! Nine language models on real prompts, whose every score is known: the study of estimators that a reference of another
//! implementation exists for.

use std::collections::BTreeMap;
use std::io::Read as _;

use echo_policy::{Distribution, DrawKey};
use echo_sim::estimators::{Suite, SuiteSettings, Terms, Value};
use flate2::read::GzDecoder;
use linfa_linalg::cholesky::SolveC as _;
use ndarray::Array2;
use serde::Deserialize;

use super::record::Record;
use crate::error::DataError;

/// The prompts, see `data/README.md`.
#[derive(Clone, Debug)]
pub struct Routing {
    prompts: Vec<Prompt>,
}

#[derive(Clone, Debug)]
struct Prompt {
    features: [f64; FEATURES],
    /// Score of each arm, in [0, 1].
    scores: [f64; ARMS],
    /// The logging policy's probability of each arm.
    logged: [f64; ARMS],
    /// Those of each policy of [`POLICIES`].
    targets: [[f64; ARMS]; POLICIES.len()],
}

const FEATURES: usize = 16;
const ARMS: usize = 9;

/// The policies of the study, by their names in the reference.
const POLICIES: [&str; 4] = ["softmax0.05", "eps-greedy0.1", "uniform", "always-3"];

/// What the estimators made of logs of one policy and length.
#[derive(Clone, Debug)]
pub struct Case {
    /// The policy.
    pub policy: &'static str,
    /// Rows of each log.
    pub rows: usize,
    /// The policy's value.
    pub truth: f64,
    /// By estimator.
    pub records: Vec<Record>,
}

impl Routing {
    /// The prompts that the program brings along.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn read() -> Result<Self, DataError> {
        let packed: &[u8] = include_bytes!("../../data/routing_population.csv.gz");
        let mut text = String::new();
        GzDecoder::new(packed)
            .read_to_string(&mut text)
            .map_err(|error| DataError(format!("the prompts: {error}")))?;
        let prompts = text.lines().skip(1).map(prompt);
        Ok(Self {
            prompts: prompts.collect::<Result<_, _>>()?,
        })
    }

    /// The value of each policy of the study: the mean score that it gets.
    fn truths(&self) -> [f64; POLICIES.len()] {
        let mut truths = [0.0; POLICIES.len()];
        for prompt in &self.prompts {
            for (truth, target) in truths.iter_mut().zip(&prompt.targets) {
                *truth += dot(target, &prompt.scores) / self.prompts.len() as f64;
            }
        }
        truths
    }

    /// Draws so many logs of so many rows, and tells how each estimator did for each policy.
    ///
    /// # Errors
    /// If no estimate can be made of a log.
    pub fn study(&self, logs: u32, rows: usize) -> Result<Vec<Case>, DataError> {
        let truths = self.truths();
        let case = |(policy, truth)| Case {
            policy,
            rows,
            truth,
            records: Vec::new(),
        };
        let mut cases: Vec<Case> = POLICIES.into_iter().zip(truths).map(case).collect();
        for seed in 0..logs {
            let log = self.log(u64::from(seed) + 1, rows)?;
            let models = [Models::fit(&log, 1)?, Models::fit(&log, 0)?];
            for (place, case) in cases.iter_mut().enumerate() {
                let values = values(&log, &models, place)?;
                case.records.resize(values.len(), Record::default());
                for (record, value) in case.records.iter_mut().zip(&values) {
                    record.add(value, case.truth);
                }
            }
        }
        Ok(cases)
    }

    /// Prompts drawn with replacement, and the arm that the logging policy drew for each.
    fn log(&self, seed: u64, rows: usize) -> Result<Vec<(&Prompt, usize)>, DataError> {
        let all = self.prompts.len();
        let even = Distribution::new(vec![1.0 / all as f64; all]);
        let even = even.map_err(|error| DataError(error.to_string()))?;
        let row = |number: u128| {
            let key = |purpose: u128| DrawKey {
                seed,
                decision: (number << 8) | purpose,
            };
            let prompt = &self.prompts[even.sample(key(0))];
            let logged = Distribution::new(prompt.logged.to_vec());
            let logged = logged.map_err(|error| DataError(error.to_string()))?;
            Ok((prompt, logged.sample(key(1))))
        };
        (0..rows as u128).map(row).collect()
    }
}

fn prompt(line: &str) -> Result<Prompt, DataError> {
    let fails = |what: &dyn std::fmt::Display| DataError(format!("the prompts: {what}"));
    let numbers: Vec<f64> = line
        .split(',')
        .map(|cell| cell.parse().map_err(|error| fails(&error)))
        .collect::<Result<_, _>>()?;
    let (features, rest) = numbers
        .split_first_chunk()
        .ok_or_else(|| fails(&"a line is short"))?;
    let (scores, rest) = rest
        .split_first_chunk()
        .ok_or_else(|| fails(&"a line is short"))?;
    let preferences: [f64; ARMS] = rest
        .try_into()
        .map_err(|_| fails(&"a line is of another length"))?;
    let mut best = 0;
    for arm in 1..ARMS {
        if preferences[arm] > preferences[best] {
            best = arm;
        }
    }
    let even = [1.0 / ARMS as f64; ARMS];
    let mut greedy = even.map(|p| 0.1 * p);
    greedy[best] += 0.9;
    let mut always = [0.0; ARMS];
    always[3] = 1.0;
    Ok(Prompt {
        features: *features,
        scores: *scores,
        logged: softmax(&preferences, 0.15).map(|p| 0.9 * p + 0.1 / ARMS as f64),
        targets: [softmax(&preferences, 0.05), greedy, even, always],
    })
}

fn softmax(preferences: &[f64; ARMS], temperature: f64) -> [f64; ARMS] {
    let most = preferences.iter().copied().fold(f64::MIN, f64::max);
    let weights = preferences.map(|x| ((x - most) / temperature).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A ridge regression for each arm.
struct Models([Array2<f64>; ARMS]);

impl Models {
    /// Fits the rows whose number leaves this remainder by 2.
    fn fit(log: &[(&Prompt, usize)], remainder: usize) -> Result<Self, DataError> {
        let mut products: [Array2<f64>; ARMS] = std::array::from_fn(|_| Array2::eye(FEATURES));
        let mut sums: [Array2<f64>; ARMS] = std::array::from_fn(|_| Array2::zeros((FEATURES, 1)));
        for (prompt, arm) in log.iter().skip(remainder).step_by(2) {
            for (i, x) in prompt
                .features
                .iter()
                .enumerate()
                .filter(|(_, x)| **x != 0.0)
            {
                sums[*arm][[i, 0]] += x * prompt.scores[*arm];
                for (j, y) in prompt.features.iter().enumerate() {
                    products[*arm][[i, j]] += x * y;
                }
            }
        }
        for (products, sums) in products.iter_mut().zip(&mut sums) {
            let solved = products.solvec(sums);
            *sums = solved.map_err(|error| DataError(error.to_string()))?;
        }
        Ok(Self(sums))
    }

    fn predict(&self, prompt: &Prompt) -> [f64; ARMS] {
        std::array::from_fn(|arm| {
            let weights = self.0[arm].iter().zip(&prompt.features);
            weights.map(|(w, x)| w * x).sum::<f64>().clamp(0.0, 1.0)
        })
    }
}

/// What every estimator makes of a log.
fn values(
    log: &[(&Prompt, usize)],
    models: &[Models; 2],
    policy: usize,
) -> Result<Vec<Value>, DataError> {
    let mut suite = Suite::new(&SuiteSettings::default());
    for (number, (prompt, arm)) in log.iter().enumerate() {
        let predictions = models[number % 2].predict(prompt);
        let target = &prompt.targets[policy];
        suite.push(
            number as u64,
            &Terms {
                weight: target[*arm] / prompt.logged[*arm],
                reward: prompt.scores[*arm],
                predicted: predictions[*arm],
                expected: dot(target, &predictions),
                spread: None,
                epoch: None,
                user: None,
                is_match: None,
            },
        );
    }
    suite.finish().map_err(|error| DataError(error.to_string()))
}

/// What another implementation found.
#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    truth: BTreeMap<String, f64>,
    /// By rows, policy and estimator.
    results: BTreeMap<String, BTreeMap<String, BTreeMap<String, Figures>>>,
}

/// Its figures for one estimator.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Figures {
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Share of the logs whose interval held the truth.
    #[serde(rename = "cov95")]
    pub coverage: f64,
    /// Mean width of the intervals.
    pub width: f64,
    /// Logs.
    #[serde(rename = "reps")]
    pub logs: u32,
}

impl Reference {
    /// The figures that the program brings along.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn read() -> Result<Self, DataError> {
        serde_json::from_str(include_str!("../../data/routing_reference.json"))
            .map_err(|error| DataError(format!("the reference: {error}")))
    }

    /// Its value of a case's policy.
    pub fn truth(&self, case: &Case) -> Option<f64> {
        self.truth.get(case.policy).copied()
    }

    /// The estimators that both know, with the figures of both.
    pub fn beside<'a>(&self, case: &'a Case) -> Vec<(&'a Record, Figures)> {
        let figures = self.results.get(&case.rows.to_string());
        let Some(figures) = figures.and_then(|figures| figures.get(case.policy)) else {
            return Vec::new();
        };
        let known = NAMES.iter().filter_map(|(ours, theirs)| {
            let record = case.records.iter().find(|r| r.estimator == *ours)?;
            Some((record, *figures.get(*theirs)?))
        });
        known.collect()
    }
}

/// Estimators by our names and the reference's.
const NAMES: [(&str, &str); 13] = [
    ("ips", "ipw"),
    ("snips", "snipw"),
    ("cips(10)", "cipw10"),
    ("dm", "dm"),
    ("dr", "dr"),
    ("sndr", "sndr"),
    ("switch-dr(10)", "switch-dr10"),
    ("dr-os(1)", "dr-os1"),
    ("dr-os(10)", "dr-os10"),
    ("dr-os(100)", "dr-os100"),
    ("dr-os-slope", "dr-os-slope"),
    ("ips-eb", "ipw-eB"),
    ("cressie-read", "cressie-read"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Both studies are of 400 logs. The root of a mean square over n logs errs by 1 / sqrt(2 n) of itself (by more for the
    /// skewed errors of `ips`, by less where it is bias), that is 5 % for the ratio of two, or 8 % where the reference has
    /// 100 logs; a coverage by sqrt(p (1 - p) / n). Bounds at five of these: of 156 comparisons, one in ten thousand studies
    /// fails by chance, as far as errors are normal.
    #[test]
    fn errors_and_coverage_are_those_of_the_reference() {
        let (routing, reference) = (Routing::read().unwrap(), Reference::read().unwrap());
        let mut compared = 0;
        for rows in [300, 1_000, 2_804] {
            for case in routing.study(400, rows).unwrap() {
                let truth = reference.truth(&case).unwrap();
                assert!((case.truth - truth).abs() < 1e-9, "{} {truth}", case.truth);
                for (record, theirs) in reference.beside(&case) {
                    let what = format!("{} {rows} {}", case.policy, record.estimator);
                    let logs = |n: u32| 1.0 / f64::from(n);
                    let both = logs(400) + logs(theirs.logs);
                    let ratio = (record.rmse() / theirs.rmse).ln();
                    assert!(
                        ratio.abs() < 5.0 * (0.5 * both).sqrt(),
                        "{what}: {} {}",
                        record.rmse(),
                        theirs.rmse
                    );
                    let mean = 0.5 * (record.coverage() + theirs.coverage);
                    let deviation = (mean * (1.0 - mean)).max(0.01) * both;
                    assert!(
                        (record.coverage() - theirs.coverage).abs() < 5.0 * deviation.sqrt(),
                        "{what}: {} {}",
                        record.coverage(),
                        theirs.coverage
                    );
                    // The reference bounds weights by the largest there can be, we by the largest seen.
                    let is_bounded =
                        ["ips-eb", "cressie-read"].contains(&record.estimator.as_str());
                    assert!(
                        is_bounded || (record.width() / theirs.width - 1.0).abs() < 0.05,
                        "{what}: {} {}",
                        record.width(),
                        theirs.width
                    );
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 156);
    }
}
