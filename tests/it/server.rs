//! The real binary as a child process, on a free port and in a folder of its own.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::patience::{PATIENCE, eventually};

/// A folder for one server: its home, data, corpus and configuration. It can be started in it several
/// times.
pub(crate) struct Home(TempDir);

impl Home {
    /// An empty one, with a small corpus.
    pub(crate) fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let corpus = home.path().join("corpus").join("sums-1.0.0");
        std::fs::create_dir_all(&corpus).unwrap();
        for file in 0..12 {
            std::fs::write(corpus.join(format!("sum_{file}.rs")), source(file)).unwrap();
        }
        home
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The folder that the embedded models learn from.
    pub(crate) fn corpus(&self) -> PathBuf {
        self.path().join("corpus")
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("echo.toml")
    }

    /// Writes the configuration file. Where it says nothing of the log, answers wait long for the disk,
    /// which many servers share while the tests run.
    pub(crate) fn configure(&self, toml: &str) {
        let patient = if toml.contains("[log]") {
            ""
        } else {
            "\n[log]\nack_ms = 10000\n"
        };
        std::fs::write(self.config(), [toml, patient].concat()).unwrap();
    }

    /// A server with embedded models, not yet started.
    pub(crate) fn embedded(&self) -> Launch {
        self.launch()
            .args(["--corpus", self.corpus().to_str().unwrap()])
    }

    /// A server with this configuration, not yet started.
    pub(crate) fn configured(&self, toml: &str) -> Launch {
        self.configure(toml);
        self.launch()
            .args(["--config", self.config().to_str().unwrap()])
    }

    /// A server without any configuration, not yet started.
    pub(crate) fn launch(&self) -> Launch {
        let data = self.data();
        self.command("serve").args([
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().unwrap(),
        ])
    }

    /// Any subcommand, not yet started.
    pub(crate) fn command(&self, subcommand: &str) -> Launch {
        Launch::of(self, binary().to_str().unwrap(), &[subcommand])
    }
}

/// A source file that repeats what the others say, so that the embedded models have something to say.
fn source(number: usize) -> String {
    let function = |name: &str| {
        format!(
            "/// The total of some values.\npub fn {name}(values: &[u32]) -> u32 {{\n    let mut total = 0;\n    for value in values {{\n        total += value;\n    }}\n    total\n}}\n"
        )
    };
    let functions: Vec<String> = (0..6)
        .map(|n| function(&format!("total_{number}_{n}")))
        .collect();
    functions.join("\n")
}

/// A command line, not yet started.
pub(crate) struct Launch(Command);

impl Launch {
    /// `program` in `home`, with nothing of the surrounding environment but the search path.
    pub(crate) fn of(home: &Home, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .current_dir(home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command)
    }

    /// Adds arguments.
    pub(crate) fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Makes the server's clock run faster.
    pub(crate) fn pace(self, pace: u32) -> Self {
        self.args(["--pace", &pace.to_string()])
    }

    /// Starts a server and waits until it listens.
    pub(crate) async fn start(self) -> Server {
        let mut process = Process::start(self);
        let address = eventually("the server's address", async || {
            let text = process.stdout();
            let address = text
                .lines()
                .find_map(|line| line.strip_prefix("echo-proxy listens on http://"));
            let ended = process.try_wait();
            assert!(
                ended.is_none() || address.is_some(),
                "the server ended: {ended:?}\n{}",
                process.stderr()
            );
            address?.parse().ok()
        });
        let address = address.await;
        Server { process, address }
    }

    /// Runs a command to its end.
    pub(crate) async fn finish(self) -> Finished {
        let mut process = Process::start(self);
        let status = process.wait().await;
        Finished {
            status,
            stdout: process.stdout(),
            stderr: process.stderr(),
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The one line that a command complains with.
    ///
    /// # Panics
    ///
    /// When it did not fail with status 1, or said anything else.
    pub(crate) fn complaint(&self) -> &str {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        let complaint = self.stderr.trim_end();
        assert!(
            complaint.starts_with("echo-proxy: ") && !complaint.contains("panicked"),
            "{self:?}"
        );
        complaint
    }
}

/// A running child whose output is collected; killed when dropped.
struct Process {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    /// Closed when both outputs are.
    outputs: Receiver<()>,
}

impl Process {
    fn start(launch: Launch) -> Self {
        let mut command = launch.0;
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (open, outputs) = channel();
        let stdout = collect(child.stdout.take().unwrap(), open.clone());
        let stderr = collect(child.stderr.take().unwrap(), open);
        Self {
            child,
            stdout,
            stderr,
            outputs,
        }
    }

    fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for the end, and for all that was said before it.
    async fn wait(&mut self) -> ExitStatus {
        let status = eventually("the end of the process", async || {
            self.child.try_wait().unwrap()
        })
        .await;
        // Nobody sends: this ends when both collectors have.
        let _closed = self.outputs.recv_timeout(PATIENCE);
        status
    }

    fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
        if thread::panicking() {
            eprintln!(
                "--- standard error of process {}:\n{}",
                self.child.id(),
                self.stderr()
            );
        }
    }
}

/// Collects what comes, line by line; `open` is dropped at the end.
fn collect(
    output: impl Read + Send + 'static,
    open: std::sync::mpsc::Sender<()>,
) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let collected = Arc::clone(&text);
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output
            .read_until(b'\n', &mut line)
            .is_ok_and(|bytes| bytes > 0)
        {
            collected
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
        drop(open);
    });
    text
}

/// A server that listens; killed when dropped.
pub(crate) struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client without a key.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// What it has said on its standard error.
    pub(crate) fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Whether it has ended, and how.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.process.try_wait()
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to read its configuration again.
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Kills it, as a power failure would.
    pub(crate) fn kill(&mut self) {
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        self.process.wait().await
    }

    /// Asks it to stop and waits until it has, without complaint; returns what it had said.
    pub(crate) async fn stop(mut self) -> String {
        self.terminate();
        let status = self.wait().await;
        assert_eq!(status.code(), Some(0), "{}", self.stderr());
        self.stderr()
    }
}

/// The binary, as `cargo build --release -p echo-proxy` leaves it beside the tests.
///
/// # Panics
///
/// When it is not there.
pub(crate) fn binary() -> PathBuf {
    let path = profile_folder().join("echo-proxy");
    assert!(
        path.is_file(),
        "{} is missing: build it with `cargo build --release -p echo-proxy`, or run tests/run",
        path.display()
    );
    path
}

/// The folder of the profile that these tests were built with, such as `target/release`.
pub(crate) fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}
