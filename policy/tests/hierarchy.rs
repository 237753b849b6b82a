//! A tenant who is new starts from what is known of all, and ends with what is true of himself.

#![expect(clippy::unwrap_used, reason = "tests")]

use echo_policy::{
    Distribution, DrawKey, Event, Facts, FeatureSchema, Features, Learner, Policy, PolicySpec,
    Position, Trigger,
};

const ARMS: [&str; 3] = ["ngram@1", "copy@1", "syntax@1"];
const LANGUAGES: [&str; 3] = ["rust", "python", "go"];

/// The default policy at work for several tenants. In each language one arm is taken with probability 0.8 and the others
/// with 0.2: the same ones for all tenants but `odd`, for whom they are turned round by one.
struct Tenants {
    schema: FeatureSchema,
    spec: PolicySpec,
    learner: Learner,
    policy: Policy,
    seed: u64,
    round: u32,
}

impl Tenants {
    const ROUNDS_BETWEEN_POLICIES: u32 = 20;

    fn new(version: u32, seed: u64) -> Self {
        let schema = FeatureSchema {
            version,
            ..FeatureSchema::default()
        };
        let spec = PolicySpec::default();
        let learner = Learner::remembering(&schema, spec.memory());
        let policy = Policy::build(&spec, learner.state(), 0).unwrap();
        Self {
            schema,
            spec,
            learner,
            policy,
            seed,
            round: 0,
        }
    }

    fn draw(&self, purpose: u8, of: usize) -> usize {
        let decision = (u128::from(self.round) << 8) | u128::from(purpose);
        let seed = self.seed;
        let even = Distribution::uniform(of).unwrap();
        even.sample(DrawKey { seed, decision })
    }

    fn context(&self, tenant: &str, language: usize) -> Features {
        self.schema.featurise(&Facts {
            language: Some(LANGUAGES[language].to_owned()),
            tenant: Some(tenant.to_owned()),
            client: "llama.vim".to_owned(),
            trigger: Trigger::Automatic,
            prefix_chars: 300,
            suffix_chars: 100,
            position: Position::at(["let x = ", "    ", "// "][self.draw(2, 3)], "", None),
            hour: 12,
            user_acceptance: 0.4,
            file_acceptance: 0.4,
        })
    }

    /// Lets the tenants ask in turns; returns the chance that the last one takes what he gets, on average over his
    /// requests of the last `counted` rounds.
    fn ask(&mut self, tenants: &[&str], rounds: u32, counted: u32) -> f64 {
        let (mut chances, mut asked) = (0.0, 0.0);
        for at in 0..rounds {
            if self.round.is_multiple_of(Self::ROUNDS_BETWEEN_POLICIES) {
                let version = u64::from(self.round);
                self.policy = Policy::build(&self.spec, self.learner.state(), version).unwrap();
            }
            let who = at as usize % tenants.len();
            let language = self.draw(0, 3);
            let x = self.context(tenants[who], language);
            let id = u128::from(self.round);
            let key = DrawKey {
                seed: !self.seed,
                decision: id,
            };
            let choice = self.policy.decide(&x, &ARMS, key).unwrap();
            let best = (language + usize::from(tenants[who] == "odd")) % 3;
            if who + 1 == tenants.len() && at + counted >= rounds {
                chances += 0.2 + 0.6 * choice.distribution.probabilities()[best];
                asked += 1.0;
            }
            let tenths = if choice.chosen == best { 8 } else { 2 };
            let reward = f64::from(u8::from(self.draw(1, 10) < tenths));
            let event = Event::new(ARMS[choice.chosen], &x)
                .with_id(id)
                .at(i64::from(self.round));
            self.learner.decision(&event).unwrap();
            self.learner.reward(id, Some(reward), true).unwrap();
            self.round += 1;
        }
        chances / asked
    }
}

fn mean(of: impl Fn(u64) -> f64) -> f64 {
    (0..SEEDS).map(of).sum::<f64>() / SEEDS as f64
}

const SEEDS: u64 = 5;

#[test]
fn a_new_tenant_starts_from_what_is_known_of_all() {
    let first_rounds = |version, known: u32, seed| {
        let mut tenants = Tenants::new(version, seed);
        tenants.ask(&["acme", "initech"], known, 1);
        tenants.ask(&["umbrella"], 60, 60)
    };
    let fresh = mean(|seed| first_rounds(2, 0, seed));
    let pooled = mean(|seed| first_rounds(1, 1_200, seed));
    let hierarchical = mean(|seed| first_rounds(2, 1_200, seed));
    println!("first 60: fresh {fresh:.3}, pooled {pooled:.3}, hierarchical {hierarchical:.3}");
    assert!(hierarchical > fresh + 0.15);
    assert!(hierarchical > pooled - 0.03);
}

#[test]
fn a_tenant_unlike_the_others_gets_what_is_right_for_him() {
    let in_the_end = |version, seed| {
        let mut tenants = Tenants::new(version, seed);
        tenants.ask(&["acme", "initech"], 1_200, 1);
        tenants.ask(&["acme", "initech", "odd"], 1_800, 600)
    };
    let pooled = mean(|seed| in_the_end(1, seed));
    let hierarchical = mean(|seed| in_the_end(2, seed));
    println!("last 200 of 600: pooled {pooled:.3}, hierarchical {hierarchical:.3}");
    assert!(hierarchical > pooled + 0.2);
}

#[test]
fn nothing_is_lost_to_those_who_are_alike() {
    let in_the_end = |version, seed| {
        let mut tenants = Tenants::new(version, seed);
        tenants.ask(
            &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"],
            2_000,
            1_000,
        )
    };
    let pooled = mean(|seed| in_the_end(1, seed));
    let hierarchical = mean(|seed| in_the_end(2, seed));
    println!("ten alike: pooled {pooled:.3}, hierarchical {hierarchical:.3}");
    assert!(hierarchical > pooled - 0.03);
}
