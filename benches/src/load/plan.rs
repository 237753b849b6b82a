use super::behaviour::Behaviour;
use super::contender::{Contender, Site};
use super::latency::{self, LatencyScenario};
use super::machine::Machine;
use super::memory;
use super::report::Report;
use super::throughput::{self, ThroughputScenario};
use crate::error::LoadError;

/// What a run measures.
#[derive(Debug, Clone)]
pub struct Plan {
    latencies: Vec<LatencyScenario>,
    throughputs: Vec<ThroughputScenario>,
    streams: usize,
}

/// The scenario whose added latency has a target.
pub(super) const THINKING: &str = "whole answers, upstream thinks 20 ms";

/// The throughput scenarios with a target.
pub(super) const WHOLE: &str = "whole answers";
pub(super) const STREAMED: &str = "streamed answers";

/// An answer of 16 pieces, as fast as they can be sent.
const INSTANT: Behaviour = Behaviour {
    text: 0,
    pieces: 16,
    first_us: 0,
    every_ms: 0,
};

/// The first token of a small model on a good machine takes at least this long.
const THINKS: Behaviour = Behaviour {
    first_us: 20_000,
    ..INSTANT
};

/// Then tokens come one by one.
const PACED: Behaviour = Behaviour {
    every_ms: 1,
    ..THINKS
};

impl Plan {
    /// Everything: about nine minutes.
    pub fn full() -> Self {
        Self::scaled(
            [2_000, 1_000, 300],
            [(64, 3, 4_000), (64, 3, 4_000), (256, 2, 4_000)],
            1_000,
        )
    }

    /// A look at everything, in less than a minute: enough to see that it works.
    pub fn quick() -> Self {
        Self::scaled(
            [150, 60, 20],
            [(16, 1, 700), (16, 1, 700), (64, 1, 700)],
            100,
        )
    }

    fn scaled(rounds: [usize; 3], loads: [(usize, usize, u64); 3], streams: usize) -> Self {
        let latency = |name, behaviour, stream, rounds| LatencyScenario {
            name,
            behaviour,
            stream,
            rounds,
        };
        let throughput = |name, stream, (connections, windows, window_ms)| ThroughputScenario {
            name,
            behaviour: INSTANT,
            stream,
            connections,
            users: USERS,
            warm_up_ms: window_ms / 4,
            window_ms,
            windows,
        };
        Self {
            latencies: vec![
                latency(THINKING, THINKS, false, rounds[1]),
                latency(
                    "whole answers, upstream answers at once",
                    INSTANT,
                    false,
                    rounds[0],
                ),
                latency(
                    "streamed answers, first piece after 20 ms, then one each ms",
                    PACED,
                    true,
                    rounds[2],
                ),
            ],
            throughputs: vec![
                throughput(WHOLE, false, loads[0]),
                throughput(STREAMED, true, loads[1]),
                throughput("whole answers, many connections", false, loads[2]),
            ],
            streams,
        }
    }

    /// Runs it all, saying on the standard error where it is.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when something that the run cannot do without fails.
    pub async fn run(&self, site: &Site, command: String) -> Result<Report, LoadError> {
        let machine = Machine::look(site.folder())?;
        let mut latencies = Vec::new();
        for scenario in &self.latencies {
            eprintln!("latency: {} ...", scenario.name);
            latencies.push(latency::measure(site, scenario).await?);
        }
        let mut throughputs = Vec::new();
        for scenario in &self.throughputs {
            eprintln!(
                "throughput: {}, {} connections ...",
                scenario.name, scenario.connections
            );
            throughputs.push(throughput::measure(site, scenario).await?);
        }
        eprintln!("memory: {} open streams ...", self.streams);
        let memory = memory::measure(site, self.streams).await?;
        Ok(Report {
            machine,
            command,
            cores: site.cores.describe(),
            nginx: site
                .nginx
                .clone()
                .unwrap_or_else(|reason| format!("not measured: {reason}")),
            latencies,
            throughputs,
            memory,
        })
    }
}

/// Keeps one contender under load for so many seconds, and says how many answers a second it gave.
///
/// # Errors
///
/// [`LoadError`] when the contender fails.
pub async fn hold(
    site: &Site,
    contender: Contender,
    stream: bool,
    seconds: u64,
) -> Result<f64, LoadError> {
    let scenario = ThroughputScenario {
        name: WHOLE,
        behaviour: INSTANT,
        stream,
        connections: HELD_CONNECTIONS,
        users: USERS,
        warm_up_ms: 0,
        window_ms: seconds * 1_000,
        windows: 1,
    };
    throughput::hold(site, contender, &scenario).await
}

const HELD_CONNECTIONS: usize = 64;

/// Users who type during a measurement of throughput.
const USERS: usize = 1_024;
