//! Where a completion's pieces leave: the last place that keeps the caller's limits.

use std::ops::ControlFlow;

use crate::{Ending, Limits};

/// Passes pieces on to the caller's sink, and makes sure that
/// - no part of a stop string leaves,
/// - no more than [`Limits::max_tokens`] pieces leave,
/// - the text neither is nor ends in white space,
/// - nothing leaves once the sink has said `Break`.
pub(crate) struct Outlet<'a> {
    sink: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    stop: &'a [String],
    tokens_left: usize,
    /// White space that leaves only with what follows it.
    white: String,
    /// The start of a stop string, perhaps.
    held: String,
    ending: Option<Ending>,
}

impl<'a> Outlet<'a> {
    pub(crate) fn new(
        limits: &Limits<'a>,
        sink: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Self {
        Self {
            sink,
            stop: limits.stop,
            tokens_left: limits.max_tokens,
            white: String::new(),
            held: String::new(),
            ending: None,
        }
    }

    /// Takes one token's text; `Break` when no more is wanted.
    pub(crate) fn push(&mut self, piece: &str) -> ControlFlow<()> {
        if self.ending.is_some() {
            return ControlFlow::Break(());
        }
        if piece.is_empty() {
            return ControlFlow::Continue(());
        }
        if self.tokens_left == 0 {
            self.ending = Some(Ending::Length);
            return ControlFlow::Break(());
        }
        self.tokens_left -= 1;
        let solid = piece.trim_end().len();
        if solid > 0 {
            let ready = std::mem::take(&mut self.white) + &piece[..solid];
            self.pass(&ready);
        }
        self.white.push_str(&piece[solid..]);
        if self.ending.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Ends the text.
    pub(crate) fn finish(mut self) -> Ending {
        if self.ending.is_none() || self.ending == Some(Ending::Length) {
            let held = std::mem::take(&mut self.held);
            self.emit(held.trim_end());
        }
        self.ending.unwrap_or(Ending::Stop)
    }

    fn pass(&mut self, ready: &str) {
        self.held.push_str(ready);
        let stops = || {
            self.stop
                .iter()
                .map(String::as_str)
                .filter(|stop| !stop.is_empty())
        };
        if let Some(end) = stops().filter_map(|stop| self.held.find(stop)).min() {
            self.held.truncate(end);
            let last = std::mem::take(&mut self.held);
            self.emit(last.trim_end());
            self.ending.get_or_insert(Ending::Stop);
            return;
        }
        // After the last token nothing can complete a stop string, and no further piece may leave.
        let keep = if self.tokens_left == 0 {
            0
        } else {
            let overlaps = stops().map(|stop| overlap(&self.held, stop));
            overlaps.max().unwrap_or(0)
        };
        // White space before what is held back must wait with it.
        let free = self.held[..self.held.len() - keep].trim_end().len();
        let rest = self.held.split_off(free);
        let leaving = std::mem::replace(&mut self.held, rest);
        self.emit(&leaving);
    }

    fn emit(&mut self, text: &str) {
        if !text.is_empty() && (self.sink)(text).is_break() {
            self.ending = Some(Ending::Cancelled);
        }
    }
}

/// The length of the longest end of `text` that a proper start of `stop` equals.
fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices()
        .map(|(end, _)| end)
        .rfind(|&end| text.ends_with(&stop[..end]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(pieces: &[&str], max_tokens: usize, stop: &[&str]) -> (Vec<String>, Ending) {
        let stop: Vec<String> = stop.iter().map(|&stop| stop.to_owned()).collect();
        let mut out = Vec::new();
        let mut sink = |piece: &str| {
            out.push(piece.to_owned());
            ControlFlow::Continue(())
        };
        let mut outlet = Outlet::new(
            &Limits {
                max_tokens,
                stop: &stop,
            },
            &mut sink,
        );
        for piece in pieces {
            if outlet.push(piece).is_break() {
                break;
            }
        }
        let ending = outlet.finish();
        (out, ending)
    }

    #[test]
    fn the_start_of_a_stop_string_leaves_with_the_last_token() {
        assert_eq!(run(&["x.a", "b"], 1, &["a;"]).0, ["x.a"]);
        assert_eq!(run(&["x.a", "b"], 2, &["a;"]).0, ["x.", "ab"]);
        assert_eq!(run(&["x.a"], 9, &["a;"]).0, ["x.", "a"]);
    }

    #[test]
    fn pieces_pass() {
        assert_eq!(
            run(&["a", " b", "\n  ", "c"], 9, &[]).0,
            ["a", " b", "\n  c"]
        );
        assert_eq!(
            run(&["a", "\n  "], 9, &[]),
            (vec!["a".to_owned()], Ending::Stop)
        );
        assert_eq!(run(&[" ", "\n"], 9, &[]), (vec![], Ending::Stop));
    }

    #[test]
    fn stop_strings_never_leave() {
        assert_eq!(
            run(&["a", "b", "c"], 9, &["bc"]),
            (vec!["a".to_owned()], Ending::Stop)
        );
        assert_eq!(run(&["a", "b", "d"], 9, &["bc"]).0.concat(), "abd");
        assert_eq!(run(&["a", "b"], 9, &["bc"]).0.concat(), "ab");
        assert_eq!(run(&["a", "\n", "b"], 9, &["\n"]).0.concat(), "a");
        assert_eq!(run(&["a", "b"], 9, &["", "a"]), (vec![], Ending::Stop));
        assert_eq!(run(&["aab"], 9, &["ab", "aab"]), (vec![], Ending::Stop));
    }

    #[test]
    fn the_length_is_kept() {
        assert_eq!(
            run(&["a", "b", "c"], 2, &[]),
            (vec!["a".into(), "b".into()], Ending::Length)
        );
        assert_eq!(run(&["a", "b"], 2, &[]).1, Ending::Stop);
        assert_eq!(run(&["a"], 0, &[]), (vec![], Ending::Length));
    }

    #[test]
    fn nothing_leaves_after_a_break() {
        let mut count = 0;
        let mut sink = |_: &str| {
            count += 1;
            ControlFlow::Break(())
        };
        let mut outlet = Outlet::new(
            &Limits {
                max_tokens: 9,
                stop: &[],
            },
            &mut sink,
        );
        assert!(outlet.push("a").is_break());
        assert!(outlet.push("b").is_break());
        assert_eq!(outlet.finish(), Ending::Cancelled);
        assert_eq!(count, 1);
    }

    proptest! {
        #[test]
        fn the_text_is_what_stands_before_the_first_stop(
            pieces in prop::collection::vec("[ab é\n]{0,4}", 0..12),
            stop in prop::collection::vec("[ab é\n]{1,3}", 0..3),
        ) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let stops: Vec<&str> = stop.iter().map(String::as_str).collect();
            let (out, _) = run(&pieces, usize::MAX, &stops);
            let whole = pieces.concat();
            let whole = whole.trim_end();
            let end = stops.iter().filter_map(|stop| whole.find(stop)).min().unwrap_or(whole.len());
            prop_assert_eq!(out.concat(), whole[..end].trim_end());
            prop_assert!(out.iter().all(|piece| !piece.is_empty()));
        }
    }
}
