use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::contender::Contender;
use super::latency::Latency;
use super::memory::Memory;
use super::report::Report;
use super::throughput::Throughput;

/// What the tables are drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Terminal,
    Markdown,
}

/// The report as headings and tables.
pub(super) fn render(report: &Report, form: Form) -> String {
    let mut text = machine(report, form);
    for latency in &report.latencies {
        section(
            &mut text,
            form,
            &format!("Latency at low load: {}", latency.scenario),
            &latencies(latency, form),
        );
    }
    for throughput in &report.throughputs {
        let heading = format!(
            "Throughput: {}, {} connections",
            throughput.scenario, throughput.connections
        );
        section(&mut text, form, &heading, &throughputs(throughput, form));
    }
    section(
        &mut text,
        form,
        "Memory with open streams",
        &memory(&report.memory, form),
    );
    section(&mut text, form, "Targets", &targets(report, form));
    text
}

fn machine(report: &Report, form: Form) -> String {
    let machine = &report.machine;
    let sync = machine.disk_sync;
    let facts = [
        ("date", machine.date.clone()),
        ("commit", machine.commit.clone()),
        ("processor", machine.processor.clone()),
        ("kernel", machine.kernel.clone()),
        ("load before", format!("{:.2}", machine.load_before)),
        (
            "disk",
            format!(
                "fdatasync of 4 kB: p50 {:.0} us, p99 {:.0} us",
                sync.p50_us, sync.p99_us
            ),
        ),
        ("cores", report.cores.clone()),
        ("nginx", report.nginx.clone()),
        ("command", report.command.clone()),
    ];
    let mut text = String::new();
    for (name, fact) in facts {
        let line = match form {
            Form::Terminal => format!("{name:<12} {fact}\n"),
            Form::Markdown => format!("- {name}: {fact}\n"),
        };
        text.push_str(&line);
    }
    text
}

fn section(text: &mut String, form: Form, heading: &str, table: &Table) {
    let mark = if form == Form::Markdown { "## " } else { "" };
    write!(text, "\n{mark}{heading}\n\n{table}\n").expect("writing to a string cannot fail");
}

fn latencies(latency: &Latency, form: Form) -> Table {
    let mut header = vec!["", "p50 us", "p99 us", "added p50", "added p99"];
    if latency.stream {
        header = vec![
            "",
            "first byte p50 us",
            "p99 us",
            "added p50",
            "added p99",
            "total p50 us",
            "longest gap p99 us",
        ];
    }
    header.push("unlogged");
    let mut table = table(form, &header);
    for row in &latency.rows {
        let told = if latency.stream {
            row.first_byte
        } else {
            row.total
        };
        let mut cells = vec![
            row.contender.name().to_owned(),
            whole(told.p50_us),
            whole(told.p99_us),
        ];
        let added = latency
            .added_us(row)
            .filter(|_| row.contender != Contender::Direct);
        cells.push(added.map_or_else(String::new, |(p50, _)| whole(p50)));
        cells.push(added.map_or_else(String::new, |(_, p99)| whole(p99)));
        if latency.stream {
            cells.extend([whole(row.total.p50_us), whole(row.longest_gap.p99_us)]);
        }
        cells.push(row.unlogged.to_string());
        table.add_row(cells);
    }
    table
}

fn throughputs(throughput: &Throughput, form: Form) -> Table {
    let header = [
        "",
        "per s",
        "of nginx",
        "p50 us",
        "p99 us",
        "proxy us each",
        "proxy core",
        "other core",
        "unlogged",
        "failed",
        "windows per s",
    ];
    let mut table = table(form, &header);
    for row in &throughput.rows {
        let windows: Vec<String> = row.window_rates_per_s.iter().copied().map(whole).collect();
        table.add_row([
            row.contender.name().to_owned(),
            whole(row.rate_per_s),
            throughput
                .share_of_nginx(row)
                .map_or_else(String::new, |share| format!("{share:.2}")),
            whole(row.total.p50_us),
            whole(row.total.p99_us),
            row.processor_us.map_or_else(String::new, whole),
            row.processor_share.map_or_else(String::new, percent),
            percent(row.harness_share),
            percent(row.unlogged_share),
            row.failures.to_string(),
            windows.join(" "),
        ]);
    }
    table
}

fn memory(memory: &[Memory], form: Form) -> Table {
    let mut table = table(form, &["", "streams", "idle MB", "open MB", "added MB"]);
    for row in memory {
        let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
        table.add_row([
            row.contender.name().to_owned(),
            row.streams.to_string(),
            megabytes(row.idle_bytes),
            megabytes(row.open_bytes),
            megabytes(row.added_bytes()),
        ]);
    }
    table
}

fn targets(report: &Report, form: Form) -> Table {
    let mut table = table(form, &["figure", "value", "target", "met"]);
    for verdict in report.verdicts() {
        let met = if verdict.met { "yes" } else { "no" };
        let value = format!("{:.2}", verdict.value);
        table.add_row([
            verdict.figure,
            value,
            verdict.target.to_owned(),
            met.to_owned(),
        ]);
    }
    table
}

fn table(form: Form, header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(match form {
        Form::Terminal => presets::NOTHING,
        Form::Markdown => presets::ASCII_MARKDOWN,
    });
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn whole(number: f64) -> String {
    format!("{number:.0}")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
