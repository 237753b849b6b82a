//! One answer on its way to the client, and what is put on record of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use echo_experience::{Evidence, Record, Served};
use echo_reward::{Outcome, Proposal, Window};

use crate::devdata::{self, Sent};
use crate::dialect::openai::Usage;
use crate::habits;
use crate::ids::DecisionId;
use crate::metrics::{ArmLabel, KindLabel};
use crate::request::CompletionRequest;
use crate::state::Echo;
use crate::upstream::{Ending, Piece};
use crate::watch::UserKey;

/// The texts of an answer as they grow. When it is dropped before its end, the client has left: that
/// too goes on record.
#[derive(Debug)]
pub struct Answer {
    echo: Arc<Echo>,
    request: Arc<CompletionRequest>,
    user: UserKey,
    /// The decision that it answers.
    pub id: DecisionId,
    /// The arm that answers.
    pub arm: String,
    /// Whether that is another than the one drawn.
    pub fallback: bool,
    /// Whether the decision is on record: if not, nothing of the answer is.
    pub logged: OnRecord,
    /// The kind of client that asked.
    pub client: String,
    /// Whether it was asked for ahead of the user, who may never come there.
    pub is_ahead: bool,
    asked_ms: i64,
    started: Instant,
    first_byte: Option<Duration>,
    alternatives: Vec<Alternative>,
    usage: Option<Usage>,
    closed: bool,
}

/// Whether a decision is on record. It is put there while its arm is asked already.
#[derive(Debug, Clone, Default)]
pub struct OnRecord(Arc<AtomicBool>);

impl OnRecord {
    /// Says whether it is.
    pub fn set(&self, is: bool) {
        self.0.store(is, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One alternative of an answer.
#[derive(Debug, Clone, Default)]
pub struct Alternative {
    /// Its text so far.
    pub text: String,
    /// How it ended.
    pub ending: Option<Ending>,
    tokens: u32,
}

impl Alternative {
    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }

    /// How it ended, in the words of the `OpenAI` protocol.
    pub fn finish_reason(&self) -> &'static str {
        self.ending.unwrap_or(Ending::Stop).as_str()
    }
}

impl Answer {
    /// An answer without text yet, to a request that came in at `started`.
    pub fn new(
        echo: &Arc<Echo>,
        request: &Arc<CompletionRequest>,
        user: &UserKey,
        id: DecisionId,
        started: Instant,
    ) -> Self {
        echo.metrics.in_flight.inc();
        Self {
            echo: Arc::clone(echo),
            request: Arc::clone(request),
            user: user.clone(),
            id,
            arm: String::new(),
            fallback: false,
            logged: OnRecord::default(),
            client: String::new(),
            is_ahead: false,
            asked_ms: echo.clock.now_ms(),
            started,
            first_byte: None,
            alternatives: vec![Alternative::default(); request.n as usize],
            usage: None,
            closed: false,
        }
    }

    /// Adds a piece. A piece of an alternative that was not asked for is left out.
    pub fn add(&mut self, piece: &Piece) {
        match piece {
            Piece::Text { choice, text } => {
                let elapsed = self.started.elapsed();
                self.first_byte.get_or_insert(elapsed);
                if let Some(alternative) = self.alternatives.get_mut(*choice as usize) {
                    alternative.text.push_str(text);
                    alternative.tokens += 1;
                }
            }
            Piece::End { choice, ending } => {
                if let Some(alternative) = self.alternatives.get_mut(*choice as usize) {
                    alternative.ending = Some(*ending);
                }
            }
            Piece::Usage {
                prompt_tokens,
                completion_tokens,
            } => {
                let counted = self.counted();
                self.usage = Some(Usage::new(
                    prompt_tokens.unwrap_or(counted.prompt_tokens),
                    completion_tokens.unwrap_or(counted.completion_tokens),
                ));
            }
        }
    }

    /// The alternatives so far.
    pub fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// The upstream's count of tokens, or our own where it gives none: a piece is a token, and four
    /// bytes of prompt are.
    pub fn usage(&self) -> Usage {
        self.usage.unwrap_or_else(|| self.counted())
    }

    /// When the answer was begun, in seconds since 1970.
    pub fn created_s(&self) -> i64 {
        self.echo.clock.now_ms() / 1000
    }

    /// When its request came in.
    pub fn started(&self) -> Instant {
        self.started
    }

    fn counted(&self) -> Usage {
        let bytes = self.request.prefix.len() + self.request.suffix.len();
        let prompt = u32::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(u32::MAX);
        Usage::new(prompt, self.alternatives.iter().map(|a| a.tokens).sum())
    }

    /// Closes a complete answer: its texts are open proposals from now on.
    pub fn finish(mut self) {
        let at_ms = self.echo.clock.now_ms();
        for (choice, alternative) in (0..).zip(self.alternatives.clone()) {
            self.record_served(choice, &alternative, alternative.finish_reason());
            if self.logged.get() {
                self.open_proposal(choice, &alternative.text, at_ms);
                if self.client == devdata::CLIENT {
                    let (id, tenant) = (self.id, &self.user.tenant);
                    let sent = Sent::new(id, choice, tenant, &self.request, &alternative.text);
                    self.echo.sent.add(sent);
                }
            }
        }
        self.close("complete");
    }

    /// Closes an answer that its upstream broke off after the first byte.
    pub fn interrupt(mut self) {
        self.record_all("truncated");
        self.close("truncated");
    }

    /// Closes an answer that no arm gave.
    pub fn fail(mut self) {
        self.record_all("error");
        self.close("error");
    }

    fn open_proposal(&self, choice: u32, text: &str, at_ms: i64) {
        if text.trim().is_empty() {
            self.echo
                .record(self.known(choice, Outcome::silent(), at_ms));
            return;
        }
        let mut texts = match self.request.parted_by {
            Some(mark) => text.split(mark).map(str::to_owned).collect(),
            None => vec![text.to_owned()],
        };
        texts.retain(|text| !text.trim().is_empty());
        let others = texts.split_off(texts.len().min(1));
        let text = texts.first().map_or(text, String::as_str);
        let habits = habits::of(&self.client);
        if !habits.shows(text) {
            let unseen = Outcome::never_shown(chars_of(text));
            self.echo.record(self.known(choice, unseen, at_ms));
            return;
        }
        if self.is_ahead {
            let open = Outcome {
                settled: false,
                ..Outcome::speculative(text)
            };
            self.echo.record(self.known(choice, open, at_ms));
        }
        let window = window(&self.request);
        let proposal = Proposal::new(self.id.as_u128(), choice, text, &window, at_ms)
            .of(habits)
            .or(others)
            .asked(self.asked_ms)
            .ahead(self.is_ahead);
        let changes = self.echo.watch.proposed(&self.user, proposal);
        self.echo.record_changes(changes);
    }

    /// What is known of an answer as soon as it is given.
    fn known(&self, choice: u32, outcome: Outcome, at_ms: i64) -> Record {
        if outcome.settled {
            let label = KindLabel {
                kind: outcome.fate.as_str(),
            };
            self.echo.metrics.fates.get_or_create(&label).inc();
        }
        Record::Evidence(Evidence {
            decision: self.id.to_string(),
            choice,
            at_ms,
            fate: outcome.fate.as_str().to_owned(),
            kept_share: outcome.kept_share,
            accepted_chars: outcome.accepted_chars,
            shown_chars: outcome.shown_chars,
            edit_distance: outcome.edit_distance,
            settled: outcome.settled,
            source: AT_ONCE.to_owned(),
            kept_text: None,
        })
    }

    fn record_all(&self, ending: &str) {
        for (choice, alternative) in (0..).zip(&self.alternatives) {
            self.record_served(choice, alternative, ending);
        }
    }

    fn record_served(&self, choice: u32, alternative: &Alternative, ending: &str) {
        if !self.logged.get() {
            return;
        }
        self.echo.record(Record::Served(Served {
            decision: self.id.to_string(),
            choice,
            at_ms: self.echo.clock.now_ms(),
            arm: self.arm.clone(),
            fallback: self.fallback,
            text: alternative.text.clone(),
            ending: ending.to_owned(),
            first_byte_ms: self.first_byte.map(|d| d.as_secs_f64() * 1000.0),
            total_ms: self.started.elapsed().as_secs_f64() * 1000.0,
            tokens: alternative.tokens,
        }));
    }

    fn close(&mut self, ending: &'static str) {
        self.closed = true;
        let metrics = &self.echo.metrics;
        metrics.in_flight.dec();
        metrics
            .endings
            .get_or_create(&KindLabel { kind: ending })
            .inc();
        if let Some(first_byte) = self.first_byte {
            let label = ArmLabel {
                arm: self.arm.clone(),
            };
            metrics
                .first_byte_s
                .get_or_create(&label)
                .observe(first_byte.as_secs_f64());
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.closed {
            self.record_all("cancelled");
            self.close("cancelled");
        }
    }
}

/// The text around the cursor that a request shows.
pub(crate) fn window(request: &CompletionRequest) -> Window<'_> {
    Window {
        file: request.file.as_deref(),
        prefix: &request.prefix,
        suffix: &request.suffix,
    }
}

fn chars_of(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// The source of evidence that is known as soon as an answer is given.
pub const AT_ONCE: &str = "answer";

/// Where an upstream does not count tokens, so many bytes of source code make one.
const BYTES_PER_TOKEN: usize = 4;
