/// Randomised upper confidence bounds (Vaswani, Mehrabian, Durand, Kveton 2020, "Old dog learns new tricks:
/// randomized UCB for bandit problems", algorithm 1, coupled): the arm of the highest `score + z * width`, where one
/// z, the absolute value of a normal number of deviation `scale`, is drawn for all arms.
///
/// The paper draws z from a grid; here it is continuous, and nothing is drawn: each arm is best in one interval of z,
/// and its probability is that interval's. An arm that is best for no z >= 0 has none; the floor gives it some.
///
/// `scores` are predicted rewards, and become probabilities; `widths` have the unit of rewards.
pub(crate) fn probabilities(scores: &mut [f64], widths: &[f64], scale: f64) {
    let mut shares = vec![0.0; scores.len()];
    let mut best = steepest(scores, widths, highest(scores));
    let mut below = 0.0;
    loop {
        let next = crossing(scores, widths, best);
        let up_to = next.map_or(1.0, |(z, _)| half_normal(z, scale));
        let is_same = |arm: &usize| scores[*arm] >= scores[best] && widths[*arm] >= widths[best];
        // Those that are equal in both share; no other arm is at least as good in both.
        let ties = (0..scores.len()).filter(is_same).count();
        for arm in (0..scores.len()).filter(is_same) {
            shares[arm] = (up_to - below) / ties as f64;
        }
        below = up_to;
        match next {
            Some((_, arm)) => best = arm,
            None => break,
        }
    }
    scores.copy_from_slice(&shares);
}

fn highest(scores: &[f64]) -> f64 {
    scores.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Of the arms of the highest score, one of the greatest width.
fn steepest(scores: &[f64], widths: &[f64], highest: f64) -> usize {
    let mut best = 0;
    let mut width = f64::NEG_INFINITY;
    for (arm, score) in scores.iter().enumerate() {
        if *score >= highest && widths[arm] > width {
            (best, width) = (arm, widths[arm]);
        }
    }
    best
}

/// The least z at which an arm of greater width overtakes the best one, and that arm; of several the one of the
/// greatest width.
fn crossing(scores: &[f64], widths: &[f64], best: usize) -> Option<(f64, usize)> {
    let mut first: Option<(f64, usize)> = None;
    for arm in 0..scores.len() {
        let steeper = widths[arm] - widths[best];
        if steeper <= 0.0 {
            continue;
        }
        let z = ((scores[best] - scores[arm]) / steeper).max(0.0);
        let is_first = first
            .is_none_or(|(least, other)| z < least || (z <= least && widths[arm] > widths[other]));
        if is_first {
            first = Some((z, arm));
        }
    }
    first
}

/// How likely |N(0, scale^2)| is below z.
fn half_normal(z: f64, scale: f64) -> f64 {
    if scale > 0.0 {
        libm::erf(z / (scale * core::f64::consts::SQRT_2))
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_arm_has_the_interval_in_which_it_is_best() {
        // The first is best up to z = 0.1 / 0.2 = 1/2, the third from there on; the second never.
        let mut p = [0.5, 0.2, 0.4];
        probabilities(&mut p, &[0.1, 0.15, 0.3], 1.0);
        let first = libm::erf(0.5 / core::f64::consts::SQRT_2);
        assert!((p[0] - first).abs() < 1e-15 && p[1] == 0.0);
        assert!((p[2] - (1.0 - first)).abs() < 1e-15);
    }

    #[test]
    fn equals_share_and_without_scale_the_best_is_certain() {
        let mut p = [0.5; 3];
        probabilities(&mut p, &[0.2; 3], 1.0);
        assert_eq!(p, [1.0 / 3.0; 3]);
        let mut p = [0.5, 0.4];
        probabilities(&mut p, &[0.1, 0.9], 0.0);
        assert_eq!(p, [1.0, 0.0]);
        let mut p = [0.5, 0.5];
        probabilities(&mut p, &[0.1, 0.9], 1.0);
        assert_eq!(
            p,
            [0.0, 1.0],
            "of equal scores the wider is better for every z"
        );
    }

    proptest! {
        #[test]
        fn the_probabilities_are_the_shares_of_z(
            arms in prop::collection::vec((0.0_f64..1.0, 0.01_f64..0.5), 1..9),
        ) {
            let (mut p, widths): (Vec<f64>, Vec<f64>) = arms.iter().copied().unzip();
            probabilities(&mut p, &widths, 0.7);
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{:?}", p);
            // The middle of each of 2,000 strips of equal probability, found by bisection.
            let mut counted = vec![0.0; arms.len()];
            for strip in 0..2_000 {
                let at = (f64::from(strip) + 0.5) / 2_000.0;
                let (mut low, mut high) = (0.0, 7.0);
                for _ in 0..50 {
                    let middle = 0.5 * (low + high);
                    if half_normal(middle, 0.7) < at { low = middle } else { high = middle }
                }
                let value = |arm: &(f64, f64)| arm.0 + low * arm.1;
                let best = (0..arms.len()).max_by(|a, b| value(&arms[*a]).total_cmp(&value(&arms[*b])));
                counted[best.unwrap_or(0)] += 1.0 / 2_000.0;
            }
            for (p, counted) in p.iter().zip(counted) {
                prop_assert!((p - counted).abs() < 2e-3, "{} {}", p, counted);
            }
        }
    }
}
