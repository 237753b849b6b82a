use super::epsilon_greedy::greedy;

/// `LinUCB` with disjoint models (Li, Chu, Langford, Schapire 2010, algorithm 1): the arm of the
/// highest upper confidence bound, score + alpha * width; equals share.
///
/// `scores` are predicted rewards, and become probabilities; `widths` are those of the ridge.
pub(crate) fn probabilities(scores: &mut [f64], widths: impl Iterator<Item = f64>, alpha: f64) {
    for (score, width) in scores.iter_mut().zip(widths) {
        *score += alpha * width;
    }
    greedy(scores);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uncertain_arm_wins_over_a_slightly_better_one() {
        let mut p = [0.5, 0.4, 0.1];
        probabilities(&mut p, [0.1, 0.3, 0.3].into_iter(), 1.0);
        assert_eq!(p, [0.0, 1.0, 0.0]);
        let mut p = [0.5, 0.4, 0.1];
        probabilities(&mut p, [0.1, 0.3, 0.3].into_iter(), 0.0);
        assert_eq!(p, [1.0, 0.0, 0.0]);
    }
}
