//! Cutting a byte stream into lines.

use bytes::{Buf, Bytes, BytesMut};

use super::error::UpstreamError;

/// Collects bytes and gives out complete lines, without their `\n` or `\r\n`. A code point that came
/// in two pieces is whole again in its line. (A lone `\r` as line end, which SSE allows and no server
/// writes, is text.)
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: BytesMut,
    searched: usize,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete line.
    ///
    /// # Errors
    ///
    /// A line above [`EVENT_BYTES`].
    pub(super) fn next_line(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let Some(step) = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
        else {
            self.searched = self.buffer.len();
            return if self.buffer.len() > EVENT_BYTES {
                Err(TOO_LONG)
            } else {
                Ok(None)
            };
        };
        let end = self.searched + step;
        self.searched = 0;
        if end > EVENT_BYTES {
            return Err(TOO_LONG);
        }
        let mut line = self.buffer.split_to(end);
        self.buffer.advance(1);
        if line.ends_with(b"\r") {
            line.truncate(line.len() - 1);
        }
        Ok(Some(line.freeze()))
    }

    /// What is left when no more bytes come: a line whose end is missing.
    pub(super) fn rest(&mut self) -> Bytes {
        self.searched = 0;
        self.buffer.split().freeze()
    }
}

/// Largest line, event or whole JSON answer that is read, in bytes.
pub(super) const EVENT_BYTES: usize = 1 << 20;

pub(super) const TOO_LONG: UpstreamError = UpstreamError::Protocol("an event is longer than 1 MiB");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_above_the_limit_is_refused_whether_it_ends_or_not() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; EVENT_BYTES]);
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"x");
        assert_eq!(lines.next_line(), Err(TOO_LONG));
        let mut ended = Lines::default();
        ended.push(&[vec![b'x'; EVENT_BYTES + 1], b"\n".to_vec()].concat());
        assert_eq!(ended.next_line(), Err(TOO_LONG));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_come(texts in proptest::collection::vec("[^\r\n]{0,12}", 0..8), cuts in proptest::collection::vec(1usize..9, 1..40), crlf: bool) {
            let end = if crlf { "\r\n" } else { "\n" };
            let whole: String = texts.iter().flat_map(|text| [text, end]).collect();
            let (mut lines, mut found, mut rest) = (Lines::default(), Vec::new(), whole.as_bytes());
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                rest = later;
                lines.push(now);
                while let Some(line) = lines.next_line().unwrap() {
                    found.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            prop_assert_eq!(found, texts);
            prop_assert!(lines.rest().is_empty());
        }
    }
}
