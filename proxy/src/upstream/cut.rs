//! Ending a text where the model starts to write its template's tokens.
//!
//! Servers stop at some of them, not at all, and clients strip or show them: none may get out.

use std::collections::VecDeque;

use futures_util::StreamExt;
use futures_util::stream;

use super::error::UpstreamError;
use super::{Ending, Piece, PieceStream};
use crate::fim::{FimTemplate, stop_tokens};

/// `answer` with every choice ended before the first stop token of `template` in it; as it is
/// without a template. The end of a text that could become a token is held back until it is clear.
/// Once every choice has ended in this way the rest is not read.
pub(super) fn at_stop_tokens(
    answer: PieceStream,
    template: Option<FimTemplate>,
    n: u32,
) -> PieceStream {
    let Some(template) = template else {
        return answer;
    };
    let texts = (0..n.max(1)).map(|_| Tail::default()).collect();
    let cutter = Cutter {
        answer,
        tokens: stop_tokens(template),
        texts,
        ready: VecDeque::new(),
    };
    Box::pin(stream::unfold(cutter, |mut cutter| async {
        Some((cutter.next().await?, cutter))
    }))
}

struct Cutter {
    answer: PieceStream,
    tokens: &'static [&'static str],
    texts: Vec<Tail>,
    ready: VecDeque<Piece>,
}

/// A choice's text that has not been passed on.
#[derive(Debug, Default)]
struct Tail {
    held: String,
    /// A token was met.
    cut: bool,
}

impl Cutter {
    async fn next(&mut self) -> Option<Result<Piece, UpstreamError>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            if self.texts.iter().all(|text| text.cut) {
                return None;
            }
            match self.answer.next().await? {
                Ok(piece) => self.take(piece),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Text { choice, text } => self.text(choice, &text),
            Piece::End { choice, ending } => self.end(choice, ending),
            usage @ Piece::Usage { .. } => self.ready.push_back(usage),
        }
    }

    fn text(&mut self, choice: u32, text: &str) {
        let Some(tail) = self.texts.get_mut(choice as usize).filter(|tail| !tail.cut) else {
            return;
        };
        tail.held.push_str(text);
        let token = self
            .tokens
            .iter()
            .filter_map(|token| tail.held.find(token))
            .min();
        let pass = token.unwrap_or_else(|| tail.held.len() - undecided(&tail.held, self.tokens));
        let text: String = tail.held.drain(..pass).collect();
        tail.cut = token.is_some();
        if !text.is_empty() {
            self.ready.push_back(Piece::Text { choice, text });
        }
        if token.is_some() {
            self.ready.push_back(Piece::End {
                choice,
                ending: Ending::Stop,
            });
        }
    }

    fn end(&mut self, choice: u32, ending: Ending) {
        let Some(tail) = self.texts.get_mut(choice as usize).filter(|tail| !tail.cut) else {
            return;
        };
        let text = std::mem::take(&mut tail.held);
        if !text.is_empty() {
            self.ready.push_back(Piece::Text { choice, text });
        }
        self.ready.push_back(Piece::End { choice, ending });
    }
}

/// Bytes at the end of `text` that are the beginning of a token. A token's first character comes only
/// once in it, so the last one of the text decides.
fn undecided(text: &str, tokens: &[&str]) -> usize {
    let longest = tokens.iter().map(|token| token.len()).max().unwrap_or(0);
    let mut from = text.len().saturating_sub(longest);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let begins = |(at, _): &(usize, char)| {
        tokens
            .iter()
            .any(|token| token.starts_with(&text[from + at..]))
    };
    text[from..]
        .char_indices()
        .find(begins)
        .map_or(0, |(at, _)| text.len() - from - at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn cut(pieces: Vec<Piece>, n: u32) -> Vec<Piece> {
        let answer: PieceStream = Box::pin(stream::iter(pieces.into_iter().map(Ok)));
        block_on(
            at_stop_tokens(answer, Some(FimTemplate::Qwen), n)
                .map(Result::unwrap)
                .collect(),
        )
    }

    fn text(choice: u32, text: &str) -> Piece {
        Piece::Text {
            choice,
            text: text.into(),
        }
    }

    fn end(choice: u32, ending: Ending) -> Piece {
        Piece::End { choice, ending }
    }

    #[test]
    fn a_token_ends_its_choice_and_only_that() {
        let answer = vec![
            text(0, "a<|fim"),
            text(1, "x < y"),
            text(0, "_prefix|>b"),
            text(0, "c"),
            end(0, Ending::Length),
            end(1, Ending::Length),
        ];
        let expected = [
            text(0, "a"),
            text(1, "x < y"),
            end(0, Ending::Stop),
            end(1, Ending::Length),
        ];
        assert_eq!(cut(answer, 2), expected);
    }

    #[test]
    fn what_only_begins_like_a_token_is_passed_on() {
        let answer = vec![
            text(0, "if a <"),
            text(0, "| b"),
            text(0, " <|"),
            end(0, Ending::Stop),
        ];
        assert_eq!(
            cut(answer, 1),
            [
                text(0, "if a "),
                text(0, "<| b"),
                text(0, " "),
                text(0, "<|"),
                end(0, Ending::Stop)
            ]
        );
    }

    #[test]
    fn the_rest_is_not_read_once_all_is_cut() {
        let after: PieceStream =
            Box::pin(stream::iter([Ok(text(0, "a<|endoftext|>"))]).chain(stream::pending()));
        let pieces: Vec<_> = block_on(at_stop_tokens(after, Some(FimTemplate::Qwen), 1).collect());
        assert_eq!(pieces, [Ok(text(0, "a")), Ok(end(0, Ending::Stop))]);
    }

    proptest! {
        #[test]
        fn the_text_is_cut_at_the_first_token_however_it_comes(
            pieces in proptest::collection::vec("(<|\\||fim_prefix|>|<\\|endoftext\\|>|é|a){1,3}", 0..8)
        ) {
            let whole = pieces.concat();
            let at = stop_tokens(FimTemplate::Qwen).iter().filter_map(|token| whole.find(token)).min();
            let mut answer: Vec<_> = pieces.iter().map(|piece| text(0, piece)).collect();
            answer.push(end(0, Ending::Length));
            let found = cut(answer, 1);
            let said: String = found.iter().filter_map(|piece| if let Piece::Text { text, .. } = piece { Some(text.as_str()) } else { None }).collect();
            prop_assert_eq!(said.as_str(), &whole[..at.unwrap_or(whole.len())]);
            prop_assert_eq!(found.last().unwrap(), &end(0, if at.is_some() { Ending::Stop } else { Ending::Length }));
        }
    }
}
