use crate::editors::alignment::{Alignment, Costs, lexemes};
use crate::editors::mood::Mood;
use crate::editors::taste::Taste;
use echo_reward::Fate;

/// What a user does with a proposal they look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What will have become of it in the end.
    pub fate: Fate,
    /// Bytes of the proposal that are put into the text; 0 if it is not taken.
    pub taken_bytes: usize,
    /// Bytes of the text meant that these stand for, once corrected.
    pub meant_bytes: usize,
    /// Characters of the proposal, white space left out, that stand in the end, as a share of all.
    pub kept_share: f64,
    /// Characters taken and kept, white space left out.
    pub accepted_chars: u32,
    /// Characters shown, white space left out.
    pub shown_chars: u32,
}

/// Judges `shown` by the rule in the [module documentation](crate::editors).
///
/// `shown` is the proposal as displayed, `meant` the text the user means to write from the cursor on.
/// The user's passing mood decides between a careful look and a hasty one.
pub fn judge(shown: &str, meant: &str, taste: &Taste, hasty: bool, types_through: bool) -> Verdict {
    let right = is_right(shown, meant);
    if right && types_through {
        return passed(shown, meant);
    }
    let whole = Alignment::best(shown, meant, costs(taste));
    let line_end = first_line_end(shown);
    let one_line = line_end == shown.len();
    let line = Alignment::best(&shown[..line_end], meant, costs(taste));
    let enough = |saving: f64| saving >= taste.least_saving;
    if hasty && !one_line && !taste.only_lines && enough(line.saving - ACCEPT_KEYS) {
        return taken_in_haste(shown, &whole);
    }
    let words = words_taken(shown, meant);
    let mut best = (f64::NEG_INFINITY, Form::Line);
    for (saving, form, used) in [
        (
            whole.saving - ACCEPT_KEYS,
            Form::Whole,
            one_line || !taste.only_lines,
        ),
        (line.saving - ACCEPT_KEYS, Form::Line, !one_line),
        (
            words.saving,
            Form::Words,
            taste.words && words.bytes < shown.len(),
        ),
    ] {
        if used && saving > best.0 {
            best = (saving, form);
        }
    }
    if !enough(best.0) {
        return passed(shown, meant);
    }
    match best.1 {
        Form::Whole => taken(shown, &whole, whole_fate(shown, &whole)),
        Form::Line => taken(shown, &line, Fate::Partial),
        Form::Words => Verdict {
            fate: Fate::Partial,
            taken_bytes: words.bytes,
            meant_bytes: words.bytes,
            accepted_chars: solid(&shown[..words.bytes]),
            kept_share: share(solid(&shown[..words.bytes]), solid(shown)),
            shown_chars: solid(shown),
        },
    }
}

impl Verdict {
    pub(crate) fn of_mood(shown: &str, meant: &str, taste: &Taste, mood: &Mood) -> Self {
        judge(shown, meant, taste, mood.hasty, mood.types_through)
    }

    /// Whether any of the proposal is put into the text, be it for a moment.
    pub fn is_taken(&self) -> bool {
        self.taken_bytes > 0
    }
}

#[derive(Clone, Copy)]
enum Form {
    Whole,
    Line,
    Words,
}

/// One key press accepts a whole proposal or a line.
const ACCEPT_KEYS: f64 = 1.0;

fn costs(taste: &Taste) -> Costs {
    Costs {
        edit: taste.edit_keys,
        trim: taste.trim_keys,
    }
}

/// Whether the user is about to write just this.
fn is_right(shown: &str, meant: &str) -> bool {
    meant.starts_with(shown)
}

/// Not taken: the text meant is typed by hand, perhaps just as proposed. A proposal of which half or more was
/// typed so is typed through; one that goes another way sooner is rejected.
fn passed(shown: &str, meant: &str) -> Verdict {
    let solids = |text: &str| {
        text.chars()
            .filter(|c| !c.is_whitespace())
            .collect::<Vec<_>>()
    };
    let (shown, meant) = (solids(shown), solids(meant));
    let same = shown.iter().zip(&meant).take_while(|(a, b)| a == b).count();
    let is_typed = !shown.is_empty() && same * 2 >= shown.len();
    let shown_chars = u32::try_from(shown.len()).unwrap_or(u32::MAX);
    Verdict {
        fate: if is_typed {
            Fate::TypedThrough
        } else {
            Fate::Rejected
        },
        taken_bytes: 0,
        meant_bytes: 0,
        kept_share: if is_typed {
            same as f64 / shown.len() as f64
        } else {
            0.0
        },
        accepted_chars: 0,
        shown_chars,
    }
}

fn whole_fate(shown: &str, alignment: &Alignment) -> Fate {
    let unbroken = alignment.kept.len() == 1 && alignment.kept[0].0 == (0..shown.len());
    // A part that agrees only further on in the text meant needs something typed before it.
    if unbroken && alignment.kept[0].1.start == 0 {
        Fate::Accepted
    } else {
        Fate::Refined
    }
}

fn taken(shown: &str, alignment: &Alignment, fate: Fate) -> Verdict {
    let kept: u32 = alignment
        .kept
        .iter()
        .map(|(ours, _)| solid(&shown[ours.clone()]))
        .sum();
    Verdict {
        fate,
        taken_bytes: alignment.taken_bytes(),
        meant_bytes: alignment.meant_bytes(),
        kept_share: share(kept, solid(shown)),
        accepted_chars: kept,
        shown_chars: solid(shown),
    }
}

/// The whole was taken for its first line: corrected if that saves anything, else undone.
fn taken_in_haste(shown: &str, whole: &Alignment) -> Verdict {
    if whole.saving - ACCEPT_KEYS > 0.0 {
        return taken(shown, whole, whole_fate(shown, whole));
    }
    Verdict {
        fate: Fate::Undone,
        taken_bytes: shown.len(),
        meant_bytes: 0,
        kept_share: 0.0,
        accepted_chars: 0,
        shown_chars: solid(shown),
    }
}

struct Words {
    bytes: usize,
    saving: f64,
}

/// The leading lexemes that are right, taken word by word.
fn words_taken(shown: &str, meant: &str) -> Words {
    let mut words = Words {
        bytes: 0,
        saving: 0.0,
    };
    for lexeme in lexemes(shown, MOST_WORDS) {
        if !meant.starts_with(&shown[..lexeme.end]) {
            break;
        }
        words.bytes = lexeme.end;
        words.saving += shown[lexeme].chars().count() as f64 - 1.0;
    }
    words
}

/// Nobody presses "accept word" more often than this.
const MOST_WORDS: usize = 12;

/// End of the first line that is not blank, its line break left out.
fn first_line_end(text: &str) -> usize {
    let start = text.len() - text.trim_start().len();
    text[start..].find('\n').map_or(text.len(), |at| start + at)
}

/// Characters of a text that are not white space.
fn solid(text: &str) -> u32 {
    let count = text.chars().filter(|c| !c.is_whitespace()).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn share(part: u32, of: u32) -> f64 {
    if of == 0 {
        0.0
    } else {
        f64::from(part) / f64::from(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn taste() -> Taste {
        Taste {
            least_saving: 4.0,
            edit_keys: 8.0,
            trim_keys: 2.0,
            only_lines: false,
            words: false,
            ..Taste::draw(&mut Random::new(1, 0), &["rust".to_owned()])
        }
    }

    fn careful(shown: &str, meant: &str) -> Verdict {
        judge(shown, meant, &taste(), false, false)
    }

    #[test]
    fn fates_by_the_rule() {
        let meant = "compute(alpha, beta);\n    let total = alpha + beta;\n}\n";
        for (shown, fate) in [
            ("compute(alpha, beta);", Fate::Accepted),
            ("compute(gamma, beta);", Fate::Refined),
            ("compute(alpha, beta, delta)", Fate::Refined),
            (
                "compute(alpha, beta);\n    nothing of this was ever meant",
                Fate::Partial,
            ),
            ("something else entirely", Fate::Rejected),
            ("com", Fate::TypedThrough),
            ("xyz", Fate::Rejected),
        ] {
            let verdict = careful(shown, meant);
            assert_eq!(verdict.fate, fate, "{shown:?}: {verdict:?}");
        }
    }

    #[test]
    fn an_accepted_proposal_is_kept_whole() {
        let verdict = careful("compute(alpha);", "compute(alpha);\n}\n");
        assert_eq!((verdict.taken_bytes, verdict.meant_bytes), (15, 15));
        assert!((verdict.kept_share - 1.0).abs() < 1e-12);
        assert_eq!((verdict.accepted_chars, verdict.shown_chars), (15, 15));
    }

    #[test]
    fn the_threshold_decides() {
        let mut taste = taste();
        let saved =
            |taste: &Taste| judge("return x;", "return x;\n", taste, false, false).is_taken();
        taste.least_saving = 8.0;
        assert!(saved(&taste));
        taste.least_saving = 8.5;
        assert!(!saved(&taste));
    }

    #[test]
    fn a_hasty_look_takes_too_much_and_undoes_it() {
        let shown = "return compute(alpha, beta);\nfn wrong() { one } fn wrong() { two }";
        let right = judge(
            shown,
            "return compute(alpha, beta);\n}",
            &taste(),
            true,
            false,
        );
        assert_eq!(right.fate, Fate::Refined);
        let shown = format!("return x + y;\n{}", "no such thing was meant\n".repeat(8));
        let wrong = judge(&shown, "return x + y;\n}", &taste(), true, false);
        assert_eq!((wrong.fate, wrong.meant_bytes), (Fate::Undone, 0));
        assert_eq!(wrong.taken_bytes, shown.len());
    }

    #[test]
    fn habits_change_the_form() {
        let meant = "alpha(one);\nbeta(two);\ngamma();\n";
        let shown = "alpha(one);\nbeta(two);";
        let mut taste = taste();
        assert_eq!(
            judge(shown, meant, &taste, false, false).fate,
            Fate::Accepted
        );
        assert_eq!(
            judge(shown, meant, &taste, false, true).fate,
            Fate::TypedThrough
        );
        taste.only_lines = true;
        let line = judge(shown, meant, &taste, false, false);
        assert_eq!((line.fate, line.taken_bytes), (Fate::Partial, 11));
        taste.words = true;
        taste.least_saving = 3.0;
        let words = judge("alphabet soup", "alphabet x\n", &taste, false, false);
        assert_eq!((words.fate, words.taken_bytes), (Fate::Partial, 9));
    }
}
