/// Epsilon-greedy (Sutton and Barto, "Reinforcement Learning", 2nd edition, section 2.2): with
/// probability epsilon any arm, else one of the best, which share equally.
///
/// `scores` are predicted rewards, and become probabilities.
pub(crate) fn probabilities(scores: &mut [f64], epsilon: f64) {
    greedy(scores);
    let each = epsilon / scores.len() as f64;
    for p in scores {
        *p = (1.0 - epsilon) * *p + each;
    }
}

/// All probability on the arms of the highest score, which share it equally.
pub(crate) fn greedy(scores: &mut [f64]) {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let ties = scores.iter().filter(|&&score| score >= best).count();
    for score in scores {
        *score = if *score >= best {
            1.0 / ties as f64
        } else {
            0.0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_share_and_the_others_keep_epsilon() {
        let mut p = [0.2, 0.7, 0.7, -1.0];
        probabilities(&mut p, 0.2);
        for (p, expected) in p.iter().zip([0.05, 0.45, 0.45, 0.05]) {
            assert!((p - expected).abs() < 1e-15);
        }
    }
}
