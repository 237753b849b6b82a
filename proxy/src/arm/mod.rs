//! One arm: an upstream with its deadlines, its limit of requests at a time, and its circuit breaker.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use echo_proxy::arm::{Arm, ArmKind, ArmSettings};
//! # use echo_proxy::request::CompletionRequest;
//! # use echo_proxy::upstream::Clients;
//! # async fn ask(request: Arc<CompletionRequest>) -> Result<(), Box<dyn std::error::Error>> {
//! let mut settings = ArmSettings::new("big", ArmKind::OpenAi);
//! settings.url = "http://127.0.0.1:8000/v1".into();
//! let arm = Arm::new(settings, &Clients::new())?;
//! if arm.eligible() {
//!     let pieces = arm.complete(request).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What this module deliberately does not do: choosing an arm, retries, waiting in a queue. An arm
//! that cannot take a request says so at once.

mod breaker;
mod flight;
mod settings;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use echo_model::CompletionModel;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::request::CompletionRequest;
use crate::upstream::{
    Ask, Clients, Deadline, Endpoint, EndpointError, Piece, PieceStream, Upstream, UpstreamError,
};
use flight::{Flight, Hold};

pub use crate::upstream::Secret;
pub use breaker::{Admission, Breaker, BreakerSettings, BreakerState};
pub use settings::{ArmKind, ArmSettings, UnknownKind};

/// A candidate completion model, ready to be asked.
pub struct Arm {
    settings: ArmSettings,
    id: String,
    upstream: Upstream,
    slots: Arc<Semaphore>,
    health: Arc<Health>,
}

impl Arm {
    /// An arm whose upstream is a server.
    ///
    /// # Errors
    ///
    /// An address or a key that cannot be used; [`ArmError::ModelMissing`] for the kind `embedded`.
    pub fn new(settings: ArmSettings, clients: &Clients) -> Result<Self, ArmError> {
        let path = match settings.kind {
            ArmKind::OpenAi => "/completions",
            ArmKind::LlamaCpp => "/infill",
            ArmKind::Ollama => "/api/generate",
            ArmKind::Embedded => return Err(ArmError::ModelMissing(settings.name)),
        };
        let failed = |cause| ArmError::Endpoint {
            arm: settings.name.clone(),
            cause,
        };
        let clients = clients
            .with_connect_ms(settings.connect_ms)
            .map_err(failed)?;
        let endpoint =
            Endpoint::new(clients, &settings.url, path, settings.key.as_ref()).map_err(failed)?;
        let ask = ask(&settings);
        let upstream = match settings.kind {
            ArmKind::LlamaCpp => Upstream::LlamaCpp(endpoint.without_reuse(), ask),
            ArmKind::Ollama => Upstream::Ollama(endpoint, ask),
            ArmKind::OpenAi | ArmKind::Embedded => Upstream::OpenAi(endpoint, ask),
        };
        Ok(Self::over(settings, upstream))
    }

    /// An arm whose upstream is a model in this process; its kind is `embedded`, whatever `settings`
    /// say.
    pub fn embedded(settings: ArmSettings, model: Arc<dyn CompletionModel>) -> Self {
        let settings = ArmSettings {
            kind: ArmKind::Embedded,
            ..settings
        };
        let upstream = Upstream::Embedded(model, ask(&settings));
        Self::over(settings, upstream)
    }

    fn over(settings: ArmSettings, upstream: Upstream) -> Self {
        let id = format!("{}@{}", settings.name, settings.version);
        let slots = Arc::new(Semaphore::new(
            settings.concurrency.clamp(1, Semaphore::MAX_PERMITS),
        ));
        let health = Arc::new(Health::new(&id, settings.breaker));
        Self {
            settings,
            id,
            upstream,
            slots,
            health,
        }
    }

    /// `name@version`, which decisions and policies know it by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it was made from.
    pub fn settings(&self) -> &ArmSettings {
        &self.settings
    }

    /// Whether it could take a request now: a slot is free and the breaker lets one through.
    pub fn eligible(&self) -> bool {
        self.slots.available_permits() > 0 && self.health.admits()
    }

    /// What its breaker lets through.
    pub fn breaker_state(&self) -> BreakerState {
        self.health.state()
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.settings
            .concurrency
            .max(1)
            .saturating_sub(self.slots.available_permits())
    }

    /// Asks for a completion and waits for its first text or its end, so that another arm can still
    /// be asked after an error. The stream holds the slot, and so does this future; dropping either
    /// cancels the request at the upstream. One request takes one slot, whatever its `n`.
    ///
    /// # Errors
    ///
    /// Every [`UpstreamError`], here or as the last item of the stream. A stream that ends without
    /// one has ended every choice once.
    pub async fn complete(
        &self,
        request: Arc<CompletionRequest>,
    ) -> Result<PieceStream, UpstreamError> {
        let mut hold = self.hold()?;
        let start = Instant::now();
        let until = start + Duration::from_millis(self.settings.total_ms);
        let first = start + Duration::from_millis(self.settings.first_byte_ms);
        // The first byte of a whole answer comes with its last.
        let (deadline, which) = if request.stream && first < until {
            (first, Deadline::FirstByte)
        } else {
            (until, Deadline::Total)
        };
        let opened = timeout_at(deadline, self.first_text(&request)).await;
        match opened.unwrap_or(Err(UpstreamError::Timeout { which })) {
            Ok((head, answer)) => {
                let idle = Duration::from_millis(self.settings.idle_ms);
                Ok(Flight {
                    hold,
                    answer,
                    head,
                    idle,
                    until,
                    open: request.n.max(1),
                }
                .into_stream())
            }
            Err(error) => {
                hold.failure(&error);
                Err(error)
            }
        }
    }

    fn hold(&self) -> Result<Hold, UpstreamError> {
        let permit = Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| UpstreamError::Busy)?;
        let admission = self.health.admit()?;
        Ok(Hold::new(Arc::clone(&self.health), admission, permit))
    }

    /// The answer, and what came of it up to its first text or end.
    async fn first_text(
        &self,
        request: &Arc<CompletionRequest>,
    ) -> Result<(VecDeque<Piece>, PieceStream), UpstreamError> {
        let mut answer = self.upstream.open(request).await?;
        let mut head = VecDeque::new();
        loop {
            let piece = answer.next().await.ok_or(UpstreamError::Interrupted)??;
            let says = !matches!(piece, Piece::Usage { .. });
            head.push_back(piece);
            if says {
                return Ok((head, answer));
            }
        }
    }
}

impl fmt::Debug for Arm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Arm")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn ask(settings: &ArmSettings) -> Ask {
    Ask {
        model: settings.model.clone(),
        template: settings.template,
        max_tokens: settings.max_tokens,
    }
}

/// The breaker with its clock and its jitter.
#[derive(Debug)]
struct Health {
    breaker: Mutex<Breaker>,
    start: Instant,
    id: String,
}

impl Health {
    fn new(id: &str, settings: BreakerSettings) -> Self {
        Self {
            breaker: Mutex::new(Breaker::new(settings)),
            start: Instant::now(),
            id: id.to_owned(),
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn admits(&self) -> bool {
        self.breaker().admits(self.now_ms())
    }

    fn state(&self) -> BreakerState {
        self.breaker().state(self.now_ms())
    }

    fn admit(&self) -> Result<Admission, UpstreamError> {
        let now_ms = self.now_ms();
        let mut breaker = self.breaker();
        let wait_ms = breaker.wait_ms(now_ms);
        let retry_after_s = u32::try_from(wait_ms.div_ceil(1000))
            .unwrap_or(u32::MAX)
            .max(1);
        breaker
            .admit(now_ms)
            .ok_or(UpstreamError::CircuitOpen { retry_after_s })
    }

    fn success(&self, admission: &Admission) {
        self.breaker().success(admission);
    }

    /// An upstream that found fault with the request has shown that it lives.
    fn failure(&self, admission: &Admission, error: &UpstreamError) {
        if !error.counts_against_arm() {
            return self.success(admission);
        }
        let now_ms = self.now_ms();
        let retry_after_ms = error
            .retry_after_s()
            .map(|seconds| u64::from(seconds) * 1000);
        self.breaker()
            .failure(admission, now_ms, jitter(&self.id, now_ms), retry_after_ms);
    }

    fn cancelled(&self, admission: &Admission) {
        self.breaker().cancelled(admission, self.now_ms());
    }
}

/// A number in [0, 1) that differs from arm to arm and from time to time.
fn jitter(id: &str, now_ms: u64) -> f64 {
    let digest = Sha256::new()
        .chain_update(id)
        .chain_update(now_ms.to_le_bytes())
        .finalize();
    let bits = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(bits) / 2f64.powi(32)
}

/// Why an arm cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArmError {
    /// An embedded arm is made with its model.
    ModelMissing(String),
    /// The upstream's address, key or client cannot be used.
    Endpoint {
        /// The arm.
        arm: String,
        /// Why.
        cause: EndpointError,
    },
}

impl fmt::Display for ArmError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModelMissing(arm) => {
                write!(formatter, "arm {arm:?}: an embedded arm needs its model")
            }
            Self::Endpoint { arm, cause } => write!(formatter, "arm {arm:?}: {cause}"),
        }
    }
}

impl std::error::Error for ArmError {}

#[cfg(test)]
mod tests;
