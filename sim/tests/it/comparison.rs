//! Many policies compared on logs of a world whose truth is known.

use echo_sim::{Comparison, EvaluationSettings, Target, compare, evaluate};

use crate::world::{Life, World, value_of, value_of_uniform};

fn targets(texts: &[&str]) -> Vec<Target> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn compared(world: &World, texts: &[&str]) -> Comparison {
    let targets = targets(texts);
    let settings = EvaluationSettings::new(targets[0].clone());
    compare(world.path(), &targets, &settings).unwrap()
}

#[test]
fn a_comparison_is_what_single_evaluations_say_with_wider_intervals() {
    let world = World::new(3_000, "uniform", Life::Mixed, 41);
    let found = compared(&world, &["uniform", "always:copy", "always:ngram"]);
    assert_eq!(found.intervals, 5);
    for (policy, text) in found
        .policies
        .iter()
        .zip(["uniform", "always:copy", "always:ngram"])
    {
        let mut settings = EvaluationSettings::new(text.parse().unwrap());
        settings.baseline = Some("uniform".parse().unwrap());
        let single = evaluate(world.path(), &settings).unwrap();
        let dr = single.estimate("dr").unwrap();
        assert!((policy.value.value - dr.value).abs() < 1e-12, "{text}");
        assert!(
            policy.value.interval.lo < dr.interval.lo && policy.value.interval.hi > dr.interval.hi
        );
        if let Some(difference) = &policy.difference {
            let alone = single.difference.unwrap();
            assert!((difference.value - alone.value).abs() < 1e-12, "{text}");
        }
    }
    assert!(found.policies[0].difference.is_none());
}

#[test]
fn the_intervals_hold_together() {
    // At 80 % for all together, of 60 logs no more than 21 may have an interval that misses: with a chance of 20 %
    // each, 22 or more have a probability of 0.3 %. Bonferroni is cautious besides. The seeds are fixed.
    let truth = [value_of_uniform(), value_of(0), value_of(1)];
    let misses = (0..60).filter(|seed| {
        let world = World::new(500, "uniform", Life::Plain, 500 + seed);
        let targets = targets(&["uniform", "always:copy", "always:ngram"]);
        let mut settings = EvaluationSettings::new(targets[0].clone());
        settings.estimates.level = echo_sim::Level::new(0.8).unwrap();
        let found = compare(world.path(), &targets, &settings).unwrap();
        let values = found.policies.iter().zip(truth);
        let mut held = values.map(|(policy, truth)| {
            let difference = policy.difference.as_ref();
            policy.value.interval.holds(truth)
                && difference
                    .is_none_or(|difference| difference.interval.holds(truth - value_of_uniform()))
        });
        !held.all(|held| held)
    });
    let misses = misses.count();
    assert!(misses <= 21, "{misses}");
}

#[test]
fn policies_that_the_log_cannot_judge_are_refused() {
    let world = World::new(300, "uniform", Life::Plain, 43);
    let targets = targets(&["uniform", "always:gone"]);
    let settings = EvaluationSettings::new(targets[0].clone());
    assert!(compare(world.path(), &targets, &settings).is_err());
}
