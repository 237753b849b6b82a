//! Saved models: what is written is read back, and nothing else is.
#![expect(clippy::unwrap_used, reason = "tests")]

use echo_model::{Document, Language, ModelError, TrainedModels, Trainer, TrainingLimits};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn trained() -> TrainedModels {
    let mut trainer = Trainer::new(TrainingLimits::default());
    let own = [
        include_str!("../src/lexer.rs"),
        include_str!("../src/language.rs"),
    ];
    for text in own {
        trainer.add(Document {
            path: "own.rs",
            language: Language::Rust,
            text,
        });
    }
    let text = include_str!("../Cargo.toml");
    trainer.add(Document {
        path: "Cargo.toml",
        language: Language::Toml,
        text,
    });
    trainer.train("three files", &mut |_| {})
}

fn saved(models: &TrainedModels) -> Vec<u8> {
    let mut bytes = Vec::new();
    models.save(&mut bytes).unwrap();
    bytes
}

/// The bytes with a checksum that is right for them.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 32;
    let digest = Sha256::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&digest);
    bytes
}

fn refusal(bytes: &[u8]) -> ModelError {
    TrainedModels::load(bytes).unwrap_err()
}

#[test]
fn what_is_saved_is_loaded() {
    let models = trained();
    let bytes = saved(&models);
    let loaded = TrainedModels::load(&bytes[..]).unwrap();
    assert_eq!(loaded.fingerprint(), "three files");
    assert_eq!(loaded.tokens(), models.tokens());
    assert_eq!(loaded.words(), models.words());
    assert_eq!(saved(&loaded), bytes);
    let empty = TrainedModels::empty("none");
    assert_eq!(
        TrainedModels::load(&saved(&empty)[..])
            .unwrap()
            .fingerprint(),
        "none"
    );
}

#[test]
fn training_is_deterministic() {
    assert_eq!(saved(&trained()), saved(&trained()));
}

#[test]
fn a_long_fingerprint_is_cut_between_characters() {
    let models = TrainedModels::empty(&"é".repeat(5000));
    assert!(models.fingerprint().len() <= echo_model::MAX_FINGERPRINT);
    assert_eq!(
        TrainedModels::load(&saved(&models)[..])
            .unwrap()
            .fingerprint(),
        models.fingerprint()
    );
}

#[test]
fn foreign_and_newer_files_are_refused() {
    let bytes = saved(&trained());
    assert!(matches!(
        refusal(b"PAR1 and then some"),
        ModelError::Foreign { .. }
    ));
    let mut newer = bytes.clone();
    newer[8] = 99;
    let error = refusal(&newer);
    assert!(matches!(error, ModelError::Version { found: 99, .. }));
    assert!(error.to_string().contains("format 99"));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = saved(&trained());
    let ends = (0..200)
        .chain((200..bytes.len()).step_by(977))
        .chain([bytes.len() - 1]);
    for end in ends {
        let error = refusal(&bytes[..end]);
        assert!(
            matches!(error, ModelError::Truncated { .. }),
            "{end}: {error}"
        );
    }
}

#[test]
fn lengths_that_lie_cost_nothing() {
    let mut bytes = saved(&trained());
    // The fingerprint's length, right after magic and version.
    bytes[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    let error = refusal(&bytes);
    assert!(
        matches!(
            error,
            ModelError::TooLong {
                found: u64::MAX,
                ..
            }
        ),
        "{error}"
    );
    // The vocabulary's length: within the limit, but beyond the file.
    let mut bytes = saved(&trained());
    let place = 20 + "three files".len();
    bytes[place..place + 8].copy_from_slice(&(1_u64 << 28).to_le_bytes());
    assert!(matches!(
        refusal(&bytes),
        ModelError::Truncated {
            reading: "vocabulary"
        }
    ));
}

#[test]
fn contradictions_under_a_right_checksum_are_refused() {
    let bytes = saved(&trained());
    // The last context of the last table, right before the checksum, points beyond the corpus.
    let mut lying = bytes.clone();
    let place = bytes.len() - 36;
    lying[place..place + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = refusal(&resealed(lying));
    assert!(matches!(error, ModelError::Corrupted { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_bit_is_noticed(place in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = saved(&trained());
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(TrainedModels::load(&bytes[..]).is_err());
        if place >= 20 + "three files".len() + 8 && place < bytes.len() - 32 {
            // Whatever a forger makes of it, loading does not panic.
            let _ = TrainedModels::load(&resealed(bytes)[..]);
        }
    }
}
