use echo_reward::{Change, Event, EventKind, Habits, Proposal, TrackerLimits, UserTracker, Window};

/// The tracker, told of requests, answers and events just as a server tells it.
#[derive(Debug)]
pub(crate) struct Follower {
    tracker: UserTracker,
    habits: Habits,
}

/// A request that was followed: what to know when its answer comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Followed {
    pub(crate) is_ahead: bool,
    pub(crate) asked_ms: i64,
}

impl Follower {
    pub(crate) fn new(habits: Habits) -> Self {
        Self {
            tracker: UserTracker::new(TrackerLimits::default()),
            habits,
        }
    }

    pub(crate) fn request(
        &mut self,
        window: &Window<'_>,
        is_said_ahead: bool,
        at_ms: i64,
    ) -> (Followed, Vec<Change>) {
        let mut changes = self.tracker.expire(at_ms);
        let seen = self.tracker.request(window, is_said_ahead, at_ms);
        changes.extend(seen.changes);
        let followed = Followed {
            is_ahead: seen.is_ahead,
            asked_ms: at_ms,
        };
        (followed, changes)
    }

    /// An answer. `None` when the server knows that its client does not show it.
    pub(crate) fn answered(
        &mut self,
        case: usize,
        text: &str,
        window: &Window<'_>,
        followed: Followed,
        at_ms: i64,
    ) -> Option<Vec<Change>> {
        if !self.habits.shows(text) {
            return None;
        }
        let proposal = Proposal::new(case as u128, 0, text, window, at_ms)
            .of(self.habits)
            .asked(followed.asked_ms)
            .ahead(followed.is_ahead);
        Some(self.tracker.proposed(proposal).into_iter().collect())
    }

    pub(crate) fn told(
        &mut self,
        case: usize,
        kind: EventKind,
        shown_chars: Option<u32>,
        at_ms: i64,
    ) -> Vec<Change> {
        let event = Event {
            decision: case as u128,
            choice: 0,
            kind,
            accepted_chars: None,
            shown_chars,
            text: None,
        };
        // An event may come too late: the server records it, and nothing changes.
        let told = self.tracker.event(&event, at_ms);
        told.ok().flatten().into_iter().collect()
    }

    pub(crate) fn expire(&mut self, at_ms: i64) -> Vec<Change> {
        self.tracker.expire(at_ms)
    }
}
