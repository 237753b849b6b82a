use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::LoadError;

/// A server that was started for the run. It is asked to stop when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// [`LoadError::Program`] when it cannot be started.
    pub fn start(name: &str, mut command: Command) -> Result<Self, LoadError> {
        command.stdin(Stdio::null());
        let child = command
            .spawn()
            .map_err(|error| LoadError::program(name, error))?;
        Ok(Self {
            name: name.to_owned(),
            child,
        })
    }

    /// Reads the server's standard output up to the line that begins with `words`, and returns the address that
    /// follows them. The server must have been started with its output piped.
    ///
    /// # Errors
    ///
    /// [`LoadError::Program`] when the output ends before, or no address follows.
    pub fn listens(&mut self, words: &str) -> Result<SocketAddr, LoadError> {
        let said = self.wait_for(words)?;
        let failed = |_| LoadError::program(&self.name, format!("it listens on {said:?}"));
        said.parse().map_err(failed)
    }

    fn wait_for(&mut self, words: &str) -> Result<String, LoadError> {
        let output = self.child.stdout.take();
        let mut lines = BufReader::new(
            output.ok_or_else(|| LoadError::program(&self.name, "its output is not piped"))?,
        );
        let mut line = String::new();
        loop {
            line.clear();
            let read = lines
                .read_line(&mut line)
                .map_err(|error| LoadError::program(&self.name, error))?;
            if let Some(rest) = line.strip_prefix(words) {
                let rest = rest.trim().to_owned();
                // It goes on writing: the pipe must stay open.
                self.child.stdout = Some(lines.into_inner());
                return Ok(rest);
            }
            if read == 0 {
                return Err(LoadError::program(
                    &self.name,
                    format!("it ended without saying {words:?}"),
                ));
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time that the server and its children have used.
    ///
    /// # Errors
    ///
    /// [`LoadError::File`] when the server is gone.
    pub fn processor_time(&self) -> Result<Duration, LoadError> {
        self.of_the_family(processor_ticks).map(duration_of)
    }

    /// Processor time that this very process has used.
    ///
    /// # Errors
    ///
    /// [`LoadError::File`] when the system does not tell.
    pub fn own_processor_time() -> Result<Duration, LoadError> {
        Ok(duration_of(processor_ticks(std::process::id())?))
    }

    /// Memory in bytes that the server and its children have in RAM.
    ///
    /// # Errors
    ///
    /// [`LoadError::File`] when the server is gone.
    pub fn memory_bytes(&self) -> Result<u64, LoadError> {
        self.of_the_family(resident_bytes)
    }

    /// Asks the server to stop, and says how long that took.
    ///
    /// # Errors
    ///
    /// [`LoadError::Program`] when it does not stop in [`STOP_S`] seconds, or fails.
    pub fn stop(mut self) -> Result<Duration, LoadError> {
        let asked = Instant::now();
        self.ask_to_stop();
        while asked.elapsed() < Duration::from_secs(STOP_S) {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(asked.elapsed()),
                Ok(Some(status)) => {
                    return Err(LoadError::program(
                        &self.name,
                        format!("it stopped with {status}"),
                    ));
                }
                Ok(None) => nap(),
                Err(error) => return Err(LoadError::program(&self.name, error)),
            }
        }
        Err(LoadError::program(
            &self.name,
            format!("it did not stop in {STOP_S} s"),
        ))
    }

    fn ask_to_stop(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already.
            let _gone = kill_process(pid, Signal::TERM);
        }
    }

    /// The sum over the server and its children; one of those may end at any time.
    fn of_the_family(
        &self,
        measure: impl Fn(u32) -> Result<u64, LoadError>,
    ) -> Result<u64, LoadError> {
        let own = self.child.id();
        let children = read(&format!("/proc/{own}/task/{own}/children"))?;
        let children = children.split(' ').filter_map(|pid| pid.parse().ok());
        Ok(measure(own)? + children.filter_map(|pid| measure(pid).ok()).sum::<u64>())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.ask_to_stop();
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(STOP_S) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            nap();
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Seconds that a server gets to stop.
const STOP_S: u64 = 60;

#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells of the end of a child but asking again"
)]
fn nap() {
    std::thread::sleep(Duration::from_millis(5));
}

fn duration_of(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn processor_ticks(pid: u32) -> Result<u64, LoadError> {
    let text = read(&format!("/proc/{pid}/stat"))?;
    // The second field is the name in brackets, which may hold spaces.
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |place: usize| {
        fields
            .get(place)
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or(0)
    };
    Ok(ticks(USER_TIME) + ticks(SYSTEM_TIME))
}

/// Places of the times in /proc/PID/stat, counted from the field after the name (proc(5)).
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

fn resident_bytes(pid: u32) -> Result<u64, LoadError> {
    let text = read(&format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    Ok(kib * 1024)
}

fn read(path: &str) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|source| LoadError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_measured_and_stopped() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "trap 'exit 0' TERM; echo it listens on 17; while :; do sleep 0.01; done",
        ]);
        command.stdout(Stdio::piped());
        let mut process = Process::start("sh", command).unwrap();
        assert_eq!(process.wait_for("it listens on ").unwrap(), "17");
        assert!(process.memory_bytes().unwrap() > 100_000);
        assert!(process.processor_time().is_ok());
        process.stop().unwrap();
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Process::start("nothing", Command::new("/nowhere/nothing")).unwrap_err();
        assert!(error.to_string().starts_with("nothing: "), "{error}");
    }
}
