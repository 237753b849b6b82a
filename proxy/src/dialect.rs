//! What clients speak: one file a dialect, all decoding to one
//! [`CompletionRequest`](crate::request::CompletionRequest).

mod error;
pub mod openai;

pub use error::ApiError;
