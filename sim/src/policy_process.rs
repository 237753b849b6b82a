//! A policy that is another program: asked by one line of JSON a decision, it answers by one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A running program that gives every arm a probability.
///
/// It is started by `sh -c`, and reads a line such as
///
/// ```json
/// {"row": 7, "arms": ["a", "b"], "context": {"x_0": 1.0, "language": "rust"}}
/// ```
///
/// from its standard input for every decision. It must answer each with one line on its standard output, flushed: a list of
/// the arms' probabilities in their order, or an object of probabilities by arm, of which those left out are 0. They must
/// sum to 1. What it writes to its standard error is shown. It may be asked about rows in any order.
#[derive(Debug)]
pub struct PolicyProcess {
    command: String,
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// `None` once it is told that nothing more comes.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Why it is not asked any more.
    failed: Option<String>,
}

/// What it is asked.
#[derive(Debug, Serialize)]
pub(crate) struct Asked<'a> {
    pub(crate) row: u64,
    pub(crate) arms: &'a [String],
    pub(crate) context: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    InOrder(Vec<f64>),
    ByArm(Map<String, Value>),
}

impl PolicyProcess {
    /// Starts the program.
    ///
    /// # Errors
    /// In words, if it cannot be started.
    pub fn start(command: &str) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{command:?} cannot be started: {error}");
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let questions = child.stdin.take();
        let answers = child.stdout.take();
        let answers = answers.ok_or_else(|| format!("{command:?} has no output"))?;
        Ok(Self {
            command: command.to_owned(),
            running: Mutex::new(Running {
                child,
                questions,
                answers: BufReader::new(answers),
                failed: None,
            }),
        })
    }

    /// The probability of each arm.
    ///
    /// # Errors
    /// In words, if it has ended, or its answer is none. It is not asked again after that.
    pub(crate) fn probabilities(&self, asked: &Asked<'_>) -> Result<Vec<f64>, String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failed) = &running.failed {
            return Err(failed.clone());
        }
        let answered = running.ask(asked);
        answered.map_err(|what| {
            let failed = format!("{:?}, asked about row {}: {what}", self.command, asked.row);
            running.failed = Some(failed.clone());
            failed
        })
    }
}

impl Running {
    fn ask(&mut self, asked: &Asked<'_>) -> Result<Vec<f64>, String> {
        let mut line = serde_json::to_string(asked).map_err(|error| error.to_string())?;
        line.push('\n');
        let questions = self.questions.as_mut().ok_or("it has ended")?;
        let sent = questions.write_all(line.as_bytes());
        sent.and_then(|()| questions.flush())
            .map_err(|error| format!("it takes no more questions: {error}"))?;
        let mut answer = String::new();
        let read = self.answers.read_line(&mut answer);
        if read.map_err(|error| error.to_string())? == 0 {
            return Err("it has ended without an answer".to_owned());
        }
        read_answer(&answer, asked.arms)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Most programs end when nothing more comes; the others are ended.
        drop(self.questions.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read_answer(line: &str, arms: &[String]) -> Result<Vec<f64>, String> {
    let shown = || line.trim_end().chars().take(80).collect::<String>();
    let answer: Answer = serde_json::from_str(line).map_err(|_| {
        format!(
            "its answer {:?} is neither a list of probabilities nor an object of them",
            shown()
        )
    })?;
    let probabilities = match answer {
        Answer::InOrder(probabilities) => probabilities,
        Answer::ByArm(by_arm) => {
            if let Some(unknown) = by_arm.keys().find(|arm| !arms.contains(arm)) {
                return Err(format!(
                    "its answer names an arm {unknown:?} that there is not"
                ));
            }
            let of = |arm: &String| by_arm.get(arm).map_or(Some(0.0), Value::as_f64);
            let all: Option<Vec<f64>> = arms.iter().map(of).collect();
            all.ok_or_else(|| format!("its answer {:?} holds what is no number", shown()))?
        }
    };
    if probabilities.len() != arms.len() {
        return Err(format!(
            "its answer has {} probabilities for {} arms",
            probabilities.len(),
            arms.len()
        ));
    }
    let sum: f64 = probabilities.iter().sum();
    let are_probabilities = probabilities.iter().all(|p| (0.0..=1.0).contains(p));
    if !are_probabilities || (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(format!(
            "its answer {:?} is no distribution: every probability must be in [0, 1], and their sum 1",
            shown()
        ));
    }
    Ok(probabilities.iter().map(|p| p / sum).collect())
}

/// Programs write few digits.
const SUM_TOLERANCE: f64 = 1e-4;

#[cfg(test)]
mod tests {
    use super::*;

    fn arms() -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    fn asked(arms: &[String], row: u64) -> Asked<'_> {
        Asked {
            row,
            arms,
            context: Map::new(),
        }
    }

    #[test]
    fn a_program_is_asked_line_by_line() {
        // The first arm for even rows, by name; the second for odd ones, by place.
        let program = r#"while read -r line; do
            case "$line" in *'"row":2,'*) echo '{"a": 1}';; *) echo '[0.25, 0.75]';; esac
        done"#;
        let process = PolicyProcess::start(program).unwrap();
        let arms = arms();
        assert_eq!(process.probabilities(&asked(&arms, 2)), Ok(vec![1.0, 0.0]));
        assert_eq!(
            process.probabilities(&asked(&arms, 3)),
            Ok(vec![0.25, 0.75])
        );
    }

    #[test]
    fn what_is_no_answer_says_why_and_ends_the_questions() {
        for (program, complaint) in [
            ("exit 3", "ended without an answer"),
            ("read -r line; echo yes", "neither a list"),
            ("read -r line; echo '[1]'", "1 probabilities for 2 arms"),
            ("read -r line; echo '[0.5, 0.6]'", "no distribution"),
            ("read -r line; echo '[-1, 2]'", "no distribution"),
            ("read -r line; echo '{\"c\": 1}'", "names an arm \"c\""),
            ("read -r line; echo '{\"a\": \"1\"}'", "no number"),
        ] {
            let process = PolicyProcess::start(program).unwrap();
            let arms = arms();
            let failed = process.probabilities(&asked(&arms, 1)).unwrap_err();
            let is_expected = failed.contains(complaint)
                || (program == "exit 3" && failed.contains("takes no more questions"));
            assert!(is_expected, "{program}: {failed}");
            assert_eq!(process.probabilities(&asked(&arms, 2)), Err(failed));
        }
    }
}
