//! Fill-in-the-middle templates: how model families spell "prefix, suffix, now the middle" in one
//! prompt.
//!
//! Clients send such prompts and upstreams want them, so both directions live here: [`parse`] finds
//! the family and takes a prompt apart, [`render`] puts one together. Inside Echo a request is always
//! a prefix and a suffix.
//!
//! ```
//! use echo_proxy::fim::{self, FimTemplate};
//!
//! let parsed = fim::parse("<fim_prefix>let a = <fim_suffix>;\n<fim_middle>").expect("a template");
//! assert_eq!((parsed.prefix.as_str(), parsed.suffix.as_str()), ("let a = ", ";\n"));
//!
//! let prompt = fim::render(FimTemplate::CodeLlama, &parsed.prefix, &parsed.suffix, "");
//! assert_eq!(prompt, "<PRE> let a =  <SUF>;\n <MID>");
//! ```
//!
//! Code that itself contains a family's tokens would be read by that family's tokenizer as control
//! tokens. [`render`] therefore breaks each of them by one space after its first character
//! ([`neutralise`]); tokens of *other* families are ordinary text to the model and stay as they are.
//! So `parse(render(family, prefix, suffix, ""))` gives back exactly `neutralise(family, prefix)` and
//! `neutralise(family, suffix)`, which are the texts themselves when they hold none of the family's
//! tokens. The way back (`< |fim_prefix|>` to `<|fim_prefix|>`) is not taken: it could not be told
//! from text that was written so.
//!
//! What this module deliberately does not do: edit-prediction prompts (Zeta, Sweep,
//! Mercury's edit form), and taking client comments (a file name, a language) out of the prefix.

mod candidate;
mod family;
mod file;
pub mod hole;
mod parse;
mod render;
mod scan;
mod spelling;

pub use family::{FimTemplate, UnknownTemplate};
pub use file::{file_named_in, sections, split_files};
pub use parse::{Parsed, parse};
pub use render::{neutralise, render};
pub use scan::strip_tokens;

/// The texts at which an answer of `template` has ended: its end-of-text tokens first, then the
/// tokens that a model writes when it runs on into the next part of a prompt.
pub fn stop_tokens(template: FimTemplate) -> &'static [&'static str] {
    template.spelling().stops
}
