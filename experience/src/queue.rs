//! The bounded queue between those who append and the one thread that writes.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::LogError;
use crate::health::{Counts, Health};
use crate::options::LogOptions;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, LogError>>;

/// An encoded record on its way to the disk.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) text: Vec<u8>,
    /// `None` for a note, which nobody waits for.
    pub(crate) reply: Option<Reply<u64>>,
}

impl Line {
    /// Tells whoever waits for it what became of it.
    pub(crate) fn answer(self, outcome: Result<u64, LogError>) {
        if let Some(reply) = self.reply {
            // Nobody may be waiting any more.
            let _ = reply.send(outcome);
        }
    }
}

/// Something the writer is asked to do, in turn with the lines.
#[derive(Debug)]
pub(crate) enum Command {
    /// Answer when every line before is durable.
    Flush(Reply<u64>),
    /// Seal every line before.
    Seal(Reply<u64>),
    /// Open a dead journal afresh.
    Revive(Reply<u64>),
    /// The sealing thread is done.
    Sealed,
    /// Stop, after sealing if so asked.
    Close { seal: bool, reply: Reply<u64> },
}

/// What the writer is to do next.
#[derive(Debug)]
pub(crate) enum Work {
    /// Commit these, in this order.
    Lines(Vec<Line>),
    /// Do this.
    Command(Command),
    /// Nothing came before the deadline.
    Idle,
}

#[derive(Debug)]
enum Item {
    Line(Line),
    Command(Command),
}

impl Item {
    /// Whether somebody waits for it.
    fn is_awaited(&self) -> bool {
        !matches!(self, Self::Line(Line { reply: None, .. }))
    }
}

/// How long a note waits for company, so that many share one commit.
const NOTE_WAIT: Duration = Duration::from_millis(5);

/// From so many lines in one batch on, there is a crowd.
const CROWD_LINES: usize = 6;

/// In a crowd, batches are taken no more often than this: a commit costs the same for one line and for many.
const CROWD_WAIT: Duration = Duration::from_millis(1);

/// The queue, with the log's health and counts under the same lock.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    options: LogOptions,
}

#[derive(Debug)]
struct State {
    items: VecDeque<Item>,
    records: usize,
    bytes: usize,
    /// Items that somebody waits for.
    awaited: usize,
    /// When the item came that has waited longest, or one before it.
    since: Instant,
    /// The next batch is not taken before, unless it is full.
    next_at: Instant,
    health: Health,
    /// Set once nobody takes from the queue any more.
    end: Option<LogError>,
    counts: Counts,
}

impl Queue {
    /// An empty queue of a writable log.
    pub(crate) fn new(options: LogOptions) -> Self {
        let state = State {
            items: VecDeque::new(),
            records: 0,
            bytes: 0,
            awaited: 0,
            since: Instant::now(),
            next_at: Instant::now(),
            health: Health::Writable,
            end: None,
            counts: Counts::default(),
        };
        Self {
            state: Mutex::new(state),
            ready: Condvar::new(),
            options,
        }
    }

    /// Adds a line, or refuses it at once.
    pub(crate) fn push(&self, line: Line) -> Result<(), LogError> {
        let mut state = self.lock();
        self.admit(&mut state, line.text.len())?;
        state.records += 1;
        state.bytes += line.text.len();
        let was_idle = state.items.is_empty();
        // The first that somebody waits for ends a longer wait.
        let is_first = line.reply.is_some() && state.awaited == 0;
        state.add(Item::Line(line));
        let is_due = was_idle || is_first || self.is_due(&state, Instant::now());
        drop(state);
        if is_due {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Whether the lines at the front are to be committed now.
    fn is_due(&self, state: &State, now: Instant) -> bool {
        (state.awaited > 0 && now >= state.next_at)
            || state.records >= self.options.batch_records
            || state.bytes >= self.options.batch_bytes
            || now.saturating_duration_since(state.since) >= NOTE_WAIT
    }

    fn admit(&self, state: &mut State, bytes: usize) -> Result<(), LogError> {
        if let Some(error) = &state.end {
            state.counts.refused_dead += 1;
            return Err(error.clone());
        }
        if let Health::Dead { reason } = &state.health {
            state.counts.refused_dead += 1;
            return Err(LogError::Dead {
                reason: reason.clone(),
            });
        }
        let full = state.records >= self.options.queue_records
            || state.bytes.saturating_add(bytes) > self.options.queue_bytes;
        if full {
            state.counts.refused_full += 1;
            return Err(LogError::QueueFull {
                records: state.records,
                bytes: state.bytes,
            });
        }
        Ok(())
    }

    /// Adds a command, or gives it back with the reason why nobody will see to it.
    pub(crate) fn command(&self, command: Command) -> Result<(), LogError> {
        let mut state = self.lock();
        if let Some(error) = &state.end {
            return Err(error.clone());
        }
        state.add(Item::Command(command));
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for work until the deadline.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Work {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let until = if state.items.is_empty() || self.is_due(&state, now) {
                match state.next() {
                    Some(Item::Command(command)) => return Work::Command(command),
                    Some(Item::Line(line)) => return Work::Lines(self.batch(&mut state, line)),
                    None => deadline,
                }
            } else {
                let due = if state.awaited > 0 {
                    state.next_at.min(state.since + NOTE_WAIT)
                } else {
                    state.since + NOTE_WAIT
                };
                Some(deadline.map_or(due, |deadline| deadline.min(due)))
            };
            state = match until {
                None => self
                    .ready
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(_) if deadline.is_some_and(|deadline| deadline <= now) => return Work::Idle,
                Some(until) => {
                    self.ready
                        .wait_timeout(state, until.saturating_duration_since(now))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }

    /// The lines that follow one another at the front, as many as one commit takes.
    fn batch(&self, state: &mut State, first: Line) -> Vec<Line> {
        let mut bytes = first.text.len();
        let mut lines = vec![first];
        while lines.len() < self.options.batch_records && bytes < self.options.batch_bytes {
            let Some(Item::Line(_)) = state.items.front() else {
                break;
            };
            if let Some(Item::Line(line)) = state.next() {
                bytes += line.text.len();
                lines.push(line);
            }
        }
        if lines.len() >= CROWD_LINES {
            state.next_at = Instant::now() + CROWD_WAIT;
        }
        state.records -= lines.len();
        state.bytes -= bytes;
        lines
    }

    /// Declares the journal dead and answers everything that waits for it.
    pub(crate) fn die(&self, reason: &str) {
        let mut state = self.lock();
        state.health = Health::Dead {
            reason: reason.to_owned(),
        };
        state.fail_waiting(&LogError::Dead {
            reason: reason.to_owned(),
        });
    }

    /// Declares the journal writable again.
    pub(crate) fn revive(&self) {
        let mut state = self.lock();
        state.health = Health::Writable;
        state.counts.revivals += 1;
    }

    /// Nobody takes from the queue from now on; everything in it and to come is answered so.
    pub(crate) fn end(&self, error: &LogError) {
        let mut state = self.lock();
        state.end = Some(error.clone());
        let reason = error.to_string();
        state.health = Health::Dead { reason };
        state.fail_waiting(error);
        state.items.clear();
        state.awaited = 0;
    }

    /// The log's health.
    pub(crate) fn health(&self) -> Health {
        self.lock().health.clone()
    }

    /// The log's counts.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Changes the counts.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, item: Item) {
        if self.items.is_empty() {
            self.since = Instant::now();
        }
        self.awaited += usize::from(item.is_awaited());
        self.items.push_back(item);
    }

    fn next(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.awaited -= usize::from(item.is_awaited());
        Some(item)
    }

    /// Answers waiting lines and flushes by the error; other commands stay.
    fn fail_waiting(&mut self, error: &LogError) {
        for item in std::mem::take(&mut self.items) {
            match item {
                Item::Line(line) => {
                    self.counts.refused_dead += 1;
                    line.answer(Err(error.clone()));
                }
                Item::Command(Command::Flush(reply) | Command::Seal(reply)) => {
                    let _ = reply.send(Err(error.clone()));
                }
                command @ Item::Command(_) => self.items.push_back(command),
            }
        }
        self.awaited = self.items.len();
        (self.records, self.bytes) = (0, 0);
    }
}
