//! One file for each policy: the arithmetic from scores to probabilities, before the floor.
//!
//! Every function treats all arms alike, so that permuting the arms permutes the probabilities;
//! in particular, equal scores share.

pub(crate) mod bootstrap;
pub(crate) mod cover;
pub(crate) mod epsilon_greedy;
pub(crate) mod fixed;
pub(crate) mod lin_ts;
pub(crate) mod lin_ucb;
pub(crate) mod rand_ucb;
pub(crate) mod reg_cb;
pub(crate) mod softmax;
pub(crate) mod square_cb;
pub(crate) mod uniform;
