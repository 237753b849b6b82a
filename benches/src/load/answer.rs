use std::time::{Duration, Instant};

/// An answer as it comes in, read as far as a load generator needs it.
#[derive(Debug)]
pub(super) struct Answer {
    begun: Instant,
    bytes: Vec<u8>,
    head: Option<Head>,
    first_byte: Option<Duration>,
    last_byte: Duration,
    longest_gap: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    bytes: usize,
    status: u16,
    /// Whether `x-echo-logged` says so, where there is one.
    logged: Option<bool>,
    /// Bytes of the body; `None` when it comes in chunks.
    length: Option<usize>,
}

/// What is no answer of a server under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Answer {
    /// Waits for the answer to a request that is sent now.
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            bytes: Vec::with_capacity(BUFFER_BYTES),
            head: None,
            first_byte: None,
            last_byte: Duration::ZERO,
            longest_gap: Duration::ZERO,
        }
    }

    /// Forgets the answer and waits for the next one.
    pub(super) fn restart(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        *self = Self {
            bytes,
            ..Self::new()
        };
    }

    /// Takes bytes that have come. Returns whether the answer is complete.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the bytes are no answer, or one without a length.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        let now = self.begun.elapsed();
        self.bytes.extend_from_slice(bytes);
        if self.head.is_none() {
            self.head = head(&self.bytes)?;
        }
        let Some(head) = self.head else {
            return Ok(false);
        };
        if self.bytes.len() > head.bytes {
            match self.first_byte {
                None => self.first_byte = Some(now),
                Some(_) => {
                    self.longest_gap = self.longest_gap.max(now.saturating_sub(self.last_byte));
                }
            }
            self.last_byte = now;
        }
        let body = &self.bytes[head.bytes..];
        Ok(match head.length {
            Some(length) => body.len() >= length,
            // JSON holds no bare carriage return, so this stands at the end of the chunks only.
            None => body.ends_with(LAST_CHUNK),
        })
    }

    /// The status; 0 before the head is complete.
    pub(super) fn status(&self) -> u16 {
        self.head.map_or(0, |head| head.status)
    }

    /// False when the answer says that its decision was not on disk in time.
    pub(super) fn is_logged(&self) -> bool {
        self.head.and_then(|head| head.logged).unwrap_or(true)
    }

    /// Time to the first byte of the body.
    pub(super) fn first_byte(&self) -> Duration {
        self.first_byte.unwrap_or(self.last_byte)
    }

    /// Time to the last byte.
    pub(super) fn total(&self) -> Duration {
        self.last_byte
    }

    /// The longest time between two arrivals of bytes of the body.
    pub(super) fn longest_gap(&self) -> Duration {
        self.longest_gap
    }

    /// The body as far as it has come, with the chunks' sizes in it.
    pub(super) fn body(&self) -> &[u8] {
        self.head.map_or(&[], |head| &self.bytes[head.bytes..])
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}

const BUFFER_BYTES: usize = 16_384;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Headers that an answer may have.
const HEADERS: usize = 32;

fn head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let read = match response.parse(bytes) {
        Ok(httparse::Status::Complete(read)) => read,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed),
    };
    let status = response.code.ok_or(Malformed)?;
    let value = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let length = match (value("content-length"), value("transfer-encoding")) {
        (Some(length), None) => Some(length.parse().map_err(|_| Malformed)?),
        (None, Some("chunked")) => None,
        _ => return Err(Malformed),
    };
    Ok(Some(Head {
        bytes: read,
        status,
        logged: value("x-echo-logged").map(|flag| flag == "1"),
        length,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &str) -> Result<bool, Malformed> {
        let mut answer = Answer::new();
        let mut last = Ok(false);
        for byte in text.as_bytes() {
            assert_ne!(last, Ok(true), "{text:?} is complete too early");
            last = answer.push(&[*byte]);
            if last.is_err() {
                break;
            }
        }
        last
    }

    #[test]
    fn an_answer_ends_where_its_length_or_its_last_chunk_says() {
        assert_eq!(
            complete("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
            Ok(true)
        );
        assert_eq!(
            complete("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}"),
            Ok(false)
        );
        assert_eq!(
            complete("HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n"),
            Ok(true)
        );
        let chunked =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na\n\n\r\n0\r\n\r\n";
        assert_eq!(complete(chunked), Ok(true));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert_eq!(complete("nonsense\r\n\r\n"), Err(Malformed));
        assert_eq!(complete("HTTP/1.1 200 OK\r\n\r\n"), Err(Malformed));
    }

    #[test]
    fn the_log_s_word_is_read() {
        for (header, logged) in [
            ("x-echo-logged: 0\r\n", false),
            ("X-Echo-Logged: 1\r\n", true),
            ("", true),
        ] {
            let mut answer = Answer::new();
            let text = format!("HTTP/1.1 200 OK\r\n{header}content-length: 0\r\n\r\n");
            assert_eq!(answer.push(text.as_bytes()), Ok(true));
            assert_eq!(answer.is_logged(), logged);
        }
    }
}
