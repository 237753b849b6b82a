//! What every policy must do, whatever its rule.

#![expect(clippy::unwrap_used, reason = "tests")]

use echo_policy::{
    Distribution, DrawKey, Event as Decided, Facts, FeatureSchema, Features, Learner, Policy,
    PolicyError, PolicySpec, Position, RewardState, Rule, Snapshot, Trigger,
};
use proptest::prelude::*;

const SPECS: [&str; 23] = [
    "uniform",
    "fixed:arm0=0.7,arm1=0.2,arm7=0.1,floor=0.02",
    "always:arm0,floor=0.05",
    "epsilon-greedy",
    "softmax",
    "linucb",
    "lints",
    "lints:draws=16,scale=1,floor=0.01",
    "squarecb",
    "squarecb:floor=0.001,lambda=0.1",
    "randucb",
    "randucb:floor=0.01,lambda=0.1,scale=2",
    "regcb-opt",
    "regcb-elim:floor=0.02",
    "bootstrap",
    "bootstrap:replicates=3,floor=0.01,halflife=10s",
    "randucb:halflife=1h,halflife:arm1=10m,change=0.01",
    "squarecb:budget=0.5,cost:arm0=1,cost:arm1@1=0.25",
    "linucb:ipcw=client",
    "squarecb:model=logistic",
    "randucb:model=logistic,floor=0.01,window=800,halflife=1h",
    "cover",
    "cover:size=3,psi=0.5,model=logistic",
];

const ARMS: [&str; 9] = [
    "arm0@1", "arm1@1", "arm2@1", "arm3@1", "arm4@1", "arm5@1", "arm6@1", "arm7@1", "arm8@1",
];

const SCHEMA: FeatureSchema = FeatureSchema {
    dimension: 8,
    version: 1,
};

fn policy(spec: &str, state: &RewardState) -> Policy {
    Policy::build(&spec.parse().unwrap(), state, 1).unwrap()
}

fn key(decision: u128) -> DrawKey {
    DrawKey { seed: 11, decision }
}

fn context() -> impl Strategy<Value = Features> {
    prop::collection::vec(-1.0_f32..=1.0, SCHEMA.dimension)
        .prop_map(|values| Features::from_logged(values, &SCHEMA).unwrap())
}

type Event = (usize, Features, f64);

/// Events of the first six arms; the others are never seen.
fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0_usize..6, context(), 0.0_f64..=1.0), 0..50)
}

/// The n-th decision, 1 s after the one before, of one of three kinds of clients.
fn decided<'a>(n: usize, arm: &'a str, x: &'a Features) -> Decided<'a> {
    let n = u32::try_from(n).unwrap();
    let event = Decided::new(arm, x).with_id(u128::from(n));
    event.at(i64::from(n) * 1_000).of_stratum(n % 3)
}

fn empty(spec: &str) -> RewardState {
    RewardState::remembering(&SCHEMA, spec.parse::<PolicySpec>().unwrap().memory())
}

fn learned(spec: &str, events: &[Event], names: &[&str]) -> RewardState {
    let mut state = empty(spec);
    for (n, (arm, x, reward)) in events.iter().enumerate() {
        let event = decided(n, names[*arm], x);
        state.decided(&event).unwrap();
        state.update(&event, *reward).unwrap();
    }
    state
}

proptest! {
    #[test]
    fn probabilities_sum_to_one_and_keep_the_floor(
        events in events(), x in context(), arms in 1_usize..=9, decision: u128,
    ) {
        for spec in SPECS {
            let policy = policy(spec, &learned(spec, &events, &ARMS));
            let choice = policy.decide(&x, &ARMS[..arms], key(decision)).unwrap();
            let p = choice.distribution.probabilities();
            prop_assert!(!choice.degraded, "{spec}");
            prop_assert_eq!(p.len(), arms);
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{}: {:?}", spec, p);
            // Unseen arms are among them.
            let floor = policy.spec().floor().min(1.0 / arms as f64);
            prop_assert!(p.iter().all(|&p| p >= floor && p > 0.0), "{}: {:?}", spec, p);
        }
    }

    #[test]
    fn permuting_the_arms_permutes_the_probabilities(
        events in events(), x in context(), decision: u128,
        order in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let permuted: Vec<&str> = order.iter().map(|&arm| ARMS[arm]).collect();
        for spec in SPECS {
            let policy = policy(spec, &learned(spec, &events, &ARMS));
            let straight = policy.distribution(&x, &ARMS, key(decision)).unwrap();
            let shuffled = policy.distribution(&x, &permuted, key(decision)).unwrap();
            for (&arm, p) in order.iter().zip(shuffled.probabilities()) {
                prop_assert!((straight.probabilities()[arm] - p).abs() < 1e-12, "{}", spec);
            }
        }
    }

    #[test]
    fn renaming_the_arms_changes_nothing(events in events(), x in context(), decision: u128) {
        let names = ["z", "q", "a", "f", "zz", "m", "o", "b", "l"];
        for text in SPECS {
            let (state, renamed) = (learned(text, &events, &ARMS), learned(text, &events, &names));
            // Fixed weights, costs and half-lives are given to names; Thompson sampling draws by name, so that only
            // the distribution of its probabilities stays.
            let spec: PolicySpec = text.parse().unwrap();
            let is_named = matches!(spec.rule(), Rule::Fixed { .. } | Rule::LinTs { .. });
            if is_named || text.contains(":arm") {
                continue;
            }
            let build = |state| Policy::build(&spec, state, 1).unwrap();
            let before = build(&state).distribution(&x, &ARMS, key(decision)).unwrap();
            let after = build(&renamed).distribution(&x, &names, key(decision)).unwrap();
            for (before, after) in before.probabilities().iter().zip(after.probabilities()) {
                prop_assert!((before - after).abs() < 1e-12, "{}", spec);
            }
        }
    }

    #[test]
    fn arms_of_equal_experience_have_equal_probabilities(
        events in events(), x in context(), decision: u128,
    ) {
        for spec in [
            "uniform", "epsilon-greedy", "softmax", "linucb", "squarecb", "randucb", "regcb-opt", "regcb-elim",
            "bootstrap", "softmax:halflife=20s", "squarecb:ipcw=client",
        ] {
            let mut state = empty(spec);
            for (n, (_, x, reward)) in events.iter().enumerate() {
                for arm in &ARMS[2..5] {
                    state.decided(&decided(n, arm, x)).unwrap();
                    state.update(&decided(n, arm, x), *reward).unwrap();
                }
            }
            let distribution = policy(spec, &state).distribution(&x, &ARMS, key(decision)).unwrap();
            let p = distribution.probabilities();
            prop_assert!(p[2..5].iter().all(|q| q.to_bits() == p[2].to_bits()), "{}", spec);
            let unseen = [p[0], p[1], p[5], p[6], p[7], p[8]];
            prop_assert!(unseen.iter().all(|q| q.to_bits() == p[0].to_bits()), "{}", spec);
        }
    }

    #[test]
    fn a_replay_repeats_every_bit(
        events in events(), x in context(), decision: u128, arms in 1_usize..=9,
    ) {
        for spec in SPECS {
            let parsed: PolicySpec = spec.parse().unwrap();
            let mut live = Learner::remembering(&SCHEMA, parsed.memory());
            for (n, (arm, x, reward)) in events.iter().enumerate() {
                live.decision(&decided(n, ARMS[*arm], x)).unwrap();
                live.reward(n as u128, Some(1.0 - *reward), false).unwrap();
                live.reward(n as u128, Some(*reward), true).unwrap();
            }
            // In the opposite order.
            let mut replayed = empty(spec);
            for (n, (arm, x, reward)) in events.iter().enumerate().rev() {
                replayed.decided(&decided(n, ARMS[*arm], x)).unwrap();
                replayed.update(&decided(n, ARMS[*arm], x), *reward).unwrap();
            }
            prop_assert_eq!(live.state(), &replayed);
            let bytes = live.snapshot(&spec.parse().unwrap(), 4, 9).to_bytes();
            let snapshot = Snapshot::from_bytes(&bytes).unwrap();
            let first = policy(spec, live.state());
            let choice = first.decide(&x, &ARMS[..arms], key(decision)).unwrap();
            for other in [
                Policy::build(&snapshot.spec, &snapshot.state, snapshot.version).unwrap(),
                policy(spec, &replayed),
            ] {
                let again = other.decide(&x, &ARMS[..arms], key(decision)).unwrap();
                let bits = |p: &[f64]| p.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(
                    bits(choice.distribution.probabilities()),
                    bits(again.distribution.probabilities())
                );
                prop_assert_eq!(choice.chosen, again.chosen);
            }
        }
    }
}

#[test]
fn one_arm_is_certain_and_no_arm_is_an_error() {
    let x = Features::from_logged(vec![0.5; SCHEMA.dimension], &SCHEMA).unwrap();
    for spec in SPECS {
        let policy = policy(spec, &empty(spec));
        let choice = policy.decide(&x, &ARMS[..1], key(1)).unwrap();
        assert_eq!(choice.chosen, 0, "{spec}");
        assert!((choice.distribution.probabilities()[0] - 1.0).abs() < 1e-12);
        assert_eq!(policy.decide(&x, &[], key(1)), Err(PolicyError::NoArms));
    }
}

#[test]
fn before_any_reward_learning_policies_prefer_no_arm() {
    let x = Features::from_logged(vec![0.5; SCHEMA.dimension], &SCHEMA).unwrap();
    for spec in [
        "epsilon-greedy",
        "softmax",
        "linucb",
        "squarecb",
        "randucb",
        "bootstrap",
    ] {
        let policy = policy(spec, &empty(spec));
        let distribution = policy.distribution(&x, &ARMS, key(1)).unwrap();
        for p in distribution.probabilities() {
            assert!((p - 1.0 / 9.0).abs() < 1e-12, "{spec}: {p}");
        }
    }
}

#[test]
fn extreme_facts_are_survived() {
    let schema = FeatureSchema::default();
    for bad in [f32::NAN, f32::INFINITY, -1e30, 1e30] {
        let mut position = Position::at("\u{feff}\0\u{10ffff}'\"", "\\", Some("\u{1f980}"));
        (position.indent, position.depth) = (u16::MAX, u16::MAX);
        let facts = Facts {
            language: Some("x".repeat(100_000)),
            tenant: Some("\0".repeat(100_000)),
            client: String::new(),
            trigger: Trigger::Speculative,
            prefix_chars: u32::MAX,
            suffix_chars: u32::MAX,
            position,
            hour: u8::MAX,
            user_acceptance: bad,
            file_acceptance: bad,
        };
        let x = schema.featurise(&facts);
        assert!(x.as_slice().iter().all(|v| v.abs() <= 1.0));
        for spec in SPECS {
            let memory = spec.parse::<PolicySpec>().unwrap().memory();
            let mut state = RewardState::remembering(&schema, memory);
            state.update(&Decided::new("arm0@1", &x), 1.0).unwrap();
            let choice = policy(spec, &state).decide(&x, &ARMS, key(1)).unwrap();
            assert!(!choice.degraded, "{spec}");
        }
    }
}

/// A world in which each of three languages has an arm of its own that is accepted with
/// probability 0.8, the two others with 0.2.
struct World {
    schema: FeatureSchema,
    languages: [&'static str; 3],
    arms: [&'static str; 3],
    seed: u64,
}

impl World {
    const ROUNDS: u32 = 1_500;
    const ROUNDS_BETWEEN_POLICIES: u32 = 50;

    fn new(seed: u64) -> Self {
        Self {
            schema: FeatureSchema::default(),
            languages: ["rust", "python", "go"],
            arms: ["ngram@1", "copy@1", "syntax@1"],
            seed,
        }
    }

    /// A number below `of` that follows from the seed, the round and the purpose.
    fn draw(&self, round: u32, purpose: u8, of: usize) -> usize {
        let decision = (u128::from(round) << 8) | u128::from(purpose);
        let seed = self.seed;
        let even = Distribution::uniform(of).unwrap();
        even.sample(DrawKey { seed, decision })
    }

    fn context(&self, language: usize, round: u32) -> Features {
        let facts = Facts {
            language: Some(self.languages[language].to_owned()),
            tenant: None,
            client: "llama.vim".to_owned(),
            trigger: Trigger::Automatic,
            prefix_chars: round * 7 % 4_000,
            suffix_chars: round * 13 % 900,
            position: Position::at(["let x = ", "    ", "// "][round as usize % 3], "", None),
            hour: (round % 24) as u8,
            user_acceptance: 0.4,
            file_acceptance: 0.4,
        };
        self.schema.featurise(&facts)
    }

    /// Lets a policy learn, and returns the least probability it then gives to the best arm, and
    /// how often a proposal was accepted.
    fn run(&self, spec: &PolicySpec) -> (f64, f64) {
        let mut learner = Learner::remembering(&self.schema, spec.memory());
        let mut policy = Policy::build(spec, learner.state(), 0).unwrap();
        let mut accepted = 0.0;
        for round in 0..Self::ROUNDS {
            if round % Self::ROUNDS_BETWEEN_POLICIES == 0 {
                policy = Policy::build(spec, learner.state(), u64::from(round)).unwrap();
            }
            let language = self.draw(round, 0, 3);
            let x = self.context(language, round);
            let id = u128::from(round);
            let key = DrawKey {
                seed: !self.seed,
                decision: id,
            };
            let chosen = policy.decide(&x, &self.arms, key).unwrap().chosen;
            let tenths = if chosen == language { 8 } else { 2 };
            let reward = f64::from(u8::from(self.draw(round, 1, 10) < tenths));
            accepted += reward;
            let event = Decided::new(self.arms[chosen], &x)
                .with_id(id)
                .at(i64::from(round));
            learner.decision(&event).unwrap();
            learner.reward(id, Some(reward), true).unwrap();
        }
        let cases = (0..3).flat_map(|language| (0..3).map(move |place| (language, place)));
        let least = cases.map(|(language, place)| {
            let round = Self::ROUNDS + place;
            let x = self.context(language, round);
            let choice = policy.decide(&x, &self.arms, key(1)).unwrap();
            choice.distribution.probabilities()[language]
        });
        let least = least.fold(f64::INFINITY, f64::min);
        (least, accepted / f64::from(Self::ROUNDS))
    }
}

#[test]
fn learning_policies_find_the_best_arm_of_each_context() {
    // Uniform choice is accepted with probability 0.4; its share over 1,500 rounds has a deviation
    // of 0.013, so that 0.5 is eight of them away. The seeds are fixed. Over a hundred seeds, no
    // learning policy was accepted less than 0.65, and none gave a best arm less than 0.67, but for
    // the one with a floor of 0.001, which missed one arm in one context three times.
    for spec in SPECS {
        let spec: PolicySpec = spec.parse().unwrap();
        for seed in 0..3 {
            let (least, accepted) = World::new(seed).run(&spec);
            if spec.rule().learns() {
                assert!(least > 0.5, "{spec}, seed {seed}: {least}");
                assert!(accepted > 0.5, "{spec}, seed {seed}: {accepted}");
            } else if *spec.rule() == Rule::Uniform {
                assert!(
                    (accepted - 0.4).abs() < 0.1,
                    "{spec}, seed {seed}: {accepted}"
                );
            }
        }
    }
}

#[test]
fn draws_follow_the_probabilities_of_every_policy() {
    // Pearson's chi-square of 20,000 draws in the same context; with 8 degrees of freedom a true
    // sampler exceeds 31.8 with probability 1e-4, in any of the nineteen policies with 2e-3. Thompson
    // sampling has other probabilities for each decision, whose sums are the expected counts; the
    // draws are then less dispersed than the test assumes, and the bound is on the safe side.
    let x = Features::from_logged(vec![0.25; SCHEMA.dimension], &SCHEMA).unwrap();
    let rounds = (0_usize..60).map(|round| {
        let reward = (round % 7) as f64 / 6.0;
        (round * round % 7, x.clone(), reward)
    });
    let rounds: Vec<Event> = rounds.collect();
    for spec in SPECS {
        let policy = policy(spec, &learned(spec, &rounds, &ARMS));
        let (mut counts, mut expected) = ([0.0; 9], [0.0; 9]);
        for decision in 0..20_000 {
            let choice = policy.decide(&x, &ARMS, key(decision)).unwrap();
            counts[choice.chosen] += 1.0;
            for (sum, p) in expected.iter_mut().zip(choice.distribution.probabilities()) {
                *sum += p;
            }
        }
        let terms = counts.iter().zip(expected);
        let chi_square: f64 = terms.map(|(n, e)| (n - e) * (n - e) / e).sum();
        assert!(chi_square < 31.8, "{spec}: {chi_square}");
    }
}

proptest! {
    #[test]
    fn a_policy_that_learns_by_itself_decides_as_one_that_is_built(
        events in prop::collection::vec(
            (0_usize..3, prop::collection::vec(-1.0_f32..=1.0, 4), 0.0_f64..=1.0), 1..80),
        spec in prop::sample::select(vec![
            "squarecb", "linucb", "lints", "epsilon-greedy", "softmax", "randucb:lambda=0.5", "bootstrap:replicates=3",
            "squarecb:halflife=40ms",
        ]),
    ) {
        let schema = FeatureSchema { dimension: 4, version: 1 };
        let spec: PolicySpec = spec.parse().unwrap();
        let arms = ["a@1", "b@1", "c@1"];
        let mut state = RewardState::remembering(&schema, spec.memory());
        let mut online = Policy::online(&spec, &state, 1).unwrap();
        for (step, (arm, x, reward)) in events.iter().enumerate() {
            let features = Features::from_logged(x.clone(), &schema).unwrap();
            // One that was built learns as well.
            let mut late = Policy::build(&spec, &state, 1).unwrap();
            let at_ms = i64::try_from(step).unwrap();
            let event = Decided::new(arms[*arm], &features).with_id(step as u128).at(at_ms);
            state.update(&event, *reward).unwrap();
            online.learn(&state, &event, *reward).unwrap();
            let built = Policy::build(&spec, &state, 1).unwrap();
            prop_assert_eq!(online.learned(), built.learned());
            late.learn(&state, &event, *reward).unwrap();
            for arm in arms {
                let (a, b) = (online.prediction(&features, arm), built.prediction(&features, arm));
                let (a, b) = (a.unwrap(), b.unwrap());
                prop_assert!((a - b).abs() < 1e-9, "step {}", step);
                let late = late.prediction(&features, arm).unwrap();
                prop_assert!((late - b).abs() < 1e-9, "step {}", step);
            }
        }
        let features = Features::from_logged(events[0].1.clone(), &schema).unwrap();
        let key = DrawKey { seed: 1, decision: 2 };
        let of = |policy: &Policy| policy.distribution(&features, &arms, key).unwrap();
        let (a, b) = (of(&online), of(&Policy::build(&spec, &state, 1).unwrap()));
        if matches!(spec.rule(), Rule::SquareCb { .. } | Rule::Softmax { .. } | Rule::Bootstrap { .. }) {
            for (a, b) in a.probabilities().iter().zip(b.probabilities()) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }
}

/// Two arms, of which one is right; half-way they change places. Returns the shares of right choices in the quarter after
/// that, and in the last tenth.
fn after_a_turn(spec: &str, seed: u64) -> (f64, f64) {
    const ROUNDS: u32 = 4_000;
    let spec: PolicySpec = spec.parse().unwrap();
    let mut state = RewardState::remembering(&SCHEMA, spec.memory());
    let mut policy = Policy::build(&spec, &state, 0).unwrap();
    let even = Distribution::uniform(20).unwrap();
    let (arms, mut soon, mut late) = (["a@1", "b@1"], 0.0, 0.0);
    for round in 0..ROUNDS {
        if round % 50 == 0 {
            policy = Policy::build(&spec, &state, u64::from(round)).unwrap();
        }
        let x = Features::from_logged(vec![1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &SCHEMA);
        let (x, id) = (x.unwrap(), u128::from(round));
        let chosen = policy
            .decide(&x, &arms, DrawKey { seed, decision: id })
            .unwrap()
            .chosen;
        let best = usize::from(round >= ROUNDS / 2);
        let twentieths = if chosen == best { 14 } else { 6 };
        let draw = even.sample(DrawKey {
            seed: !seed,
            decision: id,
        });
        let event = Decided::new(arms[chosen], &x)
            .with_id(id)
            .at(i64::from(round));
        state
            .update(&event, f64::from(u8::from(draw < twentieths)))
            .unwrap();
        let right = f64::from(u8::from(chosen == best));
        if round >= ROUNDS - ROUNDS / 10 {
            late += right / f64::from(ROUNDS / 10);
        } else if (ROUNDS / 2..ROUNDS - ROUNDS / 4).contains(&round) {
            soon += right / f64::from(ROUNDS / 4);
        }
    }
    (soon, late)
}

#[test]
fn what_is_forgotten_gives_way_to_what_is_true_now() {
    // After as many rounds as before, sums that forget nothing are near a tie: 2,000 rounds told that one arm is
    // better, and the other is tried only now and then. With a half-life of 300 rounds the arms have changed places.
    // A longer half-life is slower to see it, unless it is looked for.
    for seed in 0..3 {
        for rule in ["epsilon-greedy", "squarecb", "randucb", "bootstrap"] {
            let (_, late) = after_a_turn(&format!("{rule}:halflife=300ms"), seed);
            assert!(late > 0.75, "{rule}, seed {seed}: {late}");
        }
        let (keeps, _) = after_a_turn("randucb", seed);
        let (waits, _) = after_a_turn("randucb:halflife=2s", seed);
        let (looks, _) = after_a_turn("randucb:halflife=2s,change=0.001", seed);
        assert!(keeps < 0.2, "seed {seed}: {keeps}");
        assert!(looks > waits + 0.1, "seed {seed}: {waits} {looks}");
    }
}

#[test]
fn a_budget_is_kept_and_spent() {
    // The dear arm is always better. A budget of a quarter leaves it every fourth decision.
    let spec: PolicySpec = "squarecb:floor=0.01,budget=0.25,cost:dear=1"
        .parse()
        .unwrap();
    let mut state = RewardState::remembering(&SCHEMA, spec.memory());
    let mut policy = Policy::build(&spec, &state, 0).unwrap();
    let (arms, mut spent) = (["cheap@1", "dear@1"], 0.0);
    let rounds = 8_000_u32;
    for round in 0..rounds {
        if round % 20 == 0 {
            policy = Policy::build(&spec, &state, 1).unwrap();
        }
        let x = Features::from_logged(vec![1.0; SCHEMA.dimension], &SCHEMA).unwrap();
        let id = u128::from(round);
        let key = DrawKey {
            seed: 5,
            decision: id,
        };
        let chosen = policy.decide(&x, &arms, key).unwrap().chosen;
        spent += f64::from(u8::from(chosen == 1));
        let event = Decided::new(arms[chosen], &x)
            .with_id(id)
            .at(i64::from(round));
        state.decided(&event).unwrap();
        state.update(&event, [0.4, 0.8][chosen]).unwrap();
    }
    let mean = spent / f64::from(rounds);
    assert!((mean - 0.25).abs() < 0.02, "{mean}");
    assert!(policy.price() > 0.3, "{}", policy.price());
}
