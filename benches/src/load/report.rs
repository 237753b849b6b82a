use serde::Serialize;

use super::contender::Contender;
use super::latency::Latency;
use super::machine::Machine;
use super::memory::Memory;
use super::plan::{STREAMED, THINKING, WHOLE};
use super::table;
use super::throughput::Throughput;

/// What a run found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where and when.
    pub machine: Machine,
    /// The command that ran it.
    pub command: String,
    /// Who had which core.
    pub cores: String,
    /// nginx's version, or why it was not measured.
    pub nginx: String,
    /// Latencies at low load.
    pub latencies: Vec<Latency>,
    /// Throughputs at saturation.
    pub throughputs: Vec<Throughput>,
    /// Memory under open streams.
    pub memory: Vec<Memory>,
}

/// A figure that has a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// What the figure is of.
    pub figure: String,
    /// Its value.
    pub value: f64,
    /// What it is to be.
    pub target: &'static str,
    /// Whether it is.
    pub met: bool,
}

impl Report {
    /// The figures that have a target; those that could not be measured are left out.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let shares = [WHOLE, STREAMED].map(|name| self.share_of_nginx(name));
        shares
            .into_iter()
            .chain([self.added_latency(), self.added_memory()])
            .flatten()
            .collect()
    }

    fn share_of_nginx(&self, scenario: &str) -> Option<Verdict> {
        let throughput = self
            .throughputs
            .iter()
            .find(|throughput| throughput.scenario == scenario)?;
        let value = throughput.share_of_nginx(throughput.row(Contender::EchoLearning)?)?;
        Some(Verdict {
            figure: format!("throughput with everything on as a share of nginx's, {scenario}"),
            value,
            target: "at least 0.5",
            met: value >= 0.5,
        })
    }

    fn added_latency(&self) -> Option<Verdict> {
        let latency = self
            .latencies
            .iter()
            .find(|latency| latency.scenario == THINKING)?;
        let (value, _) = latency.added_us(latency.row(Contender::EchoLearning)?)?;
        Some(Verdict {
            figure: format!(
                "added latency at low load with everything on, p50 in microseconds, {THINKING}"
            ),
            value,
            target: "below 250",
            met: value < 250.0,
        })
    }

    fn added_memory(&self) -> Option<Verdict> {
        let memory = self
            .memory
            .iter()
            .find(|memory| memory.contender == Contender::EchoLearning)?;
        let value = memory.added_bytes() as f64 / 1e6;
        Some(Verdict {
            figure: format!(
                "memory beyond idle with {} open streams, in MB",
                memory.streams
            ),
            value,
            target: "below 150",
            met: value < 150.0,
        })
    }

    /// The report for a terminal.
    pub fn text(&self) -> String {
        table::render(self, table::Form::Terminal)
    }

    /// The report in Markdown.
    pub fn markdown(&self) -> String {
        table::render(self, table::Form::Markdown)
    }

    /// The report as one JSON object, with the verdicts in it.
    ///
    /// # Errors
    ///
    /// Never for a report that a run made.
    pub fn json(&self) -> serde_json::Result<String> {
        let mut object = serde_json::to_value(self)?;
        object["verdicts"] = serde_json::to_value(self.verdicts())?;
        serde_json::to_string(&object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::latency::LatencyRow;
    use crate::load::quantile::Quantiles;
    use crate::load::throughput::ThroughputRow;

    fn quantiles(p50_us: f64) -> Quantiles {
        Quantiles {
            count: 100,
            p50_us,
            p99_us: 2.0 * p50_us,
        }
    }

    fn latency(contender: Contender, p50_us: f64) -> LatencyRow {
        let (first_byte, total) = (quantiles(p50_us / 2.0), quantiles(p50_us));
        LatencyRow {
            contender,
            first_byte,
            total,
            longest_gap: quantiles(1.0),
            unlogged: 0,
        }
    }

    fn rate(contender: Contender, rate_per_s: f64) -> ThroughputRow {
        ThroughputRow {
            contender,
            rate_per_s,
            window_rates_per_s: vec![rate_per_s],
            total: quantiles(1_000.0),
            processor_us: Some(100.0),
            processor_share: Some(0.5),
            harness_share: 0.5,
            unlogged_share: 0.0,
            failures: 0,
            stop_ms: 1.0,
        }
    }

    fn report() -> Report {
        Report {
            machine: Machine {
                date: "2026-01-01 00:00".to_owned(),
                commit: "abc".to_owned(),
                processor: "one".to_owned(),
                kernel: "Linux".to_owned(),
                load_before: 0.0,
                disk_sync: quantiles(4_000.0),
            },
            command: "load".to_owned(),
            cores: "2 cores".to_owned(),
            nginx: "nginx/1".to_owned(),
            latencies: vec![Latency {
                scenario: THINKING,
                stream: false,
                rows: vec![
                    latency(Contender::Direct, 20_000.0),
                    latency(Contender::EchoLearning, 20_240.0),
                ],
            }],
            throughputs: vec![Throughput {
                scenario: WHOLE,
                connections: 64,
                rows: vec![
                    rate(Contender::Nginx, 20_000.0),
                    rate(Contender::EchoLearning, 8_000.0),
                ],
            }],
            memory: vec![Memory {
                contender: Contender::EchoLearning,
                streams: 1_000,
                idle_bytes: 10_000_000,
                open_bytes: 60_000_000,
            }],
        }
    }

    #[test]
    fn figures_are_held_against_their_targets() {
        let verdicts: Vec<(f64, bool)> = report()
            .verdicts()
            .iter()
            .map(|v| (v.value, v.met))
            .collect();
        assert_eq!(verdicts, [(0.4, false), (240.0, true), (50.0, true)]);
    }

    #[test]
    fn without_nginx_the_rest_is_reported() {
        let mut report = report();
        report.throughputs[0].rows.remove(0);
        assert_eq!(report.verdicts().len(), 2);
        assert!(report.text().contains("echo, everything"));
    }

    #[test]
    fn all_forms_show_the_same() {
        let report = report();
        for figure in ["8000", "20240", "abc", "nginx/1", THINKING] {
            assert!(
                report.text().contains(figure) && report.markdown().contains(figure),
                "{figure}"
            );
        }
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(json["verdicts"][0]["met"], false);
        assert_eq!(json["throughputs"][0]["rows"][0]["contender"], "nginx");
    }
}
