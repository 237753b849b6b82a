//! What the embedded models may know of each user's own code.

use std::sync::Arc;

use dashmap::DashMap;
use echo_model::ProjectCache;

use crate::request::CompletionRequest;
use crate::watch::UserKey;

/// Shows the users' texts to the embedded models, each user's at most every few seconds: reading a
/// window costs them more than answering from it.
#[derive(Debug, Default)]
pub struct Projects {
    cache: Option<Arc<ProjectCache>>,
    seen_ms: DashMap<UserKey, i64>,
}

impl Projects {
    /// Shows texts to `cache`.
    pub fn new(cache: Arc<ProjectCache>) -> Self {
        Self {
            cache: Some(cache),
            seen_ms: DashMap::new(),
        }
    }

    /// Shows texts to nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Shows the text around a request's cursor.
    pub fn show(&self, user: &UserKey, request: &CompletionRequest, now_ms: i64) {
        let Some(cache) = &self.cache else { return };
        if self.seen_ms.len() > USERS {
            self.seen_ms.retain(|_, seen| now_ms - *seen < EVERY_MS);
        }
        let seen = self.seen_ms.get(user).map(|seen| *seen);
        if seen.is_some_and(|seen| now_ms - seen < EVERY_MS) {
            return;
        }
        self.seen_ms.insert(user.clone(), now_ms);
        let text = [request.prefix.as_str(), &request.suffix].concat();
        let file = request.file.as_deref().unwrap_or_default();
        cache.observe(&name(user), file, &text);
    }
}

/// The user's name in the models' cache: one tenant never sees another's code.
pub fn name(user: &UserKey) -> String {
    [user.tenant.as_str(), user.user.as_str()].join("/")
}

const EVERY_MS: i64 = 5_000;

/// Users beyond whom those not seen of late are forgotten.
const USERS: usize = 100_000;
