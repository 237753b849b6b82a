use crate::digest::sha256_hex;
use crate::{Facts, Features, features};

/// How [`Facts`] become [`Features`].
///
/// Two schemas with an equal [`hash`](FeatureSchema::hash) give equal features for equal facts.
///
/// An arm's weights for a language, for a tenant, and for a language at a tenant are deviations from its weights for
/// all, each shrunk towards zero by the ridge. A new language or tenant therefore starts from what is known of the
/// level above it, and departs from that as its own rewards come in: a Gaussian hierarchical prior (Gelman et al. 2013,
/// "Bayesian Data Analysis", ch. 15), in which tenants differ by a quarter as much as languages do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeatureSchema {
    /// How many features there are. Below [`FeatureSchema::DENSE`] plus a few, features are lost:
    /// first all hashed ones, then dense ones from the end.
    pub dimension: usize,
    /// The version of the rules: 1 knows nothing of tenants, [`FeatureSchema::VERSION`] does. A higher one counts as
    /// that.
    pub version: u32,
}

impl Default for FeatureSchema {
    /// Dimension 64, the newest version.
    fn default() -> Self {
        Self {
            dimension: 64,
            version: Self::VERSION,
        }
    }
}

impl FeatureSchema {
    /// The number of features that have a place of their own; the others are hashed.
    pub const DENSE: usize = features::NAMES.len();

    /// The newest version of the rules.
    pub const VERSION: u32 = 2;

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
        features::featurise(facts, self)
    }

    /// Schemas of the same dimension and older rules, the oldest first.
    pub fn older(&self) -> impl Iterator<Item = Self> + use<> {
        let dimension = self.dimension;
        (1..self.version).map(move |version| Self { dimension, version })
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
            features::hashed(self)
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
        let versions: Vec<_> = schema.older().chain([schema]).collect();
        assert_eq!(versions.len(), PINNED.len());
        for (schema, pinned) in versions.iter().zip(PINNED) {
            assert_eq!(schema.hash(), pinned, "version {}", schema.version);
            let wider = FeatureSchema {
                dimension: 65,
                ..*schema
            };
            assert_ne!(wider.hash(), pinned);
        }
    }

    const PINNED: [&str; 2] = [
        "5e581b8e603995b2440d93501347f245394a3fd47bc848afce0f54fb3544dcb5",
        "49c9442fbdd0267128819a5a455c1ae62e18e80039fbed4898f9e1102ef15c2e",
    ];
}
