use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde::Serialize;

use super::quantile::Quantiles;
use crate::error::LoadError;

/// What the numbers of a run depend on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// When the run began, in UTC.
    pub date: String,
    /// The commit, marked when the tree differs from it.
    pub commit: String,
    /// The processor's name and number of cores.
    pub processor: String,
    /// The kernel's name and version.
    pub kernel: String,
    /// The load average of the last minute before the run: above 0.2 somebody else was at work.
    pub load_before: f64,
    /// Time for 4 kB more in a file to be on disk (fdatasync), which every logged answer waits for.
    pub disk_sync: Quantiles,
}

impl Machine {
    /// Looks at the machine; the disk is that of `folder`.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when the disk cannot be written to.
    pub fn look(folder: &Path) -> Result<Self, LoadError> {
        let dirty = if said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty() {
            ""
        } else {
            ", changed"
        };
        Ok(Self {
            date: said("date", &["-u", "+%Y-%m-%d %H:%M"]),
            commit: format!(
                "{}{dirty}",
                said("git", &["rev-parse", "--short=12", "HEAD"])
            ),
            processor: processor(),
            kernel: said("uname", &["-sr"]),
            load_before: load_average(),
            disk_sync: disk_sync(folder)?,
        })
    }
}

/// What a program prints, in the folder of the benches; nothing if it is not there.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, name)| name)
        .collect();
    let mhz = text
        .lines()
        .find_map(|line| line.strip_prefix("cpu MHz")?.split_once(": "))
        .map(|(_, mhz)| mhz);
    format!(
        "{}, {} cores, {} MHz",
        names.first().unwrap_or(&"unknown"),
        names.len(),
        mhz.unwrap_or("unknown")
    )
}

fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(f64::NAN)
}

fn disk_sync(folder: &Path) -> Result<Quantiles, LoadError> {
    let path = folder.join("sync");
    let failed = |error| LoadError::file(&path, error);
    let mut file = File::create(&path).map_err(failed)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        file.write_all(&[b'x'; 4_096]).map_err(failed)?;
        let begun = Instant::now();
        file.sync_data().map_err(failed)?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    fs::remove_file(&path).map_err(failed)?;
    Quantiles::of(times).ok_or_else(|| LoadError::program("fdatasync", "it was not called"))
}

const SYNCS: usize = 100;
