//! Follows the open proposals of all users.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use echo_reward::{Change, Event, Outcome, Proposal, TrackerLimits, UserTracker, Window};

/// A user as Echo tells users apart: the tenant, and a name within it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey {
    /// The tenant of the API key.
    pub tenant: String,
    /// The user within the tenant.
    pub user: String,
}

/// Recent acceptance, as a decision's context has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recent {
    /// Of the user, in [0, 1].
    pub user: f32,
    /// Of the user in this file, in [0, 1].
    pub file: f32,
}

/// What a request told.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// News of the user's open proposals.
    pub changes: Vec<Change>,
    /// Whether the request was made ahead of the user.
    pub is_ahead: bool,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum EventEffect {
    /// It changed, or may have changed, what is known.
    Taken(Option<Change>),
    /// The proposal has settled: the event is recorded and changes nothing.
    Late,
    /// The same event was taken before.
    Duplicate,
    /// No such decision, or one of another tenant.
    Unknown,
}

/// The open proposals of all users, bounded in users and in proposals of each.
#[derive(Debug)]
pub struct Watch {
    limits: TrackerLimits,
    users_limit: usize,
    users: DashMap<UserKey, UserTracker>,
    /// Every user once, in the order in which they make room.
    order: Mutex<VecDeque<UserKey>>,
    decisions: DashMap<u128, Known>,
}

/// A decision that events may name.
#[derive(Debug)]
struct Known {
    user: UserKey,
    at_ms: i64,
    events: Vec<u64>,
}

impl Watch {
    /// Watches nobody yet.
    pub fn new(limits: TrackerLimits, users_limit: usize) -> Self {
        Self {
            limits,
            users_limit,
            users: DashMap::new(),
            order: Mutex::default(),
            decisions: DashMap::new(),
        }
    }

    /// Reads a request for what it shows of the user's open proposals. `is_said_ahead` is the client's
    /// word that it asks ahead of its user.
    pub fn request(
        &self,
        user: &UserKey,
        window: &Window<'_>,
        is_said_ahead: bool,
        at_ms: i64,
    ) -> Sighting {
        let Some(mut tracker) = self.users.get_mut(user) else {
            return Sighting {
                changes: Vec::new(),
                is_ahead: is_said_ahead,
            };
        };
        let mut changes = tracker.expire(at_ms);
        let seen = tracker.request(window, is_said_ahead, at_ms);
        changes.extend(seen.changes);
        Sighting {
            changes,
            is_ahead: seen.is_ahead,
        }
    }

    /// A user's recent acceptance, all in all and in one file.
    pub fn recent(&self, user: &UserKey, file: Option<&str>) -> Recent {
        let tracker = self.users.get(user);
        tracker.map_or(
            Recent {
                user: 0.5,
                file: 0.5,
            },
            |tracker| Recent {
                user: tracker.recent().user(),
                file: tracker.recent().file(file),
            },
        )
    }

    /// Opens a proposal. Returns news of those that had to make room.
    pub fn proposed(&self, user: &UserKey, proposal: Proposal) -> Vec<Change> {
        let known = Known {
            user: user.clone(),
            at_ms: proposal.answered_ms(),
            events: Vec::new(),
        };
        self.decisions.entry(proposal.decision).or_insert(known);
        let mut changes = Vec::new();
        if !self.users.contains_key(user) {
            changes = self.enter(user);
        }
        let mut tracker = self
            .users
            .entry(user.clone())
            .or_insert_with(|| UserTracker::new(self.limits));
        changes.extend(tracker.proposed(proposal));
        changes
    }

    /// Takes an editor's word on a proposal of the caller's tenant.
    pub fn event(&self, tenant: &str, event: &Event<'_>, digest: u64, at_ms: i64) -> EventEffect {
        let user = {
            let Some(known) = self.decisions.get(&event.decision) else {
                return EventEffect::Unknown;
            };
            if known.user.tenant != tenant {
                return EventEffect::Unknown;
            }
            if known.events.contains(&digest) {
                return EventEffect::Duplicate;
            }
            known.user.clone()
        };
        let Some(mut tracker) = self.users.get_mut(&user) else {
            return EventEffect::Late;
        };
        match tracker.event(event, at_ms) {
            Ok(change) => EventEffect::Taken(change),
            Err(_) => EventEffect::Late,
        }
    }

    /// Remembers an event that is on record now, to recognise it when it is sent again.
    pub fn remember(&self, decision: u128, digest: u64) {
        if let Some(mut known) = self.decisions.get_mut(&decision)
            && known.events.len() < EVENTS_PER_DECISION
        {
            known.events.push(digest);
        }
    }

    /// Settles what is due, and forgets users and decisions that nothing waits for.
    pub fn expire(&self, now_ms: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        for mut tracker in self.users.iter_mut() {
            changes.extend(tracker.expire(now_ms));
        }
        let forget_before = now_ms - self.limits.longest_ms * DECISION_LIVES;
        self.decisions
            .retain(|_, known| known.at_ms >= forget_before);
        changes
    }

    /// Settles everything.
    pub fn close(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for mut tracker in self.users.iter_mut() {
            changes.extend(tracker.close());
        }
        changes
    }

    /// Takes over what was known of a proposal before a restart.
    pub fn resume(&self, decision: u128, choice: u32, outcome: Outcome, at_ms: i64) {
        if let Some(mut tracker) = self.tracker_of(decision) {
            tracker.resume(decision, choice, outcome, at_ms);
        }
    }

    /// Takes over that a settled proposal's survival was told at `at_ms`, before a restart.
    pub fn survived(&self, decision: u128, choice: u32, at_ms: i64) {
        if let Some(mut tracker) = self.tracker_of(decision) {
            tracker.survived(decision, choice, at_ms);
        }
    }

    fn tracker_of(&self, decision: u128) -> Option<RefMut<'_, UserKey, UserTracker>> {
        let user = self.decisions.get(&decision)?.user.clone();
        self.users.get_mut(&user)
    }

    /// Number of open proposals.
    pub fn open(&self) -> usize {
        self.users.iter().map(|tracker| tracker.open()).sum()
    }

    /// Takes in a new user. Where that is one more than allowed, the one who came first is forgotten; users with open
    /// proposals are passed over, but for no more than a few: what a request costs does not grow with the users.
    fn enter(&self, user: &UserKey) -> Vec<Change> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Vec::new();
        let mut passed_over = 0;
        while order.len() >= self.users_limit.max(1) {
            let Some(first) = order.pop_front() else {
                break;
            };
            let is_busy = self
                .users
                .get(&first)
                .is_some_and(|tracker| tracker.open() > 0);
            if is_busy && passed_over < PASSED_OVER {
                passed_over += 1;
                order.push_back(first);
                continue;
            }
            if let Some((_, mut tracker)) = self.users.remove(&first) {
                changes.extend(tracker.evict());
            }
        }
        // Another request of the same user may have entered him meanwhile.
        if let dashmap::Entry::Vacant(vacant) = self.users.entry(user.clone()) {
            vacant.insert(UserTracker::new(self.limits));
            order.push_back(user.clone());
        }
        changes
    }
}

/// Users with open proposals who are passed over in search of one to forget.
const PASSED_OVER: usize = 8;

/// A decision is known to events for this many times the longest life of a proposal.
const DECISION_LIVES: i64 = 4;

/// Events of one decision whose repetition is recognised.
const EVENTS_PER_DECISION: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use echo_reward::{EventKind, Fate, Source};

    const ASKED: Window<'static> = Window {
        file: None,
        prefix: "x = ",
        suffix: "",
    };

    fn user(name: &str) -> UserKey {
        UserKey {
            tenant: "t".to_owned(),
            user: name.to_owned(),
        }
    }

    fn accepted(decision: u128) -> Event<'static> {
        Event {
            decision,
            choice: 0,
            kind: EventKind::Accepted,
            accepted_chars: None,
            shown_chars: None,
            text: None,
        }
    }

    #[test]
    fn one_user_shows_nothing_of_another() {
        let watch = Watch::new(TrackerLimits::default(), 10);
        watch.proposed(&user("a"), Proposal::new(1, 0, "f(1)", &ASKED, 0));
        let later = Window {
            prefix: "x = f(1)",
            ..ASKED
        };
        assert_eq!(watch.request(&user("b"), &later, false, 2_000).changes, []);
        let changes = watch.request(&user("a"), &later, false, 2_000).changes;
        assert_eq!(changes[0].outcome.fate, Fate::Accepted);
    }

    #[test]
    fn events_are_for_their_tenant_once_and_in_time() {
        let watch = Watch::new(TrackerLimits::default(), 10);
        watch.proposed(&user("a"), Proposal::new(1, 0, "f(1)", &ASKED, 0));
        assert_eq!(watch.event("t", &accepted(2), 7, 10), EventEffect::Unknown);
        assert_eq!(
            watch.event("other", &accepted(1), 7, 10),
            EventEffect::Unknown
        );
        assert!(matches!(
            watch.event("t", &accepted(1), 7, 10),
            EventEffect::Taken(Some(_))
        ));
        watch.remember(1, 7);
        assert_eq!(
            watch.event("t", &accepted(1), 7, 10),
            EventEffect::Duplicate
        );
        assert_eq!(watch.expire(20_000).len(), 1);
        assert_eq!(watch.event("t", &accepted(1), 8, 20_000), EventEffect::Late);
        watch.expire(10_000_000);
        assert_eq!(
            watch.event("t", &accepted(1), 9, 10_000_000),
            EventEffect::Unknown
        );
    }

    #[test]
    fn who_has_nothing_open_makes_room_before_who_has() {
        let watch = Watch::new(TrackerLimits::default(), 3);
        for (id, name) in (0..).zip(["busy", "idle", "late"]) {
            watch.proposed(&user(name), Proposal::new(id, 0, "f(1)", &ASKED, 0));
        }
        let over = Outcome {
            settled: true,
            ..Outcome::never_shown(4)
        };
        watch.resume(1, 0, over, 0);
        let told = watch.proposed(&user("new"), Proposal::new(9, 0, "f(1)", &ASKED, 0));
        assert_eq!((told, watch.open()), (Vec::new(), 3));
        assert!(
            !watch.users.contains_key(&user("idle")) && watch.users.contains_key(&user("busy"))
        );
        assert_eq!(watch.users.len(), watch.order.lock().unwrap().len());
    }

    #[test]
    fn users_are_bounded_and_eviction_is_told() {
        let watch = Watch::new(TrackerLimits::default(), 2);
        let mut told = Vec::new();
        for id in 0..5 {
            let name = id.to_string();
            told.extend(watch.proposed(&user(&name), Proposal::new(id, 0, "f(1)", &ASKED, 0)));
        }
        assert_eq!((watch.open(), told.len()), (2, 3));
        let is_eviction = |change: &Change| {
            change.source == Source::Eviction && change.outcome.fate == Fate::Censored
        };
        assert!(told.iter().all(is_eviction), "{told:?}");
    }
}
