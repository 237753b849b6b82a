use crate::ages::counts;
use crate::change::Changes;
use crate::effective::{Effective, Events, Totals};
use crate::inverse::Inverse;
use crate::lanes::{LANES, Lanes};
use crate::prior::{self, Fit, Prior, Strength, common_weights};
use crate::query::Query;
use crate::triangle::packed_length;
use crate::widest::{Work, widest};
use crate::{Event, PolicyError, RewardState};

/// A ridge regression of the reward on the context for each arm.
///
/// With sums over the events of arm a, `A_a` = sum x x' and `b_a` = sum x r, and m the mean reward
/// over all arms, the prediction is `m + x' theta_a` with
/// `theta_a = (A_a + lambda I)^-1 (b_a - m sum x + lambda c)` (Hoerl and Kennard 1970), where c are weights common
/// to all arms, if the [`Prior`] has any, and else 0.
///
/// Rewards are centred so that an arm nobody has tried is expected to earn the mean, neither best
/// nor worst, and exploring policies keep trying it; a prediction of zero would starve a new arm
/// wherever the others do well.
#[derive(Debug, Clone)]
pub(crate) struct Ridge {
    mean: f64,
    /// How many events all arms have together.
    weight: f64,
    fitting: Fitting,
    changes: Changes,
    prior: Prior,
    /// The variance of the noise.
    noise: f64,
    dimension: usize,
    /// The arms known, sorted.
    arms: Vec<String>,
    /// `theta_a` of each known arm, as it would be if `thetas_mean` were the mean reward.
    thetas: Lanes,
    thetas_mean: f64,
    /// The common weights; empty without any.
    common: Vec<f64>,
    /// Upper triangles of `(A_a + lambda I)^-1`, packed by columns, with the same entry of [`LANES`] arms side by
    /// side; empty for policies that need no widths, and for those that learn by themselves.
    inverses: Vec<[f32; LANES]>,
    /// What learning one event at a time needs.
    online: Option<Online>,
}

/// Which regression is made of a state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fitting {
    /// The strength of the ridge.
    pub(crate) strength: Strength,
    /// Level of significance at which changes are looked for.
    pub(crate) change: Option<f64>,
    /// Which replicate of a bootstrap; 0 for all events.
    pub(crate) replicate: usize,
}

#[derive(Debug, Clone)]
struct Online {
    /// Of each known arm.
    inverses: Vec<Inverse>,
    /// Of each known arm, `(A_a + lambda I)^-1 c`; empty without common weights.
    leanings: Vec<Vec<f64>>,
    /// How every weight changes with the mean reward.
    slopes: Lanes,
    /// Events after which the prior is chosen anew.
    choose_at: u64,
    /// Events after which the common weights are solved anew.
    lean_at: u64,
    /// When all was solved, in the finest unit of age.
    tick: i64,
}

impl Online {
    fn new(inverses: Vec<Inverse>, common: &[f64], learned: u64, tick: i64) -> Self {
        let mut online = Self {
            inverses,
            leanings: Vec::new(),
            slopes: Lanes::default(),
            choose_at: (learned + learned / 3).max(CHOOSE_FROM),
            lean_at: 0,
            tick,
        };
        online.lean(common, learned);
        let arms = online.inverses.len();
        let dimension = online
            .inverses
            .first()
            .map_or(0, |inverse| inverse.slopes().len());
        online.slopes = Lanes::new(dimension, arms);
        for arm in 0..arms {
            online.slope(arm);
        }
        online
    }

    fn slope(&mut self, arm: usize) {
        let slopes = self.inverses[arm].slopes().iter().copied();
        self.slopes.set(arm, slopes);
    }

    fn lean(&mut self, common: &[f64], learned: u64) {
        let leanings = self.inverses.iter().map(|inverse| {
            if common.is_empty() {
                Vec::new()
            } else {
                inverse.times(common)
            }
        });
        self.leanings = leanings.collect();
        self.lean_at = learned + (learned / 32).max(8);
    }
}

impl Ridge {
    /// Solves all systems: about d^3 / 2 multiply-adds for each arm and prior. Without a `prior` it is the one of the
    /// greatest evidence among those of the strength.
    pub(crate) fn fit(
        state: &RewardState,
        fitting: Fitting,
        prior: Option<Prior>,
        widths: bool,
    ) -> Result<Self, PolicyError> {
        let (mut ridge, inverses) = Self::solve(state, fitting, prior)?;
        if widths {
            ridge.inverses = side_by_side(&inverses, ridge.dimension);
        }
        Ok(ridge)
    }

    /// The same regression, made to take one event after the other.
    pub(crate) fn online(
        state: &RewardState,
        fitting: Fitting,
        prior: Option<Prior>,
    ) -> Result<Self, PolicyError> {
        let (mut ridge, inverses) = Self::solve(state, fitting, prior)?;
        let online = Online::new(inverses, &ridge.common, state.total(), state.tick());
        ridge.online = Some(online);
        Ok(ridge)
    }

    /// Solves all systems under a given prior, or the one of the greatest evidence.
    fn solve(
        state: &RewardState,
        fitting: Fitting,
        prior: Option<Prior>,
    ) -> Result<(Self, Vec<Inverse>), PolicyError> {
        let dimension = state.schema().dimension;
        let changes = Changes::detect(state, fitting.change);
        let effective = Effective::new(state, fitting.replicate, &changes);
        let mean = effective.totals.mean();
        let (arms, events): (Vec<String>, Vec<Events>) =
            effective.in_force(state).into_iter().unzip();
        if let Some(bad) = events.iter().position(|arm| !arm.sums.is_finite()) {
            return Err(PolicyError::Sums(arms[bad].clone()));
        }
        let fit = match prior {
            Some(prior) => Fit::complete(prior, &events, mean, dimension),
            None => prior::fit(fitting.strength, &events, mean, dimension),
        };
        let fit = fit
            .map_err(|bad| PolicyError::NotPositive(arms.get(bad).cloned().unwrap_or_default()))?;
        let mut ridge = Self {
            mean,
            weight: effective.totals.weight,
            fitting,
            changes,
            prior: fit.prior,
            noise: fit.noise,
            dimension,
            thetas: Lanes::new(dimension, arms.len()),
            thetas_mean: mean,
            arms,
            common: fit.common,
            inverses: Vec::new(),
            online: None,
        };
        for (arm, inverse) in fit.inverses.iter().enumerate() {
            let leaning = if ridge.common.is_empty() {
                Vec::new()
            } else {
                inverse.times(&ridge.common)
            };
            ridge.set_theta(arm, inverse, &leaning);
        }
        Ok((ridge, fit.inverses))
    }

    fn set_theta(&mut self, arm: usize, inverse: &Inverse, leaning: &[f64]) {
        let lambda = self.prior.lambda;
        let thetas = inverse.theta(self.thetas_mean).enumerate();
        let leaning = thetas.map(|(row, theta)| {
            let lean = leaning.get(row).map_or(0.0, |lean| lambda * lean);
            theta + lean
        });
        self.thetas.set(arm, leaning);
    }

    /// Takes in the event that `state` has learned last. Returns how many events the state knows.
    ///
    /// The prior is chosen anew whenever there are a third more events, the common weights whenever there are a
    /// thirtieth more; all is solved anew when events have grown older.
    pub(crate) fn learn(
        &mut self,
        state: &RewardState,
        event: &Event<'_>,
        reward: f64,
    ) -> Result<u64, PolicyError> {
        let totals = Totals::new(state, self.fitting.replicate, &self.changes);
        let learned = totals.count;
        let is_heir = state.lineage().values().any(|heir| heir.from == event.arm);
        let index = self.index(event.arm);
        let chooses = self.fitting.replicate == 0;
        let Some(online) = self
            .online
            .as_mut()
            .filter(|online| learned < online.choose_at && online.tick == state.tick())
        else {
            let prior = (!chooses).then_some(self.prior);
            *self = Self::online(state, self.fitting, prior)?;
            return Ok(learned);
        };
        let index = index.filter(|index| !online.inverses[*index].is_stale() && !is_heir);
        let Some(index) = index else {
            let choose_at = online.choose_at;
            let (ridge, inverses) = Self::solve(state, self.fitting, Some(self.prior))?;
            *self = ridge;
            let online = Online::new(inverses, &self.common, learned, state.tick());
            self.online = Some(Online {
                choose_at,
                ..online
            });
            return Ok(learned);
        };
        let x = event.features.as_slice();
        let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let times = match self.fitting.replicate {
            0 => 1,
            replicate => counts(event.id).nth(replicate - 1).unwrap_or(0),
        };
        for _ in 0..times {
            online.inverses[index].add(&wide, reward, &mut online.leanings[index]);
        }
        self.weight = totals.weight;
        self.mean = totals.mean();
        let leans_anew = !self.common.is_empty() && learned >= online.lean_at;
        if leans_anew {
            let prior = self.prior;
            online.inverses.iter_mut().for_each(Inverse::settle);
            self.common = common_weights(prior, &online.inverses, self.mean, self.dimension);
            online.lean(&self.common, learned);
        }
        online.slope(index);
        if let Some(online) = self.online.take() {
            if leans_anew {
                self.thetas_mean = self.mean;
                for (arm, inverse) in online.inverses.iter().enumerate() {
                    self.set_theta(arm, inverse, &online.leanings[arm]);
                }
            } else {
                // The weights of the other arms have changed with the mean alone, which is seen to when they are used.
                self.set_theta(index, &online.inverses[index], &online.leanings[index]);
            }
            self.online = Some(online);
        }
        Ok(learned)
    }

    /// How many events all arms have together, old ones counting less where the policy forgets.
    pub(crate) fn weight(&self) -> f64 {
        self.weight
    }

    pub(crate) fn prior(&self) -> Prior {
        self.prior
    }

    /// The arms known, sorted.
    pub(crate) fn arms(&self) -> &[String] {
        &self.arms
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// The deviation of the noise, in units of the reward.
    pub(crate) fn deviation(&self) -> f64 {
        self.noise.sqrt()
    }

    /// Where each of some arms stands among those known; `None` for an unknown one.
    pub(crate) fn places(&self, arms: &[&str]) -> Vec<Option<usize>> {
        // They mostly come in their order.
        let mut next = 0;
        let place = |arm: &&str| {
            let is_next = self.arms.get(next).is_some_and(|known| known == arm);
            let place = if is_next { Some(next) } else { self.index(arm) };
            next = place.map_or(next, |place| place + 1);
            place
        };
        arms.iter().map(place).collect()
    }

    /// The rewards expected of the arms of a query, which stand at these places.
    pub(crate) fn predictions(&self, query: &Query<'_>, places: &[Option<usize>]) -> Vec<f64> {
        let mut all = self.thetas.times(&query.nonzero, self.mean);
        if let Some(online) = &self.online {
            let step = self.mean - self.thetas_mean;
            let slopes = online.slopes.times(&query.nonzero, 0.0);
            for (prediction, slope) in all.iter_mut().zip(slopes) {
                *prediction -= step * slope;
            }
        }
        let unknown = || {
            let x = query.x.iter().map(|&x| f64::from(x));
            let products = x.zip(&self.common).map(|(x, c)| x * c);
            self.mean + products.sum::<f64>()
        };
        let of = |place: &Option<usize>| place.map_or_else(unknown, |place| all[place]);
        places.iter().map(of).collect()
    }

    /// `sqrt(x' (A_a + lambda I)^-1 x)` of each arm, the uncertainty of its prediction in units of the noise
    /// (Abbasi-Yadkori, Pal, Szepesvari 2011, theorem 2).
    pub(crate) fn widths(&self, query: &Query<'_>, places: &[Option<usize>]) -> Vec<f64> {
        let known = self.quadratics(&query.nonzero);
        let unknown = || {
            let x = query.x.iter().map(|&x| f64::from(x));
            x.map(|x| x * x).sum::<f64>() / self.prior.lambda
        };
        let squared = |place: &Option<usize>| {
            place
                .and_then(|place| match &self.online {
                    Some(online) => Some(online.inverses[place].quadratic(query.x)),
                    None => known.get(place).copied(),
                })
                .unwrap_or_else(unknown)
        };
        // Rounding may leave a tiny negative number; NaN stays NaN.
        let width = |place| {
            let squared: f64 = squared(place);
            if squared < 0.0 { 0.0 } else { squared.sqrt() }
        };
        places.iter().map(width).collect()
    }

    /// `x' (A_a + lambda I)^-1 x` of every known arm at once. Features that are zero cost nothing.
    fn quadratics(&self, nonzero: &[(usize, f32)]) -> Vec<f64> {
        let mut all = Vec::with_capacity(self.arms.len().next_multiple_of(LANES));
        for block in self
            .inverses
            .chunks_exact(packed_length(self.dimension).max(1))
        {
            let sums = widest(Quadratics { block, nonzero });
            all.extend_from_slice(&sums);
        }
        all
    }

    fn index(&self, arm: &str) -> Option<usize> {
        self.arms
            .binary_search_by(|known| known.as_str().cmp(arm))
            .ok()
    }
}

/// `x' P x` for each of [`LANES`] matrices, of which the upper triangles lie side by side.
struct Quadratics<'a> {
    block: &'a [[f32; LANES]],
    nonzero: &'a [(usize, f32)],
}

impl Work for Quadratics<'_> {
    type Output = [f64; LANES];

    #[expect(clippy::inline_always, reason = "as the trait says")]
    #[inline(always)]
    fn run(self) -> [f64; LANES] {
        let mut sums = [0.0_f64; LANES];
        for (at, &(j, xj)) in self.nonzero.iter().enumerate() {
            let column = &self.block[packed_length(j)..=packed_length(j) + j];
            let mut products = [0.0_f32; LANES];
            for &(i, xi) in &self.nonzero[..at] {
                for lane in 0..LANES {
                    products[lane] += xi * column[i][lane];
                }
            }
            for lane in 0..LANES {
                sums[lane] += f64::from(xj * (2.0 * products[lane] + xj * column[j][lane]));
            }
        }
        sums
    }
}

fn side_by_side(inverses: &[Inverse], dimension: usize) -> Vec<[f32; LANES]> {
    let mut all = Vec::with_capacity(packed_length(dimension) * inverses.len().div_ceil(LANES));
    for block in inverses.chunks(LANES) {
        for j in 0..dimension {
            for i in 0..=j {
                let mut entries = [0.0_f32; LANES];
                for (entry, inverse) in entries.iter_mut().zip(block) {
                    *entry = single(inverse.entry(i, j));
                }
                all.push(entries);
            }
        }
    }
    all
}

/// Half the digits are plenty for a width, and half the memory is twice the speed.
#[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
fn single(x: f64) -> f32 {
    x as f32
}

/// Before so many events, the preferred prior is taken.
const CHOOSE_FROM: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FeatureSchema, Features};

    const SCHEMA: FeatureSchema = FeatureSchema {
        dimension: 2,
        version: 1,
    };

    fn x(a: f32, b: f32) -> Features {
        Features::from_logged(vec![a, b], &SCHEMA).unwrap()
    }

    fn predictions(ridge: &Ridge, arms: &[&str], x: &[f32]) -> Vec<f64> {
        ridge.predictions(&Query::new(arms, x), &ridge.places(arms))
    }

    fn widths(ridge: &Ridge, arms: &[&str], x: &[f32]) -> Vec<f64> {
        ridge.widths(&Query::new(arms, x), &ridge.places(arms))
    }

    fn fit(state: &RewardState) -> Ridge {
        let fitting = Fitting {
            strength: Strength::Fixed(1.0),
            change: None,
            replicate: 0,
        };
        Ridge::fit(state, fitting, None, true).unwrap()
    }

    fn learn(state: &mut RewardState, arm: &str, reward: f64) {
        let x = x(1.0, 0.5);
        state.update(&Event::new(arm, &x), reward).unwrap();
    }

    fn close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-12, "{actual} {expected}");
    }

    #[test]
    fn a_regression_worked_by_hand() {
        // One event x = (1, 1/2), r = 1: m = (1 + 1/2) / 2 = 3/4; with lambda 1, A + I =
        // [[2, 1/2], [1/2, 5/4]] of determinant 9/4, and theta = (1/4 x) / (1 + x'x) = x / 9.
        let mut state = RewardState::new(&SCHEMA);
        learn(&mut state, "a", 1.0);
        let ridge = fit(&state);
        let predictions = predictions(&ridge, &["b", "a"], &[1.0, 0.5]);
        close(predictions[0], 0.75);
        close(predictions[1], 0.75 + 1.25 / 9.0);
        // x' (I + x x')^-1 x = x'x / (1 + x'x), by Sherman and Morrison.
        let widths = widths(&ridge, &["a", "b"], &[1.0, 0.5]);
        assert!((widths[0] - (1.25_f64 / 2.25).sqrt()).abs() < 1e-7);
        close(widths[1], 1.25_f64.sqrt());
        // What is left of the reward's square: (1/4)^2 - (1/4)(x' theta), and an event of 1/4.
        close(
            ridge.deviation().powi(2),
            0.5 * (1.0 / 16.0 - 1.25 / 36.0 + 0.25),
        );
    }

    #[test]
    fn the_widest_instructions_give_the_same_bits() {
        let number = |n: usize| single(((n * 7_919) % 1_009) as f64 / 1_009.0 - 0.5);
        let entry = |at: usize| std::array::from_fn(|lane| number(at * LANES + lane));
        let block: Vec<[f32; LANES]> = (0..packed_length(64)).map(entry).collect();
        let nonzero: Vec<(usize, f32)> = (0..64).step_by(3).map(|i| (i, number(i))).collect();
        let (block, nonzero) = (&block[..], &nonzero[..]);
        let plain = Quadratics { block, nonzero }.run();
        let wide = widest(Quadratics { block, nonzero });
        assert_eq!(plain.map(f64::to_bits), wide.map(f64::to_bits));
    }

    #[test]
    fn a_retired_arm_is_unknown_but_its_heir_is_not() {
        let mut state = RewardState::new(&SCHEMA);
        for _ in 0..100 {
            learn(&mut state, "a@1", 1.0);
            learn(&mut state, "b@1", 0.0);
        }
        state.inherit("a@1", "a@2", 4.0).unwrap();
        let before = fit(&state);
        state.retire("a@1");
        let (after, at) = (fit(&state), [1.0, 0.5]);
        assert_eq!(after.arms, ["a@2", "b@1"]);
        close(predictions(&after, &["a@1"], &at)[0], after.mean);
        close(
            predictions(&after, &["a@2"], &at)[0],
            predictions(&before, &["a@2"], &at)[0],
        );
        state.reinstate("a@1");
        assert_eq!(
            predictions(&fit(&state), &["a@1"], &at),
            predictions(&before, &["a@1"], &at)
        );
    }

    #[test]
    fn an_heir_starts_from_its_predecessor_and_is_less_sure() {
        let mut state = RewardState::new(&SCHEMA);
        for _ in 0..100 {
            learn(&mut state, "a@1", 1.0);
            learn(&mut state, "b@1", 0.0);
        }
        state.inherit("a@1", "a@2", 4.0).unwrap();
        state.inherit("a@2", "a@3", 5.0).unwrap();
        let at = [1.0, 0.5];
        let ridge = fit(&state);
        let arms = ["a@1", "a@2", "a@3", "new@1"];
        let predictions = predictions(&ridge, &arms, &at);
        let widths = widths(&ridge, &arms, &at);
        assert!(predictions.is_sorted_by(|a, b| a > b), "{predictions:?}");
        assert!(widths.is_sorted(), "{widths:?}");
        // 25 events of 1 are left of 100, and 5 of these: x'x n / (1 + x'x n) of the way.
        for (arm, n) in [(1, 25.0), (2, 5.0)] {
            let way = 1.25 * n / (1.0 + 1.25 * n);
            close(predictions[arm], ridge.mean + (1.0 - ridge.mean) * way);
        }
    }
}
