use crate::Features;
use crate::fnv::fnv1a_exact;
use crate::memory::STRATA;

/// A decision as learning sees it: everything of it but its reward.
///
/// ```
/// use echo_policy::{Event, FeatureSchema, Features, RewardState};
///
/// let schema = FeatureSchema { dimension: 2, version: 1 };
/// let context = Features::from_logged(vec![1.0, 0.5], &schema)?;
/// let mut state = RewardState::new(&schema);
/// state.update(&Event::new("ngram@1", &context).with_id(7).at(1_000), 0.8)?;
/// assert_eq!(state.count("ngram@1"), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The arm that was chosen.
    pub arm: &'a str,
    /// Its context.
    pub features: &'a Features,
    /// The decision's id: how often each replicate of a bootstrap counts the event follows from it.
    pub id: u128,
    /// When the decision was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// Which kind of client asked, as a number: rewards may be seen more often of one kind than of another.
    pub stratum: u32,
}

impl<'a> Event<'a> {
    /// A decision without an id, made at the beginning of time, of stratum 0: all that a state needs that keeps plain
    /// sums.
    pub fn new(arm: &'a str, features: &'a Features) -> Self {
        Self {
            arm,
            features,
            id: 0,
            at_ms: 0,
            stratum: 0,
        }
    }

    /// The same decision with an id.
    #[must_use]
    pub fn with_id(mut self, id: u128) -> Self {
        self.id = id;
        self
    }

    /// The same decision, made at a time.
    #[must_use]
    pub fn at(mut self, at_ms: i64) -> Self {
        self.at_ms = at_ms;
        self
    }

    /// The same decision, asked for by a client of this name; more than sixteen kinds share numbers.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
    pub fn asked_by(self, client: &str) -> Self {
        self.of_stratum((fnv1a_exact(client) % u64::from(STRATA)) as u32)
    }

    /// The same decision, of a kind of client.
    #[must_use]
    pub fn of_stratum(mut self, stratum: u32) -> Self {
        self.stratum = stratum;
        self
    }
}
