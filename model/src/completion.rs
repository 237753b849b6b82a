//! What a completion model is asked, and how it answers.

use std::ops::ControlFlow;

use crate::Language;

/// One source text for training or evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// Where the text comes from; a label only, never opened.
    pub path: &'a str,
    /// Its language, usually [`Language::of_path`] of `path`.
    pub language: Language,
    /// The whole text.
    pub text: &'a str,
}

/// What stands around the cursor, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Prompt<'a> {
    /// The text before the cursor. Models read a bounded tail of it.
    pub prefix: &'a str,
    /// The text after the cursor. Models read a bounded head of it.
    pub suffix: &'a str,
    /// The language as the client names it, if it does.
    pub language: Option<&'a str>,
    /// The file's name, if the client sends it.
    pub file: Option<&'a str>,
    /// The user, as an opaque key of the project cache.
    pub user: &'a str,
}

/// Bounds of one completion.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The largest number of tokens (of this crate's lexer) in the text.
    pub max_tokens: usize,
    /// The text ends before the first of these strings; no part of one is ever given to the sink.
    /// Empty strings are ignored.
    pub stop: &'a [String],
}

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The model had no more to say, or a stop string came up.
    Stop,
    /// [`Limits::max_tokens`] was reached.
    Length,
    /// The sink answered `Break`.
    Cancelled,
}

impl Ending {
    /// `stop`, `length` or `cancelled`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A model that continues text.
///
/// A completion is a pure function of the model's state, the prompt and the limits.
pub trait CompletionModel: Send + Sync {
    /// The kind of the model, for example `ngram`; one word, fixed for the type.
    fn kind(&self) -> &'static str;

    /// Completes `prompt`, giving the text to `sink` piece by piece, a token or less at a time.
    ///
    /// The pieces concatenate to the completion. An empty completion (silence) is legal. Pieces are
    /// never empty, and the completion is never white space alone. Once `sink` answers `Break` it
    /// is not called again and the answer is [`Ending::Cancelled`].
    fn complete(
        &self,
        prompt: &Prompt,
        limits: &Limits,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Ending;
}
