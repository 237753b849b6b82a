use crate::filter::digest;
use crate::page::Page;
use crate::region::{ANCHOR_BYTES_MAX, without_last_line};
use crate::sight::Sight;
use crate::{Region, Window};

/// Where a proposal was asked for, and how to find that place again in later requests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) file: Option<String>,
    /// The end of the text before the cursor.
    left: String,
    /// The beginning of the text after it.
    right: String,
    /// A hash by which another request for it is known.
    pub(crate) hash: u64,
    spot: Option<Spot>,
}

/// A place on a page, from its first byte to where the text after it goes on. One that is above the page, out of sight,
/// starts below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    page: u64,
    start: isize,
    end: Option<usize>,
}

impl Spot {
    /// Its first byte, if that is on the page.
    fn start(&self) -> Option<usize> {
        self.start.try_into().ok()
    }
}

/// A place in a later document, followed there from a page.
struct Followed {
    start: usize,
    end: Option<usize>,
    /// Whether what stands there, and what is right beside it, is as it was.
    is_untouched: bool,
}

/// What a later request shows of a place.
pub(crate) enum Found<'a> {
    /// It is as it was at the last request, or out of sight.
    Untouched,
    /// What stands there now.
    Region(Region<'a>),
    /// Nothing.
    Nothing,
}

impl Place {
    /// Where the cursor of a request is.
    pub(crate) fn of(window: &Window<'_>) -> Self {
        let (prefix, suffix) = (window.prefix, window.suffix);
        let tail = prefix.ceil_char_boundary(prefix.len().saturating_sub(ANCHOR_BYTES_MAX));
        let head = suffix.floor_char_boundary(ANCHOR_BYTES_MAX);
        Self {
            file: window.file.map(str::to_owned),
            left: prefix[tail..].to_owned(),
            right: suffix[..head].to_owned(),
            hash: Self::hash_of(window),
            spot: None,
        }
    }

    /// A hash by which two requests for one place are known: of the text next to the cursor, and of how much
    /// there is on either side.
    pub(crate) fn hash_of(window: &Window<'_>) -> u64 {
        let (prefix, suffix) = (window.prefix, window.suffix);
        let near = prefix.ceil_char_boundary(prefix.len().saturating_sub(HASHED_BYTES));
        let far = suffix.floor_char_boundary(HASHED_BYTES);
        let file = window.file.unwrap_or_default();
        let mix = |all: u64, side: &str| all.rotate_left(21) ^ digest(side);
        let lengths = (prefix.len() as u64).rotate_left(32) ^ suffix.len() as u64;
        let sides = [&prefix[near..], &suffix[..far], file];
        sides.into_iter().fold(lengths, mix)
    }

    /// Whether a request is known to be for another file.
    pub(crate) fn is_of_another(&self, file: Option<&str>) -> bool {
        matches!((self.file.as_deref(), file), (Some(own), Some(other)) if own != other)
    }

    /// Whether a request is known to be for another file. One for the page that the place is on is not.
    pub(crate) fn is_elsewhere(&self, sight: &Sight<'_>) -> bool {
        let is_on_page = self.spot.is_some_and(|spot| spot.page == sight.page);
        !is_on_page && self.is_of_another(sight.file)
    }

    /// Puts it on the page of the request that it is the place of.
    pub(crate) fn put_on(&mut self, page: &Page) {
        let at = page.cursor();
        let spot = at.try_into().ok().map(|start| Spot {
            page: page.id,
            start,
            end: Some(at),
        });
        self.spot = spot.filter(|_| page.is_at(self.hash));
    }

    /// Whether a request is the first known one at another place of its page.
    pub(crate) fn is_left(&self, sight: &Sight<'_>) -> bool {
        self.hash != sight.place && self.spot.is_some_and(|spot| spot.page == sight.page)
    }

    /// Takes it off its page: it has to be found by the text around it.
    pub(crate) fn lose(&mut self) {
        self.spot = None;
    }

    /// Looks for the place in a later request, by following it or else by the text around it, and remembers
    /// where it was found. Of what stands there, the first `bound` bytes are of interest, and where `decided` bytes
    /// have decided, no more than these.
    pub(crate) fn look_for<'a>(
        &mut self,
        sight: &Sight<'a>,
        bound: usize,
        decided: Option<usize>,
    ) -> Found<'a> {
        if let Some(above) = self.above(sight) {
            self.spot = Some(above);
            return Found::Untouched;
        }
        if let Some(followed) = self.follow(sight, bound, decided) {
            let Followed { start, end, .. } = followed;
            self.remember(sight, start, end);
            if followed.is_untouched {
                return Found::Untouched;
            }
            let (document, cursor) = (sight.document, sight.cursor);
            return Found::Region(Region::between(document, cursor, start, end, &self.right));
        }
        let Some(region) = self.find(sight) else {
            self.spot = None;
            return Found::Nothing;
        };
        let start = sight.document.len() - region.onwards.len();
        let end = region.closed.then_some(start + region.stands.len());
        self.remember(sight, start, end);
        Found::Region(region)
    }

    /// What stands there, also where nothing has changed, if that `is_asked`. The place is followed in any case.
    pub(crate) fn look_at<'a>(&mut self, sight: &Sight<'a>, is_asked: bool) -> Option<Region<'a>> {
        let followed = self.follow(sight, 0, None);
        let Some(Followed { start, end, .. }) = followed else {
            if !is_asked {
                // It is looked for when that is asked.
                self.spot = self.above(sight);
                return None;
            }
            return match self.look_for(sight, 0, None) {
                Found::Region(region) => Some(region),
                Found::Untouched | Found::Nothing => None,
            };
        };
        self.remember(sight, start, end);
        let (document, cursor) = (sight.document, sight.cursor);
        is_asked.then(|| Region::between(document, cursor, start, end, &self.right))
    }

    fn follow(&self, sight: &Sight<'_>, bound: usize, decided: Option<usize>) -> Option<Followed> {
        let (spot, drift) = (self.spot?, sight.drift?);
        if spot.page != sight.page {
            return None;
        }
        let was = spot.start()?;
        let start = drift.start(was)?;
        let end = spot.end.and_then(|end| drift.end(end));
        // Text put in that begins like what follows it seems to be put in further on.
        let is_as_long = spot.end.is_none()
            || spot.end.map(|end| end.checked_sub(was)) == end.map(|end| end.checked_sub(start));
        let bound = was + bound;
        let is_kept = || drift.keeps(was, spot.end.unwrap_or(bound).min(bound));
        let is_decided = |decided: usize| {
            let is_there = end.is_some_and(|end| end >= start + decided);
            // Text put in before it that ends as it begins seems to be put in behind.
            let has_moved_along = drift.start(was + decided) == Some(start + decided);
            is_there && has_moved_along && drift.keeps(was, was + decided)
        };
        Some(Followed {
            start,
            end,
            is_untouched: decided.is_some_and(is_decided) || (is_as_long && is_kept()),
        })
    }

    /// Where it is above the document, whose window has moved on below it. What has no more before it than a window may
    /// end with has been deleted with that, for all that is known.
    fn above(&self, sight: &Sight<'_>) -> Option<Spot> {
        let (spot, drift) = (self.spot?, sight.drift?);
        if spot.page != sight.page || self.left.len() < ABOVE_BYTES {
            return None;
        }
        let start = drift.above(spot.start)?;
        Some(Spot {
            start: start.checked_sub_unsigned(sight.offset)?,
            end: None,
            ..spot
        })
    }

    fn remember(&mut self, sight: &Sight<'_>, start: usize, end: Option<usize>) {
        let on_page = |at: usize| at.checked_sub(sight.offset);
        let start = on_page(start).and_then(|start| start.try_into().ok());
        self.spot = start.map(|start| Spot {
            page: sight.page,
            start,
            end: end.and_then(on_page),
        });
    }

    /// Finds the place by all the text before it that is known, or else where what stood before it was deleted, or else
    /// by some of that text.
    fn find<'a>(&self, sight: &Sight<'a>) -> Option<Region<'a>> {
        let (document, cursor) = (sight.document, sight.cursor);
        let find = || Region::find(document, cursor, &self.left, &self.right);
        let found = sight.may_hold(&self.left).then(find).flatten();
        let is_whole = |found: &Region<'_>| found.agreed >= self.left.trim_end().len();
        if found.as_ref().is_some_and(is_whole) {
            return found;
        }
        self.closed_up(sight).or(found)
    }

    /// Where what stood before it was deleted.
    fn closed_up<'a>(&self, sight: &Sight<'a>) -> Option<Region<'a>> {
        let (spot, drift) = (self.spot?, sight.drift?);
        if spot.page != sight.page {
            return None;
        }
        let (document, cursor) = (sight.document, sight.cursor);
        let start = document.floor_char_boundary(drift.closed_up(spot.start()?)?);
        let end = spot.end.and_then(|end| drift.end(end));
        Some(Region::between(document, cursor, start, end, &self.right))
    }

    /// What stands around the place when its line is gone: between the line before it and what followed it.
    pub(crate) fn look_around<'a>(&self, sight: &Sight<'a>) -> Option<Region<'a>> {
        let left = without_last_line(&self.left).filter(|left| sight.may_hold(left))?;
        let region = Region::find(sight.document, sight.cursor, left, &self.right)?;
        let is_seen = region.closed || sight.document.len() - region.onwards.len() <= sight.cursor;
        let is_known = region.agreed >= left.trim_end().len().min(AROUND_BYTES);
        (is_seen && is_known).then_some(region)
    }

    /// Whether a region agrees with so much of the text before the place that `text`, which ends there, stands
    /// in it, too.
    pub(crate) fn is_behind(&self, region: &Region<'_>, text: &str) -> bool {
        let whole = self.left.trim_end().len();
        region.agreed >= whole.min(text.len() + ANCHOR_BYTES_MAX / 2)
    }

    /// Whether `text` stands right before it, white space aside.
    pub(crate) fn is_right_behind(&self, text: &str) -> bool {
        self.left.trim_end().ends_with(text.trim())
    }

    /// The window without `text` before the cursor, if what remains is this place: what an editor that asks
    /// ahead of its user sends.
    pub(crate) fn without<'a>(&self, text: &str, window: &Window<'a>) -> Option<Window<'a>> {
        if self.is_of_another(window.file) {
            return None;
        }
        let before = window.prefix.trim_end();
        let before = before.strip_suffix(text.trim())?;
        let (own, left) = (before.trim_end(), self.left.trim_end());
        let is_place = own.ends_with(left) || (own.len() >= PLACE_BYTES && left.ends_with(own));
        // The indentation that was there goes with the place, and that of the text with the text.
        let indentation = self.left.len() - left.len();
        let end = before.floor_char_boundary((own.len() + indentation).min(before.len()));
        is_place.then_some(Window {
            prefix: &before[..end],
            ..*window
        })
    }
}

/// Bytes on either side of the cursor that a place is known by.
const HASHED_BYTES: usize = 512;

/// Fewer bytes before the cursor than these occur in many places.
const PLACE_BYTES: usize = 25;

/// A place with fewer bytes before it may be gone with all of them; one with more is out of sight.
const ABOVE_BYTES: usize = ANCHOR_BYTES_MAX - 3;

/// A place that lost its last line is known by as many bytes before that.
const AROUND_BYTES: usize = 50;
