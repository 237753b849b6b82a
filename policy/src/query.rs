use crate::nonzero::nonzero;

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
        Self {
            arms,
            x,
            nonzero: nonzero(x),
        }
    }
}
