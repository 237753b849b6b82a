use super::epsilon_greedy::greedy;

/// `RegCB` (Foster, Agarwal, Dudik, Luo, Schapire 2018, algorithm 1) for ridge regression, optimistic: the arm whose
/// best plausible reward is highest; equals share.
///
/// Plausible are the functions whose squared loss exceeds the least by at most beta. With ridge regression these are an
/// ellipsoid, so that the bound on an arm's reward needs no search: score + sqrt(beta) * width. `scores` are predicted
/// rewards, and become probabilities; `widths` are those of the ridge.
pub(crate) fn optimistic(scores: &mut [f64], widths: &[f64], beta: f64) {
    let radius = beta.sqrt();
    for (score, width) in scores.iter_mut().zip(widths) {
        *score += radius * width;
    }
    greedy(scores);
}

/// The same paper's elimination: all arms that may be the best share, those whose best plausible reward is at least
/// the greatest of the worst ones.
pub(crate) fn elimination(scores: &mut [f64], widths: &[f64], beta: f64) {
    let radius = beta.sqrt();
    let worst = scores
        .iter()
        .zip(widths)
        .map(|(score, width)| score - radius * width);
    let bar = worst.fold(f64::NEG_INFINITY, f64::max);
    for (score, width) in scores.iter_mut().zip(widths) {
        *score = if *score + radius * width >= bar {
            1.0
        } else {
            0.0
        };
    }
    let left: f64 = scores.iter().sum();
    for p in scores {
        *p /= left;
    }
}

/// beta = mellowness * ln(1 + K n) for K arms after n rewards, as Vowpal Wabbit schedules it.
pub(crate) fn beta(mellowness: f64, arms: usize, learned: f64) -> f64 {
    mellowness * libm::log1p(arms as f64 * learned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plausible_arms_share_and_the_most_hopeful_wins() {
        let (scores, widths) = ([0.5, 0.4, 0.1], [0.1, 0.3, 0.1]);
        let mut p = scores;
        elimination(&mut p, &widths, 1.0);
        assert_eq!(p, [0.5, 0.5, 0.0]);
        let mut p = scores;
        optimistic(&mut p, &widths, 1.0);
        assert_eq!(p, [0.0, 1.0, 0.0]);
        let mut p = scores;
        elimination(&mut p, &widths, 0.0);
        assert_eq!(p, [1.0, 0.0, 0.0]);
        assert!(beta(0.1, 4, 0.0) == 0.0 && beta(0.1, 4, 100.0) > beta(0.1, 4, 10.0));
    }
}
