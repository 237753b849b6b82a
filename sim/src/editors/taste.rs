use crate::random::Random;
use serde::Serialize;

/// How one user works: fixed for a run, drawn from the seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent habits, each simply there or not"
)]
pub struct Taste {
    /// Languages the user writes, at least one.
    pub languages: Vec<String>,
    /// Seconds a keystroke takes.
    pub key_s: f64,
    /// Seconds without a keystroke after which the editor asks.
    pub debounce_s: f64,
    /// Mean seconds the user waits for an answer before typing on.
    pub patience_s: f64,
    /// Factor on the chance of pausing where people pause.
    pub pausing: f64,
    /// Least saving, in keystrokes, for which a proposal is taken.
    pub least_saving: f64,
    /// Keystrokes that a correction inside a proposal costs.
    pub edit_keys: f64,
    /// Keystrokes that deleting a wrong end costs, for each of its lines.
    pub trim_keys: f64,
    /// Whether the user never takes more than one line.
    pub only_lines: bool,
    /// Whether the user also takes single words.
    pub words: bool,
    /// Chance of judging by the first line alone.
    pub haste: f64,
    /// Chance of typing through a proposal that is entirely right.
    pub type_through: f64,
    /// Chance, per proposal, of walking away from it.
    pub leaving: f64,
    /// Chance of writing into the middle of existing code, rather than on at the end.
    pub inserting: f64,
    /// Whether the editor closes brackets by itself.
    pub auto_pairs: bool,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Whether the editor sends the language and the file's path.
    pub sends_file: bool,
    /// Whether the editor reports what became of proposals.
    pub reports: bool,
}

impl Taste {
    /// The taste of one user, who writes up to two of `languages`.
    pub(crate) fn draw(random: &mut Random, languages: &[String]) -> Self {
        Self {
            languages: draw_languages(random, languages),
            key_s: random.between(0.10, 0.28),
            debounce_s: random.between(0.10, 0.35),
            patience_s: random.between(0.8, 3.0),
            pausing: random.between(0.7, 1.3),
            least_saving: random.between(2.0, 8.0),
            edit_keys: random.between(6.0, 12.0),
            trim_keys: random.between(1.0, 4.0),
            only_lines: random.chance(0.25),
            words: random.chance(0.3),
            haste: random.between(0.0, 0.15),
            type_through: random.between(0.0, 0.12),
            leaving: random.between(0.0, 0.02),
            inserting: random.between(0.2, 0.7),
            auto_pairs: random.chance(0.6),
            stream: random.chance(0.6),
            sends_file: random.chance(0.6),
            reports: random.chance(0.25),
        }
    }
}

/// One or two different languages, at random.
fn draw_languages(random: &mut Random, languages: &[String]) -> Vec<String> {
    let first = random.below(languages.len());
    let second = random.below(languages.len());
    let both = random.chance(0.5);
    let mut drawn: Vec<String> = languages.get(first).cloned().into_iter().collect();
    if both && second != first {
        drawn.extend(languages.get(second).cloned());
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taste_follows_from_its_generator_and_tastes_differ() {
        let languages = ["python".to_owned(), "rust".to_owned()];
        let draw = |stream| Taste::draw(&mut Random::new(3, stream), &languages);
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
        for stream in 0..50 {
            let taste = draw(stream);
            assert!(!taste.languages.is_empty() && taste.languages.len() <= 2);
            assert!(taste.least_saving >= 2.0 && taste.patience_s > 0.0);
        }
    }

    #[test]
    fn habits_are_as_common_as_they_are_meant_to_be() {
        let tastes: Vec<Taste> = (0..2_000)
            .map(|stream| Taste::draw(&mut Random::new(5, stream), &["rust".to_owned()]))
            .collect();
        // Shares of 2,000 draws with standard deviation below 0.0112; six checks at 4.5 of these: a
        // false alarm once in 20,000 seeds.
        let check = |habit: fn(&Taste) -> bool, expected: f64| {
            let share = tastes.iter().filter(|taste| habit(taste)).count() as f64 / 2_000.0;
            assert!((share - expected).abs() < 0.05, "{share} for {expected}");
        };
        check(|taste| taste.only_lines, 0.25);
        check(|taste| taste.words, 0.3);
        check(|taste| taste.auto_pairs, 0.6);
        check(|taste| taste.stream, 0.6);
        check(|taste| taste.sends_file, 0.6);
        check(|taste| taste.reports, 0.25);
    }
}
