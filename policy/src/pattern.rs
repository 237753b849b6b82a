//! Which arms are meant by a text.

/// Whether `pattern` means this arm: with an `@` the arm of exactly this id, without one every version of the arm of
/// this name.
pub(crate) fn matches(pattern: &str, arm: &str) -> bool {
    if pattern.contains('@') {
        return pattern == arm;
    }
    arm.split_once('@').map_or(arm, |(name, _)| name) == pattern
}

/// Name and version of an arm's id such as `ngram@2`.
pub fn versioned(arm: &str) -> Option<(&str, u64)> {
    let (name, version) = arm.rsplit_once('@')?;
    Some((name, version.parse().ok()?))
}
