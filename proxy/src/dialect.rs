//! What clients speak: one file a dialect, all decoding to one [`CompletionRequest`].

mod error;
pub mod llama_cpp;
pub mod openai;
pub mod tabby;

use crate::answer::Alternative;
use crate::config::Config;
use crate::reply::Head;
use crate::request::CompletionRequest;
use crate::upstream::Piece;

pub use error::ApiError;
use openai::Usage;

/// How one protocol writes answers.
pub trait Dialect: std::fmt::Debug + Send + Sync {
    /// A whole answer, as the JSON of its body.
    fn whole(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String;

    /// One event of a streamed answer; `None` when the protocol has none for this piece.
    fn piece(&self, head: &Head, piece: &Piece) -> Option<String>;

    /// What ends a streamed answer.
    fn end(&self, head: &Head, usage: Usage) -> String;

    /// The event that says that a streamed answer breaks off here.
    fn broken(&self, error: &ApiError) -> String {
        format!("data: {}\n\n", error.body())
    }
}

/// A decoded request, and how its answer is to be written.
#[derive(Debug)]
pub struct Decoded {
    /// The request.
    pub request: CompletionRequest,
    /// The protocol of its answer.
    pub dialect: Box<dyn Dialect>,
}

/// Reads the body of a request.
pub type Decode = fn(&[u8], &Config) -> Result<Decoded, ApiError>;
