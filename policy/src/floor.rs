/// Mixes probabilities with the uniform distribution, so that none falls below `floor`:
/// p' = (1 - K f) p + f for K arms.
///
/// A floor above 1/K cannot be kept; it is then 1/K, and the result uniform. The mixture treats
/// all arms alike, so it is equal under relabelling.
pub(crate) fn mix(probabilities: &mut [f64], floor: f64) {
    let share = floor * probabilities.len() as f64;
    if share >= 1.0 {
        let even = 1.0 / probabilities.len() as f64;
        probabilities.fill(even);
        return;
    }
    for p in probabilities {
        *p = (1.0 - share) * *p + floor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_floor_of_zero_changes_nothing() {
        let mut p = [0.1, 0.9, 0.0];
        mix(&mut p, 0.0);
        assert_eq!(p, [0.1, 0.9, 0.0]);
    }

    #[test]
    fn a_floor_that_cannot_be_kept_gives_the_uniform_distribution() {
        let mut p = [1.0, 0.0, 0.0, 0.0];
        mix(&mut p, 0.3);
        assert_eq!(p, [0.25; 4]);
    }

    proptest! {
        #[test]
        fn the_floor_is_kept_and_the_sum_is_one(
            weights in prop::collection::vec(0.0_f64..1.0, 1..30),
            floor in 0.0_f64..0.2,
        ) {
            let total: f64 = weights.iter().sum();
            prop_assume!(total > 0.0);
            let mut p: Vec<f64> = weights.iter().map(|w| w / total).collect();
            mix(&mut p, floor);
            let least = floor.min(1.0 / p.len() as f64);
            prop_assert!(p.iter().all(|&p| p >= least));
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
