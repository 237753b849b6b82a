use crate::pattern::matches;

/// Given weights, normalised over the eligible arms; `scores` is overwritten.
///
/// A pattern with an `@` means the arm of exactly this id, one without means every version of the
/// arm of this name; several arms under one pattern share its weight. Returns false if no eligible
/// arm has a weight.
pub(crate) fn probabilities(scores: &mut [f64], arms: &[&str], weights: &[(String, f64)]) -> bool {
    scores.fill(0.0);
    for (pattern, weight) in weights {
        let ties = arms.iter().filter(|arm| matches(pattern, arm)).count();
        for (score, arm) in scores.iter_mut().zip(arms) {
            if matches(pattern, arm) {
                *score += weight / ties as f64;
            }
        }
    }
    let total: f64 = scores.iter().sum();
    for p in &mut *scores {
        *p /= total;
    }
    total > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_go_to_names_and_versions() {
        let weights = [
            ("ngram".to_owned(), 2.0),
            ("file@2".to_owned(), 1.0),
            ("gone".to_owned(), 9.0),
        ];
        let mut p = [0.0; 4];
        let arms = ["ngram@1", "ngram@2", "file@1", "file@2"];
        assert!(probabilities(&mut p, &arms, &weights));
        for (p, expected) in p.iter().zip([1.0, 1.0, 0.0, 1.0]) {
            assert!((p - expected / 3.0).abs() < 1e-15);
        }
        assert!(!probabilities(&mut [0.0], &["other@1"], &weights));
    }
}
