/// `SquareCB`, inverse gap weighting (Foster and Rakhlin 2020, "Beyond UCB", algorithm 1 with
/// mu = K): for K arms with best score s*, each other arm gets `1 / (K + gamma (s* - s_a))`, and
/// the best one the rest. Several best ones share that rest.
///
/// `scores` are predicted rewards, and become probabilities.
pub(crate) fn probabilities(scores: &mut [f64], gamma: f64) {
    let arms = scores.len() as f64;
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut rest = 1.0;
    let mut ties = 0_u32;
    for score in &mut *scores {
        if *score < best {
            *score = 1.0 / (arms + gamma * (best - *score));
            rest -= *score;
        } else {
            *score = f64::NAN;
            ties += 1;
        }
    }
    let share = rest / f64::from(ties);
    for p in scores.iter_mut().filter(|p| p.is_nan()) {
        *p = share;
    }
}

/// The learning rate after `learned` rewards, for `arms` arms: `c sqrt(K (1 + n))`.
///
/// Theorem 1 of the paper sets gamma = sqrt(K T / R(T)) for T rounds and the regret R(T) of the
/// regression, which for ridge regression grows like d log T. Taking the rounds learned so far for
/// T makes the schedule free of a horizon; the constant `c` stands for 1 / sqrt(R).
pub(crate) fn gamma(c: f64, arms: usize, learned: f64) -> f64 {
    c * (arms as f64 * (1.0 + learned)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_weighted_inversely() {
        // K = 3, gamma = 10: 1 / (3 + 2) and 1 / (3 + 7) leave 0.7.
        let mut p = [0.8, 1.0, 0.3];
        probabilities(&mut p, 10.0);
        for (p, expected) in p.iter().zip([0.2, 0.7, 0.1]) {
            assert!((p - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn the_best_share() {
        let mut p = [0.5, 0.5, 0.5];
        probabilities(&mut p, 10.0);
        assert_eq!(p, [1.0 / 3.0; 3]);
        let mut p = [0.5, 0.0, 0.5];
        probabilities(&mut p, 4.0);
        assert_eq!(p, [0.4, 0.2, 0.4]);
    }

    #[test]
    fn exploration_fades_with_the_square_root_of_what_was_learned() {
        assert_eq!(gamma(2.0, 4, 0.0), 4.0);
        assert_eq!(gamma(2.0, 4, 24.0), 20.0);
    }
}
