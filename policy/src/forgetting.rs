use std::collections::BTreeMap;
use std::time::Duration;

/// How a policy forgets: how fast, and whether it looks for sudden changes besides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forgetting {
    /// Milliseconds after which an event counts half; `None` if nothing is forgotten.
    pub half_life_ms: Option<i64>,
    /// The same for some arms, by name or id.
    pub arms: BTreeMap<String, i64>,
    /// Level of significance, in (0, 1), at which an arm's rewards are taken to have changed; `None` if changes are not
    /// looked for.
    pub change: Option<f64>,
}

/// Milliseconds of a text such as `7d`, `12h` or `1h30m`, if it is at least 4 ms: ages are told apart by quarters.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let duration = humantime::parse_duration(text).ok()?;
    let milliseconds = i64::try_from(duration.as_millis()).ok()?;
    (HALF_LIFE_LEAST..=HALF_LIFE_MOST)
        .contains(&milliseconds)
        .then_some(milliseconds)
}

/// The text of so many milliseconds.
pub(crate) fn text(milliseconds: i64) -> String {
    let duration = Duration::from_millis(milliseconds.unsigned_abs());
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
}

const HALF_LIFE_LEAST: i64 = 4;

/// A thousand years.
const HALF_LIFE_MOST: i64 = 1_000 * 366 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_lives_are_written_as_people_do() {
        assert_eq!(milliseconds("7d"), Some(7 * 86_400_000));
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(text(7 * 86_400_000), "7days");
        for bad in ["", "7", "-1d", "3ms", "2000years", "soon"] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_half_life_comes_back(ms in HALF_LIFE_LEAST..=HALF_LIFE_MOST) {
            prop_assert_eq!(milliseconds(&text(ms)), Some(ms));
        }
    }
}
