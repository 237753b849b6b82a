/// What a client is known to do with an answer before it shows it.
///
/// What was sent is not always what was shown, and only what was shown can be judged by what the user did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Habits {
    /// The first line alone may be shown of several.
    pub first_line: bool,
    /// Texts of fewer characters, white space around them not counted, are not shown.
    pub least_chars: u32,
    /// It asks when nothing was typed for at least so long, in milliseconds.
    pub pause_ms: u32,
}

impl Habits {
    /// Whether such a client shows `text` at all.
    pub fn shows(self, text: &str) -> bool {
        let text = text.trim();
        !text.is_empty() && crate::lexeme::count(text) >= self.least_chars
    }
}
