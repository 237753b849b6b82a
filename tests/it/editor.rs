//! A scripted editor: one file that grows line by line, and one right text for each line.
//!
//! It takes a proposal when it is the right text, and writes the right text by hand when it is not. It
//! says nothing of that to the server: its next request shows the file as it stands.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::Client;
use crate::upstream::{Asked, Reply};

/// One user's editor.
pub(crate) struct Editor {
    client: Client,
    language: &'static str,
    document: String,
    line: usize,
    /// What was done with each proposal: its arm, and whether it was taken.
    pub(crate) done: BTreeMap<String, (String, bool)>,
}

impl Editor {
    /// An editor with an empty file.
    pub(crate) fn new(client: &Client, user: &str, language: &'static str) -> Self {
        let client = client
            .user(user)
            .with("x-echo-file", &format!("{user}.{language}"));
        Self {
            client,
            language,
            document: format!("# the file of {user}\n"),
            line: 0,
            done: BTreeMap::new(),
        }
    }

    /// Asks for the next line, and takes what is proposed or writes the line by hand.
    pub(crate) async fn step(&mut self) {
        let answer = self.client.complete(&self.request()).await;
        let right = right_line(self.line, self.language);
        let proposal = answer.completion();
        let taken = proposal == right;
        assert!(taken || proposal == WRONG, "nobody said {proposal:?}");
        assert_eq!(answer.header("x-echo-logged"), "1");
        self.done.insert(
            answer.decision(),
            (answer.header("x-echo-arm").to_owned(), taken),
        );
        self.document.push_str(&cue(self.line, self.language));
        self.document.push_str(&right);
        self.document.push('\n');
        self.line += 1;
    }

    fn request(&self) -> Value {
        json!({"model": "echo", "prompt": format!("{}{}", self.document, cue(self.line, self.language))})
    }
}

/// What stands before the cursor on the line that is asked for, so that an upstream knows which it is.
fn cue(line: usize, language: &str) -> String {
    format!("# {language} {line}\n")
}

/// What the user means to write in a line.
fn right_line(line: usize, language: &str) -> String {
    format!("{language}_total_{line} = combine(first_{line}, second_{line}, \"{language} {line}\")")
}

/// What nobody means to write.
const WRONG: &str = "while False or never: pass  # no such thing";

/// An upstream that is always wrong.
pub(crate) fn always_wrong(_: &Asked) -> Reply {
    Reply::says([WRONG])
}

/// An upstream that is always right in one language, or in every one, and else wrong.
pub(crate) fn right_in(language: Option<&'static str>) -> impl Fn(&Asked) -> Reply {
    move |asked| {
        let prompt = asked.body["prompt"].as_str().unwrap();
        let cue = prompt.trim_end().rsplit("# ").next().unwrap();
        let (asked_language, line) = cue.split_once(' ').unwrap();
        if language.is_some_and(|only| only != asked_language) {
            return Reply::says([WRONG]);
        }
        Reply::says([right_line(line.parse().unwrap(), asked_language).as_str()])
    }
}
