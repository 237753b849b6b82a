//! Direct calls, nginx, a bare proxy and echo-proxy side by side.
//!
//! One upstream, one generator, one machine, one run: only then do numbers compare.

mod answer;
mod bare;
mod behaviour;
mod connection;
mod contender;
mod cores;
mod echo;
mod latency;
mod machine;
mod memory;
mod nginx;
mod plan;
mod process;
mod quantile;
mod report;
mod swaps;
mod table;
mod throughput;
mod typing;
mod upstream;

pub use bare::serve as serve_bare;
pub use contender::{Contender, Site};
pub use latency::{Latency, LatencyRow};
pub use machine::Machine;
pub use memory::Memory;
pub use plan::{Plan, hold};
pub use quantile::Quantiles;
pub use report::{Report, Verdict};
pub use swaps::{SwapReport, Swaps};
pub use throughput::{Throughput, ThroughputRow};
pub use upstream::serve as serve_upstream;

/// The argument by which the program starts itself again as the bare proxy, before the upstream that follows.
pub const BARE_FLAG: &str = "--bare";

/// The argument by which the program starts itself again as the upstream.
pub const UPSTREAM_FLAG: &str = "--upstream";
