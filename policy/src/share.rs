//! Bounds on the share of requests that an arm gets.

use crate::pattern::matches;

/// The least and the greatest probability of the arms that a pattern means, each by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareBound {
    /// A name, which means all versions of the arm, or an id such as `ngram@2`.
    pub pattern: String,
    /// The least probability, in [0, 1].
    pub least: f64,
    /// The greatest probability, in [0, 1], at least `least`.
    pub most: f64,
}

/// Moves probabilities, which keep a floor, into the bounds: p' = clamp(s p, least, most), with the one factor s for
/// which they sum to one. Arms that no bound holds keep their ratios.
///
/// Where the eligible arms' upper bounds do not add up to one, they are all raised by one factor; lower bounds that add
/// up to more are lowered likewise. The floor stands below every bound, but where `most` is less.
pub(crate) fn keep(probabilities: &mut [f64], arms: &[&str], bounds: &[ShareBound], floor: f64) {
    let floor = floor.min(1.0 / probabilities.len().max(1) as f64);
    let mut limits: Vec<(f64, f64)> = arms.iter().map(|arm| limit(arm, bounds, floor)).collect();
    let most: f64 = limits.iter().map(|limit| limit.1).sum();
    if most < 1.0 {
        let total = if most > 0.0 { most } else { 1.0 };
        let even = 1.0 / probabilities.len().max(1) as f64;
        for (p, limit) in probabilities.iter_mut().zip(&limits) {
            *p = if most > 0.0 { limit.1 / total } else { even };
        }
        return;
    }
    let least: f64 = limits.iter().map(|limit| limit.0).sum();
    if least > 1.0 {
        for limit in &mut limits {
            limit.0 /= least;
        }
    }
    let at = |scale: f64| -> f64 {
        let moved = probabilities.iter().zip(&limits);
        moved
            .map(|(p, limit)| (p * scale).clamp(limit.0, limit.1))
            .sum()
    };
    let (mut low, mut high) = (0.0, 1.0);
    while at(high) < 1.0 && high < SCALE_MOST {
        high *= 2.0;
    }
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if at(middle) < 1.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    for (p, limit) in probabilities.iter_mut().zip(&limits) {
        *p = (*p * high).clamp(limit.0, limit.1);
    }
    // What the halvings leave over, of the order of rounding, or where arms of probability zero had to take the rest.
    let total: f64 = probabilities.iter().sum();
    let rest = 1.0 - total;
    let room = |p: f64, limit: &(f64, f64)| if rest > 0.0 { limit.1 - p } else { p - limit.0 };
    let all: f64 = probabilities
        .iter()
        .zip(&limits)
        .map(|(p, limit)| room(*p, limit))
        .sum();
    if all > 0.0 {
        for (p, limit) in probabilities.iter_mut().zip(&limits) {
            *p += rest * room(*p, limit) / all;
        }
    }
}

fn limit(arm: &str, bounds: &[ShareBound], floor: f64) -> (f64, f64) {
    let (mut least, mut most) = (floor, 1.0_f64);
    for bound in bounds.iter().filter(|bound| matches(&bound.pattern, arm)) {
        least = least.max(bound.least);
        most = most.min(bound.most);
    }
    (least.min(most), most)
}

const HALVINGS: u32 = 60;

/// Beyond that, the arms without bounds have no probability worth speaking of.
const SCALE_MOST: f64 = 1e12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bound(pattern: &str, least: f64, most: f64) -> ShareBound {
        ShareBound {
            pattern: pattern.to_owned(),
            least,
            most,
        }
    }

    fn close(actual: &[f64], expected: &[f64]) {
        let near = |(a, e): (&f64, &f64)| (a - e).abs() < 1e-12;
        assert!(
            actual.iter().zip(expected).all(near),
            "{actual:?} {expected:?}"
        );
    }

    #[test]
    fn what_a_new_version_may_not_have_goes_to_the_others_in_their_ratio() {
        let arms = ["a@1", "a@2", "b@1"];
        let mut p = [0.2, 0.7, 0.1];
        keep(&mut p, &arms, &[bound("a@2", 0.0, 0.1)], 0.01);
        close(&p, &[0.6, 0.1, 0.3]);
        let mut p = [0.2, 0.7, 0.1];
        keep(&mut p, &arms, &[bound("b", 0.4, 1.0)], 0.01);
        close(&p, &[0.6 * 2.0 / 9.0, 0.6 * 7.0 / 9.0, 0.4]);
    }

    #[test]
    fn bounds_that_cannot_hold_are_moved_together() {
        let mut p = [0.5, 0.5];
        keep(
            &mut p,
            &["a", "b"],
            &[bound("a", 0.0, 0.1), bound("b", 0.0, 0.3)],
            0.0,
        );
        close(&p, &[0.25, 0.75]);
        let mut p = [1.0];
        keep(&mut p, &["a"], &[bound("a", 0.0, 0.0)], 0.0);
        close(&p, &[1.0]);
        let mut p = [0.5, 0.5];
        keep(
            &mut p,
            &["a", "b"],
            &[bound("a", 0.9, 1.0), bound("b", 0.6, 1.0)],
            0.0,
        );
        close(&p, &[0.6, 0.4]);
        // All that is free has no probability at all.
        let mut p = [1.0, 0.0, 0.0];
        keep(&mut p, &["a", "b", "c"], &[bound("a", 0.0, 0.4)], 0.0);
        close(&p, &[0.4, 0.3, 0.3]);
    }

    proptest! {
        #[test]
        fn bounds_floor_and_sum_hold(
            weights in prop::collection::vec(0.001_f64..1.0, 2..9),
            first in (0.0_f64..0.4, 0.0_f64..1.0),
            second in (0.0_f64..0.4, 0.0_f64..1.0),
        ) {
            let total: f64 = weights.iter().sum();
            let names: Vec<String> = (0..weights.len()).map(|n| format!("a{n}@1")).collect();
            let arms: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut p: Vec<f64> = weights.iter().map(|w| 0.9 * w / total + 0.1 / weights.len() as f64).collect();
            let floor = 0.1 / weights.len() as f64;
            let bounds = [bound("a0", first.0, first.0.max(first.1)), bound("a1@1", second.0, second.0.max(second.1))];
            keep(&mut p, &arms, &bounds, floor);
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let possible = bounds.iter().map(|b| b.most).sum::<f64>() + weights.len() as f64 - 2.0 >= 1.0;
            for (p, arm) in p.iter().zip(&arms) {
                let (least, most) = limit(arm, &bounds, floor);
                prop_assert!(*p > -1e-12);
                if possible {
                    prop_assert!(*p <= most + 1e-9, "{p} {most}");
                    prop_assert!(*p >= least - 1e-9, "{p} {least}");
                }
            }
        }
    }
}
