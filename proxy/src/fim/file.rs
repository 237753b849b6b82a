//! Which file a prompt is about, and which other files it quotes.

use super::family::FimTemplate;

/// The name of the file that the cursor is in, as far as the prompt tells.
///
/// Looks, in this order, for a file separator at the very end of `header`, for `CodeGeeX`'s `###PATH:`
/// line, for Codestral's `+++++ name` line, and for a comment in the first lines of `prefix` that is a
/// path (Continue), `Path: name` (Cody) or `File uri: name` (Twinny).
pub fn file_named_in(header: &str, prefix: &str) -> Option<String> {
    let in_header = trailing_separator(header)
        .or_else(|| trailing_line(header, "+++++ "))
        .or_else(|| last_line(header, "###PATH:"));
    in_header
        .or_else(|| comment_path(prefix))
        .map(str::to_owned)
}

/// Cuts the files that Codestral's clients quote, and the line that names the file itself, off the
/// front of `prefix`. They begin with a `+++++ name` line each.
pub fn split_files(prefix: &str) -> (&str, &str) {
    if !prefix.starts_with("+++++ ") {
        return ("", prefix);
    }
    let last = prefix.rfind("\n+++++ ").map_or(0, |at| at + 1);
    let line = prefix[last..].find('\n');
    prefix.split_at(line.map_or(prefix.len(), |at| last + at + 1))
}

/// The files that `header` quotes, as (name, text), in order; text before the first separator has an
/// empty name. Separators of every family are understood.
pub fn sections(header: &str) -> Vec<(String, String)> {
    let mut found = vec![(String::new(), String::new())];
    let mut rest = header;
    while let Some((before, after)) = split_at_separator(rest) {
        push_text(&mut found, before);
        let (name, text) = after.split_once('\n').unwrap_or((after, ""));
        found.push((name.trim().to_owned(), String::new()));
        rest = text;
    }
    push_text(&mut found, rest);
    found.retain(|(_, text)| !text.trim().is_empty());
    found
}

fn push_text(found: &mut [(String, String)], text: &str) {
    if let Some((_, last)) = found.last_mut() {
        last.push_str(&super::strip_tokens(text));
    }
}

fn split_at_separator(text: &str) -> Option<(&str, &str)> {
    let by_token =
        separators().filter_map(|separator| text.find(separator).map(|at| (at, separator.len())));
    let by_plus = if text.starts_with("+++++ ") {
        Some(0)
    } else {
        text.find("\n+++++ ").map(|at| at + 1)
    };
    let (at, length) = by_token
        .chain(by_plus.map(|at| (at, "+++++ ".len())))
        .min()?;
    Some((&text[..at], &text[at + length..]))
}

fn separators() -> impl Iterator<Item = &'static str> {
    FimTemplate::ALL
        .into_iter()
        .filter_map(|family| family.spelling().separator)
        .chain(["<filename>"])
}

fn trailing_separator(header: &str) -> Option<&str> {
    let (at, length) = separators()
        .filter_map(|separator| header.rfind(separator).map(|at| (at, separator.len())))
        .max()?;
    only_line(&header[at + length..])
}

fn trailing_line<'a>(header: &'a str, mark: &str) -> Option<&'a str> {
    let at = header.rfind(mark)?;
    if at > 0 && !header[..at].ends_with('\n') {
        return None;
    }
    only_line(&header[at + mark.len()..])
}

/// The first line of `text`, where nothing but white space follows it.
fn only_line(text: &str) -> Option<&str> {
    let name = text.trim();
    (looks_like_path(name) && !name.contains('\n')).then_some(name)
}

fn last_line<'a>(header: &'a str, mark: &str) -> Option<&'a str> {
    let name = header
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix(mark))?
        .trim();
    (!name.is_empty()).then_some(name)
}

/// The last path among the comment lines that open `prefix`.
fn comment_path(prefix: &str) -> Option<&str> {
    let opening = prefix.lines().take(COMMENT_LINES).map(str::trim);
    opening
        .take_while(|line| line.is_empty() || comment(line).is_some())
        .filter_map(|line| path_of(comment(line)?))
        .last()
}

/// The text of a comment line, without its marks.
fn comment(line: &str) -> Option<&str> {
    let mark = COMMENT_MARKS
        .into_iter()
        .find(|mark| line.starts_with(mark))?;
    let text = line[mark.len()..].trim_start_matches(['/', '#', '-', '*', ';']);
    Some(text.trim_end_matches("*/").trim_end_matches("-->").trim())
}

fn path_of(comment: &str) -> Option<&str> {
    for label in ["Path:", "File uri:", "File:"] {
        if let Some(named) = comment.strip_prefix(label) {
            return named.split_whitespace().next();
        }
    }
    looks_like_path(comment).then_some(comment)
}

/// One word of path characters with an extension or a directory.
fn looks_like_path(text: &str) -> bool {
    let plain = |character: char| character.is_alphanumeric() || "/\\._-+@:~".contains(character);
    let extension = text.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty()
            && (1..=8).contains(&extension.len())
            && extension.chars().all(char::is_alphanumeric)
    });
    !text.is_empty()
        && text.len() <= 512
        && text.chars().all(plain)
        && (extension || text.contains('/'))
}

const COMMENT_MARKS: [&str; 8] = ["//", "#", "--", "/*", "<!--", ";", "%", "\""];
/// Continue puts its snippets, as comments, before the line that names the file.
const COMMENT_LINES: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, prefix: &str, expected: Option<&str>) {
        assert_eq!(
            file_named_in(header, prefix).as_deref(),
            expected,
            "{header:?} {prefix:?}"
        );
    }

    #[test]
    fn the_file_is_found_where_each_client_puts_it() {
        check("", "\n# calc.py\ndef add(a, b):", Some("calc.py"));
        check(
            "",
            "// src/other.ts\n// const a = 1\n// src/main.ts\nconst b = ",
            Some("src/main.ts"),
        );
        check("", "// Path: lib/a.dart\nvoid main() {", Some("lib/a.dart"));
        check("", "<!-- index.html -->\n<p>", Some("index.html"));
        check(
            "",
            "# language: python\n# indentation: use 4 spaces for a tab\nx = ",
            None,
        );
        check(
            "<|repo_name|>r\n<|file_sep|>a.py\nx = 1\n<|file_sep|>src/b.py\n",
            "y = ",
            Some("src/b.py"),
        );
        check("<|file_sep|>a.py\nx = 1\n", "y = ", None);
        check(
            "###REFERENCE:\n###PATH:a.py\nx\n\n###PATH:b.py\n###LANGUAGE:Python\n",
            "y = ",
            Some("b.py"),
        );
        check("+++++ a.py\nx = 1\n\n+++++ b.py\n", "y = ", Some("b.py"));
        check("", "def f():\n    # calc.py\n    pass", None);
    }

    #[test]
    fn a_header_is_cut_into_its_files() {
        let header = "// loose\n<|repo_name|>r\n<|file_sep|>a.py\nx = 1\n<file_sep>b.py\ny = 2\n+++++ c.py\nz\n";
        let found = sections(header);
        let names: Vec<_> = found
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("", "// loose\nr\n"),
                ("a.py", "x = 1\n"),
                ("b.py", "y = 2\n"),
                ("c.py", "z\n")
            ]
        );
        assert!(sections("").is_empty());
    }
}
