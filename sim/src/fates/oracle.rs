use crate::random::Random;

/// What a simulated model proposes, beside what its user means to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) kind: DraftKind,
}

/// How a draft is related to what its user means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DraftKind {
    /// Just that.
    Right,
    /// That, but for some words: each with the characters that come before it, and what should stand.
    Wrong(Vec<Slip>),
    /// Right up to some place, then another text.
    Straying,
    /// Another text.
    Foreign,
}

/// A wrong word in a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slip {
    /// Characters of the draft before it.
    pub(crate) at: usize,
    /// Its characters.
    pub(crate) chars: usize,
    /// What should stand there.
    pub(crate) right: String,
}

/// A draft of one to four lines for a user who means to write `meant`; `elsewhere` is other code of the
/// same kind.
pub(crate) fn draft(meant: &str, elsewhere: &[&str], random: &mut Random) -> Draft {
    let lines = 1 + random.below(4);
    let right = head(meant, lines);
    let drawn = random.unit();
    let foreign = |random: &mut Random| {
        let line = elsewhere[random.below(elsewhere.len())];
        let first = elsewhere
            .iter()
            .position(|other| *other == line)
            .unwrap_or(0);
        let some: Vec<&str> = elsewhere[first..].iter().take(lines).copied().collect();
        some.join("\n").trim().to_owned()
    };
    if right.trim().is_empty() || drawn < 0.25 {
        return Draft {
            text: foreign(random),
            kind: DraftKind::Foreign,
        };
    }
    if drawn < 0.4 {
        let solid: Vec<usize> = right.char_indices().map(|(at, _)| at).skip(1).collect();
        if solid.len() > 4 {
            let cut = solid[random.below(solid.len())];
            let text = [&right[..cut], foreign(random).as_str()].concat();
            return Draft {
                text,
                kind: DraftKind::Straying,
            };
        }
    }
    if drawn < 0.65
        && let Some(draft) = slipped(&right, random)
    {
        return draft;
    }
    Draft {
        text: right,
        kind: DraftKind::Right,
    }
}

/// The first lines of a text, without what is blank at their end.
fn head(text: &str, lines: usize) -> String {
    let mut end = 0;
    let mut seen = 0;
    for line in text.split_inclusive('\n') {
        end += line.len();
        if !line.trim().is_empty() {
            seen += 1;
        }
        if seen == lines {
            break;
        }
    }
    text[..end].trim_end().to_owned()
}

/// The text with one or two of its words replaced by others.
fn slipped(right: &str, random: &mut Random) -> Option<Draft> {
    let words = words(right);
    let first = *words.get(random.below(words.len()))?;
    let mut places = vec![first];
    if words.len() > 3 && random.chance(0.4) {
        places.push(words[random.below(words.len())]);
    }
    places.sort_unstable();
    places.dedup();
    let mut text = String::new();
    let mut slips = Vec::new();
    let mut at = 0;
    for (start, end) in places {
        text.push_str(&right[at..start]);
        let word = NAMES[random.below(NAMES.len())];
        slips.push(Slip {
            at: text.chars().count(),
            chars: word.chars().count(),
            right: right[start..end].to_owned(),
        });
        text.push_str(word);
        at = end;
    }
    text.push_str(&right[at..]);
    Some(Draft {
        text,
        kind: DraftKind::Wrong(slips),
    })
}

/// The places of words of at least three letters.
pub(crate) fn words(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (c.is_alphanumeric() || c == '_', start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                if at - from >= 3 {
                    found.push((from, at));
                }
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// Names that people give.
const NAMES: [&str; 12] = [
    "value", "items", "result", "index", "count", "buffer", "name", "entry", "current", "state",
    "options", "handler",
];
