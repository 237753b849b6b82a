//! Work that nobody waits for.

/// Lets the calling thread have only the processor time that other threads leave: for work that nobody waits for,
/// beside requests that somebody does. Where the system does not allow it, nothing changes.
pub fn lower_priority() {
    // On Linux a thread has a priority of its own, by its own number.
    let _refused = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
}

/// A tenth of the share of a thread with the usual 0, when both want the same processor.
const NICE: i32 = 10;
