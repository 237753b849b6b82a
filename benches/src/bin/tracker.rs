//! What following proposals costs a request, and how much memory it takes.

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use echo_benches::load::Quantiles;
use echo_benches::scene;
use echo_reward::{Proposal, TrackerLimits, UserTracker, Window};
use serde_json::json;

/// Measures the tracker in a user's typing: at every key a request with 4 kB of text, and an answer to it; and
/// the memory of many open proposals.
#[derive(Debug, Parser)]
#[command(name = "tracker", max_term_width = 100)]
struct Arguments {
    /// Requests
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// How often they are made; of each request the least time counts, too
    #[arg(long, default_value_t = 12)]
    passes: usize,
    /// Open proposals whose memory is measured
    #[arg(long, default_value_t = 100_000)]
    open: usize,
    /// Open proposals of each user then
    #[arg(long, default_value_t = 50)]
    each: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match report(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let passes: Vec<Vec<f64>> = (0..arguments.passes.max(1))
        .map(|_| typing(arguments.requests))
        .collect();
    let total: f64 = passes.iter().flatten().sum();
    let count = arguments.requests * passes.len();
    let per_second = count as f64 / (total / 1e6);
    let least = Quantiles::of(least(&passes)).ok_or("nothing to measure")?;
    let quantiles = Quantiles::of(passes.concat()).ok_or("nothing to measure")?;
    let bytes = memory(arguments.open, arguments.each)?;
    if arguments.json {
        let report = json!({
            "requests": arguments.requests,
            "requests_per_second": per_second,
            "passes": passes.len(),
            "request": quantiles,
            "least": least,
            "open": arguments.open,
            "open_each": arguments.each,
            "bytes": bytes,
        });
        println!("{report}");
        return Ok(());
    }
    println!("requests a second on one core   {per_second:.0}");
    println!("median request                 {:.1} us", quantiles.p50_us);
    println!("99th percentile                {:.1} us", quantiles.p99_us);
    println!(
        "99th percentile, each request at its least of {} passes   {:.1} us",
        passes.len(),
        least.p99_us
    );
    println!(
        "memory of {} open, {} a user   {:.0} MB",
        arguments.open,
        arguments.each,
        bytes as f64 / 1e6
    );
    Ok(())
}

/// Of each request the least time that it took in any pass: what else the machine did meanwhile is not in it.
fn least(passes: &[Vec<f64>]) -> Vec<f64> {
    let requests = passes.iter().map(Vec::len).min().unwrap_or(0);
    let times = |request: usize| passes.iter().map(move |pass| pass[request]);
    (0..requests)
        .map(|request| times(request).fold(f64::INFINITY, f64::min))
        .collect()
}

/// Bytes of text that a request shows, before and after the cursor together.
const WINDOW: usize = 4_096;

/// Those after it.
const SUFFIX: usize = 1_024;

/// A user types real-looking code key by key; one proposal in eight is right and taken. Returns the
/// microseconds that each request took: the look, and opening its proposal.
fn typing(requests: usize) -> Vec<f64> {
    let text = scene::source(64 * WINDOW);
    let suffix = format!("\n}}\n\n{}", scene::source(SUFFIX));
    let mut user = UserTracker::new(TrackerLimits::default());
    let mut times = Vec::with_capacity(requests);
    let (mut at, mut at_ms) = (WINDOW, 0);
    for id in 0..requests {
        if at + 200 > text.len() {
            at = WINDOW;
        }
        at = text.ceil_char_boundary(at + 1);
        at_ms += 180;
        let right = id % 8 == 0;
        let end = text.ceil_char_boundary(at + 60);
        let proposed = if right {
            text[at..end].to_owned()
        } else {
            format!("let other_{id} = values.iter().map(|value| value.{id}).sum();")
        };
        let window = Window {
            file: Some("main.rs"),
            prefix: &text[text.ceil_char_boundary(at - (WINDOW - SUFFIX))..at],
            suffix: &suffix,
        };
        let started = Instant::now();
        drop(user.expire(at_ms));
        let seen = user.request(&window, false, at_ms);
        let proposal = Proposal::new(id as u128, 0, &proposed, &window, at_ms + 60);
        let evicted = user.proposed(proposal.asked(at_ms).ahead(seen.is_ahead));
        times.push(started.elapsed().as_secs_f64() * 1e6);
        drop((seen, evicted));
        if right && id % 16 == 0 {
            at = end;
        }
    }
    times
}

/// Bytes by which this process grows when so many proposals are open, some for each user.
fn memory(open: usize, each: usize) -> Result<u64, Box<dyn Error>> {
    let before = resident()?;
    let suffix = scene::source(SUFFIX);
    let text = scene::source(WINDOW + 64 * each);
    let users: Vec<UserTracker> = (0..open.div_ceil(each.max(1)))
        .map(|_| {
            let mut user = UserTracker::new(TrackerLimits::default());
            for (id, at_ms) in (0..each).zip((0..).step_by(200)) {
                let at = text.floor_char_boundary(WINDOW + 64 * id);
                let window = Window {
                    file: Some("main.rs"),
                    prefix: &text[text.ceil_char_boundary(at - (WINDOW - SUFFIX))..at],
                    suffix: &suffix,
                };
                drop(user.request(&window, false, at_ms));
                let proposed = "let other = values.iter().map(|value| value.price).sum();";
                drop(user.proposed(Proposal::new(id as u128, 0, proposed, &window, at_ms + 60)));
            }
            user
        })
        .collect();
    let after = resident()?;
    drop(users);
    Ok(after.saturating_sub(before))
}

/// Resident memory of this process, in bytes.
fn resident() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.ok_or("no resident memory is told")?;
    Ok(kilobytes.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
