//! What clients speak: one file a dialect, all decoding to one [`CompletionRequest`].

mod body;
pub mod chat;
mod error;
pub mod llama_cpp;
pub mod mistral;
pub mod ollama;
pub mod openai;
pub mod tabby;

use serde_json::Value;

use crate::answer::Alternative;
use crate::config::Config;
use crate::reply::Head;
use crate::request::CompletionRequest;
use crate::upstream::Piece;

pub use error::ApiError;
use openai::Usage;

/// How one protocol writes answers.
pub trait Dialect: std::fmt::Debug + Send + Sync {
    /// How the parts of a streamed answer are told apart.
    fn framing(&self) -> Framing {
        Framing::Events
    }

    /// A whole answer, as the JSON of its body.
    fn whole(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String;

    /// One part of a streamed answer, framed; `None` when the protocol has none for this piece.
    fn piece(&mut self, head: &Head, piece: &Piece) -> Option<String>;

    /// What ends a streamed answer, framed.
    fn end(&self, head: &Head, alternatives: &[Alternative], usage: Usage) -> String;

    /// The protocol's form of an error.
    fn error(&self, error: &ApiError) -> Value {
        error.body()
    }

    /// The part that says that a streamed answer breaks off here, framed.
    fn broken(&self, error: &ApiError) -> String {
        self.framing().frame(&self.error(error).to_string())
    }
}

/// How the parts of a streamed answer are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Events,
    /// One JSON object a line.
    Lines,
}

impl Framing {
    /// The media type of such a stream.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// One part, from JSON without line ends.
    pub fn frame(self, json: &str) -> String {
        match self {
            Self::Events => format!("data: {json}\n\n"),
            Self::Lines => format!("{json}\n"),
        }
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

/// An error in the form of the dialect that is spoken at `path`, so that a client understands it
/// whatever went wrong, also before its request was read.
pub fn error_at(path: &str, error: &ApiError) -> Value {
    match path {
        "/infill" | "/completion" => llama_cpp::error(error),
        _ if path.starts_with("/api/") => ollama::error(error),
        _ => error.body(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_form_of_its_path() {
        let error = ApiError::unknown_model("x");
        assert!(error_at("/api/generate", &error)["error"].is_string());
        assert_eq!(error_at("/infill", &error)["error"]["code"], 404);
        for path in ["/v1/chat/completions", "/apiary", "/"] {
            let body = error_at(path, &error);
            assert_eq!(body["error"]["code"], "model_not_found", "{path}");
        }
    }
}
