use serde::Serialize;

use super::bootstrap::{self, Bootstrap, Sums};
use super::cressie_read::CressieRead;
use super::slope;
use super::stretches::Stretches;
use crate::covariances::Covariances;
use crate::error::EstimateError;
use crate::estimate::{ByUser, MINIMUM_CLUSTERS};
use crate::interval::student_upper;
use crate::{Clusters, Interval, Level};

/// One decision as every estimator sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Importance weight: the target's probability of the arm served over the logged one; not negative.
    pub weight: f64,
    /// Reward, in [0, 1].
    pub reward: f64,
    /// Predicted reward of the arm served; 0 without predictions.
    pub predicted: f64,
    /// Mean predicted reward under the target; 0 without predictions.
    pub expected: f64,
    /// Sum over the arms of the target's probability squared over the logged one, if that of every arm is known.
    pub spread: Option<f64>,
    /// Number of the epoch: rows with the same one were drawn by one unchanging policy. `None` where that is not known.
    pub epoch: Option<u64>,
    /// Rows with the same number belong to the same user; `None` where no users are known.
    pub user: Option<u64>,
    /// Whether the target would have served this arm with certainty (`Some(true)`), never (`Some(false)`), or draws.
    pub is_match: Option<bool>,
}

/// Which estimators of a [`Suite`] are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breadth {
    /// All of them.
    #[default]
    All,
    /// [`Breadth::PLAIN`] only, which costs a third.
    Plain,
}

impl Breadth {
    /// The estimators that follow from means and covariances of w, w r, w (r - q) and v alone.
    pub const PLAIN: [&str; 6] = ["ips", "snips", "dm", "dr", "sndr", "replay"];
}

/// What the estimators of a [`Suite`] are to do.
#[derive(Clone, Debug, PartialEq)]
pub struct SuiteSettings {
    /// Level of the intervals.
    pub level: Level,
    /// Which estimators are computed.
    pub breadth: Breadth,
    /// Whether rows carry predictions; without, the estimators that need them are left out.
    pub has_predictions: bool,
    /// Bounds on the weights of clipped IPS, and of SWITCH-DR.
    pub clips: Vec<f64>,
    /// Constants of DR with optimistic shrinkage, as told one by one.
    pub shrinkages: Vec<f64>,
    /// Constants from which SLOPE chooses, for SWITCH-DR and for DR with optimistic shrinkage.
    pub grid: Vec<f64>,
    /// The constant of the sub-Gaussian weights, in (0, 1).
    pub harmonic: f64,
    /// Replicates of the bootstrap; 0 for none.
    pub replicates: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Default for SuiteSettings {
    fn default() -> Self {
        Self {
            level: Level::default(),
            breadth: Breadth::All,
            has_predictions: true,
            clips: vec![10.0],
            shrinkages: vec![1.0, 10.0, 100.0],
            grid: vec![0.1, 1.0, 10.0, 100.0, 1000.0, f64::INFINITY],
            harmonic: 0.1,
            replicates: 0,
            seed: 0,
        }
    }
}

/// Every estimator at once, in one pass: rows in any order and any number of parts.
///
/// With w the weight, r the reward, q the prediction for the arm served and v that for the target:
///
/// | name | value | source |
/// |---|---|---|
/// | `ips` | mean of w r | Horvitz, Thompson 1952 |
/// | `snips` | sum w r / sum w | Swaminathan, Joachims 2015 |
/// | `cips(c)`, `csnips(c)` | the same with min(w, c) | Ionides 2008 |
/// | `dm` | mean of v | Dudik, Langford, Li 2011 |
/// | `dr` | mean of v + w (r - q) | the same |
/// | `aw-aipw` | `dr` weighted by stretches, normal also if the logging policy learned | Hadad, Hirshberg, Zhan, Wager, Athey 2021 |
/// | `epoch-aipw` | the same by epochs in which the logging policy stood still, where these are known | the same, with the weights of each epoch its own |
/// | `sndr` | mean of v, plus sum w (r - q) / sum w | Thomas, Brunskill 2016 |
/// | `switch-dr(c)` | v + w (r - q) where w <= c, else v | Wang, Agarwal, Dudik 2017 |
/// | `dr-os(l)` | v + l w / (w^2 + l) (r - q) | Su, Dimakopoulou, Krishnamurthy, Dudik 2020 |
/// | `sg-ips(l)`, `sg-dr(l)` | with w / (1 - l + l w) | Metelli, Russo, Restelli 2021 |
/// | `switch-dr-slope`, `dr-os-slope` | the constant chosen by SLOPE++ | Tucker, Lee 2021 |
/// | `ips-eb` | `ips` with the interval of Maurer, Pontil 2009 | theorem 4 |
/// | `cressie-read` | empirical likelihood | Karampatziakis, Langford, Mineiro 2020 |
/// | `replay` | mean of r where a deterministic target agrees | Li, Chu, Langford, Wang 2011 |
#[derive(Clone, Debug)]
pub struct Suite {
    settings: SuiteSettings,
    /// Of w, w r, w (r - q), v.
    base: Covariances<4>,
    /// Of min(w, c) and min(w, c) r, for each clip.
    clipped: Vec<Covariances<2>>,
    /// For each constant of `settings.clips`, then each of `settings.grid`.
    switched: Vec<Covariances<1>>,
    /// For each constant of `settings.shrinkages`, then each of `settings.grid`.
    shrunk: Vec<Covariances<1>>,
    /// Sub-Gaussian weights times r, and v + those times (r - q).
    harmonic: Covariances<2>,
    likelihood: CressieRead,
    /// Empty where the probability of the arm served alone is known.
    stretches: Stretches,
    /// Empty also where no epochs are known.
    epochs: Stretches,
    matches: Covariances<1>,
    are_all_deterministic: bool,
    users: [Clusters; 3],
    bootstrap: Bootstrap,
}

/// An estimator's value of the target policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Value {
    /// The estimator, with its constant.
    pub estimator: String,
    /// Mean reward per decision.
    pub value: f64,
    /// Standard error, rows taken as independent.
    pub standard_error: f64,
    /// Its interval.
    pub interval: Interval,
    /// What is known of the interval.
    pub guarantee: &'static str,
    /// With whole users as the independent units, where users are known and there are at least ten.
    pub by_user: Option<ByUser>,
    /// An interval that may be looked at again and again while rows come in.
    pub anytime: Option<Interval>,
    /// Percentiles of the bootstrap, where one was asked for.
    pub bootstrap: Option<Interval>,
    /// The constant that was chosen, where one is.
    pub chosen: Option<f64>,
    /// Why the interval must not be trusted, if so.
    pub warning: Option<&'static str>,
}

impl Suite {
    /// No rows yet.
    pub fn new(settings: &SuiteSettings) -> Self {
        let grid = settings.grid.len();
        Self {
            base: Covariances::default(),
            clipped: vec![Covariances::default(); settings.clips.len()],
            switched: vec![Covariances::default(); settings.clips.len() + grid],
            shrunk: vec![Covariances::default(); settings.shrinkages.len() + grid],
            harmonic: Covariances::default(),
            likelihood: CressieRead::default(),
            stretches: Stretches::default(),
            epochs: Stretches::default(),
            matches: Covariances::default(),
            are_all_deterministic: true,
            users: Default::default(),
            bootstrap: Bootstrap::new(settings.replicates, settings.seed),
            settings: settings.clone(),
        }
    }

    /// Adds one row. `number` is its place in the log, by which the bootstrap knows it.
    pub fn push(&mut self, number: u64, terms: &Terms) {
        let (w, r, v) = (terms.weight, terms.reward, terms.expected);
        let residual = r - terms.predicted;
        self.base.push([w, w * r, w * residual, v]);
        if self.settings.breadth == Breadth::All {
            self.push_further(number, terms);
        }
        match terms.is_match {
            Some(true) => self.matches.push([r]),
            Some(false) => {}
            None => self.are_all_deterministic = false,
        }
        if let Some(user) = terms.user {
            let [ips, snips, dr] = &mut self.users;
            ips.push(user, 1.0, w * r);
            snips.push(user, w, w * r);
            dr.push(user, 1.0, v + w * residual);
        }
        self.bootstrap.push(number, w, w * r, v + w * residual);
    }

    /// What the estimators beyond [`Breadth::PLAIN`] need.
    fn push_further(&mut self, number: u64, terms: &Terms) {
        let (w, r, v) = (terms.weight, terms.reward, terms.expected);
        let residual = r - terms.predicted;
        let settings = &self.settings;
        for (sums, clip) in self.clipped.iter_mut().zip(&settings.clips) {
            let w = w.min(*clip);
            sums.push([w, w * r]);
        }
        self.likelihood.push(w, r);
        let harmonic = w / (1.0 - settings.harmonic + settings.harmonic * w);
        self.harmonic.push([harmonic * r, v + harmonic * residual]);
        if settings.has_predictions {
            if let Some(spread) = terms.spread {
                let score = v + w * residual;
                self.stretches.push(number / STRETCH, score, spread);
                if let Some(epoch) = terms.epoch {
                    self.epochs.push(epoch, score, spread);
                }
            }
            let constants = settings.clips.iter().chain(&settings.grid);
            for (sums, clip) in self.switched.iter_mut().zip(constants) {
                sums.push([if w <= *clip { v + w * residual } else { v }]);
            }
            let constants = settings.shrinkages.iter().chain(&settings.grid);
            for (sums, constant) in self.shrunk.iter_mut().zip(constants) {
                let w = if constant.is_finite() {
                    constant * w / (w * w + constant)
                } else {
                    w
                };
                sums.push([v + w * residual]);
            }
        }
    }

    /// Adds all rows of another one of the same settings.
    pub fn merge(&mut self, other: &Self) {
        self.base.merge(&other.base);
        for (ours, theirs) in self.clipped.iter_mut().zip(&other.clipped) {
            ours.merge(theirs);
        }
        let ours = self.switched.iter_mut().chain(&mut self.shrunk);
        for (ours, theirs) in ours.zip(other.switched.iter().chain(&other.shrunk)) {
            ours.merge(theirs);
        }
        self.harmonic.merge(&other.harmonic);
        self.likelihood.merge(&other.likelihood);
        self.stretches.merge(&other.stretches);
        self.epochs.merge(&other.epochs);
        self.matches.merge(&other.matches);
        self.are_all_deterministic &= other.are_all_deterministic;
        for (ours, theirs) in self.users.iter_mut().zip(&other.users) {
            ours.merge(theirs);
        }
        self.bootstrap.merge(&other.bootstrap);
    }

    /// Rows seen.
    pub fn rows(&self) -> u64 {
        self.base.count()
    }

    /// Share of the rows in which a deterministic target agrees with what was served; `None` where it draws.
    pub fn match_rate(&self) -> Option<f64> {
        let rows = self.rows();
        (self.are_all_deterministic && rows > 0).then(|| self.matches.count() as f64 / rows as f64)
    }

    /// The values by every estimator.
    ///
    /// # Errors
    /// [`EstimateError::NoRows`], [`EstimateError::OneRow`], and [`EstimateError::NoMatch`] when every weight is 0.
    pub fn finish(&self) -> Result<Vec<Value>, EstimateError> {
        let rows = self.rows();
        if rows == 0 {
            return Err(EstimateError::NoRows);
        }
        let mean_weight = self.base.mean(0);
        if mean_weight <= 0.0 {
            return Err(EstimateError::NoMatch { rows });
        }
        let error = |factors| {
            self.base
                .standard_error(factors)
                .ok_or(EstimateError::OneRow)
        };
        let mut values = Vec::new();
        let replicates = self.bootstrap.finish();
        let level = self.settings.level;
        let percentiles = |of: fn(&Sums) -> f64| bootstrap::percentiles(&replicates, level, of);

        let ips = self.base.mean(1);
        let ips_error = error([0.0, 1.0, 0.0, 0.0])?;
        let mut value = self.normal("ips", ips, ips_error, NORMAL);
        value.by_user = self.by_user(&self.users[0], ips);
        value.bootstrap = percentiles(|sums| sums[2] / sums[0]);
        values.push(value);

        let snips = ips / mean_weight;
        let error_of_ratio = error([-snips / mean_weight, 1.0 / mean_weight, 0.0, 0.0])?;
        let mut value = self.normal("snips", snips, error_of_ratio, DELTA);
        value.by_user = self.by_user(&self.users[1], snips);
        value.bootstrap = percentiles(|sums| sums[2] / sums[1]);
        values.push(value);

        let has_all = self.settings.breadth == Breadth::All;
        let clips = if has_all {
            &self.settings.clips[..]
        } else {
            &[]
        };
        for (sums, clip) in self.clipped.iter().zip(clips) {
            let (weight, weighted) = (sums.mean(0), sums.mean(1));
            let error = |factors| sums.standard_error(factors).ok_or(EstimateError::OneRow);
            let name = format!("cips({clip})");
            values.push(self.biased(&name, weighted, error([0.0, 1.0])?, CLIPPED));
            let ratio = weighted / weight;
            let name = format!("csnips({clip})");
            let error = error([-ratio / weight, 1.0 / weight])?;
            values.push(self.biased(&name, ratio, error, CLIPPED));
        }
        if has_all {
            values.push(self.empirical_bernstein(ips, ips_error));
            values.extend(self.empirical_likelihood());
            values.push(self.harmonic("sg-ips", 0)?);
        }
        if self.settings.has_predictions {
            let dm = self.base.mean(3);
            values.push(self.biased("dm", dm, error([0.0, 0.0, 0.0, 1.0])?, MODEL));
            let correction = self.base.mean(2);
            let dr = dm + correction;
            let mut value = self.normal("dr", dr, error([0.0, 0.0, 1.0, 1.0])?, NORMAL);
            value.by_user = self.by_user(&self.users[2], dr);
            value.bootstrap = percentiles(|sums| sums[3] / sums[0]);
            values.push(value);
            for (name, found) in [
                ("aw-aipw", self.stretches.adaptive()),
                ("epoch-aipw", self.epochs.by_epoch()),
            ] {
                values.extend(found.map(|(value, error)| Value {
                    anytime: None,
                    ..self.normal(name, value, error, ADAPTIVE)
                }));
            }
            let ratio = correction / mean_weight;
            let factors = [-ratio / mean_weight, 0.0, 1.0 / mean_weight, 1.0];
            values.push(self.normal("sndr", dm + ratio, error(factors)?, DELTA));
        }
        if self.settings.has_predictions && has_all {
            values.push(self.harmonic("sg-dr", 1)?);
            values.extend(self.family("switch-dr", clips, &self.switched)?);
            let constants = &self.settings.shrinkages;
            values.extend(self.family("dr-os", constants, &self.shrunk)?);
        }
        values.extend(self.replayed());
        Ok(values)
    }

    /// The value by sub-Gaussian weights that stands in this place of the sums.
    fn harmonic(&self, name: &str, place: usize) -> Result<Value, EstimateError> {
        let mut factors = [0.0; 2];
        factors[place] = 1.0;
        let error = self.harmonic.standard_error(factors);
        let name = format!("{name}({})", self.settings.harmonic);
        let (value, error) = (
            self.harmonic.mean(place),
            error.ok_or(EstimateError::OneRow)?,
        );
        Ok(self.biased(&name, value, error, SHRUNK))
    }

    /// The estimators of one family, one for each constant told, and the one that SLOPE chooses.
    fn family(
        &self,
        name: &str,
        constants: &[f64],
        sums: &[Covariances<1>],
    ) -> Result<Vec<Value>, EstimateError> {
        let mut values = Vec::new();
        for (sums, constant) in sums.iter().zip(constants) {
            let error = sums.standard_error([1.0]).ok_or(EstimateError::OneRow)?;
            let name = format!("{name}({constant})");
            values.push(self.biased(&name, sums.mean(0), error, SHRUNK));
        }
        let grid = &sums[constants.len()..];
        let rows = self.rows();
        let quantile = student_upper(rows as f64 - 1.0, 0.1);
        let mut estimates = Vec::new();
        for sums in grid {
            let error = sums.standard_error([1.0]).ok_or(EstimateError::OneRow)?;
            estimates.push((sums.mean(0), error * quantile));
        }
        if let Some(at) = slope::narrowest(&estimates) {
            let error = estimates[at].1 / quantile;
            let mut value = self.biased(&format!("{name}-slope"), estimates[at].0, error, SHRUNK);
            value.chosen = self.settings.grid.get(at).copied();
            values.push(value);
        }
        Ok(values)
    }

    fn normal(&self, name: &str, value: f64, error: f64, guarantee: &'static str) -> Value {
        let level = self.settings.level;
        Value {
            estimator: name.to_owned(),
            value,
            standard_error: error,
            interval: Interval::normal(value, error, level),
            guarantee,
            by_user: None,
            anytime: Some(anytime(value, error, self.rows(), level)),
            bootstrap: None,
            chosen: None,
            warning: None,
        }
    }

    fn biased(&self, name: &str, value: f64, error: f64, warning: &'static str) -> Value {
        Value {
            anytime: None,
            warning: Some(warning),
            ..self.normal(name, value, error, NONE)
        }
    }

    /// Maurer and Pontil (2009), "Empirical Bernstein bounds and sample variance penalization", theorem 4, on both
    /// sides, for w r in [0, the largest weight seen].
    fn empirical_bernstein(&self, value: f64, error: f64) -> Value {
        let level = self.settings.level;
        let rows = self.rows() as f64;
        let logarithm = (4.0 / (1.0 - level.value())).ln();
        let half = error * (2.0 * logarithm).sqrt()
            + 7.0 * self.likelihood.largest() * logarithm / (3.0 * (rows - 1.0));
        Value {
            interval: Interval {
                level,
                lo: value - half,
                hi: value + half,
            },
            anytime: None,
            ..self.normal("ips-eb", value, error, BERNSTEIN)
        }
    }

    fn empirical_likelihood(&self) -> Option<Value> {
        let level = self.settings.level;
        let degrees = self.rows() as f64;
        // The quantile of F with 1 and n degrees of freedom is the square of Student's.
        let student = student_upper(degrees, 0.5 * (1.0 - level.value()));
        let value = self.likelihood.estimate()?;
        let (lo, hi) = self.likelihood.interval(student * student)?;
        let error = 0.5 * (hi - lo) / student;
        Some(Value {
            interval: Interval { level, lo, hi },
            anytime: None,
            ..self.normal("cressie-read", value, error, LIKELIHOOD)
        })
    }

    fn replayed(&self) -> Option<Value> {
        self.match_rate()?;
        let error = self.matches.standard_error([1.0])?;
        let value = self.matches.mean(0);
        let mut value = self.normal("replay", value, error, UNIFORM);
        value.anytime = None;
        Some(value)
    }

    fn by_user(&self, users: &Clusters, value: f64) -> Option<ByUser> {
        let count = users.count();
        if count < MINIMUM_CLUSTERS {
            return None;
        }
        let standard_error = users.ratio_standard_error()?;
        let degrees = count as f64 - 1.0;
        Some(ByUser {
            users: count,
            standard_error,
            interval: Interval::student(value, standard_error, degrees, self.settings.level),
        })
    }
}

/// The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), "Time-uniform central
/// limit theory and asymptotic confidence sequences", theorem 2.2, narrowest at [`NARROWEST_AT`] rows.
pub(crate) fn anytime(value: f64, error: f64, rows: u64, level: Level) -> Interval {
    let alpha = 1.0 - level.value();
    let rows = rows as f64;
    let logarithm = -2.0 * alpha.ln();
    let rho = (logarithm + logarithm.ln() + 1.0) / NARROWEST_AT;
    let scaled = rows * rho + 1.0;
    let half = error * (2.0 * scaled / (rows * rho) * (scaled.sqrt() / alpha).ln()).sqrt();
    Interval {
        level,
        lo: value - half,
        hi: value + half,
    }
}

/// Numbers of the log that make a stretch.
const STRETCH: u64 = 2_048;

/// Fixed, since it must not depend on the rows.
const NARROWEST_AT: f64 = 10_000.0;

const NORMAL: &str = "asymptotic: normal";
const ADAPTIVE: &str = "asymptotic: normal, also if the logging policy learned";
const DELTA: &str = "asymptotic: normal by the delta method";
const BERNSTEIN: &str = "every number of rows, if no weight can be larger than the largest seen";
const LIKELIHOOD: &str = "asymptotic: empirical likelihood";
const UNIFORM: &str = "asymptotic, and only if the log was drawn uniformly";
const NONE: &str = "none";
const MODEL: &str = "the interval leaves out the bias of the reward model: nominal 95 % intervals were measured to \
                     hold the truth in 16 to 37 % of logs";
const SHRUNK: &str = "the interval leaves out the bias of shrinking weights: nominal 95 % intervals were measured to \
                      hold the truth in as few as 20 % of logs";
const CLIPPED: &str = "the interval leaves out the bias of clipping weights";
