use crate::widest::{Work, widest};
use serde::{Deserialize, Serialize};

use crate::nonzero::nonzero;
use crate::triangle::packed_length;

/// The sums over the events of one arm, each event being a context x and a reward r.
///
/// With features on a grid of 2^-12 and rewards on one of 2^-14, every term is a multiple of
/// 2^-28, so that `f64` holds each sum exactly for more than 2^25 (33 million) events: additions
/// commute, and taking an event back leaves no trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArmSums {
    /// Number of events.
    pub(crate) count: u64,
    /// Sum of r.
    pub(crate) reward: f64,
    /// Sum of r^2.
    pub(crate) reward_squared: f64,
    /// Sum of x; length d.
    pub(crate) x: Vec<f64>,
    /// Sum of x r; length d.
    pub(crate) xr: Vec<f64>,
    /// Sum of x x', upper triangle packed by columns; length d (d + 1) / 2.
    pub(crate) xx: Vec<f64>,
}

impl ArmSums {
    pub(crate) fn new(dimension: usize) -> Self {
        Self {
            count: 0,
            reward: 0.0,
            reward_squared: 0.0,
            x: vec![0.0; dimension],
            xr: vec![0.0; dimension],
            xx: vec![0.0; packed_length(dimension)],
        }
    }

    /// Adds one event so many times. Most features are zero, and their rows are skipped.
    pub(crate) fn add(&mut self, x: &[f32], reward: f64, times: u32) {
        self.count += u64::from(times);
        self.accumulate(x, reward, f64::from(times));
    }

    /// Takes one event back, which must have been added as many times.
    pub(crate) fn subtract(&mut self, x: &[f32], reward: f64, times: u32) {
        self.count -= u64::from(times);
        self.accumulate(x, reward, -f64::from(times));
    }

    /// Puts a reward in the place of another one.
    pub(crate) fn replace(&mut self, x: &[f32], old: f64, new: f64, times: u32) {
        let delta = f64::from(times) * (new - old);
        self.reward += delta;
        self.reward_squared += f64::from(times) * (new * new - old * old);
        for (sum, &x) in self.xr.iter_mut().zip(x) {
            *sum += f64::from(x) * delta;
        }
    }

    fn accumulate(&mut self, x: &[f32], reward: f64, times: f64) {
        widest(Addition {
            to: self,
            x,
            reward,
            times,
        });
    }

    #[expect(
        clippy::inline_always,
        reason = "to have the instructions of its caller"
    )]
    #[inline(always)]
    fn accumulate_at_once(&mut self, x: &[f32], reward: f64, times: f64) {
        self.reward += times * reward;
        self.reward_squared += times * (reward * reward);
        for (j, xj) in nonzero(x) {
            let start = packed_length(j);
            let column = &mut self.xx[start..=start + j];
            let xj = times * f64::from(xj);
            self.x[j] += xj;
            self.xr[j] += xj * reward;
            for (sum, &xi) in column.iter_mut().zip(x) {
                *sum += xj * f64::from(xi);
            }
        }
    }

    /// Adds `1 / widen` of the other's sums; `widen` = 1 is exact.
    pub(crate) fn add_share(&mut self, other: &Self, widen: f64) {
        self.reward += other.reward / widen;
        self.reward_squared += other.reward_squared / widen;
        for (mine, theirs) in [
            (&mut self.x, &other.x),
            (&mut self.xr, &other.xr),
            (&mut self.xx, &other.xx),
        ] {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs / widen;
            }
        }
    }

    pub(crate) fn is_finite(&self) -> bool {
        let vectors = self.x.iter().chain(&self.xr).chain(&self.xx);
        vectors
            .chain([&self.reward, &self.reward_squared])
            .all(|value| value.is_finite())
    }

    pub(crate) fn fits(&self, dimension: usize) -> bool {
        self.x.len() == dimension
            && self.xr.len() == dimension
            && self.xx.len() == packed_length(dimension)
    }
}

struct Addition<'a> {
    to: &'a mut ArmSums,
    x: &'a [f32],
    reward: f64,
    times: f64,
}

impl Work for Addition<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "as the trait says")]
    #[inline(always)]
    fn run(self) {
        self.to.accumulate_at_once(self.x, self.reward, self.times);
    }
}
