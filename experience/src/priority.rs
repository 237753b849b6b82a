//! Threads that make way for others.

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityOsValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Lets the calling thread have only the processor time that other threads leave: for work that nobody waits for,
/// beside requests that somebody does. Where the system does not allow it, nothing changes.
pub fn lower_priority() {
    // On Linux a thread has a priority of its own, by its own number.
    let _refused = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
}

/// A tenth of the share of a thread with the usual 0, when both want the same processor.
const NICE: i32 = 10;

/// Lets the calling thread wait, when there is work for it, until whoever brought the work has finished his own: on a
/// processor that both share, it interrupts nobody (`sched(7)`, `SCHED_BATCH`). Its share of the time stays the same.
/// Where the system does not allow it, nothing changes.
pub(crate) fn interrupt_nobody() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    let nice = ThreadPriority::Os(ThreadPriorityOsValue::default());
    let _refused = set_thread_priority_and_policy(thread_native_id(), nice, policy);
}
