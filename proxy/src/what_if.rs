//! What would a model have earned that was never deployed? Asks it in the contexts of a log.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use echo_experience::{Decision, LogError};
use echo_reward::{Fate, Kept, Scoring};
use echo_sim::CounterfactualRow;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::arm::Arm;
use crate::project::{self, Projects};
use crate::proposals::{ProposalRecord, Proposals};
use crate::request::CompletionRequest;
use crate::upstream::{Piece, UpstreamError};
use crate::watch::UserKey;

/// How the model is asked.
#[derive(Debug)]
pub struct WhatIfSettings {
    /// Turns outcomes into rewards.
    pub scoring: Scoring,
    /// Requests at a time.
    pub concurrency: usize,
    /// Upper bound of each answer, in tokens; `None`: what the client asked for, as far as the log shows it.
    pub max_tokens: Option<u32>,
    /// Decisions asked about at the most, the newest.
    pub rows_most: usize,
    /// Where answers are kept, so that a run that was broken off goes on; `None` for a model that answers at once.
    pub cache: Option<PathBuf>,
    /// Whether the control cohort's decisions count.
    pub include_control: bool,
}

/// What the model said in the contexts of a log, beside what was shown there.
#[derive(Debug, Default)]
pub struct WhatIf {
    /// Decisions, for [`counterfactual`](echo_sim::counterfactual).
    pub rows: Vec<CounterfactualRow>,
    /// Decisions left out, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Answers asked for.
    pub asked: u64,
    /// Answers that were known from an earlier run.
    pub known: u64,
    /// Decisions whose own arm was asked again.
    pub asked_again: u64,
    /// Those in which it said again what it had said.
    pub said_again: u64,
}

/// Why it could not be found out.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant holds its cause")]
pub enum WhatIfError {
    Log(LogError),
    /// The model fails again and again.
    Arm {
        error: UpstreamError,
        answered: u64,
    },
    Cache {
        path: PathBuf,
        error: std::io::Error,
    },
}

impl std::fmt::Display for WhatIfError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(error) => error.fmt(f),
            Self::Arm { error, answered } => write!(
                f,
                "the model fails again and again: {error}. {answered} answers are kept: run it again to go on"
            ),
            Self::Cache { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for WhatIfError {}

impl From<LogError> for WhatIfError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// A decision of the log: what was asked, and whether the model is asked about it, too.
struct Context<'a> {
    request: Arc<CompletionRequest>,
    user: UserKey,
    at_ms: i64,
    question: Option<Question<'a>>,
}

/// A decision that the model is asked about.
struct Question<'a> {
    proposal: ProposalRecord<'a>,
    reward: f64,
    /// What finally stood in the proposal's place, where that is known.
    stands: Option<&'a str>,
}

/// The arms that wrote a log, by id: asked as well, they tell how likely each text was to be shown.
pub type LoggedArms = BTreeMap<String, Arm>;

/// Asks a model in the contexts of the log at `path`, in their order, and compares its texts with what was shown and with
/// what the users had in the end. `projects` are shown the contexts as a server would have. `progress` is told how many
/// decisions are done, and of how many.
///
/// # Errors
///
/// [`WhatIfError`]: the log or the kept answers cannot be read, or the model fails ten times in a row.
pub async fn ask(
    path: &Path,
    arm: &Arm,
    logged: &LoggedArms,
    projects: &Projects,
    settings: &WhatIfSettings,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<WhatIf, WhatIfError> {
    let proposals = Proposals::read(path)?;
    let mut found = WhatIf::default();
    let limits = token_limits(&proposals);
    let mut contexts = Vec::new();
    for proposal in proposals
        .iter()
        .filter(|proposal| proposal.served.choice == 0)
    {
        let question = match question(&proposal, settings) {
            Ok(question) => Some(question),
            Err(reason) => {
                *found.left_out.entry(reason).or_default() += 1;
                None
            }
        };
        contexts.extend(context(proposal.decision, settings, &limits, question));
    }
    let mut total = contexts
        .iter()
        .filter(|context| context.question.is_some())
        .count();
    let beyond = total.saturating_sub(settings.rows_most);
    if beyond > 0 {
        let older = contexts
            .iter_mut()
            .filter(|context| context.question.is_some());
        older
            .take(beyond)
            .for_each(|context| context.question = None);
        total -= beyond;
        found.left_out.insert("beyond_the_most", beyond as u64);
    }
    let mut kept = Answers::open(settings.cache.as_deref())?;
    let mut users: BTreeMap<UserKey, u64> = BTreeMap::new();
    let mut in_a_row = 0;
    let known = &std::mem::take(&mut kept.known);
    let answers = contexts.iter().map(|context| async move {
        // The models are shown all that they were shown then.
        projects.show(&context.user, &context.request, context.at_ms);
        let question = context.question.as_ref()?;
        let said = said(arm, logged, context, question, known).await;
        Some((context, question, said))
    });
    let mut answers = std::pin::pin!(stream::iter(answers).buffered(settings.concurrency.max(1)));
    while let Some(answered) = answers.next().await {
        let Some((context, question, said)) = answered else {
            continue;
        };
        match said {
            Ok(said) => {
                in_a_row = 0;
                found.asked_again += u64::from(said.says_again.is_some());
                found.said_again += u64::from(said.says_again == Some(true));
                found.known += u64::from(said.is_known);
                found.asked += u64::from(!said.is_known);
                for (key, text) in &said.new {
                    kept.keep(key, text)?;
                }
                let next = users.len() as u64;
                let user = *users.entry(context.user.clone()).or_insert(next);
                found.rows.extend(row(question, &said, user));
            }
            Err(error) => {
                in_a_row += 1;
                *found.left_out.entry("model_failed").or_default() += 1;
                if in_a_row >= FAILURES_MOST {
                    let answered = found.asked + found.known;
                    return Err(WhatIfError::Arm { error, answered });
                }
            }
        }
        progress(found.asked + found.known, total as u64);
    }
    Ok(found)
}

/// What was said in one context.
struct Said {
    text: String,
    is_known: bool,
    /// The probability with which the log would have shown this text.
    chance: Option<f64>,
    /// Whether the arm that was drawn says again what it said.
    says_again: Option<bool>,
    /// Answers to be kept, by what they answer.
    new: Vec<(String, String)>,
}

/// Asks the model, and those logged arms that were not drawn.
async fn said(
    arm: &Arm,
    logged: &LoggedArms,
    context: &Context<'_>,
    question: &Question<'_>,
    known: &BTreeMap<String, String>,
) -> Result<Said, UpstreamError> {
    let request = &context.request;
    let mut new = Vec::new();
    let mut answer = async |who: &str, arm: &Arm| -> Result<(String, bool), UpstreamError> {
        let key = key(who, request);
        if let Some(text) = known.get(&key) {
            return Ok((text.clone(), true));
        }
        let text = text(arm, request).await?;
        new.push((key, text.clone()));
        Ok((text, false))
    };
    let (text, is_known) = answer("", arm).await?;
    let decision = question.proposal.decision;
    let (mut chance, mut says_again) = (Some(0.0), None);
    for (place, id) in decision.arms.iter().enumerate() {
        let is_same = if place == decision.chosen as usize {
            let shown = &question.proposal.served.text;
            if let Some(drawn) = logged.get(id) {
                says_again = Some(is_same(shown, &answer(id, drawn).await?.0));
            }
            is_same(&text, shown)
        } else if let Some(other) = logged.get(id) {
            is_same(&text, &answer(id, other).await?.0)
        } else {
            chance = None;
            break;
        };
        if is_same {
            let probability = decision.probabilities.get(place).copied().unwrap_or(0.0);
            chance = chance.map(|chance: f64| (chance + probability).min(1.0));
        }
    }
    Ok(Said {
        text,
        is_known,
        chance,
        says_again,
        new,
    })
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim_end() == other.trim_end()
}

/// The row of a decision; `None` if its id is none.
fn row(question: &Question<'_>, said: &Said, user: u64) -> Option<CounterfactualRow> {
    let text = said.text.as_str();
    let Question {
        proposal,
        reward,
        stands,
        ..
    } = question;
    let (decision, shown) = (proposal.decision, proposal.served.text.as_str());
    let is_silent = text.trim().is_empty();
    let mut context: Vec<f64> = decision.features.iter().map(|x| f64::from(*x)).collect();
    let chars = text.trim().chars().count() as f64;
    context.extend([(1.0 + chars).ln() / 5.0, f64::from(u8::from(is_silent))]);
    Some(CounterfactualRow {
        id: echo_sim::learning::id_of(&decision.id).ok()?,
        user,
        context,
        reward: *reward,
        score: if is_silent {
            Some(0.0)
        } else {
            stands.map(|stands| Kept::measure(text, stands).share)
        },
        is_match: is_same(text, shown),
        chance: said.chance,
    })
}

fn question<'a>(
    proposal: &ProposalRecord<'a>,
    settings: &WhatIfSettings,
) -> Result<Question<'a>, &'static str> {
    let ProposalRecord {
        decision,
        served,
        evidence,
    } = proposal.clone();
    if decision.cohort != "treatment" && !settings.include_control {
        return Err("control_cohort");
    }
    if !decision.routed || decision.degraded || served.fallback {
        return Err("not_drawn");
    }
    if decision.prefix.is_none() {
        return Err("text_not_kept");
    }
    let outcome = proposal.outcome();
    let reward = settings.scoring.reward(&outcome, served.first_byte_ms);
    let reward = reward.ok_or("no_outcome")?;
    let settled = evidence
        .iter()
        .rev()
        .filter(|evidence| evidence.source != echo_sim::learning::SURVIVAL);
    let mut told = settled.chain(evidence.iter().rev());
    let stands = told.find_map(|evidence| evidence.kept_text.as_deref());
    // What was taken whole stands there.
    let whole = (outcome.fate == Fate::Accepted).then_some(served.text.as_str());
    Ok(Question {
        proposal: proposal.clone(),
        reward,
        stands: stands.or(whole),
    })
}

/// `None` where the text was not kept.
fn context<'a>(
    decision: &Decision,
    settings: &WhatIfSettings,
    limits: &BTreeMap<&str, u32>,
    question: Option<Question<'a>>,
) -> Option<Context<'a>> {
    let user = UserKey {
        tenant: decision.tenant.clone(),
        user: decision.user.clone(),
    };
    let max_tokens = settings
        .max_tokens
        .or_else(|| limits.get(decision.client.as_str()).copied())
        .unwrap_or(TOKENS);
    let prefix = decision.prefix.as_deref()?;
    Some(Context {
        request: Arc::new(request(decision, prefix, &user, max_tokens)),
        user,
        at_ms: decision.at_ms,
        question,
    })
}

fn request(
    decision: &Decision,
    prefix: &str,
    user: &UserKey,
    max_tokens: u32,
) -> CompletionRequest {
    CompletionRequest {
        model: crate::config::ROUTED.to_owned(),
        prefix: prefix.to_owned(),
        suffix: decision.suffix.clone().unwrap_or_default(),
        header_context: String::new(),
        language: decision.language.clone(),
        file: decision.file.clone(),
        client: None,
        user: Some(project::name(user)),
        max_tokens,
        temperature: None,
        top_p: None,
        seed: None,
        stop: Vec::new(),
        n: 1,
        stream: false,
        parted_by: None,
        speculative: false,
    }
}

/// The tokens that each client allows, as its longest answers that were cut off at the limit show it.
fn token_limits(proposals: &Proposals) -> BTreeMap<&str, u32> {
    let mut limits = BTreeMap::new();
    for proposal in proposals
        .iter()
        .filter(|proposal| proposal.served.ending == "length")
    {
        let limit = limits.entry(proposal.decision.client.as_str()).or_default();
        *limit = proposal.served.tokens.max(*limit);
    }
    limits
}

async fn text(arm: &Arm, request: &Arc<CompletionRequest>) -> Result<String, UpstreamError> {
    let mut pieces = arm.complete(Arc::clone(request)).await?;
    let mut all = String::new();
    while let Some(piece) = pieces.next().await {
        if let Piece::Text { choice: 0, text } = piece? {
            all.push_str(&text);
        }
    }
    Ok(all)
}

/// What makes one question another: who is asked, and what.
fn key(who: &str, request: &CompletionRequest) -> String {
    let mut hash = Sha256::new();
    let max_tokens = request.max_tokens.to_string();
    for part in [
        who,
        request.prefix.as_str(),
        &request.suffix,
        request.language.as_deref().unwrap_or_default(),
        request.file.as_deref().unwrap_or_default(),
        &max_tokens,
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(16)
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The answers of earlier runs, and of this one.
struct Answers {
    known: BTreeMap<String, String>,
    file: Option<(PathBuf, File)>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    text: String,
}

impl Answers {
    fn open(path: Option<&Path>) -> Result<Self, WhatIfError> {
        let Some(path) = path else {
            return Ok(Self {
                known: BTreeMap::new(),
                file: None,
            });
        };
        let fails = |error| WhatIfError::Cache {
            path: path.to_owned(),
            error,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fails)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(fails)?;
        let mut known = BTreeMap::new();
        for line in BufReader::new(file.try_clone().map_err(fails)?).lines() {
            // The last line may be cut.
            if let Ok(Line { key, text }) = serde_json::from_str(&line.map_err(fails)?) {
                known.insert(key, text);
            }
        }
        Ok(Self {
            known,
            file: Some((path.to_owned(), file)),
        })
    }

    fn keep(&mut self, key: &str, text: &str) -> Result<(), WhatIfError> {
        let Some((path, file)) = &mut self.file else {
            return Ok(());
        };
        let (key, text) = (key.to_owned(), text.to_owned());
        let line = serde_json::to_string(&Line { key, text }).unwrap_or_default();
        writeln!(file, "{line}").map_err(|error| WhatIfError::Cache {
            path: path.clone(),
            error,
        })
    }
}

/// Failures in a row after which the model is given up.
const FAILURES_MOST: u32 = 10;

/// Tokens of an answer, where nothing shows how many the client allows.
const TOKENS: u32 = 64;
