use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::LocalSet;

use super::behaviour::Behaviour;
use super::connection::Connection;
use super::contender::{Contender, Running, Site};
use super::process::Process;
use super::quantile::{Quantiles, median};
use super::typing::Typing;
use crate::error::LoadError;

/// As many requests as a contender answers, over a number of connections that each wait for their
/// answer before they ask again.
#[derive(Debug, Clone, Copy)]
pub(super) struct ThroughputScenario {
    /// What it is called in a report.
    pub name: &'static str,
    /// How the upstream answers.
    pub behaviour: Behaviour,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Connections at a time.
    pub connections: usize,
    /// Users who go on typing, where the contender has such.
    pub users: usize,
    /// Time before the window that counts, in milliseconds.
    pub warm_up_ms: u64,
    /// The window that counts, in milliseconds.
    pub window_ms: u64,
    /// Windows of each contender, in turn with the others'.
    pub windows: usize,
}

/// The throughput in one scenario.
#[derive(Debug, Clone, Serialize)]
pub struct Throughput {
    /// The scenario's name.
    pub scenario: &'static str,
    /// Connections at a time.
    pub connections: usize,
    /// One row a contender.
    pub rows: Vec<ThroughputRow>,
}

/// The throughput of one contender: medians over its windows.
#[derive(Debug, Clone, Serialize)]
pub struct ThroughputRow {
    /// Whose.
    pub contender: Contender,
    /// Answers a second.
    pub rate_per_s: f64,
    /// The same of each window.
    pub window_rates_per_s: Vec<f64>,
    /// Latency under this load, in the last window.
    pub total: Quantiles,
    /// Processor time of the proxy for one answer, in microseconds; `None` for direct calls.
    pub processor_us: Option<f64>,
    /// Share of the proxy's core that was in use.
    pub processor_share: Option<f64>,
    /// Share of the other core that upstream and generator used: near 1, they and not the proxy set
    /// the rate.
    pub harness_share: f64,
    /// Share of answers whose decision was not on disk in time.
    pub unlogged_share: f64,
    /// Requests that failed or had another status than 200.
    pub failures: usize,
    /// Time that the proxy took to stop after the last window, in milliseconds.
    pub stop_ms: f64,
}

impl Throughput {
    /// The row of a contender.
    pub fn row(&self, contender: Contender) -> Option<&ThroughputRow> {
        self.rows.iter().find(|row| row.contender == contender)
    }

    /// A row's rate as a share of nginx's.
    pub fn share_of_nginx(&self, row: &ThroughputRow) -> Option<f64> {
        Some(row.rate_per_s / self.row(Contender::Nginx)?.rate_per_s)
    }
}

/// Runs a scenario.
///
/// # Errors
///
/// [`LoadError`] when a contender fails.
pub(super) async fn measure(
    site: &Site,
    scenario: &ThroughputScenario,
) -> Result<Throughput, LoadError> {
    let contenders = site.contenders();
    let mut windows: Vec<Vec<Window>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..scenario.windows {
        for (contender, windows) in contenders.iter().zip(&mut windows) {
            windows.push(window(site, *contender, scenario).await?);
        }
    }
    let rows = contenders
        .into_iter()
        .zip(windows)
        .filter_map(|(contender, windows)| row(contender, windows));
    Ok(Throughput {
        scenario: scenario.name,
        connections: scenario.connections,
        rows: rows.collect(),
    })
}

/// Keeps one contender under a scenario's load, so that a profiler can look at it, and says how many
/// answers a second it gave.
///
/// # Errors
///
/// [`LoadError`] when the contender fails.
pub(super) async fn hold(
    site: &Site,
    contender: Contender,
    scenario: &ThroughputScenario,
) -> Result<f64, LoadError> {
    let window = window(site, contender, scenario).await?;
    Ok(window.tally.total_us.len() as f64 / window.seconds)
}

/// What one window measured.
struct Window {
    seconds: f64,
    tally: Tally,
    used: Used,
    stop: Duration,
}

/// A fresh contender, warmed up, measured and stopped.
async fn window(
    site: &Site,
    contender: Contender,
    scenario: &ThroughputScenario,
) -> Result<Window, LoadError> {
    let running = site.start(contender, scenario.stream)?;
    if let Some(process) = running.process() {
        eprintln!("  {}: process {}", contender.name(), process.id());
    }
    let typing = Rc::new(contender.typing(scenario.behaviour, scenario.stream, scenario.users));
    let tally = Rc::new(RefCell::new(Tally::default()));
    let local = LocalSet::new();
    let (warm_up, length) = (
        Duration::from_millis(scenario.warm_up_ms),
        Duration::from_millis(scenario.window_ms),
    );
    let until = Instant::now() + warm_up + length;
    for place in 0..scenario.connections {
        let connection = Connection::open(running.address)
            .await
            .map_err(|error| running.failed(error))?;
        let (typing, tally, stride) = (Rc::clone(&typing), Rc::clone(&tally), scenario.connections);
        local.spawn_local(load(connection, typing, tally, place, stride, until));
    }
    let measured = local.run_until(async {
        tokio::time::sleep(warm_up).await;
        tally.take();
        let (begun, before) = (Instant::now(), Used::so_far(site, &running)?);
        tokio::time::sleep_until(until.into()).await;
        let used = Used::so_far(site, &running)?.since(before);
        Ok::<_, LoadError>((begun.elapsed().as_secs_f64(), used, tally.take()))
    });
    let (seconds, used, tally) = measured.await?;
    // The last answers are waited for, so that no proxy is stopped in the middle of one.
    local.await;
    Ok(Window {
        seconds,
        tally,
        used,
        stop: running.stop()?,
    })
}

/// Processor time in use.
#[derive(Debug, Clone, Copy)]
struct Used {
    /// The proxy's; `None` for direct calls.
    proxy: Option<Duration>,
    /// The upstream's and the generator's.
    harness: Duration,
}

impl Used {
    fn so_far(site: &Site, running: &Running) -> Result<Self, LoadError> {
        let proxy = running.process().map(Process::processor_time).transpose()?;
        let harness = site.upstream.process.processor_time()? + Process::own_processor_time()?;
        Ok(Self { proxy, harness })
    }

    fn since(self, before: Self) -> Self {
        let proxy = self.proxy.zip(before.proxy);
        Self {
            proxy: proxy.map(|(now, before)| now.saturating_sub(before)),
            harness: self.harness.saturating_sub(before.harness),
        }
    }
}

/// What the connections count together.
#[derive(Debug, Default)]
struct Tally {
    total_us: Vec<f64>,
    unlogged: usize,
    failures: usize,
    last_failure: Option<String>,
}

/// Asks on one connection until the time is over.
async fn load(
    mut connection: Connection,
    typing: Rc<Typing>,
    tally: Rc<RefCell<Tally>>,
    place: usize,
    stride: usize,
    until: Instant,
) {
    let mut number = place;
    while Instant::now() < until {
        let asked = connection.ask(&typing, number).await;
        let mut tally = tally.borrow_mut();
        match asked {
            Ok(answer) if answer.status() == 200 => {
                tally.total_us.push(answer.total().as_secs_f64() * 1e6);
                tally.unlogged += usize::from(!answer.is_logged());
            }
            Ok(answer) => {
                tally.failures += 1;
                let body = String::from_utf8_lossy(answer.body());
                tally.last_failure = Some(format!("status {}: {body}", answer.status()));
            }
            Err(error) => {
                tally.failures += 1;
                tally.last_failure = Some(error.to_string());
                return;
            }
        }
        number += stride;
    }
}

fn row(contender: Contender, mut windows: Vec<Window>) -> Option<ThroughputRow> {
    let answers: usize = windows
        .iter()
        .map(|window| window.tally.total_us.len())
        .sum();
    let seconds: f64 = windows.iter().map(|window| window.seconds).sum();
    let proxy: Option<Duration> = windows.iter().map(|window| window.used.proxy).sum();
    let harness: Duration = windows.iter().map(|window| window.used.harness).sum();
    let rates: Vec<f64> = windows
        .iter()
        .map(|window| window.tally.total_us.len() as f64 / window.seconds)
        .collect();
    let failures = windows.iter().map(|window| window.tally.failures).sum();
    let unlogged: usize = windows.iter().map(|window| window.tally.unlogged).sum();
    if let Some(failure) = windows
        .iter()
        .find_map(|window| window.tally.last_failure.as_deref())
    {
        eprintln!("{}: {failure}", contender.name());
    }
    let last = windows.pop()?;
    Some(ThroughputRow {
        contender,
        rate_per_s: median(rates.clone())?,
        window_rates_per_s: rates,
        total: Quantiles::of(last.tally.total_us)?,
        processor_us: proxy.map(|time| time.as_secs_f64() * 1e6 / answers.max(1) as f64),
        processor_share: proxy.map(|time| time.as_secs_f64() / seconds),
        harness_share: harness.as_secs_f64() / seconds,
        unlogged_share: unlogged as f64 / answers.max(1) as f64,
        failures,
        stop_ms: last.stop.as_secs_f64() * 1e3,
    })
}
