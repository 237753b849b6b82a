//! Reading an answer that is no success.

use reqwest::Response;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use super::error::UpstreamError;
use crate::request::CompletionRequest;

/// What `response` says, without any word that holds one of the `private` ones.
pub(super) async fn read(
    mut response: Response,
    private: &[&str],
    request: &CompletionRequest,
) -> UpstreamError {
    let status = response.status().as_u16();
    let retry_after_s = retry_after_s(response.headers());
    let should_retry = match response
        .headers()
        .get("x-should-retry")
        .map(HeaderValue::as_bytes)
    {
        Some(b"true") => Some(true),
        Some(b"false") => Some(false),
        _ => None,
    };
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        body.extend_from_slice(&bytes);
        if body.len() > ERROR_BYTES {
            break;
        }
    }
    // What a server says of the key that it was given may tell which it is.
    let said = if matches!(status, 401 | 403) {
        String::new()
    } else {
        said(&body)
    };
    let message = fit_for_clients(&said, private, request);
    UpstreamError::Status {
        status,
        retry_after_s,
        should_retry,
        message,
    }
}

/// `said` in one line, cut, without words that are addresses or look like keys; nothing at all when
/// it repeats the prompt.
fn fit_for_clients(said: &str, private: &[&str], request: &CompletionRequest) -> String {
    let said: String = said.chars().take(MESSAGE_CHARS).collect();
    if repeats(&said, request) {
        return String::new();
    }
    let words = said.split_whitespace().map(|word| {
        if is_private(word, private) {
            "[hidden]"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_private(word: &str, private: &[&str]) -> bool {
    let bare = word.trim_matches(|character: char| !character.is_ascii_alphanumeric());
    let long = bare.len() >= KEY_CHARS && bare.bytes().any(|byte| byte.is_ascii_digit());
    long || word.contains("://")
        || bare.starts_with("sk-")
        || private.iter().any(|text| word.contains(text))
}

/// `retry-after-ms`, else `Retry-After` in seconds or as a date, which is read against the answer's
/// own `Date`: both are the upstream's clock.
fn retry_after_s(headers: &HeaderMap) -> Option<u32> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return whole_seconds(milliseconds / 1000.0);
    }
    let after = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = after.parse::<f64>() {
        return whole_seconds(seconds);
    }
    let (until, now) = (
        httpdate::parse_http_date(after).ok()?,
        httpdate::parse_http_date(text(DATE.as_str())?).ok()?,
    );
    whole_seconds(until.duration_since(now).unwrap_or_default().as_secs_f64())
}

fn whole_seconds(seconds: f64) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be in range"
    )]
    (0.0..=RETRY_AFTER_S)
        .contains(&seconds)
        .then(|| seconds.ceil() as u32)
}

/// The message of an error body: `error.message`, `error`, `message`, `detail` or the first
/// `detail[].msg`, whichever is there.
fn said(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
        return String::new();
    };
    [
        "/error/message",
        "/error",
        "/message",
        "/detail",
        "/detail/0/msg",
    ]
    .into_iter()
    .find_map(|path| value.pointer(path)?.as_str())
    .unwrap_or_default()
    .to_owned()
}

/// Whether `said` holds a run of the user's text.
fn repeats(said: &str, request: &CompletionRequest) -> bool {
    let starts: Vec<usize> = said
        .char_indices()
        .map(|(at, _)| at)
        .chain([said.len()])
        .collect();
    let texts = [&request.prefix, &request.suffix, &request.header_context];
    starts
        .windows(QUOTE_CHARS + 1)
        .map(|window| &said[window[0]..window[QUOTE_CHARS]])
        .any(|run| !run.trim().is_empty() && texts.iter().any(|text| text.contains(run)))
}

/// Bytes of an error's body that are read.
const ERROR_BYTES: usize = 64 << 10;
/// Characters of an upstream's message that are passed on.
const MESSAGE_CHARS: usize = 300;
/// A run of this many characters of the prompt in a message is a quotation of it.
const QUOTE_CHARS: usize = 16;
/// A word this long with a digit in it may be a key.
const KEY_CHARS: usize = 24;
/// A day: more is no answer to when to come back.
const RETRY_AFTER_S: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_every_form() {
        let check = |pairs: &[(&'static str, &'static str)], expected| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(retry_after_s(&headers), expected, "{pairs:?}");
        };
        check(&[("retry-after", "7")], Some(7));
        check(&[("retry-after", "0.2")], Some(1));
        check(&[("retry-after", "7"), ("retry-after-ms", "1500")], Some(2));
        check(
            &[
                ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"),
                ("date", "Fri, 31 Dec 1999 23:59:29 GMT"),
            ],
            Some(30),
        );
        check(
            &[
                ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"),
                ("date", "Sat, 01 Jan 2000 00:00:00 GMT"),
            ],
            Some(0),
        );
        for nonsense in ["soon", "-1", "NaN", "1e99", ""] {
            check(&[("retry-after", nonsense)], None);
        }
        check(&[], None);
    }

    #[test]
    fn messages_lose_addresses_keys_and_quotations() {
        let private = ["backend.internal", "k3y"];
        let request = CompletionRequest {
            prefix: "let password = \"hunter2 of mine\";".into(),
            ..Default::default()
        };
        let check = |said: &str, expected: &str| {
            assert_eq!(
                fit_for_clients(said, &private, &request),
                expected,
                "{said}"
            );
        };
        check(
            "max_tokens must be  at most 100",
            "max_tokens must be at most 100",
        );
        check(
            "see https://x.y/z or (backend.internal:8000)",
            "see [hidden] or [hidden]",
        );
        check(
            "key k3y and sk-abc and AAAABBBBCCCCDDDD1111222233334444",
            "key [hidden] and [hidden] and [hidden]",
        );
        check("bad input: let password = \"hunter2 of mine\";", "");
        assert_eq!(
            fit_for_clients(&"é ".repeat(400), &private, &request)
                .chars()
                .count(),
            299
        );
    }

    #[test]
    fn the_message_is_found_in_the_errors_of_each_server() {
        for (body, expected) in [
            (r#"{"error":{"message":"a","code":400}}"#, "a"),
            (r#"{"error":"b"}"#, "b"),
            (r#"{"object":"error","message":"c"}"#, "c"),
            (r#"{"detail":"d"}"#, "d"),
            (
                r#"{"detail":[{"loc":["body"],"msg":"e","input":"secret"}]}"#,
                "e",
            ),
            ("<html>", ""),
            ("", ""),
        ] {
            assert_eq!(said(body.as_bytes()), expected);
        }
    }
}
