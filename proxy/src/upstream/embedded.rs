//! A completion model inside this process.

use std::ops::ControlFlow;
use std::sync::Arc;

use echo_model::{CompletionModel, Limits, Prompt};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::error::UpstreamError;
use super::{Ask, Ending, Piece, PieceStream};
use crate::request::CompletionRequest;

/// Runs `model` on a thread that may block. Its pieces come through a channel that holds
/// [`PIECES`] of them: a slow reader holds the model up, a reader that leaves makes it stop at its
/// next piece. A panic of the model ends the stream with [`UpstreamError::Panicked`].
pub(super) fn open(
    model: Arc<dyn CompletionModel>,
    ask: &Ask,
    request: Arc<CompletionRequest>,
) -> PieceStream {
    let max_tokens = ask.max_tokens(&request);
    let choices = request.n.max(1);
    let (sender, texts) = mpsc::channel(PIECES);
    let task = tokio::task::spawn_blocking(move || {
        complete(model.as_ref(), &request, max_tokens, &sender)
    });
    let running = Running {
        texts,
        task: Task(task),
        step: Step::Text(String::new(), choices),
        choices,
    };
    Box::pin(stream::unfold(Some(running), |state| async {
        let mut running = state?;
        match running.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(running))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

/// Pieces between the model and the reader.
const PIECES: usize = 32;

fn complete(
    model: &dyn CompletionModel,
    request: &CompletionRequest,
    max_tokens: u32,
    texts: &mpsc::Sender<String>,
) -> echo_model::Ending {
    let prompt = Prompt {
        prefix: &request.prefix,
        suffix: &request.suffix,
        language: request.language.as_deref(),
        file: request.file.as_deref(),
        user: request.user.as_deref().unwrap_or(""),
    };
    let limits = Limits {
        max_tokens: max_tokens as usize,
        stop: &request.stop,
    };
    model.complete(
        &prompt,
        &limits,
        &mut |text| match texts.blocking_send(text.to_owned()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_gone) => ControlFlow::Break(()),
        },
    )
}

struct Running {
    texts: mpsc::Receiver<String>,
    task: Task,
    step: Step,
    choices: u32,
}

/// What is being said, and to which choice next.
enum Step {
    Text(String, u32),
    End(Ending, u32),
}

impl Running {
    async fn next(&mut self) -> Result<Option<Piece>, UpstreamError> {
        loop {
            match &mut self.step {
                Step::Text(text, choice) if *choice < self.choices => {
                    let piece = Piece::Text {
                        choice: *choice,
                        text: text.clone(),
                    };
                    *choice += 1;
                    return Ok(Some(piece));
                }
                Step::Text(..) => self.step = self.following().await?,
                Step::End(ending, choice) if *choice < self.choices => {
                    let piece = Piece::End {
                        choice: *choice,
                        ending: *ending,
                    };
                    *choice += 1;
                    return Ok(Some(piece));
                }
                Step::End(..) => return Ok(None),
            }
        }
    }

    async fn following(&mut self) -> Result<Step, UpstreamError> {
        while let Some(text) = self.texts.recv().await {
            if !text.is_empty() {
                return Ok(Step::Text(text, 0));
            }
        }
        match (&mut self.task.0).await {
            Ok(echo_model::Ending::Stop) => Ok(Step::End(Ending::Stop, 0)),
            Ok(echo_model::Ending::Length) => Ok(Step::End(Ending::Length, 0)),
            Ok(echo_model::Ending::Cancelled) => Err(UpstreamError::Interrupted),
            Err(_panic) => Err(UpstreamError::Panicked),
        }
    }
}

/// Takes a run that has not begun out of the queue when its reader leaves.
struct Task(JoinHandle<echo_model::Ending>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use std::sync::Mutex;
    use std::sync::mpsc as std_mpsc;

    /// Says its words, then does what it is told.
    struct Script {
        words: Vec<&'static str>,
        ending: Option<echo_model::Ending>,
        /// Told how the model's last sink call was answered.
        seen: Mutex<Option<std_mpsc::Sender<bool>>>,
    }

    impl CompletionModel for Script {
        fn kind(&self) -> &'static str {
            "script"
        }

        fn complete(
            &self,
            _: &Prompt,
            _: &Limits,
            sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
        ) -> echo_model::Ending {
            for word in self.words.iter().cycle().take(
                if self.seen.lock().is_ok_and(|seen| seen.is_some()) {
                    usize::MAX
                } else {
                    self.words.len()
                },
            ) {
                if sink(word).is_break() {
                    if let Ok(Some(seen)) = self.seen.lock().as_deref() {
                        let _ = seen.send(true);
                    }
                    return echo_model::Ending::Cancelled;
                }
            }
            self.ending.unwrap_or_else(|| panic!("a model's mistake"))
        }
    }

    fn request(n: u32) -> Arc<CompletionRequest> {
        Arc::new(CompletionRequest {
            n,
            max_tokens: 8,
            ..Default::default()
        })
    }

    fn script(words: Vec<&'static str>, ending: Option<echo_model::Ending>) -> Arc<Script> {
        Arc::new(Script {
            words,
            ending,
            seen: Mutex::new(None),
        })
    }

    #[tokio::test]
    async fn every_choice_gets_the_models_text() {
        let stream = open(
            script(vec!["a", "", "b"], Some(echo_model::Ending::Length)),
            &Ask::default(),
            request(2),
        );
        let pieces: Vec<_> = stream
            .map(|piece| piece.map_err(|error| error.to_string()))
            .collect()
            .await;
        let text = |choice, text: &str| {
            Ok(Piece::Text {
                choice,
                text: text.into(),
            })
        };
        let end = |choice| {
            Ok(Piece::End {
                choice,
                ending: Ending::Length,
            })
        };
        assert_eq!(
            pieces,
            [
                text(0, "a"),
                text(1, "a"),
                text(0, "b"),
                text(1, "b"),
                end(0),
                end(1)
            ]
        );
    }

    #[tokio::test]
    async fn silence_is_an_answer() {
        let stream = open(
            script(vec![], Some(echo_model::Ending::Stop)),
            &Ask::default(),
            request(1),
        );
        assert_eq!(
            stream.collect::<Vec<_>>().await,
            [Ok(Piece::End {
                choice: 0,
                ending: Ending::Stop
            })]
        );
    }

    #[tokio::test]
    async fn a_panic_is_an_error_after_the_text_before_it() {
        let stream = open(script(vec!["a"], None), &Ask::default(), request(1));
        let pieces: Vec<_> = stream.collect().await;
        assert_eq!(
            pieces,
            [
                Ok(Piece::Text {
                    choice: 0,
                    text: "a".into()
                }),
                Err(UpstreamError::Panicked)
            ]
        );
    }

    #[tokio::test]
    async fn a_reader_that_leaves_stops_the_model() {
        let (sender, stopped) = std_mpsc::channel();
        let endless = Arc::new(Script {
            words: vec!["a"],
            ending: None,
            seen: Mutex::new(Some(sender)),
        });
        let mut stream = open(endless, &Ask::default(), request(1));
        assert!(stream.next().await.is_some());
        drop(stream);
        let told = tokio::task::spawn_blocking(move || stopped.recv()).await;
        assert!(matches!(told, Ok(Ok(true))));
    }
}
