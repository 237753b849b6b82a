//! One line, written as far as the evidence goes.

use crate::{
    fence::Fence,
    outlet::Outlet,
    source::Source,
    walk::{Step, Walk},
};

/// When a model speaks, and when it stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Temper {
    /// Scales the mass given to the unseen; larger is more doubtful.
    pub(crate) doubt: f32,
    /// The least belief in all that was written with which the next token is written too.
    pub(crate) nerve: f32,
    /// The least number of bytes worth showing.
    pub(crate) least: usize,
}

/// The rest of a line as a model would write it.
pub(crate) type Draft<'a> = Vec<Step<'a>>;

/// Writes to the end of the line, to where the text after the cursor takes over, or until the
/// belief falls below [`Temper::nerve`]; an empty draft is silence.
pub(crate) fn line<'a>(
    walk: &mut Walk<'a>,
    sources: &[&dyn Source<'a>],
    temper: &Temper,
    fence: &mut Fence,
) -> Draft<'a> {
    let mut draft = Vec::new();
    let mut belief = 1.0;
    while draft.len() < MAX_STEPS {
        let Some(step) = walk.look(sources, temper.doubt) else {
            break;
        };
        belief *= step.probability;
        let line_ends = step.symbol.is_line() && !walk.typing_line();
        if belief < temper.nerve || line_ends || fence.reached(step.symbol) {
            break;
        }
        fence.pass(&step.core);
        walk.take(&step);
        draft.push(step);
    }
    let text: String = draft.iter().map(|step| &*step.text).collect();
    if text.trim().len() < temper.least || fence.repeats(&text) {
        draft.clear();
    }
    draft
}

/// Gives a draft to the outlet.
pub(crate) fn speak(draft: &Draft, outlet: &mut Outlet) {
    for step in draft {
        if outlet.push(&step.text).is_break() {
            return;
        }
    }
}

/// The longest line, in tokens.
pub(crate) const MAX_STEPS: usize = 48;
