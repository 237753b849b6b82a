use serde::{Deserialize, Serialize};

use crate::fnv::fnv1a;
use crate::{After, Facts, FeatureError, FeatureSchema, Position, Trigger};

/// The context of a decision: numbers in [-1, 1], as many as the schema's dimension.
///
/// Every value is a multiple of 1/[`Features::GRID`]. The product of two features is then a
/// multiple of 2^-24, and `f64` adds up five hundred million such products without rounding:
/// that is why a [`RewardState`](crate::RewardState) does not depend on the order of its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct Features(pub(crate) Vec<f32>);

impl Features {
    /// Features are multiples of one over this.
    pub const GRID: u32 = 4096;

    /// Takes a vector from a log.
    ///
    /// A vector that [`FeatureSchema::featurise`] made comes back unchanged; one from elsewhere is
    /// rounded to the grid.
    ///
    /// # Errors
    /// If the length is not the schema's dimension, or a value is not finite or outside [-1, 1].
    pub fn from_logged(values: Vec<f32>, schema: &FeatureSchema) -> Result<Self, FeatureError> {
        if values.len() != schema.dimension {
            return Err(FeatureError::Dimension {
                expected: schema.dimension,
                actual: values.len(),
            });
        }
        Self::try_from(values)
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// How many numbers there are.
    pub fn dimension(&self) -> usize {
        self.0.len()
    }
}

impl TryFrom<Vec<f32>> for Features {
    type Error = FeatureError;

    fn try_from(mut values: Vec<f32>) -> Result<Self, FeatureError> {
        for (index, value) in values.iter_mut().enumerate() {
            if !(-1.0..=1.0).contains(value) {
                return Err(FeatureError::Value {
                    index,
                    value: *value,
                });
            }
            *value = on_grid(f64::from(*value));
        }
        Ok(Self(values))
    }
}

impl From<Features> for Vec<f32> {
    fn from(features: Features) -> Self {
        features.0
    }
}

/// The dense features, in their order.
pub(crate) const NAMES: [&str; 29] = [
    "bias",
    "mid_line",
    "line_end",
    "line_blank",
    "in_comment",
    "in_string",
    "suffix_empty_line",
    "indent/32",
    "depth/8",
    "after_identifier",
    "after_keyword",
    "after_number",
    "after_open",
    "after_close",
    "after_dot",
    "after_comma",
    "after_operator",
    "after_colon",
    "after_space",
    "after_start",
    "log2(1+prefix)/20",
    "log2(1+suffix)/20",
    "sin(hour)",
    "cos(hour)",
    "2*user_acceptance-1",
    "2*file_acceptance-1",
    "automatic",
    "manual",
    "speculative",
];

/// How the other features are made, for the schema's description.
pub(crate) fn hashed(schema: &FeatureSchema) -> &'static str {
    if knows_tenants(schema) {
        "language,client,language*place,client*trigger; two places each; +-2896/4096; tenant,tenant*language; +-724/4096; fnv1a"
    } else {
        "language,client,language*place,client*trigger; two places each; +-2896/4096; fnv1a"
    }
}

fn knows_tenants(schema: &FeatureSchema) -> bool {
    schema.version >= 2
}

pub(crate) fn featurise(facts: &Facts, schema: &FeatureSchema) -> Features {
    let dimension = schema.dimension;
    let mut values = Vec::with_capacity(dimension.max(NAMES.len()));
    values.extend_from_slice(&dense(facts));
    values.resize(dimension, 0.0);
    if dimension > NAMES.len() {
        let hashed = &mut values[NAMES.len()..];
        hash_request(facts, hashed);
        if knows_tenants(schema) {
            hash_tenant(facts, hashed);
        }
    }
    Features(values)
}

fn dense(facts: &Facts) -> [f32; NAMES.len()] {
    let position = &facts.position;
    let mut dense = [0.0; NAMES.len()];
    dense[0] = 1.0;
    dense[1] = indicator(position.mid_line);
    dense[2] = indicator(!position.mid_line && !position.line_blank);
    dense[3] = indicator(position.line_blank);
    dense[4] = indicator(position.in_comment);
    dense[5] = indicator(position.in_string);
    dense[6] = indicator(position.suffix_empty_line);
    dense[7] = f32::from(position.indent.min(32)) / 32.0;
    dense[8] = f32::from(position.depth.min(8)) / 8.0;
    dense[9 + after_index(position.after)] = 1.0;
    dense[20] = log_size(facts.prefix_chars);
    dense[21] = log_size(facts.suffix_chars);
    let angle = f64::from(facts.hour % 24) * (core::f64::consts::TAU / 24.0);
    dense[22] = on_grid(libm::sin(angle));
    dense[23] = on_grid(libm::cos(angle));
    dense[24] = acceptance(facts.user_acceptance);
    dense[25] = acceptance(facts.file_acceptance);
    dense[26 + trigger_index(facts.trigger)] = 1.0;
    dense
}

fn indicator(holds: bool) -> f32 {
    if holds { 1.0 } else { 0.0 }
}

fn after_index(after: After) -> usize {
    match after {
        After::Identifier => 0,
        After::Keyword => 1,
        After::Number => 2,
        After::Open => 3,
        After::Close => 4,
        After::Dot => 5,
        After::Comma => 6,
        After::Operator => 7,
        After::Colon => 8,
        After::Space => 9,
        After::Start => 10,
    }
}

fn trigger_index(trigger: Trigger) -> usize {
    match trigger {
        Trigger::Automatic => 0,
        Trigger::Manual => 1,
        Trigger::Speculative => 2,
    }
}

/// 0 for nothing, 1 for a million characters and more.
fn log_size(chars: u32) -> f32 {
    let log = libm::log2(1.0 + f64::from(chars)) / 20.0;
    on_grid(log.min(1.0))
}

/// From [0, 1] to [-1, 1]: an unknown acceptance, 0.5, is 0.
fn acceptance(share: f32) -> f32 {
    let share = if share.is_finite() { share } else { 0.5 };
    on_grid(2.0 * f64::from(share.clamp(0.0, 1.0)) - 1.0)
}

/// The nearest multiple of 1/[`Features::GRID`] to a number in [-1, 1].
#[expect(
    clippy::cast_possible_truncation,
    reason = "13 bits, which f32 holds exactly"
)]
pub(crate) fn on_grid(value: f64) -> f32 {
    let grid = f64::from(Features::GRID);
    ((value * grid).round() / grid) as f32
}

fn hash_request(facts: &Facts, values: &mut [f32]) {
    let language = facts.language.as_deref().unwrap_or("");
    let client = facts.client.as_str();
    let trigger = ["automatic", "manual", "speculative"][trigger_index(facts.trigger)];
    for token in [
        fnv1a(&["language", language]),
        fnv1a(&["client", client]),
        fnv1a(&["language*place", language, place(&facts.position)]),
        fnv1a(&["client*trigger", client, trigger]),
    ] {
        add(token, WEIGHT, values);
    }
}

/// How a tenant differs from all, and how it does in one language.
fn hash_tenant(facts: &Facts, values: &mut [f32]) {
    if let Some(tenant) = facts.tenant.as_deref() {
        let language = facts.language.as_deref().unwrap_or("");
        add(fnv1a(&["tenant", tenant]), TENANT_WEIGHT, values);
        add(
            fnv1a(&["tenant*language", tenant, language]),
            TENANT_WEIGHT,
            values,
        );
    }
}

/// Adds a token at two places with two signs (Weinberger et al. 2009, "Feature hashing for
/// large scale multitask learning"): two tokens that share one place still differ in the other.
fn add(token: u64, weight: f32, values: &mut [f32]) {
    let slots = values.len() as u64;
    for half in [scramble(token), scramble(!token)] {
        let slot = usize::try_from((half >> 1) % slots).unwrap_or(0);
        let sign = if half & 1 == 0 { weight } else { -weight };
        values[slot] = (values[slot] + sign).clamp(-1.0, 1.0);
    }
}

fn place(position: &Position) -> &'static str {
    if position.in_comment {
        "comment"
    } else if position.in_string {
        "string"
    } else if position.line_blank {
        "blank"
    } else if position.mid_line {
        "mid"
    } else {
        "end"
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): the low bits of FNV-1a alone are poor.
fn scramble(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// About 1/sqrt(2), so that a token has length 1 over its two places.
const WEIGHT: f32 = 2896.0 / 4096.0;

/// The length of a tenant's tokens is a quarter of that, so that the prior's standard deviation of how a tenant differs is
/// a quarter of that of how a language does: a new tenant is at first taken to be like all. In the world of
/// `tests/hierarchy.rs`, in whose first sixty requests knowing all is worth 0.25 a request, a new tenant has 0.20 of it
/// with a half, all of it with a quarter; and one unlike all comes to 0.78 of 0.80 with a quarter, to 0.72 with an eighth.
const TENANT_WEIGHT: f32 = WEIGHT / 4.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts() -> Facts {
        Facts {
            language: Some("rust".to_owned()),
            tenant: Some("acme".to_owned()),
            client: "zed".to_owned(),
            trigger: Trigger::Manual,
            prefix_chars: 1023,
            suffix_chars: 0,
            position: Position::at("fn f() {\n    x.", "", Some("rust")),
            hour: 6,
            user_acceptance: 0.75,
            file_acceptance: 0.5,
        }
    }

    fn value(features: &Features, name: &str) -> f32 {
        features.as_slice()[NAMES.iter().position(|n| *n == name).unwrap()]
    }

    #[test]
    fn dense_features_stand_at_their_places() {
        let features = FeatureSchema::default().featurise(&facts());
        for (name, expected) in [
            ("bias", 1.0),
            ("line_end", 1.0),
            ("mid_line", 0.0),
            ("after_dot", 1.0),
            ("after_start", 0.0),
            ("indent/32", 0.125),
            ("depth/8", 0.125),
            ("log2(1+prefix)/20", 0.5),
            ("log2(1+suffix)/20", 0.0),
            ("sin(hour)", 1.0),
            ("cos(hour)", 0.0),
            ("2*user_acceptance-1", 0.5),
            ("2*file_acceptance-1", 0.0),
            ("manual", 1.0),
            ("automatic", 0.0),
        ] {
            assert_eq!(value(&features, name), expected, "{name}");
        }
    }

    #[test]
    fn languages_and_clients_differ_in_the_hashed_part() {
        let schema = FeatureSchema::default();
        let mut seen = vec![schema.featurise(&facts())];
        for language in ["python", "go", "typescript", "c", "java", "ruby", "sql"] {
            let mut facts = facts();
            facts.language = Some(language.to_owned());
            let features = schema.featurise(&facts);
            assert_eq!(features.as_slice()[..29], seen[0].as_slice()[..29]);
            assert!(!seen.contains(&features), "{language}");
            seen.push(features);
        }
    }

    #[test]
    fn tenants_differ_in_the_hashed_part_of_the_second_version() {
        let schema = FeatureSchema::default();
        let first = FeatureSchema {
            version: 1,
            ..schema
        };
        let of = |tenant: Option<&str>, schema: &FeatureSchema| {
            let mut facts = facts();
            facts.tenant = tenant.map(str::to_owned);
            schema.featurise(&facts)
        };
        let alone = of(None, &schema);
        let mut seen = vec![alone.clone()];
        for tenant in ["acme", "umbrella", "initech", ""] {
            assert_eq!(
                of(Some(tenant), &first),
                alone,
                "version 1 knows no tenants"
            );
            let features = of(Some(tenant), &schema);
            assert_eq!(features.as_slice()[..29], alone.as_slice()[..29]);
            assert!(!seen.contains(&features), "{tenant}");
            seen.push(features);
        }
    }

    #[test]
    fn numbers_that_are_none_count_as_unknown() {
        let schema = FeatureSchema::default();
        let mut unknown = facts();
        unknown.user_acceptance = 0.5;
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut facts = facts();
            facts.user_acceptance = bad;
            assert_eq!(schema.featurise(&facts), schema.featurise(&unknown));
        }
    }

    #[test]
    fn a_logged_vector_is_checked() {
        let schema = FeatureSchema {
            dimension: 2,
            version: 1,
        };
        assert_eq!(
            Features::from_logged(vec![1.0], &schema),
            Err(FeatureError::Dimension {
                expected: 2,
                actual: 1
            })
        );
        for bad in [f32::INFINITY, -1.5, 1e30] {
            assert_eq!(
                Features::from_logged(vec![0.0, bad], &schema),
                Err(FeatureError::Value {
                    index: 1,
                    value: bad
                })
            );
        }
        assert!(Features::from_logged(vec![f32::NAN, 0.0], &schema).is_err());
        assert!(serde_json::from_str::<Features>("[0.5, 2.0]").is_err());
    }

    proptest! {
        #[test]
        fn features_are_bounded_and_come_back_from_the_log(
            language in prop::option::of("\\PC{0,80}"),
            tenant in prop::option::of("\\PC{0,80}"),
            client in "\\PC{0,80}",
            sizes: (u32, u32, u16, u16),
            hour: u8,
            acceptances: (f32, f32),
            text in "\\PC{0,60}",
            dimension in 1_usize..200,
            version in 1_u32..=2,
        ) {
            let mut position = Position::at(&text, "", language.as_deref());
            (position.indent, position.depth) = (sizes.2, sizes.3);
            let facts = Facts {
                language,
                tenant,
                client,
                trigger: Trigger::Automatic,
                prefix_chars: sizes.0,
                suffix_chars: sizes.1,
                position,
                hour,
                user_acceptance: acceptances.0,
                file_acceptance: acceptances.1,
            };
            let schema = FeatureSchema { dimension, version };
            let features = schema.featurise(&facts);
            prop_assert_eq!(features.dimension(), dimension);
            let json = serde_json::to_string(&features).unwrap();
            let back: Vec<f32> = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&Features::from_logged(back, &schema).unwrap(), &features);
        }
    }
}
