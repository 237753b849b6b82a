//! The experience log, driven through its public interface.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod damage;
mod faults;
mod following;
mod golden;
mod kill;
mod properties;
mod samples;
