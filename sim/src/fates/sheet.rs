use echo_reward::Window;

use super::case::solid_text;
use super::profile::WindowRule;

/// A document whose characters remember where they come from: what stands of a proposal is counted, not
/// guessed.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    pub(crate) file: String,
    cells: Vec<Cell>,
    cursor: usize,
    next_id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    c: char,
    id: u64,
    /// The proposal that put it there, and its place within.
    from: Option<(usize, usize)>,
}

/// What stands of a proposal that was put in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Standing {
    /// Share of its characters that stand, white space not counted.
    pub(crate) share: f64,
    /// Whether all of them stand together, with nothing in between.
    pub(crate) is_whole: bool,
}

impl Sheet {
    pub(crate) fn new(file: &str, before: &str, after: &str) -> Self {
        let mut sheet = Self {
            file: file.to_owned(),
            cells: Vec::new(),
            cursor: 0,
            next_id: 1,
        };
        sheet.put(after);
        sheet.cursor = 0;
        sheet.put(before);
        sheet
    }

    /// Writes at the cursor.
    pub(crate) fn put(&mut self, text: &str) {
        for c in text.chars() {
            self.put_one(c, None);
        }
    }

    /// Writes one character, which may be that at a place of a proposal.
    pub(crate) fn put_one(&mut self, c: char, from: Option<(usize, usize)>) {
        let id = self.next_id;
        self.next_id += 1;
        self.cells.insert(self.cursor, Cell { c, id, from });
        self.cursor += 1;
    }

    /// Takes the characters before the cursor, typed by hand, for the beginning of a proposal.
    pub(crate) fn claim(&mut self, chars: usize, proposal: usize) {
        let from = self.cursor.saturating_sub(chars);
        for (place, cell) in self.cells[from..self.cursor].iter_mut().enumerate() {
            cell.from = Some((proposal, place));
        }
    }

    /// Deletes so many characters before the cursor.
    pub(crate) fn delete(&mut self, chars: usize) {
        let from = self.cursor.saturating_sub(chars);
        self.cells.drain(from..self.cursor);
        self.cursor = from;
    }

    /// Deletes all that a proposal put in, and puts the cursor there.
    pub(crate) fn take_back(&mut self, proposal: usize) {
        let is_its = |cell: &Cell| cell.from.is_some_and(|(from, _)| from == proposal);
        if let Some(first) = self.cells.iter().position(is_its) {
            let before = self.cells[..self.cursor]
                .iter()
                .filter(|c| is_its(c))
                .count();
            self.cells.retain(|cell| !is_its(cell));
            self.cursor = if before > 0 {
                first
            } else {
                self.cursor - before
            };
        }
    }

    /// Puts the cursor behind the character of a proposal at `place` that stands, if it does.
    pub(crate) fn go_behind(&mut self, proposal: usize, place: usize) -> bool {
        let at = self
            .cells
            .iter()
            .position(|c| c.from == Some((proposal, place)));
        if let Some(at) = at {
            self.cursor = at + 1;
        }
        at.is_some()
    }

    /// Whether a character typed next is indentation, which an editor puts in by itself.
    pub(crate) fn is_indentation(&self, next: char) -> bool {
        let before = self.cells[..self.cursor].iter().rev();
        let mut line = before.map(|cell| cell.c).take_while(|c| *c != '\n');
        let is_blank = |c: char| matches!(c, ' ' | '\t');
        is_blank(next) && line.all(is_blank)
    }

    pub(crate) fn cursor_id(&self) -> u64 {
        self.cursor.checked_sub(1).map_or(0, |at| self.cells[at].id)
    }

    /// Puts the cursor behind the character of this id, if it stands.
    pub(crate) fn go_to(&mut self, id: u64) -> bool {
        let at = self.place_of(id);
        if let Some(at) = at {
            self.cursor = at;
        }
        at.is_some()
    }

    /// Whether the character of this id stands.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.place_of(id).is_some()
    }

    fn place_of(&self, id: u64) -> Option<usize> {
        if id == 0 {
            return Some(0);
        }
        self.cells
            .iter()
            .position(|cell| cell.id == id)
            .map(|at| at + 1)
    }

    pub(crate) fn standing(&self, proposal: usize, text: &str) -> Standing {
        let solid = text.chars().filter(|c| !c.is_whitespace()).count().max(1);
        let its = |cell: &&Cell| cell.from.is_some_and(|(from, _)| from == proposal);
        let stand = self
            .cells
            .iter()
            .filter(its)
            .filter(|c| !c.c.is_whitespace())
            .count();
        let first = self.cells.iter().position(|c| its(&c));
        let last = self.cells.iter().rposition(|c| its(&c));
        let is_together = match (first, last) {
            (Some(first), Some(last)) => self.cells[first..=last]
                .iter()
                .all(|c| its(&c) || c.c.is_whitespace()),
            _ => false,
        };
        Standing {
            share: stand as f64 / solid as f64,
            is_whole: is_together && stand == solid,
        }
    }

    /// What stands behind the character of this id.
    pub(crate) fn after(&self, id: u64) -> String {
        let from = self.place_of(id).unwrap_or(self.cells.len());
        self.cells[from..].iter().map(|cell| cell.c).collect()
    }

    /// The same, white space left out.
    pub(crate) fn solid_after(&self, id: u64) -> String {
        solid_text(&self.after(id))
    }

    /// Whether a window shows the place behind the character of this id, and enough before it.
    pub(crate) fn shows(&self, rule: WindowRule, id: u64) -> bool {
        let (from, to) = self.range(rule);
        let least = if from == 0 { 0 } else { ANCHOR_CHARS };
        self.place_of(id)
            .is_some_and(|at| at >= from + least && at <= to)
    }

    /// The text before and after the cursor that a client of this rule sends.
    pub(crate) fn window(&self, rule: WindowRule) -> (String, String) {
        let (from, to) = self.range(rule);
        let text = |cells: &[Cell]| cells.iter().map(|cell| cell.c).collect();
        (
            text(&self.cells[from..self.cursor]),
            text(&self.cells[self.cursor..to]),
        )
    }

    fn range(&self, rule: WindowRule) -> (usize, usize) {
        let (before, after) = (&self.cells[..self.cursor], &self.cells[self.cursor..]);
        match rule {
            WindowRule::Lines(lines_before, lines_after) => {
                let mut starts = before.iter().enumerate().rev().filter(|(_, c)| c.c == '\n');
                let from = starts.nth(lines_before).map_or(0, |(at, _)| at + 1);
                let mut ends = after.iter().enumerate().filter(|(_, c)| c.c == '\n');
                let to = ends.nth(lines_after).map_or(after.len(), |(at, _)| at + 1);
                (from, self.cursor + to)
            }
            WindowRule::Chars(most_before, most_after) => (
                before.len().saturating_sub(most_before),
                self.cursor + after.len().min(most_after),
            ),
            WindowRule::WholeLines(most_before, most_after) => {
                let least = before.len().saturating_sub(most_before);
                let from = if least == 0 {
                    0
                } else {
                    let line = before[least..].iter().position(|c| c.c == '\n');
                    least + line.map_or(0, |at| at + 1)
                };
                let most = after.len().min(most_after);
                let to = if most == after.len() {
                    most
                } else {
                    let line = after[..most].iter().rposition(|c| c.c == '\n');
                    line.map_or(most, |at| at + 1)
                };
                (from, self.cursor + to)
            }
        }
    }
}

/// Characters before a place by which it is known again.
const ANCHOR_CHARS: usize = 25;

/// A window over texts that are held elsewhere.
pub(crate) fn window<'a>(file: Option<&'a str>, texts: &'a (String, String)) -> Window<'a> {
    Window {
        file,
        prefix: &texts.0,
        suffix: &texts.1,
    }
}
