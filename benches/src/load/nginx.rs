use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::cores::Cores;
use super::process::Process;
use crate::error::LoadError;

/// nginx as a plain proxy before the upstream, with one worker and no logs.
#[derive(Debug)]
pub(super) struct Nginx {
    /// Where it listens.
    pub address: SocketAddr,
    /// Keeps it running.
    pub process: Process,
}

impl Nginx {
    /// Starts it in `folder`, on the proxy's core. Answers are buffered where `streams` is false, as
    /// is the default, and passed on as they come where it is true.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when it cannot be started.
    pub(super) fn start(
        folder: &Path,
        upstream: SocketAddr,
        streams: bool,
        cores: &Cores,
    ) -> Result<Self, LoadError> {
        let folder = folder.join(if streams { "nginx-streams" } else { "nginx" });
        fs::create_dir_all(&folder).map_err(|error| LoadError::file(&folder, error))?;
        let address = free_address()?;
        let file = folder.join("nginx.conf");
        let text = configuration(address, upstream, streams);
        fs::write(&file, text).map_err(|error| LoadError::file(&file, error))?;
        let mut command = Command::new(PROGRAM);
        command
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg("error.log");
        let started = cores.on_the_proxys(|| Process::start(PROGRAM, command));
        let process = started.map_err(|error| LoadError::program(PROGRAM, error))??;
        wait_until_it_listens(address)?;
        Ok(Self { address, process })
    }
}

const PROGRAM: &str = "nginx";

/// Finds nginx, installs it where that is possible, or says why not.
///
/// # Errors
///
/// The reason, in words.
pub(super) fn provide() -> Result<String, String> {
    if let Some(version) = version() {
        return Ok(version);
    }
    if !rustix::process::geteuid().is_root() {
        return Err("nginx is not installed (Debian: apt-get install nginx)".to_owned());
    }
    eprintln!("installing nginx by apt-get");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        // In run level 1, no service is started on installation.
        command
            .env("RUNLEVEL", "1")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    let install = ["install", "-y", "--no-install-recommends", "nginx"];
    if apt(&install) || (apt(&["update"]) && apt(&install)) {
        return version().ok_or_else(|| "nginx was installed and does not run".to_owned());
    }
    Err("nginx is not installed, and apt-get cannot install it".to_owned())
}

fn version() -> Option<String> {
    let output = Command::new(PROGRAM).arg("-v").output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.trim()
        .strip_prefix("nginx version: ")
        .map(str::to_owned)
}

fn configuration(listen: SocketAddr, upstream: SocketAddr, streams: bool) -> String {
    let buffering = if streams { "off" } else { "on" };
    format!(
        "daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid nginx.pid;
error_log error.log error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_buffer_size 64k;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream completions {{
        server {upstream};
        keepalive 1024;
        keepalive_requests 100000000;
    }}
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://completions;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering {buffering};
        }}
    }}
}}
"
    )
}

/// nginx cannot say which port it was given, so one is looked for beforehand.
fn free_address() -> Result<SocketAddr, LoadError> {
    let listener = TcpListener::bind(("127.0.0.1", 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map_err(|error| LoadError::program(PROGRAM, error))
}

fn wait_until_it_listens(address: SocketAddr) -> Result<(), LoadError> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(START_S) {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "nginx says nothing when it is ready"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(LoadError::program(
        PROGRAM,
        format!("it does not listen after {START_S} s"),
    ))
}

const START_S: u64 = 10;
