use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;

use super::bare::Bare;
use super::behaviour::Behaviour;
use super::cores::Cores;
use super::echo::{self, EchoProxy};
use super::nginx::{self, Nginx};
use super::process::Process;
use super::typing::{Crowd, Typing};
use super::upstream::Upstream;
use crate::error::LoadError;

/// A way from the generator to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Contender {
    /// Nothing in between.
    Direct,
    /// nginx's `proxy_pass`.
    Nginx,
    /// hyper's server and reqwest's client, and nothing in between.
    Bare,
    /// echo-proxy, with requests that name their arm.
    EchoNamed,
    /// echo-proxy, which draws one of two arms; every request from another user.
    EchoRouted,
    /// echo-proxy with everything on: users go on typing, so that proposals are followed, rewarded and
    /// learned from.
    EchoLearning,
    /// The same with its data directory in memory, which tells the disk's share.
    EchoInMemory,
}

impl Contender {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Direct,
        Self::Nginx,
        Self::Bare,
        Self::EchoNamed,
        Self::EchoRouted,
        Self::EchoLearning,
        Self::EchoInMemory,
    ];

    /// What it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Bare => "hyper and reqwest alone",
            Self::EchoNamed => "echo, arm named",
            Self::EchoRouted => "echo, routed",
            Self::EchoLearning => "echo, everything",
            Self::EchoInMemory => "echo, everything, log in RAM",
        }
    }

    /// Its requests, for `users` who go on typing.
    pub fn typing(self, behaviour: Behaviour, stream: bool, users: usize) -> Typing {
        let model = match self {
            Self::Direct | Self::Nginx | Self::Bare => "bench",
            Self::EchoNamed => echo::ARM,
            Self::EchoRouted | Self::EchoLearning | Self::EchoInMemory => echo::ROUTED,
        };
        let crowd = match self {
            Self::EchoLearning | Self::EchoInMemory => Crowd::Typists(users),
            _ => Crowd::Strangers,
        };
        Typing::new(model, behaviour, stream, crowd)
    }
}

/// What the contenders are started with.
#[derive(Debug)]
pub struct Site {
    /// The upstream of all.
    pub upstream: Upstream,
    /// Who runs where.
    pub cores: Cores,
    /// nginx's version, or why it takes no part.
    pub nginx: Result<String, String>,
    echo: PathBuf,
    /// On disk.
    folder: TempDir,
    memory: Option<&'static Path>,
}

impl Site {
    /// Provides all programs and starts the upstream. Data directories lie in a temporary folder
    /// beside this program, so on the disk that it was built on.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when one is missing that the run cannot do without.
    pub fn prepare(build: bool) -> Result<Self, LoadError> {
        Self::on(Cores::share(), build)
    }

    /// The same with all cores left to everybody.
    ///
    /// # Errors
    ///
    /// As [`Site::prepare`].
    pub fn prepare_together(build: bool) -> Result<Self, LoadError> {
        Self::on(Cores::together(), build)
    }

    fn on(cores: std::io::Result<Cores>, build: bool) -> Result<Self, LoadError> {
        let cores = cores.map_err(|error| LoadError::program("sched_setaffinity", error))?;
        let echo = echo::provide(build, &cores)?;
        let beside = echo.parent().unwrap_or(Path::new("."));
        let folder =
            tempfile::tempdir_in(beside).map_err(|error| LoadError::file(beside, error))?;
        let memory = Path::new(MEMORY);
        Ok(Self {
            upstream: Upstream::start()?,
            nginx: nginx::provide(),
            cores,
            memory: memory.is_dir().then_some(memory),
            echo,
            folder,
        })
    }

    /// Those that can take part.
    pub fn contenders(&self) -> Vec<Contender> {
        let takes_part = |contender: &Contender| match contender {
            Contender::Nginx => self.nginx.is_ok(),
            Contender::EchoInMemory => self.memory.is_some(),
            _ => true,
        };
        Contender::ALL.into_iter().filter(takes_part).collect()
    }

    /// The folder on disk.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a contender; `streams` says whether nginx is to pass answers on as they come.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when it does not start.
    pub fn start(&self, contender: Contender, streams: bool) -> Result<Running, LoadError> {
        let upstream = self.upstream.address;
        let disk = self.folder();
        let echo = |base: &Path| {
            let echo = EchoProxy::start(&self.echo, base, upstream, &self.cores)?;
            Ok(Running {
                contender,
                address: echo.address,
                server: Server::Echo(echo),
            })
        };
        match contender {
            Contender::Direct => Ok(Running {
                contender,
                address: upstream,
                server: Server::None,
            }),
            Contender::Nginx => {
                let nginx = Nginx::start(disk, upstream, streams, &self.cores)?;
                Ok(Running {
                    contender,
                    address: nginx.address,
                    server: Server::Nginx(nginx),
                })
            }
            Contender::Bare => {
                let bare = Bare::start(upstream, &self.cores)?;
                Ok(Running {
                    contender,
                    address: bare.address,
                    server: Server::Bare(bare),
                })
            }
            Contender::EchoInMemory => echo(self.memory.unwrap_or(disk)),
            _ => echo(disk),
        }
    }
}

/// Where Linux keeps a file system in memory.
const MEMORY: &str = "/dev/shm";

/// A contender at work.
#[derive(Debug)]
pub struct Running {
    /// Which one.
    pub contender: Contender,
    /// Where it listens.
    pub address: SocketAddr,
    server: Server,
}

#[derive(Debug)]
enum Server {
    None,
    Nginx(Nginx),
    Bare(Bare),
    Echo(EchoProxy),
}

impl Running {
    /// The proxy's process; `None` for direct calls.
    pub fn process(&self) -> Option<&Process> {
        match &self.server {
            Server::None => None,
            Server::Nginx(nginx) => Some(&nginx.process),
            Server::Bare(bare) => Some(&bare.process),
            Server::Echo(echo) => Some(&echo.process),
        }
    }

    /// The data directory of echo-proxy.
    pub fn data_dir(&self) -> Option<PathBuf> {
        match &self.server {
            Server::Echo(echo) => Some(echo.data_dir()),
            _ => None,
        }
    }

    /// Stops the proxy, and says how long that took.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when it does not stop, or fails.
    pub fn stop(self) -> Result<Duration, LoadError> {
        match self.server {
            // The bare proxy has nothing to put in order, and ends by the signal.
            Server::None | Server::Bare(_) => Ok(Duration::ZERO),
            Server::Nginx(nginx) => nginx.process.stop(),
            Server::Echo(echo) => echo.stop(),
        }
    }

    /// The error of a connection to this contender.
    pub fn failed(&self, source: std::io::Error) -> LoadError {
        LoadError::Connection {
            target: self.contender.name().to_owned(),
            source,
        }
    }
}
