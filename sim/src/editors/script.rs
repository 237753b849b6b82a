use crate::editors::taste::Taste;
use crate::random::Random;
use std::ops::Range;

/// A real source file that simulated users write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDocument {
    /// Path as an editor would send it.
    pub path: String,
    /// Language, as the server names it.
    pub language: String,
    /// The whole text.
    pub text: String,
}

/// A part of a document that a user sets out to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Byte range of the document to be typed; what precedes it stands already.
    pub range: Range<usize>,
    /// Whether what follows stands already, as when code is put into the middle of a file.
    pub keeps_rest: bool,
}

impl Passage {
    /// A passage of `document` to write: some successive paragraphs from a random one on.
    ///
    /// `None` if the document has no paragraph worth typing.
    pub(crate) fn draw(
        document: &SourceDocument,
        taste: &Taste,
        random: &mut Random,
    ) -> Option<Self> {
        let paragraphs = paragraphs(&document.text);
        let first = random.below(paragraphs.len());
        let keeps_rest = random.chance(taste.inserting);
        let wanted = random.between(PASSAGE_CHARS.start, PASSAGE_CHARS.end);
        let start = paragraphs.get(first)?.start;
        let mut end = start;
        for paragraph in &paragraphs[first..] {
            if end > start && (paragraph.end - start) as f64 > wanted {
                break;
            }
            end = paragraph.end;
        }
        Some(Self {
            range: start..end,
            keeps_rest,
        })
    }
}

/// Whether there is anything in a document to write.
pub(crate) fn is_writable(document: &SourceDocument) -> bool {
    !paragraphs(&document.text).is_empty()
}

/// How much a user sets out to write in one go, in characters.
const PASSAGE_CHARS: Range<f64> = 600.0..2_500.0;

/// Paragraphs longer than this are tables or generated code, which nobody types.
const PARAGRAPH_BYTES_MAX: usize = 6_000;

/// Byte ranges from one line after a blank line to the next such line.
fn paragraphs(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let mut after_blank = true;
    for line in text.split_inclusive('\n') {
        let blank = line.trim().is_empty();
        if after_blank && !blank {
            found.push(at..at);
        }
        at += line.len();
        if let Some(last) = found.last_mut() {
            last.end = at;
        }
        after_blank = blank;
    }
    found.retain(|range| range.len() <= PARAGRAPH_BYTES_MAX);
    found
}

/// The next place at which the user pauses and the editor asks: a byte offset of `text` beyond `from`.
///
/// Every place between two characters has a chance, high where people look up: at the first word of a
/// line, after `=`, `(`, `.`, lower between words and inside them.
pub(crate) fn next_pause(text: &str, from: usize, taste: &Taste, random: &mut Random) -> usize {
    for (offset, c) in text[from..].char_indices() {
        let at = from + offset + c.len_utf8();
        if at < text.len() && random.chance(pause_chance(&text[..at], &text[at..]) * taste.pausing)
        {
            return at;
        }
    }
    text.len()
}

fn pause_chance(typed: &str, coming: &str) -> f64 {
    let line = typed.rsplit('\n').next().unwrap_or("");
    let next = coming.chars().next().unwrap_or('\n');
    if line.trim().is_empty() {
        return if next.is_whitespace() { 0.0 } else { 0.7 };
    }
    if next == '\n' {
        return 0.15;
    }
    let ends = |endings: &[&str]| endings.iter().any(|ending| line.ends_with(ending));
    if ends(&["= ", "return ", "(", "[", "{ ", "=> ", "-> "]) {
        0.45
    } else if ends(&[".", "::", "->"]) {
        0.5
    } else if ends(&[", ", ": "]) {
        0.25
    } else if line.ends_with(' ') {
        0.12
    } else if word_length(line) >= 3 && is_word(next) {
        0.06
    } else {
        0.0
    }
}

fn word_length(line: &str) -> usize {
    line.chars().rev().take_while(|&c| is_word(c)).count()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "use a;\nuse b;\n\nfn one() {\n    1\n}\n\n\nfn two() {}\n";

    fn taste() -> Taste {
        Taste::draw(&mut Random::new(2, 0), &["rust".to_owned()])
    }

    #[test]
    fn paragraphs_cover_the_text() {
        let found: Vec<&str> = paragraphs(TEXT)
            .into_iter()
            .map(|range| &TEXT[range])
            .collect();
        assert_eq!(
            found,
            [
                "use a;\nuse b;\n\n",
                "fn one() {\n    1\n}\n\n\n",
                "fn two() {}\n"
            ]
        );
        assert!(paragraphs("\n \n").is_empty());
    }

    #[test]
    fn passages_are_paragraphs_in_succession() {
        let document = SourceDocument {
            path: "a.rs".to_owned(),
            language: "rust".to_owned(),
            text: TEXT.repeat(200),
        };
        let mut random = Random::new(4, 0);
        for _ in 0..100 {
            let passage = Passage::draw(&document, &taste(), &mut random).unwrap();
            assert!(!passage.range.is_empty() && passage.range.len() <= 2_500);
            assert!(document.text[passage.range].starts_with(['u', 'f']));
        }
        let blank = SourceDocument {
            text: "\n\n".to_owned(),
            ..document
        };
        assert!(Passage::draw(&blank, &taste(), &mut random).is_none());
        assert!(!is_writable(&blank));
    }

    #[test]
    fn pauses_advance_to_the_end_and_fall_on_characters() {
        let text = "let naïve = f(x, y);\n    🦀.run()\n";
        let mut random = Random::new(9, 0);
        for _ in 0..200 {
            let mut at = 0;
            while at < text.len() {
                let next = next_pause(text, at, &taste(), &mut random);
                assert!(next > at && text.is_char_boundary(next));
                at = next;
            }
        }
    }

    #[test]
    fn people_pause_at_the_start_of_a_statement_not_inside_indentation() {
        assert!(pause_chance("a\n    ", "b\n") > pause_chance("ab ", "c"));
        assert!(pause_chance("x = ", "1\n") > pause_chance("x", "y"));
        for (typed, coming) in [("a\n  ", "  b"), ("a\n", "\n"), ("ab", "c")] {
            assert!(pause_chance(typed, coming) < 1e-12, "{typed:?}");
        }
    }
}
