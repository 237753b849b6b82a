/// Closing brackets that an editor with automatic pairs has put right of the cursor.
///
/// `typed` is the current line left of the cursor, `coming` the rest of the line as it is meant. An
/// opening bracket counts if it is closed on this line: the closers in their order. Brackets in strings
/// are not told apart, as in plain editors.
pub(crate) fn auto_closed(typed: &str, coming: &str) -> String {
    let mut open: Vec<char> = Vec::new();
    for c in typed.chars() {
        match c {
            '(' | '[' | '{' => open.push(closer(c)),
            ')' | ']' | '}' if open.last() == Some(&c) => {
                open.pop();
            }
            _ => {}
        }
    }
    let mut closers = String::new();
    let mut depth: usize = 0;
    for c in coming.chars().take_while(|&c| c != '\n') {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ')' | ']' | '}' if open.last() == Some(&c) => {
                open.pop();
                closers.push(c);
            }
            _ => {}
        }
    }
    closers
}

fn closer(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

#[cfg(test)]
mod tests {
    use super::auto_closed;

    #[test]
    fn only_what_closes_on_the_line() {
        for (typed, coming, expected) in [
            ("print(", "x)\n", ")"),
            ("f(a[", "i], g(b)) {\n  }\n", "])"),
            ("if x {", "\n}", ""),
            ("f(a)", ";", ""),
            ("", ")", ""),
            ("(", "]", ""),
        ] {
            assert_eq!(auto_closed(typed, coming), expected, "{typed}|{coming}");
        }
    }
}
