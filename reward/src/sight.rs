use std::cell::OnceCell;

use crate::filter::Filter;
use crate::page::Drift;

/// A later request, as one proposal after the other looks at it.
#[derive(Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) file: Option<&'a str>,
    /// Prefix and suffix joined.
    pub(crate) document: &'a str,
    /// Bytes of prefix.
    pub(crate) cursor: usize,
    pub(crate) at_ms: i64,
    /// The page that the document is the next state of, and how it has changed since.
    pub(crate) page: u64,
    pub(crate) drift: Option<Drift>,
    /// When the user's last request before it was made, in milliseconds.
    pub(crate) last_ms: i64,
    /// The place that the page's last state was a request for.
    pub(crate) last_place: u64,
    /// Keys that were pressed since then, as far as the text tells.
    pub(crate) keys: usize,
    /// A hash of the place that it was made at.
    pub(crate) place: u64,
    /// Where the page's next state starts in the document.
    pub(crate) offset: usize,
    /// What the document may hold, made when the first proposal asks.
    pub(crate) filter: OnceCell<Filter>,
}

impl Sight<'_> {
    /// Whether the document may hold the end of `left`.
    pub(crate) fn may_hold(&self, left: &str) -> bool {
        let filter = self.filter.get_or_init(|| Filter::of(self.document));
        filter.may_hold_end_of(left.trim_end())
    }
}
