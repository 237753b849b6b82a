use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Who runs on which core.
///
/// A proxy under test has one core to itself, so that two proxies have the same budget. The upstream
/// and the load generator share the last core: together they must be faster than any proxy, which the
/// direct calls show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    all: CpuSet,
    proxy: CpuSet,
    others: CpuSet,
    description: String,
}

impl Cores {
    /// Shares out the cores that this process may use, and moves the calling thread to the
    /// generator's. Threads started later inherit that.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn share() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let proxy = usable.next().unwrap_or(0);
        let others = usable.next_back().unwrap_or(proxy);
        let cores = Self {
            all,
            proxy: only(proxy),
            others: only(others),
            description: format!(
                "{} cores; each proxy alone on core {proxy}; upstream and generator together on core {others}",
                all.count()
            ),
        };
        sched_setaffinity(None, &cores.others)?;
        Ok(cores)
    }

    /// Leaves all cores to everybody.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn together() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        Ok(Self {
            all,
            proxy: all,
            others: all,
            description: format!(
                "{} cores for proxy, upstream and generator together",
                all.count()
            ),
        })
    }

    /// Runs `start` on the proxy's core: the process that it starts inherits the core.
    ///
    /// # Errors
    ///
    /// When the system refuses to move the thread.
    pub fn on_the_proxys<T>(&self, start: impl FnOnce() -> T) -> io::Result<T> {
        sched_setaffinity(None, &self.proxy)?;
        let started = start();
        sched_setaffinity(None, &self.others)?;
        Ok(started)
    }

    /// Runs `work` on all cores, as a build wants it.
    ///
    /// # Errors
    ///
    /// When the system refuses to move the thread.
    pub fn on_all<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        sched_setaffinity(None, &self.all)?;
        let done = work();
        sched_setaffinity(None, &self.others)?;
        Ok(done)
    }

    /// The sharing in words.
    pub fn describe(&self) -> String {
        self.description.clone()
    }
}

fn only(core: usize) -> CpuSet {
    let mut one = CpuSet::new();
    one.set(core);
    one
}
