//! Benches of Echo: how long a decision takes, and what the proxy costs beside nginx.
//!
//! - [`scene`] holds the data of the criterion benches in `benches/`.
//! - [`load`] compares, in one run, direct calls of an upstream with calls through nginx and through
//!   `echo-proxy`: added latency, throughput, processor time, memory. The program `load` runs it.
//! - [`bakeoff`] runs policies over data sets whose every reward is known; the program of that name tells the
//!   loss.
//! - [`evaluation`] draws logs of which every policy's value is known.
//! - [`python`] installs the programs that ours are compared with.
//! - [`report`] keeps tables in `benches/runs`.
//!
//! ```
//! use echo_benches::scene;
//!
//! let schema = echo_policy::FeatureSchema::default();
//! let state = scene::learned(&schema);
//! assert_eq!(state.arms().count(), scene::ARMS.len());
//! ```
//!
//! It judges no change by itself: numbers of different machines, or of one machine at different
//! times, say little about each other. Only what one run compares is meant to be compared.

pub mod bakeoff;
pub mod error;
pub mod evaluation;
pub mod load;
pub mod python;
pub mod report;
pub mod scene;
