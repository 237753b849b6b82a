use crate::digest::sha256_hex;
use crate::{Facts, Features, features};

/// How [`Facts`] become [`Features`].
///
/// Two schemas with an equal [`hash`](FeatureSchema::hash) give equal features for equal facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeatureSchema {
    /// How many features there are. Below [`FeatureSchema::DENSE`] plus a few, features are lost:
    /// first all hashed ones, then dense ones from the end.
    pub dimension: usize,
    /// The version of the rules; the only one so far is 1.
    pub version: u32,
}

impl Default for FeatureSchema {
    /// Dimension 64, version 1.
    fn default() -> Self {
        Self {
            dimension: 64,
            version: 1,
        }
    }
}

impl FeatureSchema {
    /// The number of features that have a place of their own; the others are hashed.
    pub const DENSE: usize = features::NAMES.len();

    /// The largest dimension that a snapshot may have.
    pub const DIMENSION_MAX: usize = 1024;

    /// The SHA-256, in hexadecimal, of a canonical description of the rules.
    pub fn hash(&self) -> String {
        sha256_hex(self.description().as_bytes())
    }

    /// The features of a request: `dimension` numbers in [-1, 1].
    ///
    /// Facts out of range are clamped; an acceptance that is not finite counts as 0.5. Allocates
    /// once.
    pub fn featurise(&self, facts: &Facts) -> Features {
        features::featurise(facts, self.dimension)
    }

    /// The name of the feature at a place; the hashed ones are told apart by their places.
    pub fn name(place: usize) -> String {
        features::NAMES
            .get(place)
            .map_or_else(|| format!("hashed_{place}"), |name| (*name).to_owned())
    }

    fn description(&self) -> String {
        format!(
            "echo features; version={}; dimension={}; grid={}; dense={}; hashed={}",
            self.version,
            self.dimension,
            Features::GRID,
            features::NAMES.join(","),
            features::HASHED
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_pinned_and_depends_on_all_parts() {
        // A snapshot of the same rules must be readable for ever: this changes with them only.
        let schema = FeatureSchema::default();
        assert_eq!(schema.hash(), PINNED);
        for other in [
            FeatureSchema {
                dimension: 65,
                ..schema
            },
            FeatureSchema {
                version: 2,
                ..schema
            },
        ] {
            assert_ne!(other.hash(), schema.hash());
        }
    }
    const PINNED: &str = "5e581b8e603995b2440d93501347f245394a3fd47bc848afce0f54fb3544dcb5";
}
