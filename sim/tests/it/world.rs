//! A small world whose truth is known, and a server's log of it.

use echo_experience::{
    Decision, Entry, Evidence, Log, LogOptions, LogReader, PolicyPublished, Record, Served,
};
use echo_policy::{DrawKey, Facts, FeatureSchema, Learner, Policy, PolicySpec, Position, Trigger};
use echo_reward::Scorer;
use echo_sim::learning::Fold;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use tempfile::TempDir;

pub(crate) const ARMS: [&str; 3] = ["copy@1", "ngram@1", "silence@1"];

/// Chance that a proposal is kept, by language and arm; half of the requests are in either language.
const KEPT: [[f64; 3]; 2] = [[0.6, 0.3, 0.0], [0.2, 0.5, 0.0]];

/// Mean reward of always taking an arm.
pub(crate) fn value_of(arm: usize) -> f64 {
    f64::midpoint(KEPT[0][arm], KEPT[1][arm])
}

/// Mean reward of taking all arms alike.
pub(crate) fn value_of_uniform() -> f64 {
    (value_of(0) + value_of(1) + value_of(2)) / 3.0
}

pub(crate) struct World {
    pub(crate) directory: TempDir,
    /// Decisions by what became of them.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Mean reward of the usable rows.
    pub(crate) mean_reward: f64,
    pub(crate) last_version: u64,
    /// Records before the server was started again.
    pub(crate) half_way: u64,
    /// The learner at the end, with everything in the log.
    pub(crate) fold: Fold,
}

/// What happens to the decisions.
#[derive(Clone, Copy)]
pub(crate) enum Life {
    /// Every decision is answered and its reward known at once.
    Plain,
    /// Rewards are late and revised; some decisions are broken off, named, censored and so on.
    Mixed,
}

struct Server {
    log: Log,
    random: ChaCha8Rng,
    spec: PolicySpec,
    schema: FeatureSchema,
    seq: u64,
    /// Entries that the learner has not read yet: it lags behind.
    unread: VecDeque<Entry>,
    read: Vec<Entry>,
    fold: Fold,
    policy: Policy,
    control: Policy,
    version: u64,
}

const SEED: u64 = 77;
const LAG: usize = 7;
const PUBLISH_EVERY: u64 = 40;

impl Server {
    fn open(path: &Path, schema: FeatureSchema, spec: &str, seed: u64) -> Self {
        let (log, _) = Log::open(path, LogOptions::default()).unwrap();
        let spec: PolicySpec = spec.parse().unwrap();
        let scorer = Scorer::default();
        let fold = Fold::remembering(&schema, scorer, Learner::PENDING_MAX, spec.memory());
        let uniform: PolicySpec = "uniform".parse().unwrap();
        let mut server = Self {
            log,
            random: ChaCha8Rng::seed_from_u64(seed),
            policy: fold.policy(&spec, 1).unwrap(),
            control: fold.policy(&uniform, 0).unwrap(),
            spec,
            schema,
            seq: 0,
            unread: VecDeque::new(),
            read: Vec::new(),
            fold,
            version: 1,
        };
        server.publish("control", 0, &uniform);
        let spec = server.spec.clone();
        server.publish("treatment", 1, &spec);
        server
    }

    fn append(&mut self, record: Record) {
        let entry = Entry {
            seq: self.seq + 1,
            record: record.clone(),
        };
        drop(self.log.append(record));
        self.seq += 1;
        self.unread.push_back(entry);
    }

    fn publish(&mut self, cohort: &str, version: u64, spec: &PolicySpec) {
        self.append(Record::PolicyPublished(PolicyPublished {
            at_ms: 0,
            version,
            through: if cohort == "control" {
                0
            } else {
                self.fold.through()
            },
            seed: SEED,
            cohort: cohort.to_owned(),
            spec: spec.to_string(),
            sha256: self.fold.state_sha256(),
            reason: "test".to_owned(),
            snapshot: None,
        }));
    }

    fn learn(&mut self) {
        while self.unread.len() > LAG {
            let entry = self.unread.pop_front().unwrap();
            self.fold.entry(&entry).unwrap();
            self.read.push(entry);
        }
        self.version += 1;
        self.policy = self.fold.policy(&self.spec, self.version).unwrap();
        let spec = self.spec.clone();
        self.publish("treatment", self.version, &spec);
    }

    /// Starts again under another schema, on the log that is there.
    fn start_again(&mut self, schema: FeatureSchema) {
        let (scorer, memory) = (Scorer::default(), self.spec.memory());
        let mut fold = Fold::remembering(&schema, scorer, Learner::PENDING_MAX, memory);
        for entry in &self.read {
            fold.entry(entry).unwrap();
        }
        (self.schema, self.fold) = (schema, fold);
        let uniform: PolicySpec = "uniform".parse().unwrap();
        self.publish("control", 0, &uniform);
        self.learn();
    }

    fn chance(&mut self, probability: f64) -> bool {
        ((self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64) < probability
    }

    fn decide(&mut self, number: u64, control: bool, named: bool) -> (Decision, usize) {
        let language = usize::from(self.chance(0.5));
        let id = (1_u128 << 100) + u128::from(number);
        let name = ["rust", "python"][language];
        let facts = Facts {
            language: Some(name.to_owned()),
            tenant: (self.schema.version > 1).then(|| "t".to_owned()),
            client: "test".to_owned(),
            trigger: Trigger::Automatic,
            prefix_chars: 100,
            suffix_chars: 0,
            position: Position::at("let x = ", "", Some(name)),
            hour: 12,
            user_acceptance: 0.5,
            file_acceptance: 0.5,
        };
        let features = self.schema.featurise(&facts);
        let policy = if control { &self.control } else { &self.policy };
        let key = DrawKey {
            seed: SEED,
            decision: id,
        };
        let choice = policy.decide(&features, &ARMS, key).unwrap();
        let hex = format!("{id:032x}");
        let decision = Decision {
            id: [
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..],
            ]
            .join("-"),
            at_ms: 1_000_000 + i64::try_from(number).unwrap() * 1_000,
            tenant: "t".to_owned(),
            user: format!("user {}", number % 50),
            client: "test".to_owned(),
            cohort: if control { "control" } else { "treatment" }.to_owned(),
            language: facts.language.clone(),
            file: None,
            prefix: None,
            suffix: None,
            facts: serde_json::to_string(&facts).unwrap(),
            features: features.as_slice().to_vec(),
            schema: self.schema.hash(),
            arms: ARMS.iter().map(|&arm| arm.to_owned()).collect(),
            probabilities: choice.distribution.probabilities().to_vec(),
            chosen: u32::try_from(choice.chosen).unwrap(),
            routed: !named,
            degraded: false,
            policy_version: policy.version(),
            model: "echo".to_owned(),
        };
        (decision, language)
    }

    fn served(&mut self, decision: &Decision, choice: u32, ending: &str, fallback: bool) {
        self.append(Record::Served(Served {
            decision: decision.id.clone(),
            choice,
            at_ms: decision.at_ms + 100,
            arm: decision.arms[decision.chosen as usize].clone(),
            fallback,
            text: "text".to_owned(),
            ending: ending.to_owned(),
            first_byte_ms: Some(10.0),
            total_ms: 20.0,
            tokens: 1,
        }));
    }
}

fn evidence(decision: &Decision, fate: &str, kept_share: f64, settled: bool) -> Record {
    Record::Evidence(Evidence {
        decision: decision.id.clone(),
        choice: 0,
        at_ms: decision.at_ms + 2_000,
        fate: fate.to_owned(),
        kept_share,
        accepted_chars: 4,
        shown_chars: 4,
        edit_distance: 0.0,
        settled,
        source: "request".to_owned(),
        kept_text: None,
    })
}

impl World {
    /// `decisions` decisions of a server whose policy is `spec`.
    pub(crate) fn new(decisions: u64, spec: &str, life: Life, seed: u64) -> Self {
        let schema = FeatureSchema::default();
        Self::grown(decisions, spec, life, seed, [schema; 2])
    }

    /// The same, of a server that begins under the first schema and is started again under the second half-way.
    pub(crate) fn grown(
        decisions: u64,
        spec: &str,
        life: Life,
        seed: u64,
        [first, second]: [FeatureSchema; 2],
    ) -> Self {
        let directory = TempDir::new().unwrap();
        let mut server = Server::open(directory.path(), first, spec, seed);
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut late: VecDeque<Record> = VecDeque::new();
        let (mut total, mut half_way) = (0.0, 0);
        for number in 0..decisions {
            if number == decisions / 2 && first != second {
                half_way = server.seq;
                server.start_again(second);
            }
            let mixed = matches!(life, Life::Mixed);
            let fate = if mixed { number % 20 } else { 0 };
            let control = fate == 1 || fate == 2;
            let (decision, language) = server.decide(number, control, fate == 3);
            server.append(Record::Decision(decision.clone()));
            let kept = server.chance(KEPT[language][decision.chosen as usize]);
            let reward = f64::from(u8::from(kept));
            let kind = match fate {
                1 | 2 => "control_cohort",
                3 => "named_by_client",
                4 => "fallback",
                5 => "broken_off",
                6 => "not_answered",
                7 => "censored",
                8 => "no_evidence",
                _ => "rows",
            };
            *counts.entry(kind).or_default() += 1;
            match kind {
                "not_answered" => continue,
                "broken_off" => server.served(&decision, 0, "cancelled", false),
                "fallback" => server.served(&decision, 0, "stop", true),
                _ => server.served(&decision, 0, "stop", false),
            }
            if fate == 9 {
                server.served(&decision, 1, "stop", false);
            }
            let last = if kept { "accepted" } else { "rejected" };
            match kind {
                "no_evidence" | "broken_off" => {}
                "censored" => late.push_back(evidence(&decision, "censored", 0.0, true)),
                _ if mixed => {
                    // First thought to be kept in part, then known.
                    server.append(evidence(&decision, "partial", 0.25, false));
                    late.push_back(evidence(&decision, last, reward, true));
                }
                _ => server.append(evidence(&decision, last, reward, true)),
            }
            if kind == "rows" {
                total += reward;
            }
            if late.len() > 5 {
                let record = late.pop_front().unwrap();
                server.append(record);
            }
            if (number + 1) % PUBLISH_EVERY == 0 {
                server.learn();
            }
        }
        for record in late {
            server.append(record);
        }
        while let Some(entry) = server.unread.pop_front() {
            server.fold.entry(&entry).unwrap();
        }
        server.log.close().unwrap();
        let rows = counts.get("rows").copied().unwrap_or(0);
        Self {
            directory,
            mean_reward: total / (rows as f64).max(1.0),
            counts,
            last_version: server.version,
            half_way,
            fold: server.fold,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// The world's log, written again with every record passed through `change`.
pub(crate) fn rewritten(world: &World, mut change: impl FnMut(u64, &mut Record)) -> TempDir {
    let directory = TempDir::new().unwrap();
    let (log, _) = Log::open(directory.path(), LogOptions::default()).unwrap();
    for entry in LogReader::open(world.path()).unwrap().entries() {
        let mut entry = entry.unwrap();
        change(entry.seq, &mut entry.record);
        drop(log.append(entry.record));
    }
    log.close().unwrap();
    directory
}
