//! Candidates that are trained on logs of a world whose truth is known.

use echo_policy::training::{Family, Recipe, TrainingSettings};
use echo_policy::{Learner, Snapshot};
use echo_sim::{
    GateSettings, RowOptions, Target, TrainSettings, gate, published_path, train, version_snapshot,
};

use crate::world::{Life, World};

fn settings(family: Family) -> TrainSettings {
    let recipe = Recipe {
        family,
        penalty: None,
    };
    let spec = "epsilon-greedy:epsilon=0,floor=0.01".parse().unwrap();
    TrainSettings::new(TrainingSettings::new(recipe), spec)
}

#[test]
fn what_every_family_learns_from_one_half_is_accepted_on_the_other() {
    let world = World::new(6_000, "uniform", Life::Plain, 31);
    for family in Family::ALL {
        let trained = train(world.path(), &settings(family), &mut |_| ()).unwrap();
        let model = trained.snapshot.model.as_ref().unwrap();
        assert!(
            model.rows > 2_500 && model.rows < 3_500,
            "{family}: {}",
            model.rows
        );
        assert_eq!(model.trained_on.1, trained.snapshot.through);
        let file = world.path().join("candidate.policy");
        std::fs::write(&file, trained.snapshot.to_bytes()).unwrap();
        let verdict = gate(world.path(), &GateSettings::new(Target::Snapshot(file))).unwrap();
        // The best arm of each language is worth 0.55, all alike 0.267.
        assert!(verdict.accepted, "{family}: {verdict:?}");
        assert!(
            (verdict.difference - 0.28).abs() < 0.06,
            "{family}: {verdict:?}"
        );
    }
}

#[test]
fn a_log_that_says_too_little_trains_nobody() {
    let world = World::new(60, "uniform", Life::Plain, 32);
    let refused = train(world.path(), &settings(Family::Logistic), &mut |_| ()).unwrap_err();
    assert!(refused.to_string().contains("enough rows"), "{refused}");
    let mut wrong = settings(Family::Linear);
    wrong.until = Some(1.0);
    let refused = train(world.path(), &wrong, &mut |_| ()).unwrap_err();
    assert!(refused.to_string().contains("between 0 and 1"), "{refused}");
}

#[test]
fn any_version_of_the_log_can_be_had_back() {
    let world = World::new(400, "squarecb", Life::Mixed, 33);
    let options = RowOptions::default();
    let pending = Learner::PENDING_MAX;
    let snapshot = version_snapshot(world.path(), 5, &options, pending).unwrap();
    assert_eq!(snapshot.version, 5);
    assert!(snapshot.through > 0 && snapshot.state.total() < world.fold.learner().state().total());
    let missing = version_snapshot(world.path(), 5_000, &options, pending).unwrap_err();
    assert!(missing.to_string().contains("5000"), "{missing}");
    // A published file that is another one, or gone, is named.
    let sha256 = Snapshot::sha256(&snapshot.to_bytes());
    let path = published_path(world.path(), &sha256);
    let gone = echo_sim::published_snapshot(world.path(), &sha256).unwrap_err();
    assert!(gone.to_string().contains(&sha256), "{gone}");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, b"something else").unwrap();
    let other = echo_sim::published_snapshot(world.path(), &sha256).unwrap_err();
    assert!(other.to_string().contains("not the file"), "{other}");
    std::fs::write(&path, snapshot.to_bytes()).unwrap();
    let read = echo_sim::published_snapshot(world.path(), &sha256).unwrap();
    assert_eq!(read, snapshot);
}
