//! Writing on, token by token.

use std::borrow::Cow;

use crate::{
    situation::{Situation, Typed},
    source::{Place, Source},
    symbol::Symbol,
    tally::Tally,
};

/// A text in the making: what was there, and what was written since.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    situation: &'a Situation<'a>,
    history: Vec<Symbol>,
    columns: u16,
    typed: Option<Typed<'a>>,
    space_typed: bool,
    tally: Tally<'a>,
}

/// One token to write.
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) symbol: Symbol,
    /// The token without the space before it; empty for a line break.
    pub(crate) core: Cow<'a, str>,
    /// What it adds to the text: the space and the token, or the rest of a half-typed one.
    pub(crate) text: Cow<'a, str>,
    /// The model's belief in it, in (0, 1].
    pub(crate) probability: f32,
}

impl<'a> Walk<'a> {
    /// Starts at the cursor.
    pub(crate) fn new(situation: &'a Situation<'a>) -> Self {
        Self {
            situation,
            history: situation.before.symbols.clone(),
            columns: situation.columns,
            typed: situation.typed,
            space_typed: situation.space_typed,
            tally: Tally::default(),
        }
    }

    /// The tokens written so far, those of the prompt first.
    pub(crate) fn history(&self) -> &[Symbol] {
        &self.history
    }

    /// Indentation of the present line, in columns.
    pub(crate) fn columns(&self) -> u16 {
        self.columns
    }

    /// Indentation of the line after the break `symbol` here, in columns.
    pub(crate) fn columns_below(&self, symbol: Symbol) -> u16 {
        let code = symbol.line_code();
        code.map_or(self.columns, |code| {
            self.situation.layout.below(code, self.columns)
        })
    }

    /// Whether the next step settles the indentation the cursor stands in.
    pub(crate) fn typing_line(&self) -> bool {
        self.typed.is_some_and(|typed| typed.symbol.is_line())
    }

    /// The point reached.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            history: &self.history,
            typed: self.typed,
            space_typed: self.space_typed,
            columns: self.columns,
            layout: self.situation.layout,
        }
    }

    /// The likeliest next token by what `sources` know; `None` if they know nothing.
    ///
    /// `doubt` is that of [`Tally::best`].
    pub(crate) fn look(&mut self, sources: &[&dyn Source<'a>], doubt: f32) -> Option<Step<'a>> {
        let mut tally = std::mem::take(&mut self.tally);
        tally.clear();
        for source in sources {
            source.count(&self.place(), &mut tally);
        }
        let best = tally
            .best(doubt)
            .map(|(best, probability)| (best.symbol, best.text, probability));
        self.tally = tally;
        match (best, self.typed) {
            (Some((symbol, core, probability)), _) => {
                Some(self.step(symbol, Cow::Borrowed(core), probability))
            }
            // What is typed is new to every source: take it as whole.
            (None, Some(typed)) => Some(self.step(typed.symbol, Cow::Borrowed(typed.text), 1.0)),
            (None, None) => None,
        }
    }

    /// The step that writes `symbol`, spelled `core`, at the point reached.
    pub(crate) fn step(&self, symbol: Symbol, core: Cow<'a, str>, probability: f32) -> Step<'a> {
        if let Some(typed) = self.typed {
            let whole = match symbol.line_code() {
                Some(_) if symbol == typed.symbol => Cow::Borrowed(typed.text),
                Some(line) => Cow::Owned(self.situation.layout.render(line, self.columns)),
                None => core.clone(),
            };
            let rest = whole.strip_prefix(typed.text).unwrap_or("").to_owned();
            return Step {
                symbol,
                core,
                text: Cow::Owned(rest),
                probability,
            };
        }
        let text = match symbol.line_code() {
            Some(line) => Cow::Owned(self.situation.layout.render(line, self.columns)),
            None if symbol.spaced() && !self.space_typed => Cow::Owned(format!(" {core}")),
            None => core.clone(),
        };
        Step {
            symbol,
            core,
            text,
            probability,
        }
    }

    /// Whether the point reached is the start of a line.
    pub(crate) fn starts_line(&self) -> bool {
        let after = self.history.last();
        self.typing_line()
            || after.is_some_and(|&symbol| symbol == Symbol::START || symbol.is_line())
    }

    /// Writes a step down.
    pub(crate) fn take(&mut self, step: &Step) {
        self.columns = self.columns_below(step.symbol);
        self.history.push(step.symbol);
        self.typed = None;
        self.space_typed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Prompt, source::FileSource};

    fn next(prefix: &str) -> Option<String> {
        let prompt = Prompt {
            prefix,
            suffix: "",
            language: Some("rust"),
            file: None,
            user: "",
        };
        let situation = Situation::read(&prompt);
        let source = FileSource {
            situation: &situation,
            weight: 1.0,
        };
        let mut walk = Walk::new(&situation);
        walk.look(&[&source], 1.0)
            .map(|step| step.text.into_owned())
    }

    #[test]
    fn writes_what_is_missing_and_no_more() {
        assert_eq!(next("let a = b;\nlet a").unwrap(), "");
        assert_eq!(next("let a = b;\nlet a ").unwrap(), "=");
        assert_eq!(next("call(first);\ncall(").unwrap(), "first");
        assert_eq!(next("call(first);\ncall(fi").unwrap(), "rst");
        assert_eq!(next("if a {\n    b;\n}\nif a {").unwrap(), "\n    ");
        assert_eq!(next("if a {\n    b;\n}\nif a {\n").unwrap(), "    ");
        assert_eq!(next("if a {\n    b;\n}\nif a {\n    ").unwrap(), "");
        assert_eq!(next("a("), None);
    }

    #[test]
    fn what_is_new_counts_as_whole() {
        assert_eq!(next("let a = b;\nlet newcomer").unwrap(), "");
    }
}
