use super::epsilon_greedy::greedy;

/// Online bootstrap (Eckles and Kaptein 2014; "bag" in Bietti, Agarwal, Langford 2021, section 3.2, greedified): the
/// probability of an arm is the share of regressions under which it is best, equals sharing.
///
/// `scores` are the rewards predicted by the regression over all events, and become probabilities; `others` are those by
/// the replicates, each of which counts every event a Poisson number of times. The first votes as well, so that before
/// the replicates have learned much, what is known best is known.
pub(crate) fn probabilities(scores: &mut [f64], mut others: Vec<Vec<f64>>) {
    greedy(scores);
    let voters = (others.len() + 1) as f64;
    for other in &mut others {
        greedy(other);
        for (sum, vote) in scores.iter_mut().zip(other) {
            *sum += *vote;
        }
    }
    for p in scores {
        *p /= voters;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_regression_has_a_vote() {
        let mut p = [0.5, 0.4, 0.1];
        let others = vec![
            vec![0.5, 0.6, 0.1],
            vec![0.9, 0.9, 0.1],
            vec![0.5, 0.2, 0.1],
        ];
        probabilities(&mut p, others);
        assert_eq!(p, [0.625, 0.375, 0.0]);
    }
}
