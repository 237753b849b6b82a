//! A wall around the Parquet library, which panics at some damaged files.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `read`; a panic becomes a reason. What `read` worked on must not be used after that.
///
/// Files that the manifest names are checked by their checksum first, and never come so far.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err("the Parquet library panicked at it".to_owned()))
}
