//! Server-sent events (HTML Living Standard, section 9.2), as far as completion servers use them.

use bytes::{Bytes, BytesMut};

use super::error::UpstreamError;
use super::lines::{EVENT_BYTES, Lines, TOO_LONG};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its data lines, joined by line ends.
    pub data: Bytes,
    /// It has the type `error`, or came in the field `error:` that older llama.cpp servers use.
    pub error: bool,
}

/// Collects bytes and gives out complete events.
#[derive(Debug, Default)]
pub(super) struct Events {
    lines: Lines,
    data: BytesMut,
    fields: usize,
    error: bool,
    begun: bool,
}

impl Events {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    /// The next complete event. Comments are skipped.
    ///
    /// # Errors
    ///
    /// An event above 1 MiB, a line that is no field.
    pub(super) fn next_event(&mut self) -> Result<Option<Event>, UpstreamError> {
        while let Some(line) = self.lines.next_line()? {
            if let Some(event) = self.line(&line)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The last event, where the stream ended without the blank line after it.
    pub(super) fn last_event(&mut self) -> Result<Option<Event>, UpstreamError> {
        let rest = self.lines.rest();
        if !rest.is_empty() {
            self.line(&rest)?;
        }
        Ok(self.dispatch())
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Event>, UpstreamError> {
        let line = if self.begun {
            line
        } else {
            line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
        };
        self.begun = true;
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.append(value)?,
            b"error" => {
                self.error = true;
                self.append(value)?;
            }
            b"event" => self.error = value == b"error",
            b"" | b"id" | b"retry" => {}
            _ => {
                return Err(UpstreamError::Protocol(
                    "a line of the event stream is no field",
                ));
            }
        }
        Ok(None)
    }

    fn append(&mut self, value: &[u8]) -> Result<(), UpstreamError> {
        if self.data.len() + value.len() > EVENT_BYTES {
            return Err(TOO_LONG);
        }
        if self.fields > 0 {
            self.data.extend_from_slice(b"\n");
        }
        self.fields += 1;
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Event> {
        let error = std::mem::take(&mut self.error);
        let empty = std::mem::take(&mut self.fields) == 0;
        let data = self.data.split().freeze();
        (!empty).then_some(Event { data, error })
    }
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &str, expected: &[(&str, bool)]) {
        for size in 1..=stream.len().max(1) {
            let mut events = Events::default();
            let mut found = Vec::new();
            for bytes in stream.as_bytes().chunks(size) {
                events.push(bytes);
                while let Some(event) = events.next_event().unwrap() {
                    found.push(event);
                }
            }
            found.extend(events.last_event().unwrap());
            let found: Vec<_> = found
                .iter()
                .map(|event| (std::str::from_utf8(&event.data).unwrap(), event.error))
                .collect();
            assert_eq!(found, expected, "{stream:?} in pieces of {size}");
        }
    }

    #[test]
    fn events_are_read_however_the_bytes_come() {
        check(
            "data: {\"a\":1}\n\ndata: [DONE]\n\n",
            &[("{\"a\":1}", false), ("[DONE]", false)],
        );
        check("\u{feff}data:x\r\n\r\n", &[("x", false)]);
        check(
            ": ping\n\n: ping\nid: 7\nretry: 3\ndata: é\ndata:\u{20}漢\n\n",
            &[("é\n漢", false)],
        );
        check(
            "event: error\ndata: bad\n\ndata: good\n\n",
            &[("bad", true), ("good", false)],
        );
        check("error: {\"code\":500}\n\n", &[("{\"code\":500}", true)]);
        check("data: without an end", &[("without an end", false)]);
        check("data\n\n", &[("", false)]);
        check("", &[]);
    }

    #[test]
    fn a_line_that_is_no_field_is_refused() {
        let mut events = Events::default();
        events.push(b"<html>\n");
        assert!(matches!(
            events.next_event(),
            Err(UpstreamError::Protocol(_))
        ));
    }

    #[test]
    fn data_without_a_blank_line_is_bounded() {
        let mut events = Events::default();
        let line = format!("data: {}\n", "x".repeat(1000));
        let refused = (0..2000).any(|_| {
            events.push(line.as_bytes());
            events.next_event() == Err(TOO_LONG)
        });
        assert!(refused);
    }
}
