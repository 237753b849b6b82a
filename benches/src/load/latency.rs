use std::time::Duration;

use serde::Serialize;

use super::behaviour::Behaviour;
use super::connection::Connection;
use super::contender::{Contender, Running, Site};
use super::quantile::Quantiles;
use super::typing::Typing;
use crate::error::LoadError;

/// Sequential requests over one connection to each contender, in turn, so that whatever else happens
/// on the machine happens to all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct LatencyScenario {
    /// What it is called in a report.
    pub name: &'static str,
    /// How the upstream answers.
    pub behaviour: Behaviour,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Requests to each contender.
    pub rounds: usize,
}

/// The latencies of one scenario.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// The scenario's name.
    pub scenario: &'static str,
    /// Whether answers were streamed.
    pub stream: bool,
    /// One row a contender; direct calls come first.
    pub rows: Vec<LatencyRow>,
}

/// The latencies of one contender.
#[derive(Debug, Clone, Serialize)]
pub struct LatencyRow {
    /// Whose.
    pub contender: Contender,
    /// Time to the first byte of the body.
    pub first_byte: Quantiles,
    /// Time to the last byte.
    pub total: Quantiles,
    /// The longest pause within one answer.
    pub longest_gap: Quantiles,
    /// Answers whose decision was not on disk in time.
    pub unlogged: usize,
}

impl Latency {
    /// The row of a contender.
    pub fn row(&self, contender: Contender) -> Option<&LatencyRow> {
        self.rows.iter().find(|row| row.contender == contender)
    }

    /// What a row's quantiles are above those of direct calls, at the median and the 99th percentile,
    /// in microseconds: the time to the first byte of streams, or to the last byte of whole answers.
    pub fn added_us(&self, row: &LatencyRow) -> Option<(f64, f64)> {
        let told = |row: &LatencyRow| {
            if self.stream {
                row.first_byte
            } else {
                row.total
            }
        };
        let (row, direct) = (told(row), told(self.row(Contender::Direct)?));
        Some((row.p50_us - direct.p50_us, row.p99_us - direct.p99_us))
    }
}

/// Runs a scenario.
///
/// # Errors
///
/// [`LoadError`] when a contender fails.
pub(super) async fn measure(site: &Site, scenario: &LatencyScenario) -> Result<Latency, LoadError> {
    let mut lanes = Vec::new();
    for contender in site.contenders() {
        lanes.push(Lane::open(site, contender, scenario).await?);
    }
    for round in 0..WARM_UP + scenario.rounds {
        if round == WARM_UP {
            lanes.iter_mut().for_each(Lane::forget);
        }
        // Who comes after whom changes from round to round.
        lanes.rotate_left(1);
        for lane in &mut lanes {
            lane.ask(round).await?;
        }
    }
    lanes.sort_by_key(|lane| lane.running.contender);
    let rows = lanes
        .into_iter()
        .map(Lane::finish)
        .collect::<Result<_, _>>()?;
    Ok(Latency {
        scenario: scenario.name,
        stream: scenario.stream,
        rows,
    })
}

/// Rounds before the first that counts.
const WARM_UP: usize = 100;

/// One user, as at a desk.
const USERS: usize = 1;

/// One contender with its connection.
struct Lane {
    running: Running,
    connection: Connection,
    typing: Typing,
    first_byte: Vec<f64>,
    total: Vec<f64>,
    longest_gap: Vec<f64>,
    unlogged: usize,
}

impl Lane {
    async fn open(
        site: &Site,
        contender: Contender,
        scenario: &LatencyScenario,
    ) -> Result<Self, LoadError> {
        let running = site.start(contender, scenario.stream)?;
        let connection = Connection::open(running.address)
            .await
            .map_err(|error| running.failed(error))?;
        Ok(Self {
            connection,
            typing: contender.typing(scenario.behaviour, scenario.stream, USERS),
            first_byte: Vec::with_capacity(scenario.rounds),
            total: Vec::with_capacity(scenario.rounds),
            longest_gap: Vec::with_capacity(scenario.rounds),
            unlogged: 0,
            running,
        })
    }

    fn forget(&mut self) {
        for list in [&mut self.first_byte, &mut self.total, &mut self.longest_gap] {
            list.clear();
        }
        self.unlogged = 0;
    }

    async fn ask(&mut self, round: usize) -> Result<(), LoadError> {
        let asked = self.connection.ask(&self.typing, round).await;
        let answer = asked.map_err(|error| self.running.failed(error))?;
        let name = self.running.contender.name();
        let wrong = |reason: String| LoadError::Answer {
            target: name.to_owned(),
            reason,
        };
        if answer.status() != 200 {
            let body = String::from_utf8_lossy(answer.body());
            return Err(wrong(format!("status {}: {body}", answer.status())));
        }
        if round == 0 {
            check(answer.body(), self.typing.behaviour(round)).map_err(wrong)?;
        }
        self.first_byte.push(micros(answer.first_byte()));
        self.total.push(micros(answer.total()));
        self.longest_gap.push(micros(answer.longest_gap()));
        self.unlogged += usize::from(!answer.is_logged());
        Ok(())
    }

    fn finish(self) -> Result<LatencyRow, LoadError> {
        let contender = self.running.contender;
        let none = || LoadError::Answer {
            target: contender.name().to_owned(),
            reason: "no round was run".to_owned(),
        };
        let row = LatencyRow {
            contender,
            first_byte: Quantiles::of(self.first_byte).ok_or_else(none)?,
            total: Quantiles::of(self.total).ok_or_else(none)?,
            longest_gap: Quantiles::of(self.longest_gap).ok_or_else(none)?,
            unlogged: self.unlogged,
        };
        self.running.stop()?;
        Ok(row)
    }
}

/// Every piece of the upstream's text must have come through.
fn check(body: &[u8], behaviour: &Behaviour) -> Result<(), String> {
    let body = String::from_utf8_lossy(body);
    let missing = (0..behaviour.pieces).find(|number| !body.contains(&behaviour.piece(*number)));
    missing.map_or(Ok(()), |number| {
        Err(format!("piece {number} is missing in {body}"))
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
