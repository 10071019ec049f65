//! [`Older`]: lists that begin with the newest and grow for good, so that they are not read as a whole.

use serde::Serialize;

use super::visit::Visit;
use crate::api::{ApiError, paging};

/// What stands in the address of an older page: where it begins.
const BEFORE: &str = "before";
/// How many rows a page has.
const ROWS: usize = 50;

/// How one leafs through such a list.
pub(crate) struct Older {
    /// Back to the newest, from an older page.
    pub(crate) newest: Option<String>,
    /// The next page, of older ones.
    pub(crate) older: Option<String>,
}

/// Where the page begins that an address names; none at the newest.
pub(crate) fn cursor(visit: &Visit) -> Option<&str> {
    visit.address.get(BEFORE)
}

/// How many rows are read for a page: one more tells whether another follows.
pub(crate) fn rows_to_read() -> i64 {
    paging::rows_for(ROWS)
}

/// The rows of the page among those that were read, and how to leaf on. The key of the last row is where the next
/// page begins.
pub(crate) fn cut<T, K: Serialize>(
    visit: &Visit,
    rows: Vec<T>,
    key: impl Fn(&T) -> K,
) -> Result<(Vec<T>, Older), ApiError> {
    let (rows, next) = paging::cut(rows, ROWS, key)?;
    let newest = cursor(visit).map(|_| visit.address.with(&[(BEFORE, "")]).link());
    Ok((rows, Older { newest, older: next.map(|next| visit.address.with(&[(BEFORE, &next)]).link()) }))
}
