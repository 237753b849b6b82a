//! The logged types, one module for each version of the schema, kept for ever.
//!
//! Logged types are not domain types: a change of the program never changes what an old log
//! means. A new version gets a new module beside the old ones and its own golden files.

pub mod v1;
