//! Where a model looks for contexts like the present one.

mod file;
mod project;
mod table;

pub(crate) use file::FileSource;
pub(crate) use project::ProjectSource;
pub(crate) use table::TableSource;

use crate::{
    layout::Layout,
    situation::Typed,
    symbol::Symbol,
    tally::{DEPTHS, LEVELS, Tally, level},
};

/// A body of text that knows what followed contexts like a given one.
pub(crate) trait Source<'a> {
    /// Counts what followed the contexts that end like `place.history`.
    fn count(&self, place: &Place, tally: &mut Tally<'a>);
}

/// The point at which the next token is sought.
#[derive(Debug)]
pub(crate) struct Place<'p> {
    /// The tokens before it.
    pub(crate) history: &'p [Symbol],
    /// What the next token must start with.
    pub(crate) typed: Option<Typed<'p>>,
    /// Whether the space before the next token stands there already.
    pub(crate) space_typed: bool,
    /// Indentation of the present line.
    pub(crate) columns: u16,
    pub(crate) layout: Layout,
}

impl Place<'_> {
    /// Whether a token agrees with what is typed already.
    pub(crate) fn accepts(&self, symbol: Symbol, text: &str) -> bool {
        match self.typed {
            None if self.space_typed => symbol.spaced(),
            None => true,
            Some(typed) if typed.symbol.is_line() => symbol.line_code().is_some_and(|code| {
                symbol == typed.symbol
                    || self
                        .layout
                        .render(code, self.columns)
                        .starts_with(typed.text)
            }),
            Some(typed) => !symbol.is_line() && text.starts_with(typed.text),
        }
    }

    /// A candidate's symbol as it is counted: the space before a typed word is settled.
    fn plain(&self, symbol: Symbol) -> Symbol {
        if self.floor() == 0 {
            symbol.with_space(false)
        } else {
            symbol
        }
    }

    /// The level below which contexts are too short to count: a typed start needs no context.
    pub(crate) fn floor(&self) -> usize {
        usize::from(self.typed.is_none_or(|typed| typed.symbol.is_line()))
    }
}

/// Calls `visit(next, shared)` for the places of `hay` whose context shares at least the last
/// `least` tokens with `history`: `next` is the index of the token after it, `shared` the number of
/// tokens shared, at most the deepest level's. Goes from the last place to the first,
/// [`MAX_PLACES`] at most. `least` is 1 or more.
fn scan(hay: &[Symbol], history: &[Symbol], least: usize, mut visit: impl FnMut(usize, usize)) {
    let Some((newest, earlier)) = history.split_last() else {
        return;
    };
    let newest = newest.core();
    let deepest = DEPTHS[LEVELS - 1];
    let body = &hay[..hay.len().saturating_sub(1)];
    let places = body.iter().enumerate().rev();
    let alike = places
        .filter(|(_, symbol)| symbol.core() == newest)
        .map(|(index, _)| {
            (
                index + 1,
                1 + in_common(&hay[..index], earlier, deepest - 1),
            )
        });
    for (next, shared) in alike
        .filter(|&(_, shared)| shared >= least)
        .take(MAX_PLACES)
    {
        visit(next, shared);
    }
}

/// How many last tokens two texts have in common, spaces apart; `most` at most.
pub(crate) fn in_common(one: &[Symbol], other: &[Symbol], most: usize) -> usize {
    let pairs = one.iter().rev().zip(other.iter().rev()).take(most);
    pairs.take_while(|(a, b)| a.core() == b.core()).count()
}

/// Places visited at most in one body of text.
const MAX_PLACES: usize = 1024;

/// Counts the tokens of `hay` that follow contexts like `place`'s, at least `least` tokens long,
/// `text_of` giving their texts.
fn count_in<'a>(
    hay: &[Symbol],
    least: usize,
    text_of: impl Fn(usize) -> &'a str,
    place: &Place,
    tally: &mut Tally<'a>,
    weight: impl Fn(usize) -> f32,
) {
    let mut add = |index: usize, levels| {
        let symbol = hay[index];
        let text = if symbol.is_line() { "" } else { text_of(index) };
        if place.accepts(symbol, text) {
            tally.add(levels, place.plain(symbol), text, weight(index));
        }
    };
    if place.floor() == 0 {
        (1..hay.len()).for_each(|index| add(index, 0..=0));
    }
    scan(hay, place.history, least, |next, shared| {
        add(next, 1..=level(shared));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Language, layout::LineCode};

    fn symbols(text: &str) -> Vec<Symbol> {
        text.split(' ')
            .map(|word| Symbol::text(word, false))
            .collect()
    }

    #[test]
    fn finds_contexts_and_how_much_they_share() {
        let hay = symbols("a b c a b d b");
        let find = |history: &str, least| {
            let mut found = Vec::new();
            scan(&hay, &symbols(history), least, |next, shared| {
                found.push((next, shared));
            });
            found
        };
        assert_eq!(find("x a b", 1), [(5, 2), (2, 2)]);
        assert_eq!(find("a", 1), [(4, 1), (1, 1)]);
        assert_eq!(find("c a", 1), [(4, 2), (1, 1)]);
        assert_eq!(find("c a", 2), [(4, 2)]);
        assert_eq!(find("a", 2), []);
    }

    #[test]
    fn what_is_typed_must_be_agreed_with() {
        let layout = Layout::of("", Language::Rust);
        let place = |typed, space_typed| Place {
            history: &[],
            typed,
            space_typed,
            columns: 4,
            layout,
        };
        let word = |text| {
            Some(Typed {
                text,
                symbol: Symbol::text(text, false),
            })
        };
        let value = Symbol::text("value", true);
        assert!(place(None, true).accepts(value, "value"));
        assert!(!place(None, true).accepts(value.with_space(false), "value"));
        assert!(place(word("val"), false).accepts(value, "value"));
        assert!(!place(word("valu3"), false).accepts(value, "value"));
        let (code, _) = layout.encode("\n        ", 4);
        let deeper = Symbol::line(code);
        assert!(!place(word("val"), false).accepts(deeper, ""));
        let (same, _) = layout.encode("\n    ", 4);
        let typed = Typed {
            text: "\n    ",
            symbol: Symbol::line(same),
        };
        assert!(place(Some(typed), false).accepts(deeper, ""));
        let two = Symbol::line(LineCode { breaks: 2, ..code });
        assert!(!place(Some(typed), false).accepts(two, ""));
    }
}
