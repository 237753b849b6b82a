//! Several lines, written as somebody else wrote them.

use crate::{
    draft::{Draft, MAX_STEPS},
    fence::Fence,
    walk::{Step, Walk},
};

/// What is to be written, step by step.
pub(crate) trait Script<'a> {
    /// The next step at the point `walk` has reached; `None` at the end.
    fn next(&mut self, walk: &mut Walk<'a>) -> Option<Step<'a>>;
}

/// Writes whole lines of `script`: as many as fit into `budget` tokens, but the first in any case,
/// and only the first if the cursor stands inside a line.
///
/// Ends at a blank line, where the block is left that the cursor stands in, and where the text
/// after the cursor takes over. An empty draft is silence.
pub(crate) fn write<'a>(
    walk: &mut Walk<'a>,
    script: &mut dyn Script<'a>,
    mut fence: Fence,
    budget: usize,
) -> Draft<'a> {
    let mut draft = Draft::new();
    let outermost = walk.columns();
    let mut most_lines = if walk.starts_line() { MAX_LINES } else { 1 };
    let (mut whole, mut lines) = (0, 0);
    loop {
        let in_first = lines == 0 && draft.len() < MAX_STEPS;
        let step = script
            .next(walk)
            .filter(|_| in_first || draft.len() < budget);
        let Some(step) = step else { break };
        if fence.reached(step.symbol) {
            whole = draft.len();
            break;
        }
        if step.symbol.is_line() && !walk.typing_line() {
            if draft.is_empty() {
                most_lines = MAX_LINES;
            }
            if fence.repeats(&text(&draft[whole..])) {
                break;
            }
            whole = draft.len();
            lines += usize::from(whole > 0);
            if fence.in_line() || lines >= most_lines || leaves(walk, &step, outermost, lines) {
                break;
            }
        }
        fence.pass(&step.core);
        walk.take(&step);
        draft.push(step);
    }
    draft.truncate(whole);
    if text(&draft).trim().len() < LEAST {
        draft.clear();
    }
    draft
}

/// Whether the line break `step` ends the block: by a blank line, or by less indentation.
fn leaves(walk: &Walk, step: &Step, outermost: u16, lines: usize) -> bool {
    let blank = step.symbol.line_code().is_some_and(|code| code.breaks > 1);
    (blank && lines > 0) || walk.columns_below(step.symbol) < outermost
}

fn text(draft: &[Step]) -> String {
    draft.iter().map(|step| &*step.text).collect()
}

/// Lines written at most.
const MAX_LINES: usize = 5;
/// The least number of bytes worth showing.
const LEAST: usize = 3;
