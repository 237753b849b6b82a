/// Cover: the share of a few greedy policies that prefer each arm, where every policy after the first has learned to
/// like what those before it do not do (Agarwal, Hsu, Kale, Langford, Li, Schapire 2014, "Taming the monster", the
/// online form of section 6; Bietti, Agarwal, Langford 2021, algorithm 3).
///
/// `scores` are predicted rewards, and become probabilities; `bonuses` what each policy after the first adds to them.
pub(crate) fn probabilities(scores: &mut [f64], bonuses: impl Iterator<Item = Vec<f64>>) {
    let mut shares = vec![0.0; scores.len()];
    let mut policies = 1.0;
    prefer(scores, &mut shares);
    for bonus in bonuses {
        let own: Vec<f64> = scores.iter().zip(&bonus).map(|(s, b)| s + b).collect();
        prefer(&own, &mut shares);
        policies += 1.0;
    }
    for (score, share) in scores.iter_mut().zip(shares) {
        *score = share / policies;
    }
}

/// Gives one to the best; equals share it.
pub(crate) fn prefer(scores: &[f64], shares: &mut [f64]) {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let ties = scores.iter().filter(|score| **score >= best).count();
    for (score, share) in scores.iter().zip(shares) {
        if *score >= best {
            *share += 1.0 / ties as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_a_share_and_equals_divide_it() {
        let mut scores = [0.5, 0.4, 0.4];
        let bonuses = [vec![0.0, 0.2, 0.2], vec![0.0, 0.0, 0.3]];
        probabilities(&mut scores, bonuses.into_iter());
        let third = 1.0 / 3.0;
        for (p, expected) in scores.iter().zip([third, 0.5 * third, 1.5 * third]) {
            assert!((p - expected).abs() < 1e-15, "{scores:?}");
        }
    }
}
