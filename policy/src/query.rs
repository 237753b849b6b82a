/// What a decision asks of regressions: the rewards of some arms in a context.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    /// The arms.
    pub(crate) arms: &'a [&'a str],
    /// The context.
    pub(crate) x: &'a [f32],
    /// Places and values of the features that are not zero, which alone cost anything.
    pub(crate) nonzero: Vec<(usize, f32)>,
}

impl<'a> Query<'a> {
    pub(crate) fn new(arms: &'a [&'a str], x: &'a [f32]) -> Self {
        // Which features are zero nobody can foresee, the processor neither: no branch hangs on it.
        let mut nonzero = vec![(0, 0.0); x.len()];
        let mut count = 0;
        for (place, &value) in x.iter().enumerate() {
            nonzero[count] = (place, value);
            count += usize::from(value != 0.0);
        }
        nonzero.truncate(count);
        Self { arms, x, nonzero }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_zero_is_kept_in_its_order() {
        let query = Query::new(&["a"], &[0.0, 0.5, -0.0, f32::NAN, 1.0, 0.0]);
        let places: Vec<usize> = query.nonzero.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [1, 3, 4]);
        assert_eq!(query.nonzero[0].1, 0.5);
    }
}
