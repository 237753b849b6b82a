//! Which completion model should answer this request?
//!
//! This crate turns the facts about one request into a context of fixed length, gives every
//! eligible arm a probability, draws one of them, and learns from the rewards that come back.
//!
//! ```
//! use echo_policy::{
//!     DrawKey, Event, Facts, FeatureSchema, Learner, Policy, PolicySpec, Position, Trigger,
//! };
//!
//! let schema = FeatureSchema::default();
//! let facts = Facts {
//!     language: Some("rust".to_owned()),
//!     tenant: None,
//!     client: "llama.vim".to_owned(),
//!     trigger: Trigger::Automatic,
//!     prefix_chars: 1_200,
//!     suffix_chars: 300,
//!     position: Position::at("fn main() {\n    let total = ", "\n}\n", Some("rust")),
//!     hour: 14,
//!     user_acceptance: 0.3,
//!     file_acceptance: 0.5,
//! };
//! let features = schema.featurise(&facts);
//!
//! let mut learner = Learner::new(&schema);
//! let spec: PolicySpec = "randucb".parse()?;
//! spec.check_live()?;
//! let policy = Policy::build(&spec, learner.state(), 1)?;
//!
//! let arms = ["ngram@1", "copy@1"];
//! let key = DrawKey { seed: 7, decision: 1 };
//! let choice = policy.decide(&features, &arms, key)?;
//!
//! let event = Event::new(arms[choice.chosen], &features).with_id(1).at(1_000);
//! learner.decision(&event)?;
//! learner.reward(1, Some(0.8), true)?;
//! assert_eq!(learner.state().count(arms[choice.chosen]), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How the parts fit
//!
//! - [`Facts`] are logged; [`FeatureSchema::featurise`] makes [`Features`] of them: numbers in
//!   [-1, 1] on a grid of [`Features::GRID`].
//! - [`RewardState`] is nothing but sums over learned events. Features and rewards lie on grids,
//!   so their products add up in `f64` without any rounding: the state does not depend on the
//!   order of events, merges exactly, and a late, revised or withdrawn reward is an exact
//!   correction.
//! - [`Policy`] is built from a state: only then are the ridge systems factored. It is immutable,
//!   so one can be shared by all requests while the next is being built.
//! - [`Distribution::sample`] is the only place where an arm is drawn. Its generator is keyed by
//!   [`DrawKey`], so that the logged probability is the sampling probability, and a replay repeats
//!   both bit for bit.
//! - [`training`] fits reward models to many rows at once; a policy that has one decides by it.
//! - [`Learner`] joins rewards with the decisions they belong to; [`Snapshot`] carries it over a
//!   restart.
//!
//! # What it does not do
//!
//! It reads no clock, no environment and no file, starts no thread, and knows nothing of HTTP,
//! users or cohorts: whoever calls it decides what may be learned from. It does not estimate the
//! value of a policy from a log; that is the work of `echo-sim`.

mod ages;
mod arm_sums;
mod budget;
mod bytes;
mod change;
mod cover;
mod digest;
mod distribution;
mod dot;
mod effective;
mod error;
mod event;
mod facts;
mod features;
mod floor;
mod fnv;
mod forgetting;
mod inverse;
mod lanes;
mod learner;
mod lexis;
mod linear_model;
mod logistic;
mod memory;
mod nonzero;
mod pattern;
mod policies;
mod policy;
mod position;
mod prior;
mod query;
mod reward_state;
mod ridge;
mod sampler;
mod scan;
mod schema;
mod share;
mod signature;
mod snapshot;
mod spec;
mod spec_keys;
mod spec_text;
mod standardiser;
pub mod training;
mod triangle;
mod widest;
mod window;

pub use budget::Budget;
pub use change::Change;
pub use distribution::Distribution;
pub use error::{
    DistributionError, FeatureError, LearnerError, PolicyError, SnapshotError, SpecError,
    StateError, TrainingError,
};
pub use event::Event;
pub use facts::{Facts, Trigger};
pub use features::Features;
pub use forgetting::Forgetting;
pub use learner::{Effect, Learner, PendingDecision};
pub use linear_model::{ArmWeights, LinearModel, Link};
pub use memory::Memory;
pub use pattern::versioned;
pub use policy::{Choice, Policy};
pub use position::{After, Position};
pub use prior::Strength;
pub use reward_state::RewardState;
pub use sampler::DrawKey;
pub use schema::FeatureSchema;
pub use share::ShareBound;
pub use signature::SnapshotKey;
pub use snapshot::{GoldenVector, Snapshot};
pub use spec::{PolicySpec, Rule};
pub use standardiser::Standardiser;
