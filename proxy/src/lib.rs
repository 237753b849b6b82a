//! A reverse proxy for code completion that learns which model to ask.
//!
//! It answers editors in the protocols they speak, draws one of several completion models for each
//! request by a contextual bandit, reads from later requests what became of each proposal, keeps all
//! of it in a durable log, and learns from that log.
//!
//! The life of one completion is told in [`complete`]; a whole server is put together in [`serve`].
//! Policies, rewards, models and the log live in crates of their own: this one joins them to the
//! network, the clock and the command line, and holds no statistics.
//!
//! ```
//! use echo_proxy::config::Config;
//!
//! let config = Config::parse("[policy]\nspec = \"uniform\"", &|_| None)?;
//! assert_eq!(config.policy.to_string(), "uniform");
//! # Ok::<(), echo_proxy::config::ConfigError>(())
//! ```

pub mod admin;
pub mod answer;
pub mod app;
pub mod arm;
pub mod arms;
pub mod auth;
pub mod caller;
pub mod cli;
pub mod clock;
pub mod complete;
pub mod config;
pub mod corpus;
mod cross_origin;
pub mod demo;
pub mod devdata;
pub mod dialect;
pub mod embedded;
pub mod events;
pub mod files;
pub mod fim;
pub mod gatekeeper;
pub mod habits;
pub mod ids;
pub mod in_force;
pub mod language;
pub mod learner;
pub mod metrics;
pub mod names;
pub mod pages;
pub mod passthrough;
pub mod project;
pub mod proposals;
pub mod registry;
pub mod reply;
pub mod request;
mod request_head;
pub mod restore;
pub mod roster;
pub mod route;
pub mod serve;
pub mod server;
pub mod slates;
pub mod state;
pub mod table;
pub mod upstream;
pub mod watch;
pub mod what_if;
