//! [`Leafing`]: lists that grow for good, so that they are not read as a whole. Each page says where the next begins.

use serde::Serialize;

use super::{address::Address, visit::Visit};
use crate::api::{ApiError, paging};

/// What stands in the address of a page behind the first: where it begins.
pub(crate) const CURSOR: &str = "cursor";
/// How many rows a page has.
const ROWS: usize = 50;

/// How one leafs through such a list.
pub(crate) struct Leafing {
    /// The first page, on every other one.
    pub(crate) first: Option<String>,
    /// The next page.
    pub(crate) next: Option<String>,
}

/// Where the page begins that an address names; none at the first.
pub(crate) fn asked(visit: &Visit) -> Option<&str> {
    visit.address.get(CURSOR)
}

/// How many rows are read for a page: one more tells whether another follows.
pub(crate) fn rows_to_read() -> i64 {
    paging::rows_for(ROWS)
}

/// The rows of the page of an address among those that were read, and how to leaf on. The key of the last row is where
/// the next page begins.
pub(crate) fn cut<T, K: Serialize>(
    address: &Address,
    rows: Vec<T>,
    key: impl Fn(&T) -> K,
) -> Result<(Vec<T>, Leafing), ApiError> {
    let (rows, next) = paging::cut(rows, ROWS, key)?;
    let first = address.get(CURSOR).map(|_| address.with(&[(CURSOR, "")]).link());
    Ok((rows, Leafing { first, next: next.map(|next| address.with(&[(CURSOR, &next)]).link()) }))
}
