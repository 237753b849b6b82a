//! What the benches work on: source text, requests as facts, and a learned state.

use echo_policy::{Event, Facts, FeatureSchema, Features, Position, RewardState, Trigger};

/// Eight arms, as their versioned ids stand in decisions.
pub const ARMS: [&str; 8] = [
    "copy@1",
    "file@1",
    "ngram@1",
    "project@2",
    "qwen-7b@1",
    "silence@1",
    "starcoder@3",
    "tabby@1",
];

/// At least `bytes` bytes of source text in which no two functions are alike.
pub fn source(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + FUNCTION_BYTES);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&function(number));
    }
    text
}

/// The function of this number in [`source`].
fn function(number: usize) -> String {
    format!(
        "/// Sums what is left of column {number}.\n\
         fn column_{number}(rows: &[Row], from: usize) -> f64 {{\n    \
             let kept = rows.iter().skip(from).filter(|row| row.weight > {number}.0);\n    \
             kept.map(|row| row.price * row.count as f64).sum()\n}}\n\n"
    )
}

/// About the length of one function of [`source`].
const FUNCTION_BYTES: usize = 240;

/// Facts of 240 requests, which differ in language, hour, place and the user's habits: more than a
/// branch predictor learns by heart.
pub fn facts() -> Vec<Facts> {
    let text = source(8_192);
    let fact = |number: usize| {
        let cursor = text.floor_char_boundary(1_000 + number * 29);
        let (prefix, suffix) = text.split_at(cursor);
        let language = LANGUAGES[number % LANGUAGES.len()];
        Facts {
            language: Some(language.to_owned()),
            tenant: None,
            client: CLIENTS[number % CLIENTS.len()].to_owned(),
            trigger: Trigger::Automatic,
            prefix_chars: u32::try_from(prefix.len()).unwrap_or(u32::MAX),
            suffix_chars: u32::try_from(suffix.len()).unwrap_or(u32::MAX),
            position: Position::at(prefix, suffix, Some(language)),
            hour: u8::try_from(number % 24).unwrap_or(0),
            user_acceptance: share(number, 7),
            file_acceptance: share(number, 11),
        }
    };
    (0..REQUESTS).map(fact).collect()
}

const REQUESTS: usize = 240;

const LANGUAGES: [&str; 8] = [
    "rust",
    "python",
    "typescript",
    "go",
    "c",
    "java",
    "ruby",
    "toml",
];

const CLIENTS: [&str; 5] = ["continue", "llama.vim", "minuet", "tabby", "zed"];

/// The features of all [`facts`].
pub fn features(schema: &FeatureSchema) -> Vec<Features> {
    facts()
        .iter()
        .map(|facts| schema.featurise(facts))
        .collect()
}

/// A state in which every one of [`ARMS`] has learned from each of [`facts`] several times, with
/// rewards that depend on arm and context.
///
/// # Panics
///
/// Never: what it rewards with is in [0, 1].
pub fn learned(schema: &FeatureSchema) -> RewardState {
    let mut state = RewardState::new(schema);
    let contexts = features(schema);
    for pass in 0..PASSES {
        for (number, context) in contexts.iter().enumerate() {
            for (place, arm) in ARMS.iter().enumerate() {
                let reward = f64::from(share(number * (place + 1) + pass, 13));
                state
                    .update(&Event::new(arm, context), reward)
                    .expect("a share is a reward");
            }
        }
    }
    state
}

const PASSES: usize = 4;

/// A number in [0, 1) that looks arbitrary.
fn share(number: usize, modulus: usize) -> f32 {
    (number % modulus) as f32 / modulus as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_differ_and_all_arms_have_learned() {
        let schema = FeatureSchema::default();
        let contexts = features(&schema);
        let first = contexts[0].as_slice();
        assert!(
            contexts
                .iter()
                .skip(1)
                .filter(|c| c.as_slice() == first)
                .count()
                < 3
        );
        let state = learned(&schema);
        assert!(
            ARMS.iter()
                .all(|arm| state.count(arm) == (PASSES * REQUESTS) as u64)
        );
    }

    #[test]
    fn the_source_has_the_length_asked_for() {
        let text = source(4_096);
        assert!((4_096..4_096 + 2 * FUNCTION_BYTES).contains(&text.len()));
    }
}
