use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cores::Cores;
use super::process::Process;
use crate::error::LoadError;

/// `echo-proxy` before the upstream: the real binary with a data directory of its own.
#[derive(Debug)]
pub(super) struct EchoProxy {
    /// Where it listens.
    pub address: SocketAddr,
    /// Keeps it running.
    pub process: Process,
    /// Removed when dropped, after the process.
    folder: tempfile::TempDir,
}

impl EchoProxy {
    /// Starts it on the proxy's core. Its data directory lies under `base`.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when it cannot be started.
    pub(super) fn start(
        program: &Path,
        base: &Path,
        upstream: SocketAddr,
        cores: &Cores,
    ) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir_in(base).map_err(|error| LoadError::file(base, error))?;
        let file = folder.path().join("echo.toml");
        fs::write(&file, configuration(upstream)).map_err(|error| LoadError::file(&file, error))?;
        let mut command = Command::new(program);
        command.args([
            "--log-level",
            "error",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--config",
        ]);
        command
            .arg(&file)
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped());
        let started = cores.on_the_proxys(|| Process::start(NAME, command));
        let mut process = started.map_err(|error| LoadError::program(NAME, error))??;
        let address = process.listens("echo-proxy listens on http://")?;
        Ok(Self {
            address,
            process,
            folder,
        })
    }

    /// Its data directory.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Stops it, and says how long that took.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when it does not stop, or fails.
    pub(super) fn stop(self) -> Result<std::time::Duration, LoadError> {
        let Self {
            process, folder, ..
        } = self;
        let took = process.stop()?;
        folder
            .close()
            .map_err(|error| LoadError::program(NAME, error))?;
        Ok(took)
    }
}

const NAME: &str = "echo-proxy";

/// The arm that requests name when they are not routed.
pub(super) const ARM: &str = "left";

/// The model that stands for all arms.
pub(super) const ROUTED: &str = "echo";

/// Two arms that differ in name only. Everything else is at its default, but for the bounds that a
/// load run is to pass.
fn configuration(upstream: SocketAddr) -> String {
    let arm = |name: &str| {
        format!(
            "[[arm]]\nname = \"{name}\"\nkind = \"openai\"\nurl = \"http://{upstream}/v1\"\nmodel = \"bench\"\n"
        )
    };
    format!(
        "[server]\nconnections = 8192\n[arm_defaults]\nconcurrency = 8192\n{}{}",
        arm(ARM),
        arm("right")
    )
}

/// Builds `echo-proxy`, and says where it lies: beside this program.
///
/// # Errors
///
/// [`LoadError::Program`] when it cannot be built, or is not there.
pub(super) fn provide(build: bool, cores: &Cores) -> Result<PathBuf, LoadError> {
    let own = std::env::current_exe().map_err(|error| LoadError::program(NAME, error))?;
    let program = own.with_file_name(NAME);
    if build {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--release", "--quiet", "--package", NAME])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let ended = cores.on_all(|| cargo.status()).flatten();
        let status = ended.map_err(|error| LoadError::program("cargo", error))?;
        if !status.success() {
            return Err(LoadError::program("cargo", "echo-proxy does not build"));
        }
    }
    if program.is_file() {
        return Ok(program);
    }
    Err(LoadError::program(
        NAME,
        "it is not built: leave out --no-build, or run cargo build --release -p echo-proxy",
    ))
}
