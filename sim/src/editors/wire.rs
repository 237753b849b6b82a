use serde_json::{Value, json};
use std::fmt;

/// One completion request, as the `OpenAI` completions interface has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) suffix: &'a str,
    pub(crate) user: &'a str,
    pub(crate) stream: bool,
    /// Language and path, from editors that send them.
    pub(crate) file: Option<(&'a str, &'a str)>,
}

impl Ask<'_> {
    pub(crate) fn body(&self, model: &str) -> Value {
        json!({
            "model": model,
            "prompt": self.prefix,
            "suffix": self.suffix,
            "max_tokens": MAX_TOKENS,
            "stream": self.stream,
            "user": self.user,
        })
    }
}

const MAX_TOKENS: u32 = 64;

/// What an answer's body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The `id` field.
    pub(crate) id: String,
    /// Text of the first choice.
    pub(crate) text: String,
}

/// Why an answer cannot be read. Holds no text of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WireError {
    NotJson,
    NoChoice,
    Server(String),
    EndsEarly,
    TooLong,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the answer is not JSON"),
            Self::NoChoice => f.write_str("the answer has no choices"),
            Self::Server(kind) => write!(f, "the server reports an error of type {kind}"),
            Self::EndsEarly => f.write_str("the stream ends without [DONE]"),
            Self::TooLong => write!(f, "the answer is longer than {ANSWER_BYTES_MAX} bytes"),
        }
    }
}

/// Longest answer an editor reads, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Reads a whole JSON answer.
pub(crate) fn from_json(body: &[u8]) -> Result<Answer, WireError> {
    let mut answer = Answer::default();
    take_object(body, &mut answer)?;
    Ok(answer)
}

/// Reads an answer in server-sent events, piece by piece.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    line: Vec<u8>,
    bytes: usize,
    done: bool,
    answer: Answer,
}

impl EventStream {
    /// Takes the next bytes as they came.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.bytes += bytes.len();
        if self.bytes > ANSWER_BYTES_MAX {
            return Err(WireError::TooLong);
        }
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.take_line(&line)?;
            } else {
                self.line.push(byte);
            }
        }
        Ok(())
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// The answer, once the stream has ended.
    pub(crate) fn finish(self) -> Result<Answer, WireError> {
        if self.done {
            Ok(self.answer)
        } else {
            Err(WireError::EndsEarly)
        }
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), WireError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Comments, event names and blank lines carry no text.
        let Some(data) = line.strip_prefix(b"data:") else {
            return Ok(());
        };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        take_object(data, &mut self.answer)
    }
}

fn take_object(bytes: &[u8], answer: &mut Answer) -> Result<(), WireError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| WireError::NotJson)?;
    if let Some(error) = value.get("error") {
        let kind = error
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("unknown");
        return Err(WireError::Server(kind.to_owned()));
    }
    let choices = value.get("choices").and_then(Value::as_array);
    let choices = choices.ok_or(WireError::NoChoice)?;
    if let Some(id) = value.get("id").and_then(Value::as_str) {
        id.clone_into(&mut answer.id);
    }
    // A last chunk with usage alone has no choice.
    let first = choices
        .iter()
        .find(|choice| choice.get("index").is_none_or(|index| index == 0));
    if let Some(text) = first
        .and_then(|choice| choice.get("text"))
        .and_then(Value::as_str)
    {
        answer.text.push_str(text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_answer_is_its_first_choice() {
        let body = br#"{"id":"cmpl-7","choices":[{"index":1,"text":"b"},{"index":0,"text":"a"}]}"#;
        let answer = from_json(body).unwrap();
        assert_eq!((answer.id.as_str(), answer.text.as_str()), ("cmpl-7", "a"));
    }

    #[test]
    fn bad_answers_are_named() {
        assert_eq!(from_json(b"<html>"), Err(WireError::NotJson));
        assert_eq!(from_json(b"{}"), Err(WireError::NoChoice));
        assert_eq!(
            from_json(br#"{"error":{"message":"m","type":"server_error"}}"#),
            Err(WireError::Server("server_error".to_owned()))
        );
        assert_eq!(
            EventStream::default().push(&vec![b' '; ANSWER_BYTES_MAX + 1]),
            Err(WireError::TooLong)
        );
    }

    #[test]
    fn a_stream_reads_the_same_however_it_is_cut() {
        let body = ": hello\r\n\r\ndata: {\"id\":\"cmpl-7\",\"choices\":[{\"index\":0,\"text\":\"né\"}]}\r\n\r\n\
            data: {\"id\":\"cmpl-7\",\"choices\":[{\"text\":\"e\"}]}\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n";
        for size in 1..40 {
            let mut stream = EventStream::default();
            for piece in body.as_bytes().chunks(size) {
                stream.push(piece).unwrap();
            }
            assert!(stream.is_done());
            let answer = stream.finish().unwrap();
            assert_eq!(
                (answer.id.as_str(), answer.text.as_str()),
                ("cmpl-7", "née")
            );
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_no_answer() {
        let mut stream = EventStream::default();
        stream
            .push(b"data: {\"choices\":[{\"text\":\"a\"}]}\n\n")
            .unwrap();
        assert_eq!(stream.finish(), Err(WireError::EndsEarly));
        let mut stream = EventStream::default();
        assert!(
            stream
                .push(b"data: {\"error\":{\"type\":\"upstream\"}}\n")
                .is_err()
        );
    }
}
