use serde::Serialize;

/// Quantiles of durations, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many durations there were.
    pub count: usize,
    /// The median.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
}

impl Quantiles {
    /// Of durations in microseconds, in any order; `None` without any.
    pub fn of(mut durations_us: Vec<f64>) -> Option<Self> {
        durations_us.sort_by(f64::total_cmp);
        Some(Self {
            count: durations_us.len(),
            p50_us: at(&durations_us, 0.50)?,
            p99_us: at(&durations_us, 0.99)?,
        })
    }
}

/// The median; `None` without any number.
pub(super) fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    at(&numbers, 0.5)
}

/// The quantile of sorted numbers, interpolated between the two nearest (type 7 of Hyndman & Fan
/// 1996).
fn at(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place is within the list"
    )]
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let numbers: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let expected = Quantiles {
            count: 101,
            p50_us: 50.0,
            p99_us: 99.0,
        };
        assert_eq!(Quantiles::of(numbers), Some(expected));
        assert_eq!(Quantiles::of(vec![]), None);
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }
}
