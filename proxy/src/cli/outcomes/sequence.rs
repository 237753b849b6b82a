use comfy_table::{Attribute, Cell, Color, Table, presets};
use similar::{ChangeTag, TextDiff};

use crate::proposals::ProposalRecord;

/// One proposal from its context to its last piece of evidence, each text beside what stood in its place.
pub(super) fn tell(proposal: &ProposalRecord<'_>, is_coloured: bool) -> String {
    let (decision, served, outcome) = (proposal.decision, proposal.served, proposal.outcome());
    let file = decision.file.as_deref().unwrap_or("a file without a name");
    let mut told = vec![format!(
        "{} of {}, {} after {:.0} ms, for {} ({}) in {file}\n",
        served.decision, served.arm, served.ending, served.total_ms, decision.user, decision.client
    )];
    if let Some(prefix) = &decision.prefix {
        told.push("\nbefore the cursor\n\n".to_owned());
        for line in last_lines(prefix) {
            told.push(format!("    {line}\n"));
        }
    }
    told.push("\nproposed\n\n".to_owned());
    for line in served.text.lines() {
        told.push(format!("    {line}\n"));
    }
    for evidence in proposal.evidence {
        let seconds = (evidence.at_ms - served.at_ms) as f64 / 1000.0;
        told.push(format!(
            "\n{seconds:.1} s later, by {}: {}, {:.0} % kept{}\n",
            evidence.source,
            evidence.fate,
            evidence.kept_share * 100.0,
            if evidence.settled { ", settled" } else { "" }
        ));
        if let Some(stands) = &evidence.kept_text {
            told.push(format!(
                "\n{}\n",
                side_by_side(&served.text, stands, is_coloured)
            ));
        }
    }
    told.push(format!(
        "\nfate: {}{}\n",
        outcome.fate,
        if outcome.settled {
            ""
        } else {
            ", not settled yet"
        }
    ));
    told.concat()
}

/// The last lines before the cursor.
fn last_lines(prefix: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = prefix.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    lines.into_iter().skip(from)
}

/// Lines of context that are shown.
const LINES: usize = 5;

/// Both texts line by line, what is only in one of them marked.
fn side_by_side(proposed: &str, stands: &str, is_coloured: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(vec!["", "proposed", "", "stands"]);
    let diff = TextDiff::from_lines(proposed, stands);
    let cell = |text: &str, colour: Color| {
        let cell = Cell::new(text.trim_end_matches(['\n', '\r']));
        if is_coloured {
            cell.fg(colour).add_attribute(Attribute::Bold)
        } else {
            cell
        }
    };
    let empty = || Cell::new("");
    let mut removed: Vec<Cell> = Vec::new();
    let mut added: Vec<Cell> = Vec::new();
    let flush = |table: &mut Table, removed: &mut Vec<Cell>, added: &mut Vec<Cell>| {
        let rows = removed.len().max(added.len());
        let (mut left, mut right) = (removed.drain(..), added.drain(..));
        for _ in 0..rows {
            let (left, right) = (left.next(), right.next());
            let sign = |is_there: bool, sign: &str| Cell::new(if is_there { sign } else { "" });
            table.add_row(vec![
                sign(left.is_some(), "-"),
                left.unwrap_or_else(empty),
                sign(right.is_some(), "+"),
                right.unwrap_or_else(empty),
            ]);
        }
    };
    for change in diff.iter_all_changes() {
        let line = change.value();
        match change.tag() {
            ChangeTag::Delete => removed.push(cell(line, Color::Red)),
            ChangeTag::Insert => added.push(cell(line, Color::Green)),
            ChangeTag::Equal => {
                flush(&mut table, &mut removed, &mut added);
                let line = line.trim_end_matches(['\n', '\r']);
                table.add_row(vec!["", line, "", line]);
            }
        }
    }
    flush(&mut table, &mut removed, &mut added);
    table.to_string()
}
