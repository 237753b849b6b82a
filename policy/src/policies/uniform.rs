/// The same probability for each arm. `scores` is overwritten.
pub(crate) fn probabilities(scores: &mut [f64]) {
    let even = 1.0 / scores.len() as f64;
    scores.fill(even);
}
