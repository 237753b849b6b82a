use crate::error::EstimateError;
use serde::Serialize;

/// A confidence level: the nominal share of intervals that hold the truth.
///
/// Strictly between 0 and 1. The default is 0.95.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Level(f64);

impl Level {
    /// A level from a number strictly between 0 and 1.
    ///
    /// # Errors
    /// [`EstimateError::Level`] for anything else, NaN included.
    pub fn new(level: f64) -> Result<Self, EstimateError> {
        if level > 0.0 && level < 1.0 {
            Ok(Self(level))
        } else {
            Err(EstimateError::Level { level })
        }
    }

    /// The level as a number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// The two-sided standard normal quantile: 1.959963984540054 at level 0.95.
    ///
    /// Source: the inverse normal distribution function of Cephes (`ndtri`).
    pub fn normal_quantile(self) -> f64 {
        // The upper tail by symmetry: 1 - (1 - level) / 2 would lose digits near level 1.
        -spec_math::cephes64::ndtri((1.0 - self.0) / 2.0)
    }
}

impl Default for Level {
    fn default() -> Self {
        Self(0.95)
    }
}

/// A two-sided interval around an estimate, in units of the reward, not clipped to its range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Nominal coverage.
    pub level: Level,
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl Interval {
    /// `value` plus and minus the normal quantile of `level` times `standard_error`.
    pub fn normal(value: f64, standard_error: f64, level: Level) -> Self {
        let half = level.normal_quantile() * standard_error;
        Self {
            level,
            lo: value - half,
            hi: value + half,
        }
    }

    /// `value` plus and minus Student's t quantile with `degrees` degrees of freedom, at least 1,
    /// rounded down, times `standard_error`.
    ///
    /// Source: the inverse t distribution function of Cephes (`stdtri`).
    pub fn student(value: f64, standard_error: f64, degrees: f64, level: Level) -> Self {
        let half = student_upper(degrees, (1.0 - level.0) / 2.0) * standard_error;
        Self {
            level,
            lo: value - half,
            hi: value + half,
        }
    }

    /// Whether `value` lies in the interval, ends included.
    pub fn holds(&self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
    }
}

/// The number that Student's t exceeds with probability `tail`, for `degrees` degrees of freedom, at least 1, rounded
/// down.
///
/// `stdtri` of Cephes is right to nine digits with many degrees of freedom; one step of Newton's method gives the rest.
pub(crate) fn student_upper(degrees: f64, tail: f64) -> f64 {
    use spec_math::cephes64::{lgam, stdtr, stdtri};
    let degrees = degrees.floor().max(1.0);
    #[expect(clippy::cast_possible_truncation, reason = "at most a number of rows")]
    let whole = degrees as isize;
    let quantile = stdtri(whole, tail);
    let density = (lgam(0.5 * (degrees + 1.0)) - lgam(0.5 * degrees)).exp()
        / (degrees * std::f64::consts::PI).sqrt()
        * (1.0 + quantile * quantile / degrees).powf(-0.5 * (degrees + 1.0));
    -(quantile - (stdtr(whole, quantile) - tail) / density)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_match_published_tables() {
        for (level, quantile) in [
            (0.5, 0.674_489_750_196_081_7),
            (0.9, 1.644_853_626_951_472_2),
            (0.95, 1.959_963_984_540_054),
            (0.99, 2.575_829_303_548_900_4),
        ] {
            let got = Level::new(level).unwrap().normal_quantile();
            assert!((got - quantile).abs() < 1e-14, "{level}: {got}");
        }
    }

    #[test]
    fn student_quantiles_match_published_tables() {
        for (degrees, quantile) in [
            (1.0, 12.706_204_736_432_1),
            (5.0, 2.570_581_835_636_3),
            (11.9, 2.200_985_160_082_9),
            (39.0, 2.022_690_920_036_8),
            (1e4, 1.960_201_239_8),
        ] {
            let interval = Interval::student(0.0, 1.0, degrees, Level::default());
            assert!(
                (interval.hi - quantile).abs() < 1e-9,
                "{degrees}: {}",
                interval.hi
            );
            assert!((interval.hi + interval.lo).abs() < 1e-12);
        }
    }

    #[test]
    fn a_level_lies_strictly_between_zero_and_one() {
        for bad in [0.0, 1.0, -0.1, 95.0, f64::NAN] {
            assert!(Level::new(bad).is_err(), "{bad}");
        }
    }
}
