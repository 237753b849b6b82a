use std::ops::Range;

/// Parts of a proposal that agree with the text meant, and what taking it would save.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alignment {
    /// Agreeing parts in order: byte ranges of the proposal and of the text meant.
    pub(crate) kept: Vec<(Range<usize>, Range<usize>)>,
    /// Characters kept minus the cost of corrections, in keystrokes; below 0 if it costs more than it
    /// saves.
    pub(crate) saving: f64,
}

/// What corrections cost, in keystrokes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Costs {
    /// Going back to a mistake and replacing it.
    pub(crate) edit: f64,
    /// Deleting a wrong end, for each of its lines.
    pub(crate) trim: f64,
}

impl Alignment {
    /// The alignment of `proposal` with the start of `meant` that saves most.
    ///
    /// Both are cut into lexemes (words, runs of white space, single marks). A character kept saves a
    /// keystroke; white space saves one a run, and indentation none, as editors indent by themselves.
    /// A correction is needed wherever the two part, one for each such place, and one more
    /// [`Costs::trim`] for every line that is deleted there.
    ///
    /// Source: global alignment with a flat gap cost, after Gotoh (1982), "An improved algorithm for
    /// matching biological sequences", with keystrokes kept as the score.
    pub(crate) fn best(proposal: &str, meant: &str, costs: Costs) -> Self {
        let ours = lexemes(proposal, usize::MAX);
        let theirs = lexemes(meant, 2 * ours.len() + WINDOW_LEXEMES);
        let trims = trims(proposal, &ours, costs.trim);
        Table::fill(proposal, &ours, meant, &theirs, costs).trace(&ours, &theirs, &trims)
    }

    /// Bytes of the proposal up to the end of the last agreeing part.
    pub(crate) fn taken_bytes(&self) -> usize {
        self.kept.last().map_or(0, |(ours, _)| ours.end)
    }

    /// Bytes of the text meant that the taken part stands for.
    pub(crate) fn meant_bytes(&self) -> usize {
        self.kept.last().map_or(0, |(_, theirs)| theirs.end)
    }
}

/// Lexemes of the text meant that are compared beyond twice those of the proposal.
const WINDOW_LEXEMES: usize = 40;

/// Best savings by number of lexemes read of each text.
struct Table {
    width: usize,
    /// Best saving of an alignment that ends with these two lexemes agreeing.
    ending: Vec<f64>,
    /// Best saving of any alignment so far, and where it last agreed (an index into `ending`).
    best: Vec<(f64, usize)>,
    /// Where the alignment that ends here agreed before.
    before: Vec<usize>,
}

impl Table {
    fn fill(
        proposal: &str,
        ours: &[Range<usize>],
        meant: &str,
        theirs: &[Range<usize>],
        costs: Costs,
    ) -> Self {
        let width = theirs.len() + 1;
        let cells = width * (ours.len() + 1);
        let mut table = Self {
            width,
            ending: vec![f64::NEG_INFINITY; cells],
            best: vec![(0.0, 0); cells],
            before: vec![0; cells],
        };
        table.ending[0] = 0.0;
        for (i, lexeme) in ours.iter().enumerate() {
            let lexeme = &proposal[lexeme.clone()];
            let deletion = if lexeme == "\n" { costs.trim } else { 0.0 };
            let keys = keys_of(proposal, ours, i);
            table.best[(i + 1) * width] = table.best[i * width];
            table.best[(i + 1) * width].0 -= deletion;
            for j in 0..theirs.len() {
                let here = (i + 1) * width + j + 1;
                table.skip(here, deletion);
                if lexeme == &meant[theirs[j].clone()] {
                    table.agree(here, keys, costs.edit);
                }
            }
        }
        table
    }

    /// Leaves out a lexeme of either text.
    fn skip(&mut self, here: usize, deletion: f64) {
        let (up, left) = (self.best[here - self.width], self.best[here - 1]);
        let up = (up.0 - deletion, up.1);
        self.best[here] = if left.0 > up.0 { left } else { up };
    }

    /// Lets the lexemes that meet here agree, which saves `keys`.
    fn agree(&mut self, here: usize, keys: f64, edit: f64) {
        let diagonal = here - self.width - 1;
        let corrected = (self.best[diagonal].0 - edit, self.best[diagonal].1);
        let unbroken = (self.ending[diagonal], diagonal);
        let (saving, before) = if unbroken.0 >= corrected.0 {
            unbroken
        } else {
            corrected
        };
        self.ending[here] = saving + keys;
        self.before[here] = before;
        if self.ending[here] > self.best[here].0 {
            self.best[here] = (self.ending[here], here);
        }
    }

    /// Walks back from the end that saves most and joins neighbouring lexemes into parts.
    fn trace(&self, ours: &[Range<usize>], theirs: &[Range<usize>], trims: &[f64]) -> Alignment {
        // Corrections may cost more than everything that agrees is worth: the saving is then
        // negative, and the alignment still the best there is.
        let mut end = (-trims[0], 0);
        for (cell, &saving) in self.ending.iter().enumerate().skip(1) {
            let saving = saving - trims[cell / self.width];
            if saving > end.0 {
                end = (saving, cell);
            }
        }
        let mut kept: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        let mut cell = end.1;
        while cell != 0 {
            let (a, b) = (
                ours[cell / self.width - 1].clone(),
                theirs[cell % self.width - 1].clone(),
            );
            match kept.last_mut() {
                Some((x, y)) if x.start == a.end && y.start == b.end => {
                    x.start = a.start;
                    y.start = b.start;
                }
                _ => kept.push((a, b)),
            }
            cell = self.before[cell];
        }
        kept.reverse();
        Alignment {
            kept,
            saving: end.0,
        }
    }
}

/// Keystrokes that lexeme `at` saves.
fn keys_of(text: &str, lexemes: &[Range<usize>], at: usize) -> f64 {
    let lexeme = &text[lexemes[at].clone()];
    if !lexeme.starts_with([' ', '\t']) {
        return lexeme.chars().count() as f64;
    }
    let indents = at > 0 && &text[lexemes[at - 1].clone()] == "\n";
    if indents { 0.0 } else { 1.0 }
}

/// The cost of deleting all lexemes from number `i` on, for `i` from 0 to their count.
fn trims(proposal: &str, ours: &[Range<usize>], trim: f64) -> Vec<f64> {
    let mut breaks = 0.0;
    let mut costs = vec![0.0; ours.len() + 1];
    for (at, lexeme) in ours.iter().enumerate().rev() {
        let is_break = &proposal[lexeme.clone()] == "\n";
        if is_break && at + 1 < ours.len() {
            breaks += 1.0;
        }
        // The line that the rest begins in, unless it begins with its end.
        let begun = if is_break { 0.0 } else { 1.0 };
        costs[at] = trim * f64::max(1.0, breaks + begun);
    }
    costs
}

/// Byte ranges of words, runs of white space (one line end each) and single marks; at most `limit`.
pub(crate) fn lexemes(text: &str, limit: usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut last = Kind::Mark;
    for (at, c) in text.char_indices() {
        let kind = Kind::of(c);
        let end = at + c.len_utf8();
        let goes_on = kind == last && kind != Kind::Mark;
        last = kind;
        if let (true, Some(range)) = (goes_on, found.last_mut()) {
            range.end = end;
        } else if found.len() < limit {
            found.push(at..end);
        } else {
            break;
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Word,
    Space,
    Mark,
}

impl Kind {
    fn of(c: char) -> Self {
        if c.is_alphanumeric() || c == '_' {
            Self::Word
        } else if c == ' ' || c == '\t' {
            Self::Space
        } else {
            Self::Mark
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COSTS: Costs = Costs {
        edit: 8.0,
        trim: 2.0,
    };

    fn check(proposal: &str, meant: &str, parts: &[&str], saving: f64) {
        let alignment = Alignment::best(proposal, meant, COSTS);
        let kept: Vec<&str> = alignment
            .kept
            .iter()
            .map(|(ours, _)| &proposal[ours.clone()])
            .collect();
        assert_eq!(kept, parts, "{proposal:?} {meant:?}");
        assert!(
            (alignment.saving - saving).abs() < 1e-12,
            "{proposal:?}: {}",
            alignment.saving
        );
    }

    #[test]
    fn savings_by_hand() {
        check("a + b", "a + b\n", &["a + b"], 5.0);
        check("a + b)", "a + b\n", &["a + b"], 3.0);
        check("completelywrong", "a + b\n", &[], -2.0);
        check("wrong\nlines\n", "a + b\n", &[], -4.0);
        check(
            "compute(alpha, beta)",
            "compute(gamma, beta)\n",
            &["compute(", ", beta)"],
            15.0 - 8.0,
        );
        // A short agreement after a mistake is not worth a correction: the end is deleted instead.
        check("total = x;", "total = y;", &["total = "], 8.0 - 2.0);
        check("", "a", &[], 0.0);
        check("a", "", &[], -2.0);
    }

    #[test]
    fn a_missing_word_needs_one_correction() {
        check(
            "fn first(items: &[u8]) -> u8 {",
            "fn first(items: &mut [u8]) -> u8 {",
            &["fn first(items: &", "[u8]) -> u8 {"],
            30.0 - 8.0,
        );
    }

    proptest! {
        #[test]
        fn kept_parts_agree_and_advance(proposal in "[ab (,]{0,24}", meant in "[ab (,]{0,24}") {
            let alignment = Alignment::best(&proposal, &meant, COSTS);
            let (mut a, mut b, mut chars) = (0, 0, 0_usize);
            for (ours, theirs) in &alignment.kept {
                prop_assert!(ours.start >= a && theirs.start >= b);
                prop_assert_eq!(&proposal[ours.clone()], &meant[theirs.clone()]);
                (a, b, chars) = (ours.end, theirs.end, chars + ours.len());
            }
            prop_assert!(alignment.saving <= chars as f64);
        }

        #[test]
        fn the_meant_text_itself_saves_all_of_it(text in "[a-z (,=\n]{1,40}", rest in "[a-z (,=\n]{0,40}") {
            // A following word character would make another lexeme of the last word.
            let meant = format!("{text}\n{rest}");
            let alignment = Alignment::best(&text, &meant, COSTS);
            let solid = text.chars().filter(|&c| c != ' ').count() as f64;
            prop_assert!(alignment.saving >= solid && alignment.saving <= text.len() as f64);
            prop_assert_eq!(alignment.taken_bytes(), text.trim_end_matches(' ').len().max(alignment.taken_bytes()));
        }
    }
}
