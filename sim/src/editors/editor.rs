use crate::editors::client::{Client, Failure, Reply, Report};
use crate::editors::mood::Mood;
use crate::editors::page::{Mistake, Page};
use crate::editors::script::{Passage, SourceDocument, next_pause};
use crate::editors::taste::Taste;
use crate::editors::truth::{EditorEvent, Truth};
use crate::editors::verdict::Verdict;
use crate::editors::wire::Ask;
use crate::random::Random;
use echo_reward::Fate;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One simulated user at work.
pub(crate) struct Editor<'a, F> {
    pub(crate) user: String,
    pub(crate) taste: Taste,
    pub(crate) random: Random,
    pub(crate) documents: Vec<&'a SourceDocument>,
    pub(crate) client: &'a Client,
    pub(crate) tempo: Tempo,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) started: Instant,
    /// Answers after which the user stops.
    pub(crate) quota: Option<u64>,
    pub(crate) on: &'a F,
    pub(crate) progress: Progress,
}

/// How simulated time passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tempo {
    pub(crate) pace: f64,
    pub(crate) patience_floor: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Simulated seconds since the run began, waiting for answers left out.
    clock_s: f64,
    answers: u64,
    failures_in_a_row: u32,
}

/// Why a user lays a page down.
enum Leave {
    /// They walked away from it.
    Away,
    /// The run is over for them.
    Over,
}

impl<'a, F: Fn(EditorEvent) + Send + Sync> Editor<'a, F> {
    /// Writes passage after passage until the run is stopped, the quota is used up or the server fails
    /// too often in a row.
    pub(crate) async fn run(mut self) {
        while let Some((document, passage)) = self.next_passage() {
            if let Err(Leave::Over) = self.write(document, &passage).await {
                break;
            }
        }
        (self.on)(EditorEvent::Finished {
            user: self.user.clone(),
            answers: self.progress.answers,
        });
    }

    fn next_passage(&mut self) -> Option<(&'a SourceDocument, Passage)> {
        let at = self.random.below(self.documents.len());
        let document = *self.documents.get(at)?;
        let passage = Passage::draw(document, &self.taste, &mut self.random)?;
        Some((document, passage))
    }

    async fn write(&mut self, document: &SourceDocument, passage: &Passage) -> Result<(), Leave> {
        let mut page = Page::open(document, passage);
        while !page.is_finished() {
            self.type_on(&mut page).await?;
            self.correct(&mut page, self.progress.clock_s).await?;
            if page.is_finished() {
                break;
            }
            self.wait(self.taste.debounce_s).await?;
            match self.ask(document, &page).await? {
                Some((reply, latency)) => {
                    self.consider(document, &mut page, &reply, latency).await?;
                }
                None => continue,
            }
            if self
                .quota
                .is_some_and(|quota| self.progress.answers >= quota)
            {
                return Err(Leave::Over);
            }
        }
        // Nobody leaves a page with known mistakes.
        self.correct(&mut page, f64::INFINITY).await
    }

    async fn type_on(&mut self, page: &mut Page) -> Result<(), Leave> {
        let (meant, at) = page.meant();
        let to = next_pause(meant, at, &self.taste, &mut self.random);
        let chars = page.type_to(to);
        self.wait(chars as f64 * self.taste.key_s).await?;
        let user = self.user.clone();
        (self.on)(EditorEvent::Typed { user, chars });
        Ok(())
    }

    /// Asks for a completion; `None` if there is no answer to look at.
    async fn ask(
        &mut self,
        document: &SourceDocument,
        page: &Page,
    ) -> Result<Option<(Reply, Duration)>, Leave> {
        let patience = self.patience();
        let suffix = page.suffix(self.taste.auto_pairs);
        let ask = Ask {
            prefix: page.prefix(),
            suffix: &suffix,
            user: &self.user,
            stream: self.taste.stream,
            file: self
                .taste
                .sends_file
                .then_some((document.language.as_str(), document.path.as_str())),
        };
        let asked = Instant::now();
        let answer = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Leave::Over),
            answer = self.client.complete(&ask) => answer,
            () = sleep(patience) => {
                let user = self.user.clone();
                (self.on)(EditorEvent::Abandoned { user });
                return Ok(None);
            }
        };
        match answer {
            Ok(reply) => {
                self.progress.failures_in_a_row = 0;
                self.progress.answers += 1;
                Ok(Some((reply, asked.elapsed())))
            }
            Err(failure) => self.fail(&failure).await.map(|()| None),
        }
    }

    /// Real time until the user types on; `None` for ever.
    fn patience(&mut self) -> Option<Duration> {
        let hurried = self.random.chance(HURRY);
        let share = if hurried {
            0.1
        } else {
            self.random.between(0.5, 1.5)
        };
        let real = self.tempo.real(self.taste.patience_s * share)?;
        Some(real.max(self.tempo.patience_floor))
    }

    async fn consider(
        &mut self,
        document: &SourceDocument,
        page: &mut Page,
        reply: &Reply,
        latency: Duration,
    ) -> Result<(), Leave> {
        let mood = Mood::draw(&mut self.random, &self.taste);
        // Editors show no trailing white space.
        let shown = reply.text.trim_end();
        if shown.is_empty() {
            self.tell(document, reply, &unseen(Fate::NeverShown), latency);
            return Ok(());
        }
        self.report(reply, "shown", None, None).await?;
        if mood.leaves {
            self.tell(document, reply, &unseen(Fate::Censored), latency);
            self.wait(mood.away_s).await?;
            return Err(Leave::Away);
        }
        let verdict = Verdict::of_mood(shown, page.rest(), &self.taste, &mood);
        let reading_s = if verdict.is_taken() {
            mood.taking_s
        } else {
            mood.passing_s
        };
        self.wait(reading_s).await?;
        self.tell(document, reply, &verdict, latency);
        self.act(page, reply, shown, &verdict, &mood).await
    }

    async fn act(
        &mut self,
        page: &mut Page,
        reply: &Reply,
        shown: &str,
        verdict: &Verdict,
        mood: &Mood,
    ) -> Result<(), Leave> {
        let taken = &shown[..verdict.taken_bytes];
        match verdict.fate {
            Fate::Rejected => return self.report(reply, "rejected", None, None).await,
            Fate::Undone => {
                self.report(reply, "accepted", Some(taken), None).await?;
                self.wait(mood.undoing_s).await?;
                return self.report(reply, "edited", None, Some("")).await;
            }
            Fate::Partial => self.report(reply, "partial", Some(taken), None).await?,
            Fate::Accepted | Fate::Refined => {
                self.report(reply, "accepted", Some(shown), None).await?;
            }
            _ => return Ok(()),
        }
        let due_s = self.progress.clock_s + mood.correcting_s;
        page.take(&reply.decision, taken, verdict.meant_bytes, due_s);
        Ok(())
    }

    /// Corrects what is due at `now_s`.
    async fn correct(&mut self, page: &mut Page, now_s: f64) -> Result<(), Leave> {
        for mistake in page.correct(now_s) {
            self.wait(self.taste.edit_keys * self.taste.key_s).await?;
            self.report_edit(&mistake).await?;
        }
        Ok(())
    }

    fn tell(&self, document: &SourceDocument, reply: &Reply, verdict: &Verdict, latency: Duration) {
        let elapsed = self.started.elapsed().as_millis();
        (self.on)(EditorEvent::Proposal(Truth {
            user: self.user.clone(),
            decision_id: reply.decision.clone(),
            arm: reply.arm.clone(),
            fate: verdict.fate,
            kept_share: verdict.kept_share,
            accepted_chars: verdict.accepted_chars,
            shown_chars: verdict.shown_chars,
            language: document.language.clone(),
            at_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
            latency_ms: latency.as_secs_f64() * 1e3,
        }));
    }

    async fn report(
        &mut self,
        reply: &Reply,
        kind: &'static str,
        taken: Option<&str>,
        text: Option<&str>,
    ) -> Result<(), Leave> {
        let accepted_chars = taken.map(|taken| taken.chars().count());
        let decision = reply.decision.clone();
        self.send(&Report {
            decision: &decision,
            kind,
            accepted_chars,
            text,
        })
        .await
    }

    async fn report_edit(&mut self, mistake: &Mistake) -> Result<(), Leave> {
        self.send(&Report {
            decision: &mistake.decision,
            kind: "edited",
            accepted_chars: None,
            text: Some(&mistake.right),
        })
        .await
    }

    async fn send(&mut self, report: &Report<'_>) -> Result<(), Leave> {
        if !self.taste.reports || report.decision.is_empty() {
            return Ok(());
        }
        let sent = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Leave::Over),
            sent = self.client.report(report) => sent,
        };
        match sent {
            Ok(()) => Ok(()),
            Err(failure) => self.fail(&failure).await,
        }
    }

    async fn fail(&mut self, failure: &Failure) -> Result<(), Leave> {
        (self.on)(EditorEvent::Failed {
            user: self.user.clone(),
            reason: failure.to_string(),
        });
        self.progress.failures_in_a_row += 1;
        if self.progress.failures_in_a_row >= FAILURES_MAX {
            return Err(Leave::Over);
        }
        self.wait(AFTER_FAILURE_S * f64::from(self.progress.failures_in_a_row))
            .await
    }

    /// Lets simulated seconds pass.
    async fn wait(&mut self, seconds: f64) -> Result<(), Leave> {
        self.progress.clock_s += seconds;
        if self.stop.is_cancelled() {
            return Err(Leave::Over);
        }
        let Some(real) = self.tempo.real(seconds) else {
            tokio::task::yield_now().await;
            return Ok(());
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Leave::Over),
            () = tokio::time::sleep(real) => Ok(()),
        }
    }
}

impl Tempo {
    /// Real time for simulated seconds; `None` at infinite pace, where nobody waits.
    fn real(self, seconds: f64) -> Option<Duration> {
        self.pace
            .is_finite()
            .then(|| Duration::try_from_secs_f64(seconds / self.pace).unwrap_or(Duration::MAX))
    }
}

/// Chance that the user types on almost at once.
const HURRY: f64 = 0.04;

/// Failures in a row after which a user gives up.
const FAILURES_MAX: u32 = 10;

/// Simulated seconds a user waits after a failure, times the failures in a row.
const AFTER_FAILURE_S: f64 = 2.0;

fn unseen(fate: Fate) -> Verdict {
    Verdict {
        fate,
        taken_bytes: 0,
        meant_bytes: 0,
        kept_share: 0.0,
        accepted_chars: 0,
        shown_chars: 0,
    }
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
