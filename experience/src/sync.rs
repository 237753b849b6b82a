//! What threads meet by: the standard library's, and in the unit tests shuttle's, which tries out in which orders threads
//! may run (`interleavings.rs`).

#[cfg(test)]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};
#[cfg(not(test))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};
