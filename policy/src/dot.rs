/// The inner product of two vectors of equal length.
///
/// Four running sums, so that the processor can work on several products at once; the order of
/// additions is fixed by this text, never by the compiler, so results repeat bit for bit.
#[expect(
    clippy::inline_always,
    reason = "to have the instructions of its caller"
)]
#[inline(always)]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (mut a, mut b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in a.by_ref().zip(b.by_ref()) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let tail: f64 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    fold(sums) + tail
}

#[expect(
    clippy::inline_always,
    reason = "to have the instructions of its caller"
)]
#[inline(always)]
fn fold(sums: [f64; LANES]) -> f64 {
    ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
}

/// Sums that run side by side.
pub(crate) const LANES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_product_is_lost_at_any_length() {
        for length in 0..40 {
            let a: Vec<f64> = (0..length).map(|i| f64::from(i) / 64.0).collect();
            let b: Vec<f64> = (0..length).map(|i| f64::from(i) - 7.0).collect();
            let expected: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert!((dot(&a, &b) - expected).abs() < 1e-9);
        }
    }
}
