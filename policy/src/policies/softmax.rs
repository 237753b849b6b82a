/// The Boltzmann distribution: `p_a` proportional to `exp(score_a / temperature)` (Sutton and Barto,
/// "Reinforcement Learning", 2nd edition, equation 2.11).
///
/// `scores` are predicted rewards, and become probabilities; the temperature has their unit.
pub(crate) fn probabilities(scores: &mut [f64], temperature: f64) {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for score in &mut *scores {
        *score = libm::exp((*score - best) / temperature);
    }
    let total: f64 = scores.iter().sum();
    for p in scores {
        *p /= total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odds_follow_the_difference_of_scores() {
        let mut p = [0.3, 0.1, 0.3];
        probabilities(&mut p, 0.1);
        assert!((p[0] / p[1] - libm::exp(2.0)).abs() < 1e-12);
        assert_eq!(p[0], p[2]);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn far_scores_neither_overflow_nor_vanish() {
        let mut p = [1e200, -1e200];
        probabilities(&mut p, 1e-6);
        assert_eq!(p, [1.0, 0.0]);
    }
}
