use crate::contexts::Contexts;
use crate::error::ReplayError;
use crate::learning::{Fold, id_of};
use crate::log_rows::{LogRows, Publication, RowOptions};
use crate::published::published_policy;
use echo_experience::{Decision, Entry, PolicyPublished, Record};
use echo_policy::{DrawKey, FeatureSchema, Learner, Memory, Policy, PolicySpec};
use echo_reward::Scoring;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// How a log is replayed.
#[derive(Clone, Debug)]
pub struct VerifySettings {
    /// The scorer that the server learned with.
    pub scoring: Scoring,
    /// The newest feature schema that it used; what it did under older rules of the same dimension is repeated under those.
    pub schema: FeatureSchema,
    /// How many decisions might wait for their reward, as the server was configured.
    pub pending: usize,
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self {
            scoring: Scoring::default(),
            schema: FeatureSchema::default(),
            pending: Learner::PENDING_MAX,
        }
    }
}

/// What a replay of a whole log found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Records read.
    pub entries: u64,
    /// Decisions among them.
    pub decisions: u64,
    /// Decisions whose arm the client named: nothing was drawn.
    pub named: u64,
    /// Decisions under a feature schema that is not known here, which cannot be repeated.
    pub other_schema: u64,
    /// Decisions repeated.
    pub checked: u64,
    /// Decisions of which every probability, the arm drawn and the degraded mark came out the same,
    /// bit for bit.
    pub identical: u64,
    /// Policies published for the treatment cohort.
    pub publications: u64,
    /// Those whose state came out the same, bit for bit, by its digest.
    pub publications_identical: u64,
    /// The first thing that came out otherwise.
    pub first_mismatch: Option<Mismatch>,
    /// Records that the learner refused, as it did when they were written.
    pub refused: u64,
    /// Records known to be lost to damage: without them, what follows cannot come out the same.
    pub lost_records: u64,
}

/// Something that a replay could not reproduce.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mismatch {
    /// Sequence number of the record.
    pub seq: u64,
    /// The decision, or nothing for a published policy.
    pub decision: Option<String>,
    /// What differs.
    pub reason: String,
}

impl Verification {
    /// Whether everything that can be repeated came out the same.
    pub fn holds(&self) -> bool {
        self.first_mismatch.is_none()
            && self.checked == self.identical
            && self.publications == self.publications_identical
    }
}

/// Folds the log at `path` from its start and repeats every published state and every decision.
///
/// A decision is repeated from the policy's spec, the state folded up to the record its publication
/// names, the seed, the logged features and arms, and nothing else. Policies are kept only while a
/// later decision names them, so memory does not grow with the log's length but for a few bytes a
/// decision.
///
/// # Errors
/// [`ReplayError`] if the log cannot be read. A difference is no error: it is in the result.
pub fn verify(path: &Path, settings: &VerifySettings) -> Result<Verification, ReplayError> {
    let options = RowOptions {
        scoring: settings.scoring,
        include_control: true,
        schema: settings.schema,
        weighs_censoring: false,
    };
    let log = LogRows::scan(path, options)?;
    let mut replay = Replay::new(&log, settings)?;
    replay.reach(0);
    log.entries(|entry| {
        replay.entry(entry);
        Ok(true)
    })?;
    replay.found.lost_records = log.lost();
    Ok(replay.found)
}

/// (cohort, version): what a decision names.
type Key = (String, u64);

struct Replay<'a> {
    /// The data directory, which holds what was published as it is.
    path: &'a Path,
    publications: &'a [Publication],
    /// Publications by the record they learned through; the next to be built stands last.
    to_build: Vec<usize>,
    /// Last decision that names each version.
    last_use: BTreeMap<Key, u64>,
    built: BTreeMap<usize, Built>,
    live: BTreeMap<Key, (Policy, u64)>,
    /// One for each memory that a published policy needs, and each schema that the log was written under.
    folds: Vec<Fold>,
    contexts: Vec<Contexts>,
    found: Verification,
}

struct Built {
    policy: Option<Policy>,
    sha256: String,
    reason: String,
}

impl<'a> Replay<'a> {
    fn new(log: &'a LogRows, settings: &'a VerifySettings) -> Result<Self, ReplayError> {
        let publications = log.publications();
        let mut to_build: Vec<usize> = (0..publications.len()).collect();
        to_build.sort_by_key(|&at| std::cmp::Reverse(publications[at].published.through));
        let mut last_use = BTreeMap::new();
        let mut older: Vec<_> = settings.schema.older().map(|s| Contexts::new(&s)).collect();
        let mut contexts = vec![Contexts::new(&settings.schema)];
        log.entries(|entry| {
            if let Record::Decision(decision) = &entry.record {
                last_use.insert(key_of(decision), entry.seq);
                contexts.extend(older.extract_if(.., |older| older.logged(decision)));
            }
            Ok(true)
        })?;
        Ok(Self {
            path: log.path(),
            publications,
            to_build,
            last_use,
            built: BTreeMap::new(),
            live: BTreeMap::new(),
            folds: folds(publications, &contexts, settings),
            contexts,
            found: Verification::default(),
        })
    }

    fn entry(&mut self, entry: &Entry) {
        self.found.entries += 1;
        match &entry.record {
            Record::Decision(decision) => self.decision(entry.seq, decision),
            Record::PolicyPublished(_) => self.published(entry.seq),
            _ => {}
        }
        let mut refused = false;
        for fold in &mut self.folds {
            refused |= fold.entry(entry).is_err();
        }
        self.found.refused += u64::from(refused);
        self.reach(entry.seq);
    }

    /// Builds every policy that learned through record `seq` and no further.
    fn reach(&mut self, seq: u64) {
        while let Some(&at) = self.to_build.last() {
            let published = &self.publications[at].published;
            if published.through > seq {
                return;
            }
            self.to_build.pop();
            let key = (published.cohort.clone(), published.version);
            // A publication that nobody decided with needs its digest checked, and no policy.
            let used = self
                .last_use
                .get(&key)
                .is_some_and(|&last| last > self.publications[at].seq);
            let built = match &published.snapshot {
                Some(sha256) => self.kept(published, sha256),
                None if used => self.folded(published).map(Some),
                None => Ok(None),
            };
            let (policy, reason) = match built {
                Ok(policy) => (policy, String::new()),
                Err(reason) => (None, reason),
            };
            let sha256 = match &published.snapshot {
                Some(sha256) => sha256.clone(),
                None => self
                    .fold(published)
                    .map_or_else(String::new, Fold::state_sha256),
            };
            self.built.insert(
                at,
                Built {
                    policy,
                    sha256,
                    reason,
                },
            );
        }
    }

    fn folded(&self, published: &PolicyPublished) -> Result<Policy, String> {
        let spec = published.spec.parse().map_err(|error| format!("{error}"))?;
        let fold = self.fold(published);
        let fold = fold.ok_or_else(|| "its policy cannot be read".to_owned())?;
        let policy = fold.policy(&spec, published.version);
        policy.map_err(|error| error.to_string())
    }

    /// What was learned for the memory that a published policy needs, under the schema that it was made under.
    fn fold(&self, published: &PolicyPublished) -> Option<&Fold> {
        let memory = memory_of(published)?;
        let mut folds = self.folds.iter().filter(|fold| *fold.memory() == memory);
        let newest = folds.next()?;
        // Its record does not name the schema, but what was learned under one.
        let same = |fold: &&Fold| fold.state_sha256() == published.sha256;
        Some(folds.find(same).unwrap_or(newest))
    }

    /// The policy of a snapshot that was published as it is.
    fn kept(&self, published: &PolicyPublished, sha256: &str) -> Result<Option<Policy>, String> {
        let kept = published_policy(self.path, published, sha256);
        kept.map(|(policy, _)| Some(policy))
            .map_err(|error| error.to_string())
    }

    fn published(&mut self, seq: u64) {
        let Ok(at) = self.publications.binary_search_by_key(&seq, |p| p.seq) else {
            return;
        };
        let published = &self.publications[at].published;
        let Some(built) = self.built.remove(&at) else {
            self.mismatch(
                seq,
                None,
                "it claims to have learned from records after itself",
            );
            return;
        };
        if published.cohort == "treatment" {
            self.found.publications += 1;
            if built.sha256 == published.sha256 {
                self.found.publications_identical += 1;
            } else {
                self.mismatch(seq, None, "the state folded from the log is another");
            }
        }
        if let Some(policy) = built.policy {
            let key = (published.cohort.clone(), published.version);
            self.live.insert(key, (policy, published.seed));
        } else if !built.reason.is_empty() {
            self.mismatch(seq, None, &built.reason);
        }
    }

    fn decision(&mut self, seq: u64, decision: &Decision) {
        self.found.decisions += 1;
        let key = key_of(decision);
        if !decision.routed {
            self.found.named += 1;
        } else if let Some(contexts) = self.contexts.iter().find(|c| c.logged(decision)) {
            self.found.checked += 1;
            match self.repeat(&key, decision, contexts) {
                Ok(()) => self.found.identical += 1,
                Err(reason) => self.mismatch(seq, Some(decision.id.clone()), &reason),
            }
        } else {
            self.found.other_schema += 1;
        }
        if self.last_use.get(&key) == Some(&seq) {
            self.live.remove(&key);
        }
    }

    fn repeat(&self, key: &Key, decision: &Decision, contexts: &Contexts) -> Result<(), String> {
        let Some((policy, seed)) = self.live.get(key) else {
            return Err(format!("version {} was not published before it", key.1));
        };
        let features = contexts.on_record(decision);
        let features = features.map_err(|error| error.to_string())?;
        let arms: Vec<&str> = decision.arms.iter().map(String::as_str).collect();
        let id = id_of(&decision.id).map_err(|error| error.to_string())?;
        let draw = DrawKey {
            seed: *seed,
            decision: id,
        };
        let choice = policy
            .decide(&features, &arms, draw)
            .map_err(|error| error.to_string())?;
        let bits = |values: &[f64]| values.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
        if bits(choice.distribution.probabilities()) != bits(&decision.probabilities) {
            return Err("the probabilities are others".to_owned());
        }
        if choice.chosen != decision.chosen as usize {
            return Err("another arm is drawn".to_owned());
        }
        if choice.degraded != decision.degraded {
            return Err("the degraded mark is another".to_owned());
        }
        Ok(())
    }

    fn mismatch(&mut self, seq: u64, decision: Option<String>, reason: &str) {
        self.found.first_mismatch.get_or_insert_with(|| Mismatch {
            seq,
            decision,
            reason: reason.to_owned(),
        });
    }
}

/// `None` if the policy's text cannot be read.
fn memory_of(published: &PolicyPublished) -> Option<Memory> {
    let spec: PolicySpec = published.spec.parse().ok()?;
    Some(spec.memory())
}

/// Of those with the same memory, the one under the newest schema stands first.
fn folds(
    publications: &[Publication],
    contexts: &[Contexts],
    settings: &VerifySettings,
) -> Vec<Fold> {
    let mut folds: Vec<Fold> = Vec::new();
    for memory in publications
        .iter()
        .filter_map(|publication| memory_of(&publication.published))
    {
        if folds.iter().all(|fold| *fold.memory() != memory) {
            let (scoring, pending) = (settings.scoring, settings.pending);
            let under = |contexts: &Contexts| {
                Fold::remembering(contexts.schema(), scoring, pending, memory.clone())
            };
            folds.extend(contexts.iter().map(under));
        }
    }
    folds
}

fn key_of(decision: &Decision) -> Key {
    (decision.cohort.clone(), decision.policy_version)
}
