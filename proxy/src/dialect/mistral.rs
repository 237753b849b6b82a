//! `POST /v1/fim/completions` of Mistral: prefix and suffix in, an answer in the shape of a chat out.

use serde::Deserialize;

use crate::config::{Config, ROUTED};
use crate::dialect::body::{Stop, check_sampling, place_cursor, read};
use crate::dialect::chat::Chat;
use crate::dialect::{ApiError, Decoded};
use crate::request::CompletionRequest;

#[derive(Debug, Deserialize)]
struct Body {
    model: Option<String>,
    prompt: String,
    suffix: Option<String>,
    max_tokens: Option<u32>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    stop: Option<Stop>,
    stream: Option<bool>,
    random_seed: Option<u64>,
    user: Option<String>,
}

/// Decodes a body.
///
/// # Errors
///
/// 400, naming the field at fault.
pub fn decode(body: &[u8], config: &Config) -> Result<Decoded, ApiError> {
    let body: Body = read(body)?;
    check_sampling(body.temperature, body.top_p)?;
    let max_tokens = body.max_tokens.unwrap_or(config.server.max_tokens);
    let mut request = CompletionRequest {
        model: body.model.unwrap_or_else(|| ROUTED.to_owned()),
        max_tokens: max_tokens.min(config.server.max_tokens_limit),
        temperature: body.temperature,
        top_p: body.top_p,
        seed: body.random_seed,
        stop: Stop::texts(body.stop)?,
        n: 1,
        stream: body.stream.unwrap_or(false),
        user: body.user.filter(|user| !user.is_empty()),
        ..CompletionRequest::default()
    };
    place_cursor(&mut request, body.prompt, body.suffix);
    let dialect = Box::new(Chat::of_mistral());
    Ok(Decoded { request, dialect })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse("", &|_| None).unwrap()
    }

    #[test]
    fn reads_both_sides_of_the_cursor() {
        let body = br#"{"model":"codestral-latest","prompt":"def f(","suffix":"):","max_tokens":4096,"stop":"\n\n",
            "stream":true,"random_seed":7,"min_tokens":1}"#;
        let request = decode(body, &config()).unwrap().request;
        assert_eq!(
            (request.prefix.as_str(), request.suffix.as_str()),
            ("def f(", "):")
        );
        assert_eq!(
            (request.max_tokens, request.seed, request.stream),
            (1024, Some(7), true)
        );
        assert_eq!(request.stop, ["\n\n"]);
    }

    #[test]
    fn quoted_files_are_context() {
        let body = br#"{"prompt":"+++++ a.py\nx = 1\n\n+++++ b.py\ny = ","suffix":""}"#;
        let request = decode(body, &config()).unwrap().request;
        assert_eq!(
            (request.prefix.as_str(), request.file.as_deref()),
            ("y = ", Some("b.py"))
        );
        assert_eq!(request.header_context, "+++++ a.py\nx = 1\n\n+++++ b.py\n");
        assert_eq!(request.language.as_deref(), Some("python"));
    }

    #[test]
    fn a_prompt_may_go_without_suffix_and_model() {
        let request = decode(br#"{"prompt":"x"}"#, &config()).unwrap().request;
        assert_eq!(
            (request.model.as_str(), request.suffix.as_str()),
            ("echo", "")
        );
    }

    #[test]
    fn names_the_field_at_fault() {
        for (body, param) in [
            (r#"{"model":"m"}"#, "prompt"),
            (r#"{"prompt":["x"]}"#, "prompt"),
            (r#"{"prompt":"x","temperature":9}"#, "temperature"),
        ] {
            let error = decode(body.as_bytes(), &config()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
        }
    }
}
