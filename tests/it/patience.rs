//! Waiting for something that is bound to come.

use std::time::{Duration, Instant};

/// Looks again and again until there is something to see.
///
/// # Panics
///
/// When it has not come after [`PATIENCE`].
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: never came");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// Waits for `future`, which is bound to be ready.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ready = tokio::time::timeout(PATIENCE, future).await;
    ready.unwrap_or_else(|_| panic!("{what}: never came"))
}

/// Far beyond what anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
