//! How well fates are read from requests. Every choice is seeded, so that these numbers are the same in every
//! run: a failure is a change of the rules or of the simulated clients, never chance.

use echo_reward::Fate;
use echo_sim::fates::{Matrix, PROFILES, run};

/// How often each fate must be read right, where the requests tell it, for the worst client: a minuet, whose three
/// answers for one place may each be what the user goes on to type.
const LEAST: f64 = 0.87;

/// And over all clients.
const LEAST_POOLED: f64 = 0.97;

/// Fewer proposals of a fate than these give no rate.
const FEW: u32 = 40;

fn read(name: &str, sessions: u64) -> Matrix {
    let profile = PROFILES
        .iter()
        .find(|profile| profile.name == name)
        .unwrap();
    let mut matrix = Matrix::default();
    for number in 0..sessions {
        run(profile, 7, number, &mut matrix);
    }
    matrix
}

#[test]
fn fates_are_read_as_they_were_for_every_client() {
    let fates = [
        Fate::Accepted,
        Fate::Refined,
        Fate::Rejected,
        Fate::Undone,
        Fate::NeverShown,
    ];
    let mut rates = 0;
    // Right, truly so, read so.
    let mut pooled = fates.map(|_| (0, 0, 0));
    for profile in PROFILES {
        let matrix = read(profile.name, 60);
        for (fate, pooled) in fates.into_iter().zip(&mut pooled) {
            let counts =
                Fate::ALL.map(|other| (matrix.count(fate, other), matrix.count(other, fate)));
            pooled.0 += matrix.count(fate, fate);
            pooled.1 += counts.iter().map(|(row, _)| row).sum::<u32>();
            pooled.2 += counts.iter().map(|(_, column)| column).sum::<u32>();
            let all: u32 = Fate::ALL
                .into_iter()
                .map(|other| matrix.count(fate, other))
                .sum();
            if all < FEW {
                continue;
            }
            for rate in [matrix.precision(fate), matrix.recall(fate)] {
                rates += 1;
                assert!(
                    rate.is_some_and(|rate| rate >= LEAST),
                    "{} {fate}: {:?} / {:?}",
                    profile.name,
                    matrix.precision(fate),
                    matrix.recall(fate)
                );
            }
        }
        let error = matrix.share_error().unwrap();
        assert!(error < 0.06, "{}: {error}", profile.name);
    }
    assert!(rates > 50, "{rates}");
    for (fate, (right, truly, read)) in fates.into_iter().zip(pooled) {
        for all in [truly, read] {
            let rate = f64::from(right) / f64::from(all);
            assert!(rate >= LEAST_POOLED, "{fate}: {rate}");
        }
    }
}

#[test]
fn a_seed_means_the_same_run() {
    let (a, b) = (read("zed", 4), read("zed", 4));
    assert_eq!(a.told, b.told);
    assert_eq!(a.untold, b.untold);
}
