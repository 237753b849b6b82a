use std::time::Duration;

use serde::Serialize;

use super::behaviour::Behaviour;
use super::connection::Connection;
use super::contender::{Contender, Site};
use super::process::Process;
use crate::error::LoadError;

/// Memory of a proxy while it has slow streams open.
#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    /// Whose.
    pub contender: Contender,
    /// Streams open at a time.
    pub streams: usize,
    /// In RAM after the start, in bytes.
    pub idle_bytes: u64,
    /// In RAM with all streams open, in bytes.
    pub open_bytes: u64,
}

impl Memory {
    /// What the streams take.
    pub fn added_bytes(&self) -> u64 {
        self.open_bytes.saturating_sub(self.idle_bytes)
    }
}

/// Opens `streams` slow streams through each proxy, and weighs it when all have begun.
///
/// # Errors
///
/// [`LoadError`] when a proxy fails.
pub(super) async fn measure(site: &Site, streams: usize) -> Result<Vec<Memory>, LoadError> {
    let mut weighed = Vec::new();
    for contender in site.contenders() {
        if matches!(contender, Contender::Nginx | Contender::EchoLearning) {
            weighed.push(weigh(site, contender, streams).await?);
        }
    }
    Ok(weighed)
}

async fn weigh(site: &Site, contender: Contender, streams: usize) -> Result<Memory, LoadError> {
    let running = site.start(contender, true)?;
    let weight = || running.process().map_or(Ok(0), Process::memory_bytes);
    let idle_bytes = weight()?;
    let typing = contender.typing(SLOW, true, streams);
    let mut open = Vec::with_capacity(streams);
    for number in 0..streams {
        let mut connection = Connection::open(running.address)
            .await
            .map_err(|error| running.failed(error))?;
        connection
            .send(&typing, number)
            .await
            .map_err(|error| running.failed(error))?;
        open.push(connection);
    }
    for connection in &mut open {
        connection
            .wait_for_the_first_byte()
            .await
            .map_err(|error| running.failed(error))?;
    }
    tokio::time::sleep(Duration::from_millis(SLOW.every_ms)).await;
    let open_bytes = weight()?;
    drop(open);
    running.stop()?;
    Ok(Memory {
        contender,
        streams,
        idle_bytes,
        open_bytes,
    })
}

/// Streams that last a minute, and are left before.
const SLOW: Behaviour = Behaviour {
    text: 0,
    pieces: 61,
    first_us: 0,
    every_ms: 1_000,
};
