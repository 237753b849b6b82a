/// Places and values of the entries that are not zero, in their order: most features are zero, and cost nothing then.
///
/// Which ones are zero nobody can foresee, the processor neither: no branch hangs on it.
#[expect(
    clippy::inline_always,
    reason = "to have the instructions of its caller"
)]
#[inline(always)]
pub(crate) fn nonzero<T: Copy + Default + PartialEq>(entries: &[T]) -> Vec<(usize, T)> {
    let mut nonzero = vec![(0, T::default()); entries.len()];
    let mut count = 0;
    for (place, &value) in entries.iter().enumerate() {
        nonzero[count] = (place, value);
        count += usize::from(value != T::default());
    }
    nonzero.truncate(count);
    nonzero
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_zero_is_kept_in_its_order() {
        let found = nonzero(&[0.0, 0.5, -0.0, f32::NAN, 1.0, 0.0]);
        let places: Vec<usize> = found.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [1, 3, 4]);
        assert_eq!(found[0].1, 0.5);
    }
}
