//! Line breaks and indentation, written relative to the line above.
//!
//! A block copied to another depth, or from a file indented by two spaces into one indented by
//! tabs, then reads the same to the models.

use crate::Language;

/// A line break as the models see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LineCode {
    /// The number of line breaks, from 1 to [`MAX_BREAKS`]: one more than the blank lines.
    pub(crate) breaks: u8,
    /// The change of indentation.
    pub(crate) shift: Shift,
}

/// A change of indentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shift {
    /// By whole units of the file's indentation.
    Units(i8),
    /// By columns, where the change is not a whole number of units.
    Columns(i8),
}

/// How a file is indented and its lines are broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Columns of one level of indentation, at least 1; a tab counts as one level.
    unit: u16,
    tabs: bool,
    carriage_return: bool,
}

impl LineCode {
    pub(crate) fn pack(self) -> u32 {
        let (kind, amount) = match self.shift {
            Shift::Units(amount) => (0, amount),
            Shift::Columns(amount) => (1, amount),
        };
        u32::from(self.breaks) << 16 | kind << 8 | u32::from(amount.cast_unsigned())
    }

    pub(crate) fn unpack(packed: u32) -> Self {
        let [amount, kind, breaks, _] = packed.to_le_bytes();
        let amount = amount.cast_signed();
        let shift = if kind == 0 {
            Shift::Units(amount)
        } else {
            Shift::Columns(amount)
        };
        Self { breaks, shift }
    }
}

impl Layout {
    /// The layout of `text`, from its first [`EXAMINED`] bytes; `language` decides what the text
    /// leaves open.
    pub(crate) fn of(text: &str, language: Language) -> Self {
        let mut tally = [0_u32; 9];
        let (mut tabs, mut spaces, mut above) = (0_u32, 0_u32, 0_usize);
        let head = &text.as_bytes()[..text.len().min(EXAMINED)];
        for line in head.split(|&byte| byte == b'\n') {
            let indent = line
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'\t'))
                .count();
            if indent == line.len() {
                continue;
            }
            match line[0] {
                b'\t' => tabs += 1,
                b' ' => spaces += 1,
                _ => {}
            }
            if (2..=8).contains(&indent.saturating_sub(above)) {
                tally[indent - above] += 1;
            }
            above = indent;
        }
        let commonest = (2..=8)
            .rev()
            .max_by_key(|&unit| tally[unit])
            .filter(|&unit| tally[unit] > 0);
        let tabs = if tabs == spaces {
            language == Language::Go
        } else {
            tabs > spaces
        };
        let unit = if tabs { None } else { commonest }.unwrap_or_else(|| default_unit(language));
        Self {
            unit: u16::try_from(unit).expect("units are small"),
            tabs,
            carriage_return: head
                .windows(2)
                .find(|pair| pair[1] == b'\n')
                .is_some_and(|pair| pair[0] == b'\r'),
        }
    }

    /// The column where text after `indent` stands.
    pub(crate) fn columns(self, indent: &str) -> u16 {
        let width = |byte: u8| if byte == b'\t' { self.unit } else { 1 };
        indent
            .bytes()
            .fold(0_u16, |columns, byte| columns.saturating_add(width(byte)))
    }

    /// Reads a line token's text after a line indented by `above` columns: its code and the new
    /// line's indentation.
    pub(crate) fn encode(self, text: &str, above: u16) -> (LineCode, u16) {
        let breaks = text
            .bytes()
            .filter(|&byte| byte == b'\n')
            .count()
            .clamp(1, MAX_BREAKS);
        let indent = text.rsplit(['\n', '\r']).next().unwrap_or("");
        let columns = self.columns(indent);
        let change = (i32::from(columns) - i32::from(above)).clamp(-120, 120);
        let unit = i32::from(self.unit);
        let narrow = |amount: i32| i8::try_from(amount).expect("clamped to 120");
        let shift = if change % unit == 0 {
            Shift::Units(narrow(change / unit))
        } else {
            Shift::Columns(narrow(change))
        };
        (
            LineCode {
                breaks: u8::try_from(breaks).expect("clamped"),
                shift,
            },
            columns,
        )
    }

    /// The indentation after a break `code` below a line indented by `above` columns.
    pub(crate) fn below(self, code: LineCode, above: u16) -> u16 {
        let change = match code.shift {
            Shift::Units(amount) => i32::from(amount) * i32::from(self.unit),
            Shift::Columns(amount) => i32::from(amount),
        };
        u16::try_from((i32::from(above) + change).max(0)).unwrap_or(u16::MAX)
    }

    /// The text of a break `code` below a line indented by `above` columns.
    pub(crate) fn render(self, code: LineCode, above: u16) -> String {
        let mut text = String::new();
        for _ in 0..code.breaks {
            text.push_str(if self.carriage_return { "\r\n" } else { "\n" });
        }
        let columns = usize::from(self.below(code, above));
        let unit = usize::from(self.unit);
        let (tabs, spaces) = if self.tabs {
            (columns / unit, columns % unit)
        } else {
            (0, columns)
        };
        text.extend(std::iter::repeat_n('\t', tabs));
        text.extend(std::iter::repeat_n(' ', spaces));
        text
    }
}

fn default_unit(language: Language) -> usize {
    match language {
        Language::JavaScript
        | Language::TypeScript
        | Language::Json
        | Language::Yaml
        | Language::Html
        | Language::Css
        | Language::Markdown
        | Language::Ruby
        | Language::Lua
        | Language::Shell => 2,
        _ => 4,
    }
}

/// More breaks than these in a row count as this many.
pub(crate) const MAX_BREAKS: usize = 3;

/// Bytes read to find out how a file is indented.
const EXAMINED: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_the_unit() {
        for (text, language, unit, tabs) in [
            ("if a:\n  b\n  c\n    d\n", Language::Python, 2, false),
            ("fn a() {\n    b;\n}\n", Language::Rust, 4, false),
            ("fn a() {\n\tb;\n}\n", Language::Rust, 4, true),
            ("", Language::Go, 4, true),
            ("a", Language::Json, 2, false),
        ] {
            let layout = Layout::of(text, language);
            assert_eq!((layout.unit, layout.tabs), (unit, tabs), "{text:?}");
        }
        assert!(Layout::of("a\r\nb", Language::C).carriage_return);
    }

    #[test]
    fn the_same_step_has_the_same_code_at_any_width() {
        let two = Layout {
            unit: 2,
            tabs: false,
            carriage_return: false,
        };
        let tab = Layout {
            unit: 4,
            tabs: true,
            carriage_return: true,
        };
        let (code, columns) = two.encode("\n    ", 2);
        assert_eq!(columns, 4);
        assert_eq!(tab.encode("\r\n\t\t", 4), (code, 8));
        assert_eq!(tab.render(code, 4), "\r\n\t\t");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_rendered(
            above in 0_u16..60, columns in 0_usize..60, breaks in 1_usize..=MAX_BREAKS, unit in 1_u16..9,
        ) {
            let layout = Layout { unit, tabs: false, carriage_return: false };
            let text = "\n".repeat(breaks) + &" ".repeat(columns);
            let (code, below) = layout.encode(&text, above);
            prop_assert_eq!(usize::from(below), columns);
            prop_assert_eq!(layout.below(code, above), below);
            prop_assert_eq!(layout.render(code, above), text);
            prop_assert_eq!(LineCode::unpack(code.pack()), code);
        }
    }
}
