use crate::lexis::{Block, Lexis};
use crate::position::is_space;

/// A reading of some text from front to back: what is open where it ends.
pub(crate) struct Scan {
    state: State,
    depth: i16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    BlockComment,
    Text(u8),
    TripleText(u8),
}

impl Scan {
    /// Reads the window once, from front to back.
    pub(crate) fn of(window: &[u8], lexis: Lexis) -> Self {
        let mut scan = Self {
            state: State::Code,
            depth: 0,
        };
        let mut at = 0;
        while at < window.len() {
            at += match scan.state {
                State::Code => scan.skip_code(&window[at..]),
                _ => skip_text(&window[at..]),
            };
            if at < window.len() {
                at += match scan.state {
                    State::Code => scan.code(window, at, lexis),
                    _ => scan.leave(window, at, lexis),
                };
            }
        }
        scan
    }

    pub(crate) fn in_comment(&self) -> bool {
        matches!(self.state, State::LineComment | State::BlockComment)
    }

    pub(crate) fn in_string(&self) -> bool {
        matches!(self.state, State::Text(_) | State::TripleText(_))
    }

    /// Brackets that are open.
    pub(crate) fn depth(&self) -> u16 {
        self.depth.unsigned_abs()
    }

    /// Counts brackets up to the next byte that may begin something else than code; returns how
    /// many bytes that took. Without a branch for each bracket, which no processor could foresee.
    fn skip_code(&mut self, rest: &[u8]) -> usize {
        let mut depth = self.depth;
        let end = rest.iter().position(|&b| {
            let turn = TURNS[usize::from(b)];
            if turn != BREAK {
                depth = (depth + turn).max(0);
            }
            turn == BREAK
        });
        self.depth = depth;
        end.unwrap_or(rest.len())
    }

    /// One step in code; returns how many bytes it took.
    fn code(&mut self, window: &[u8], at: usize, lexis: Lexis) -> usize {
        let rest = &window[at..];
        match rest[0] {
            quote @ (b'"' | b'\'' | b'`') => self.quote(rest, quote, lexis),
            _ => self.comment(window, at, lexis),
        }
    }

    fn quote(&mut self, rest: &[u8], quote: u8, lexis: Lexis) -> usize {
        if lexis.triple && rest.starts_with(&[quote; 3]) {
            self.state = State::TripleText(quote);
            return 3;
        }
        match quote {
            b'\'' if !lexis.single => return character(rest),
            b'`' if !lexis.backtick => {}
            _ => self.state = State::Text(quote),
        }
        1
    }

    fn comment(&mut self, window: &[u8], at: usize, lexis: Lexis) -> usize {
        let rest = &window[at..];
        let begins_word = at == 0 || is_space(window[at - 1]);
        let line = match rest[0] {
            b'/' => lexis.slashes && rest.starts_with(b"//"),
            b'#' => lexis.hash && begins_word,
            b'-' => lexis.dashes && rest.starts_with(b"--"),
            b'%' => lexis.percent,
            b';' => lexis.semicolon,
            _ => false,
        };
        let opening: &[u8] = match lexis.block {
            Block::None => return self.enter_line_comment(line),
            Block::Slash => b"/*",
            Block::Angle => b"<!--",
        };
        if rest.starts_with(opening) {
            self.state = State::BlockComment;
            return opening.len();
        }
        self.enter_line_comment(line)
    }

    fn enter_line_comment(&mut self, enters: bool) -> usize {
        if enters {
            self.state = State::LineComment;
        }
        1
    }

    /// One step in a comment or string; returns how many bytes it took.
    fn leave(&mut self, window: &[u8], at: usize, lexis: Lexis) -> usize {
        let rest = &window[at..];
        let closing = match self.state {
            State::Code => 0,
            State::LineComment => usize::from(rest[0] == b'\n'),
            State::BlockComment if lexis.block == Block::Angle => prefix_length(rest, b"-->"),
            State::BlockComment => prefix_length(rest, b"*/"),
            State::Text(_) | State::TripleText(_) if rest[0] == b'\\' => return 2,
            State::Text(b'`') => usize::from(rest[0] == b'`'),
            State::Text(quote) => usize::from(rest[0] == quote || rest[0] == b'\n'),
            State::TripleText(quote) => prefix_length(rest, &[quote; 3]),
        };
        if closing > 0 {
            self.state = State::Code;
        }
        closing.max(1)
    }
}

/// Bytes up to the next one that may end a comment or string.
fn skip_text(rest: &[u8]) -> usize {
    let end = rest.iter().position(|&b| CLOSING[usize::from(b)]);
    end.unwrap_or(rest.len())
}

fn prefix_length(rest: &[u8], prefix: &[u8]) -> usize {
    if rest.starts_with(prefix) {
        prefix.len()
    } else {
        0
    }
}

/// The length of a character in quotes (`'a'`, `'\n'`, `'\u{e9}'`), or 1 for a lone quote.
fn character(rest: &[u8]) -> usize {
    let escaped = usize::from(rest.get(1) == Some(&b'\\'));
    let close = rest
        .iter()
        .take(CHARACTER_BYTES)
        .skip(2 + escaped)
        .position(|&b| b == b'\'');
    match close {
        Some(at) if escaped == 1 || rest[1] >= 0x80 || at == 0 => at + 3 + escaped,
        _ => 1,
    }
}

const CHARACTER_BYTES: usize = 12;

/// By how much each byte changes the depth in code, or [`BREAK`].
static TURNS: [i16; 256] = {
    let mut table = [0; 256];
    fill(&mut table, b"([{", 1);
    fill(&mut table, b")]}", -1);
    fill(&mut table, b"\"'`/#-%;<", BREAK);
    table
};

/// Marks the bytes that may begin a comment or string.
const BREAK: i16 = i16::MAX;

/// The bytes that can end a comment or string, or keep one from ending.
static CLOSING: [bool; 256] = {
    let mut table = [0; 256];
    fill(&mut table, b"\n*-\"'`\\", 1);
    let mut flags = [false; 256];
    let mut at = 0;
    while at < 256 {
        flags[at] = table[at] != 0;
        at += 1;
    }
    flags
};

const fn fill(table: &mut [i16; 256], bytes: &[u8], value: i16) {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] = value;
        at += 1;
    }
}
