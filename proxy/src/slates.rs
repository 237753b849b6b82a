//! Requests that one editor makes for the same place at the same time.
//!
//! Some editors ask several times at once and let their user leaf through the answers. Drawing a different
//! arm for each compares the arms on the same text before the same user: what is taken names the winner.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use echo_reward::Window;

use crate::watch::UserKey;

/// The last slate of each user.
#[derive(Debug, Default)]
pub struct Slates {
    open: DashMap<UserKey, Slate>,
    /// Requests so far.
    asked: AtomicUsize,
}

#[derive(Debug)]
struct Slate {
    place: u64,
    at_ms: i64,
    /// Arms that were drawn for it.
    arms: Vec<String>,
}

impl Slates {
    /// Draws for a request by `draw`, which is told the arms already drawn for the same place within the last
    /// second, and returns what it drew with the arm's id.
    ///
    /// # Errors
    ///
    /// Those of `draw`.
    pub fn draw<T, E>(
        &self,
        user: &UserKey,
        window: &Window<'_>,
        at_ms: i64,
        draw: impl FnOnce(&[String]) -> Result<(T, String), E>,
    ) -> Result<T, E> {
        if self
            .asked
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(FORGET_EVERY)
        {
            self.open.retain(|_, slate| at_ms - slate.at_ms < SLATE_MS);
        }
        let mut hasher = DefaultHasher::new();
        window.hash(&mut hasher);
        let place = hasher.finish();
        let new = || Slate {
            place,
            at_ms,
            arms: Vec::new(),
        };
        let mut slate = self.open.entry(user.clone()).or_insert_with(new);
        if slate.place != place || at_ms - slate.at_ms >= SLATE_MS {
            *slate = new();
        }
        let (drawn, arm) = draw(&slate.arms)?;
        if !slate.arms.contains(&arm) {
            slate.arms.push(arm);
        }
        Ok(drawn)
    }
}

/// Requests for one place belong together for so long after the first, in milliseconds.
const SLATE_MS: i64 = 1_000;

/// Old slates are forgotten once in so many requests, so that this costs each of them next to nothing.
const FORGET_EVERY: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slate_knows_the_arms_that_were_drawn_for_it() {
        let slates = Slates::default();
        let user = UserKey {
            tenant: "t".to_owned(),
            user: "u".to_owned(),
        };
        let here = Window {
            file: None,
            prefix: "x = ",
            suffix: "",
        };
        let there = Window {
            prefix: "y = ",
            ..here
        };
        let before = |window: &Window<'_>, at_ms, arm: &str| {
            let draw = |used: &[String]| Ok::<_, ()>((used.to_vec(), arm.to_owned()));
            slates.draw(&user, window, at_ms, draw).unwrap()
        };
        assert!(before(&here, 0, "a").is_empty());
        assert_eq!(before(&here, 20, "b"), ["a"]);
        assert_eq!(before(&here, 40, "b"), ["a", "b"]);
        assert!(before(&there, 60, "a").is_empty());
        assert!(before(&there, 2_000, "a").is_empty(), "later, alone");
    }
}
