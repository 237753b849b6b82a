//! What already stands after the cursor, and must not be written twice.

use crate::{situation::Situation, symbol::Symbol};

/// Watches a proposal grow towards the text after the cursor.
#[derive(Clone, Debug)]
pub(crate) struct Fence<'a> {
    /// The first token of what follows the cursor in its line, if anything does.
    rest: Option<Symbol>,
    /// The first line below that is not blank.
    below: &'a str,
    /// Brackets opened in the proposal and not closed.
    depth: i32,
}

impl<'a> Fence<'a> {
    pub(crate) fn new(situation: &Situation<'a>) -> Self {
        let rest = situation.after.symbols.first().copied();
        Self {
            rest: rest.filter(|_| !situation.rest_of_line().is_empty()),
            below: situation.line_below(),
            depth: 0,
        }
    }

    /// Whether the proposal must stay in the cursor's line.
    pub(crate) fn in_line(&self) -> bool {
        self.rest.is_some()
    }

    /// Whether `symbol` is where the text after the cursor takes over.
    pub(crate) fn reached(&self, symbol: Symbol) -> bool {
        self.depth <= 0 && self.rest.is_some_and(|rest| rest.core() == symbol.core())
    }

    /// Whether a proposed line, white space apart, stands below the cursor already.
    pub(crate) fn repeats(&self, line: &str) -> bool {
        let line = line.trim();
        let closes = |text: &str| text.starts_with(['}', ')', ']']) && text == self.below;
        !line.is_empty()
            && self.depth <= 0
            && (line == self.below || self.depth < 0 && closes(line))
    }

    /// Counts the brackets of a token that was written.
    pub(crate) fn pass(&mut self, core: &str) {
        match core {
            "(" | "[" | "{" | "${" | "$(" | "#[" | "#![" | "{{" => self.depth += 1,
            ")" | "]" | "}" | "}}" => self.depth -= 1,
            _ => {}
        }
    }
}
