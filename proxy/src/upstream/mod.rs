//! How one upstream server, or an embedded model, is asked for a completion.
//!
//! Every kind answers with the same [`PieceStream`]: pieces of text, one end for every choice, and
//! counts where the server tells them. A stream that ends without error has ended every choice.
//! Dropping it, or the future that opens it, closes the connection at once, which is how an upstream
//! learns that nobody listens any more.
//!
//! An upstream is asked to stream exactly when the client is: for a whole answer, one document costs
//! both sides far less than an event a token. Leaving closes the connection in either case, which is
//! what servers watch for. How a server answers is read from its answer, not from what it was asked.
//!
//! Redirects are never followed, no header of an answer is passed on except what
//! [`UpstreamError`] holds, and neither prompts, keys nor addresses are logged.
//!
//! What this module deliberately does not do: deadlines, limits and circuit breaking
//! ([`crate::arm`] does), retries, and fallback to another arm.

mod client;
mod cut;
mod embedded;
mod endpoint;
mod error;
mod exchange;
mod lines;
mod llama_cpp;
mod ollama;
mod openai;
mod refusal;
mod secret;
mod sse;

use std::pin::Pin;
use std::sync::Arc;

use echo_model::CompletionModel;
use futures_util::stream::{self, Stream, StreamExt};

use crate::fim::{FimTemplate, stop_tokens};
use crate::request::CompletionRequest;

pub use client::{Clients, Pair};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Deadline, UpstreamError};
pub use secret::Secret;

/// One step of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// More text of a choice; never empty.
    Text {
        /// Which of the `n` choices, from 0.
        choice: u32,
        /// The text.
        text: String,
    },
    /// A choice is complete; comes once for each.
    End {
        /// Which of the `n` choices, from 0.
        choice: u32,
        /// Why it ended.
        ending: Ending,
    },
    /// The server's own counts; may be missing, may come several times (they add up, one for each
    /// request that was sent).
    Usage {
        /// Tokens of the prompt.
        prompt_tokens: Option<u32>,
        /// Tokens of the answer.
        completion_tokens: Option<u32>,
    },
}

/// Why a choice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The model had no more to say, or a stop text came up.
    Stop,
    /// The bound on tokens was reached.
    Length,
}

impl Ending {
    /// `stop` or `length`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// An answer under way.
pub type PieceStream = Pin<Box<dyn Stream<Item = Result<Piece, UpstreamError>> + Send>>;

/// What an upstream is to be asked, besides the request itself.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The model's name at the upstream; empty where the server has only one.
    pub model: String,
    /// The template to render (prefix, suffix) with; without one the server does it.
    pub template: Option<FimTemplate>,
    /// Upper bound of `max_tokens`.
    pub max_tokens: Option<u32>,
}

impl Ask {
    fn max_tokens(&self, request: &CompletionRequest) -> u32 {
        self.max_tokens
            .map_or(request.max_tokens, |bound| bound.min(request.max_tokens))
    }

    /// The client's stops, then as many of the template's as there is room for: some servers refuse
    /// more than four. [`cut`] enforces all of the template's.
    fn stops(&self, request: &CompletionRequest) -> Vec<String> {
        let own = self
            .template
            .map_or(&[][..], stop_tokens)
            .iter()
            .map(|stop| (*stop).to_owned());
        let room = STOPS.saturating_sub(request.stop.len());
        request.stop.iter().cloned().chain(own.take(room)).collect()
    }
}

/// Stops that every server accepts.
const STOPS: usize = 4;

/// One upstream, ready to be asked.
pub enum Upstream {
    /// A server with `POST /completions` below its address, as `OpenAI`, vLLM, LM Studio and many
    /// others have it. `n` is passed on.
    OpenAi(Endpoint, Ask),
    /// llama.cpp's own server, by `POST /infill`. Each choice is a request of its own, since older
    /// builds know no `n`.
    LlamaCpp(Endpoint, Ask),
    /// Ollama, by `POST /api/generate`. Each choice is a request of its own, since it knows no `n`.
    Ollama(Endpoint, Ask),
    /// A model inside this process. It is deterministic, so every choice gets the same text.
    Embedded(Arc<dyn CompletionModel>, Ask),
}

impl Upstream {
    /// Sends `request` and waits for the answer to begin (for HTTP: its headers).
    ///
    /// # Errors
    ///
    /// Every [`UpstreamError`] except `Busy`, `CircuitOpen` and `Timeout` of another deadline than
    /// connecting; the stream may yield the same ones, once, as its last item.
    pub async fn open(
        &self,
        request: &Arc<CompletionRequest>,
    ) -> Result<PieceStream, UpstreamError> {
        match self {
            Self::OpenAi(endpoint, ask) => openai::open(endpoint, ask, request).await,
            Self::LlamaCpp(endpoint, ask) => {
                each_choice(request, |choice| {
                    llama_cpp::open(endpoint, ask, request, choice)
                })
                .await
            }
            Self::Ollama(endpoint, ask) => {
                each_choice(request, |choice| {
                    ollama::open(endpoint, ask, request, choice)
                })
                .await
            }
            Self::Embedded(model, ask) => {
                Ok(embedded::open(Arc::clone(model), ask, Arc::clone(request)))
            }
        }
    }
}

/// Asks once for every choice, at the same time, and merges the answers. The first failure ends all.
async fn each_choice<F>(
    request: &CompletionRequest,
    open: impl Fn(u32) -> F,
) -> Result<PieceStream, UpstreamError>
where
    F: Future<Output = Result<PieceStream, UpstreamError>>,
{
    if request.n <= 1 {
        return open(0).await;
    }
    let answers = futures_util::future::try_join_all((0..request.n).map(open)).await?;
    let numbered = answers
        .into_iter()
        .zip(0..)
        .map(|(answer, choice)| answer.map(move |piece| renumber(piece?, choice)));
    Ok(Box::pin(stream::select_all(numbered)))
}

#[expect(clippy::unnecessary_wraps, reason = "it is mapped over results")]
fn renumber(piece: Piece, choice: u32) -> Result<Piece, UpstreamError> {
    Ok(match piece {
        Piece::Text { text, .. } => Piece::Text { choice, text },
        Piece::End { ending, .. } => Piece::End { choice, ending },
        usage @ Piece::Usage { .. } => usage,
    })
}

/// The seed of one choice: with one seed for all, all would be the same.
fn choice_seed(request: &CompletionRequest, choice: u32) -> Option<u64> {
    request
        .seed
        .map(|seed| seed.wrapping_add(u64::from(choice)))
}
