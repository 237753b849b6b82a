//! Tests of echo-sim from the outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod comparison;
mod coverage;
mod dsjson;
mod editors;
mod evaluation;
mod export;
mod fates;
mod foreign;
mod gate;
mod reference_values;
mod replay;
mod targets;
mod training;
mod world;
