//! What the bodies of several dialects have in common.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::dialect::ApiError;
use crate::fim::{self, hole};
use crate::language;
use crate::request::CompletionRequest;

/// Reads a body that is one JSON object; unknown fields are let pass.
///
/// # Errors
///
/// 400, naming the field at fault.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if let Ok(read) = serde_json::from_slice(body) {
        return Ok(read);
    }
    // What is at fault is looked for only now: to keep track of where one reads takes as long as reading.
    let mut json = serde_json::Deserializer::from_slice(body);
    let read =
        serde_path_to_error::deserialize(&mut json).map_err(|e| ApiError::wrong_field(&e))?;
    json.end()
        .map_err(|_| ApiError::invalid(None, "There is something after the JSON object."))?;
    Ok(read)
}

/// Texts that end an answer, as one or a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Stop {
    One(String),
    Many(Vec<String>),
}

impl Stop {
    /// The texts, without empty ones.
    ///
    /// # Errors
    ///
    /// 400 for too many.
    pub(super) fn texts(stop: Option<Self>) -> Result<Vec<String>, ApiError> {
        let texts = match stop {
            None => Vec::new(),
            Some(Self::One(text)) => vec![text],
            Some(Self::Many(texts)) => texts,
        };
        if texts.len() > STOPS {
            let message = format!("`stop` has more than {STOPS} texts.");
            return Err(ApiError::invalid(Some("stop"), message));
        }
        Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
    }
}

/// Texts that may end an answer: editors send more than the four of `OpenAI`'s own server.
const STOPS: usize = 32;

/// A streamed answer's further wishes, as `OpenAI` has them.
#[derive(Debug, Deserialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
}

impl StreamOptions {
    /// Whether a streamed answer ends with its usage.
    pub(super) fn usage(options: Option<Self>) -> bool {
        options.and_then(|o| o.include_usage).unwrap_or(false)
    }
}

/// How many alternatives are asked for in the field `param`.
///
/// # Errors
///
/// 400 for none or too many.
pub(super) fn alternatives(param: &str, n: Option<u32>, config: &Config) -> Result<u32, ApiError> {
    let (n, most) = (n.unwrap_or(1), config.server.alternatives_limit);
    if n == 0 || n > most {
        let message = format!("`{param}` is {n}, and must be from 1 to {most}.");
        return Err(ApiError::invalid(Some(param), message));
    }
    Ok(n)
}

/// # Errors
///
/// 400 for a sampling parameter outside of what it may be.
pub(super) fn check_sampling(temperature: Option<f64>, top_p: Option<f64>) -> Result<(), ApiError> {
    in_range("temperature", temperature, 0.0, 2.0)?;
    in_range("top_p", top_p, 0.0, 1.0)
}

fn in_range(param: &str, value: Option<f64>, least: f64, most: f64) -> Result<(), ApiError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            let message = format!("`{param}` is {value}, and must be from {least} to {most}.");
            Err(ApiError::invalid(Some(param), message))
        }
        _ => Ok(()),
    }
}

/// Tokens asked for; below 0, as llama.cpp and Ollama have it, means as many as there may be.
pub(super) fn tokens(asked: Option<i64>, config: &Config) -> u32 {
    let asked = match asked {
        None | Some(..0) => config.server.max_tokens,
        Some(n) => u32::try_from(n).unwrap_or(u32::MAX),
    };
    asked.min(config.server.max_tokens_limit)
}

/// Finds both sides of the cursor, the file and the language. The prefix is what stands before the
/// cursor: `prompt` as it is, or the fill-in template inside it where no suffix is sent. Tells whether
/// there was one.
pub(super) fn place_cursor(
    request: &mut CompletionRequest,
    prompt: String,
    suffix: Option<String>,
) -> bool {
    let fills_in = match suffix {
        Some(suffix) => {
            take_quoted_files(request, prompt);
            request.suffix = suffix;
            true
        }
        None => take_template(request, prompt),
    };
    language::read_header(request);
    fills_in
}

/// Continue and Zed quote other files to a server of Codestral as its template has them.
fn take_quoted_files(request: &mut CompletionRequest, prompt: String) {
    let (quoted, prefix) = fim::split_files(&prompt);
    if quoted.is_empty() {
        request.prefix = prompt;
        return;
    }
    request.file = fim::file_named_in(quoted, "");
    quoted.clone_into(&mut request.header_context);
    prefix.clone_into(&mut request.prefix);
}

fn take_template(request: &mut CompletionRequest, prompt: String) -> bool {
    if let Some((prefix, suffix)) = hole::find(&prompt) {
        request.prefix = prefix;
        request.suffix = suffix;
    } else if let Some(parsed) = fim::parse(&prompt) {
        request.prefix = parsed.prefix;
        request.suffix = parsed.suffix;
        request.header_context = parsed.header_context;
        request.file = parsed.file;
    } else {
        request.prefix = prompt;
        return false;
    }
    true
}

/// Other files that a client sends along, as context: the form of [`fim::sections`].
pub(super) fn quoted<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut context = String::new();
    for (name, text) in files {
        if text.trim().is_empty() {
            continue;
        }
        let name = name.lines().next().unwrap_or_default();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        context.extend(["<|file_sep|>", name, "\n", text, end]);
    }
    context
}
