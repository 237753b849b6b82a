//! Embedded code-completion models that need no server and no network.
//!
//! A [`Trainer`] turns source code into [`TrainedModels`]: for each language, a suffix array over
//! its tokens, which knows what followed every context of any length. A [`ProjectCache`] holds what
//! users have sent or kept. From these, [`arms`] makes five [`CompletionModel`]s that differ in
//! *kind*: in what they know, and in how much they write. Which one is right depends on the
//! language, the position and the file, so that there is something to choose.
//!
//! ```
//! use std::{ops::ControlFlow, sync::Arc};
//! use echo_model::{Document, Language, Limits, ProjectCache, Prompt, Trainer, TrainingLimits};
//!
//! let mut trainer = Trainer::new(TrainingLimits::default());
//! let text = "fn main() {\n    println!(\"hello\");\n}\n";
//! trainer.add(Document { path: "a.rs", language: Language::of_path("a.rs"), text });
//! let trained = Arc::new(trainer.train("one file", &mut |_share| {}));
//! let project = Arc::new(ProjectCache::default());
//! project.observe("ann", "b.rs", "fn greet(name: &str) {}\n");
//!
//! let prompt =
//!     Prompt { prefix: "fn gr", suffix: "", language: Some("rust"), file: Some("c.rs"), user: "ann" };
//! let limits = Limits { max_tokens: 64, stop: &[] };
//! for (name, arm) in echo_model::arms(trained, project) {
//!     let mut completion = String::new();
//!     arm.complete(&prompt, &limits, &mut |piece| {
//!         completion.push_str(piece);
//!         ControlFlow::Continue(())
//!     });
//!     if name == "project" {
//!         assert!(completion.starts_with("eet(name: &str)"));
//!     }
//! }
//! ```
//!
//! How it works, bottom up: a [lossless lexer](lex) splits text into tokens; tokens become
//! symbols, a space before them set apart and line breaks written relative to the line above, so
//! that a block reads the same at every depth; sources (file, project, corpus) count what followed
//! contexts like the present one; a tally interpolates the counts of all context lengths; a walk
//! writes the likeliest token and goes on. [`quality`] measures how good that is.
//!
//! What this crate deliberately does not do: find or open files, look at a clock, start threads, or
//! weigh one arm against another.

mod arms;
mod block;
mod completion;
mod copy_model;
mod draft;
mod error;
mod fence;
mod format;
mod language;
mod layout;
mod lexer;
mod likeness;
mod line_model;
mod original;
mod outlet;
mod project_cache;
pub mod quality;
mod sequence;
mod situation;
mod source;
mod symbol;
mod table;
mod tally;
mod trained;
mod trainer;
mod vocabulary;
mod walk;

pub use arms::arms;
pub use completion::{CompletionModel, Document, Ending, Limits, Prompt};
pub use copy_model::CopyModel;
pub use error::ModelError;
pub use language::Language;
pub use lexer::{Lexer, Token, TokenKind, lex};
pub use line_model::LineModel;
pub use project_cache::{ProjectCache, ProjectLimits};
pub use trained::{MAX_FINGERPRINT, TrainedModels};
pub use trainer::{Admission, Trainer, TrainingLimits};
