//! Language, file and kind of client of a request, from what editors write above the code.

use echo_model::Language;

use crate::request::CompletionRequest;

/// Fills in language, file and kind of client where the text itself says them, and takes the lines that say so
/// out of the prefix.
///
/// minuet opens its prompt with `# language: python` and a line on indentation, by which it is known: it asks by
/// `curl`, as others do. Continue puts a
/// comment with the file's name before the code. A language that is still unknown comes from the
/// file's name.
pub fn read_header(request: &mut CompletionRequest) {
    take_minuet_header(request);
    if request.file.is_none() {
        take_file_comment(request);
    }
    by_file(request);
}

/// Takes the language from the file's name where nothing else says it.
pub fn by_file(request: &mut CompletionRequest) {
    if request.language.is_none() {
        let known = request.file.as_deref().map(Language::of_path);
        request.language = known
            .filter(|l| *l != Language::Other)
            .map(|l| l.as_str().to_owned());
    }
}

fn take_minuet_header(request: &mut CompletionRequest) {
    let Some((first, rest)) = request.prefix.split_once('\n') else {
        return;
    };
    let Some((_, name)) = first.split_once("language: ") else {
        return;
    };
    let name = name.trim_end_matches(COMMENT_ENDS).trim();
    if !is_comment(first) || name.is_empty() || name.contains(char::is_whitespace) {
        return;
    }
    let (is_minuet, rest) = match rest.split_once('\n') {
        Some((second, code)) if is_comment(second) && second.contains("indentation: ") => {
            (true, code)
        }
        _ => (false, rest),
    };
    let (name, rest) = (name.to_lowercase(), rest.to_owned());
    request.language.get_or_insert(name);
    request.client = is_minuet.then_some("minuet");
    request.prefix = rest;
}

fn take_file_comment(request: &mut CompletionRequest) {
    let Some((first, rest)) = request
        .prefix
        .strip_prefix('\n')
        .and_then(|text| text.split_once('\n'))
    else {
        return;
    };
    let name = first
        .trim_start_matches(COMMENT_STARTS)
        .trim_end_matches(COMMENT_ENDS)
        .trim();
    let one_word = !name.is_empty() && !name.contains(char::is_whitespace);
    if is_comment(first) && one_word && Language::of_path(name) != Language::Other {
        let (name, rest) = (name.to_owned(), rest.to_owned());
        request.file = Some(name);
        request.prefix = rest;
    }
}

const COMMENT_STARTS: [char; 8] = ['#', '/', '-', '*', ';', '%', '<', '!'];
const COMMENT_ENDS: [char; 5] = ['*', '/', '-', '>', ' '];

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(COMMENT_STARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_editors_write() {
        let cases = [
            (
                "# language: python\n# indentation: use 4 spaces for a tab\nx = 1",
                Some("python"),
                None,
                "x = 1",
            ),
            ("// language: rust\nfn f", Some("rust"), None, "fn f"),
            (
                "\n# calc.py\ndef f",
                Some("python"),
                Some("calc.py"),
                "def f",
            ),
            (
                "\n// src/main.rs\nfn f",
                Some("rust"),
                Some("src/main.rs"),
                "fn f",
            ),
            ("\n# a comment\ndef f", None, None, "\n# a comment\ndef f"),
            ("x = 'language: c'\ny", None, None, "x = 'language: c'\ny"),
        ];
        for (prefix, language, file, code) in cases {
            let mut request = CompletionRequest {
                prefix: prefix.to_owned(),
                ..CompletionRequest::default()
            };
            read_header(&mut request);
            assert_eq!(request.language.as_deref(), language, "{prefix:?}");
            assert_eq!(request.file.as_deref(), file, "{prefix:?}");
            assert_eq!(request.prefix, code, "{prefix:?}");
            let is_minuet = prefix.contains("indentation");
            assert_eq!(request.client.is_some(), is_minuet, "{prefix:?}");
        }
    }
}
