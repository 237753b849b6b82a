//! End-to-end tests of the real `echo-proxy` binary: they live in `tests/it`, and `tests/run` runs
//! them with everything that they need.
//!
//! The library itself is empty: cargo wants one beside the tests.
