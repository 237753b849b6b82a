//! A text as the models see it: symbols, and where each stands.

use crate::{
    Language,
    layout::Layout,
    lexer::{Lexer, Token, TokenKind, lex},
    symbol::Symbol,
};

/// The symbols of a text with their places in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    pub(crate) symbols: Vec<Symbol>,
    /// Start and end of each core (the space before it left out), in bytes of the text.
    spans: Vec<(u32, u32)>,
}

/// One symbol read from a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coded {
    pub(crate) symbol: Symbol,
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Reads a text symbol by symbol.
///
/// White space at the end of a line is dropped, a single space becomes part of the symbol after it,
/// and line breaks become relative.
#[derive(Clone, Debug)]
pub(crate) struct Encoder<'a> {
    lexer: Lexer<'a>,
    layout: Layout,
    /// Indentation of the present line, in columns.
    columns: u16,
    /// Indentation of the line above it.
    above: u16,
    offset: usize,
    /// Read ahead and not yet given out.
    ahead: Option<Token<'a>>,
    /// Whether the text ended in a single space.
    ends_in_space: bool,
}

impl<'a> Encoder<'a> {
    /// Reads `text` from the start of a line.
    pub(crate) fn new(text: &'a str, language: Language, layout: Layout) -> Self {
        let indent = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
        Self {
            lexer: lex(&text[indent.len()..], language),
            layout,
            columns: layout.columns(indent),
            above: 0,
            offset: indent.len(),
            ahead: None,
            ends_in_space: false,
        }
    }

    /// Reads `text` from the middle of a line that is indented by `columns`.
    pub(crate) fn inside(text: &'a str, language: Language, layout: Layout, columns: u16) -> Self {
        let lexer = lex(text, language);
        Self {
            lexer,
            layout,
            columns,
            above: 0,
            offset: 0,
            ahead: None,
            ends_in_space: false,
        }
    }

    pub(crate) fn columns(&self) -> u16 {
        self.columns
    }

    /// The indentation before the last line break, if the last symbol was one, else the present.
    pub(crate) fn columns_above_last(&self, line_break: bool) -> u16 {
        if line_break { self.above } else { self.columns }
    }

    pub(crate) fn ends_in_space(&self) -> bool {
        self.ends_in_space
    }

    fn emit(&mut self, token: Token, spaced: bool) -> Coded {
        let start = self.offset;
        self.offset += token.text.len();
        let symbol = if token.kind == TokenKind::Line {
            let (code, columns) = self.layout.encode(token.text, self.columns);
            self.above = std::mem::replace(&mut self.columns, columns);
            Symbol::line(code)
        } else {
            Symbol::text(token.text, spaced)
        };
        Coded {
            symbol,
            kind: token.kind,
            start,
            end: self.offset,
        }
    }
}

impl Iterator for Encoder<'_> {
    type Item = Coded;

    fn next(&mut self) -> Option<Coded> {
        if let Some(token) = self.ahead.take() {
            return Some(self.emit(token, false));
        }
        let token = self.lexer.next()?;
        if token.kind != TokenKind::Blank {
            return Some(self.emit(token, false));
        }
        let single = token.text == " ";
        match self.lexer.next() {
            Some(next) if next.kind == TokenKind::Line || single => {
                self.offset += token.text.len();
                Some(self.emit(next, single && next.kind != TokenKind::Line))
            }
            None if single => {
                self.offset += 1;
                self.ends_in_space = true;
                None
            }
            next => {
                self.ahead = next;
                Some(self.emit(token, false))
            }
        }
    }
}

impl Sequence {
    /// Reads the rest of `encoder`.
    pub(crate) fn read(&mut self, encoder: &mut Encoder) {
        for coded in encoder {
            self.push(coded);
        }
    }

    fn push(&mut self, coded: Coded) {
        let narrow = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        self.symbols.push(coded.symbol);
        self.spans.push((narrow(coded.start), narrow(coded.end)));
    }

    /// Marks the start of a file.
    pub(crate) fn push_start(&mut self) {
        self.symbols.push(Symbol::START);
        self.spans.push((0, 0));
    }

    /// Takes the last symbol off.
    pub(crate) fn pop(&mut self) -> Option<(Symbol, (u32, u32))> {
        Some((self.symbols.pop()?, self.spans.pop()?))
    }

    pub(crate) fn len(&self) -> usize {
        self.symbols.len()
    }

    /// The core of symbol `index` in `text`, which must be the text that was read.
    pub(crate) fn core<'t>(&self, text: &'t str, index: usize) -> &'t str {
        let (start, end) = self.spans[index];
        text.get(start as usize..end as usize).unwrap_or("")
    }

    /// Memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.symbols.capacity() * size_of::<Symbol>()
            + self.spans.capacity() * size_of::<(u32, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Sequence, Encoder<'_>) {
        let language = Language::Rust;
        let mut encoder = Encoder::new(text, language, Layout::of(text, language));
        let mut sequence = Sequence::default();
        sequence.read(&mut encoder);
        (sequence, encoder)
    }

    #[test]
    fn single_spaces_belong_to_the_symbol_after_them() {
        let text = "let x  = 1; \n    y ";
        let (sequence, encoder) = read(text);
        let cores: Vec<&str> = (0..sequence.len())
            .map(|index| sequence.core(text, index))
            .collect();
        assert_eq!(cores, ["let", "x", "  ", "=", "1", ";", "\n    ", "y"]);
        let spaced: Vec<bool> = sequence
            .symbols
            .iter()
            .map(|symbol| symbol.spaced())
            .collect();
        assert_eq!(
            spaced,
            [false, true, false, false, true, false, false, false]
        );
        assert!(encoder.ends_in_space());
        assert_eq!(encoder.columns(), 4);
    }

    #[test]
    fn a_text_may_start_indented() {
        let (sequence, _) = read("    a\n    b");
        assert_eq!(sequence.len(), 3);
        assert_eq!(sequence.symbols[1], read("a\nb").0.symbols[1]);
    }

    proptest! {
        #[test]
        fn spans_hold_everything_but_spaces(text in "[ab(=. \t\n]{0,80}") {
            let (sequence, _) = read(&text);
            let kept: String = (0..sequence.len()).map(|index| sequence.core(&text, index)).collect();
            let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(solid(&kept), solid(&text));
        }
    }
}
