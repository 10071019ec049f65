//! Lists in pages: each page says where the next begins, by the key of its last item.
//!
//! A key and not a number of items, so that what comes or goes meanwhile neither hides nor repeats
//! anything that stays.

use actix_web::HttpResponse;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::{ApiError, asked::has_nul};

/// The length of a page that names none, and the longest.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

/// In which direction a list is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// The smallest first.
    #[default]
    Asc,
    /// The greatest first.
    Desc,
}

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// Its items.
    pub(crate) items: Vec<T>,
    /// Where the next page begins; none at the end.
    pub(crate) next_cursor: Option<String>,
    /// How many items all pages have together.
    pub(crate) total: usize,
}

/// Checks the length of a page: 1 to 500, by default 50.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, ApiError> {
    match asked {
        None => Ok(DEFAULT_LIMIT),
        Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        Some(_) => Err(ApiError::field("limit", "must be 1 to 500")),
    }
}

/// The page of a list that comes after a cursor. `key` must be different for each item, so it ends with
/// the item's id.
pub(crate) fn page<T, K: Ord + Serialize + DeserializeOwned>(
    mut items: Vec<T>,
    order: Order,
    limit: usize,
    cursor: Option<&str>,
    key: impl Fn(&T) -> K,
) -> Result<Page<T>, ApiError> {
    items.sort_by_cached_key(&key);
    if order == Order::Desc {
        items.reverse();
    }
    let total = items.len();
    if let Some(after) = cursor {
        let after: K = decode(after)?;
        items.retain(|item| match order {
            Order::Asc => key(item) > after,
            Order::Desc => key(item) < after,
        });
    }
    let is_last = items.len() <= limit;
    items.truncate(limit);
    let next_cursor = match items.last() {
        Some(last) if !is_last => Some(encode(&key(last))?),
        _ => None,
    };
    Ok(Page { items, next_cursor, total })
}

/// A key as a cursor.
pub(crate) fn encode(key: &impl Serialize) -> Result<String, ApiError> {
    let json = serde_json::to_vec(key).map_err(|error| ApiError::internal(&error, None))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// The key of a cursor.
pub(crate) fn decode<K: DeserializeOwned>(cursor: &str) -> Result<K, ApiError> {
    let wrong = || ApiError::field("cursor", "must be the `next_cursor` of the page before");
    let json = URL_SAFE_NO_PAD.decode(cursor).ok().filter(|json| !has_nul(json)).ok_or_else(wrong)?;
    serde_json::from_slice(&json).map_err(|_| wrong())
}

/// How many rows to read for a page of `limit`: one more tells whether another page follows.
pub(crate) fn rows_for(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// The page of rows that were read by [`rows_for`], and where the next begins.
pub(crate) fn cut<T, K: Serialize>(
    mut rows: Vec<T>,
    limit: usize,
    key: impl Fn(&T) -> K,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| has_more).map(|last| encode(&key(last))).transpose()?;
    Ok((rows, next_cursor))
}

/// An answer that is a bare list, as the original's, with what else there is to know in its headers.
pub(crate) fn bare_list<T, S: Serialize + From<T>>(page: Page<T>) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header(("x-total-count", page.total));
    if let Some(cursor) = page.next_cursor {
        answer.insert_header(("x-next-cursor", cursor));
    }
    answer.json(page.items.into_iter().map(S::from).collect::<Vec<S>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(order: Order, limit: usize) -> Vec<Vec<(i64, &'static str)>> {
        let items = vec![(2, "b"), (1, "a"), (2, "a"), (3, "c"), (1, "b")];
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            let page =
                page(items.clone(), order, limit, cursor.as_deref(), |item| (item.0, item.1.to_owned()))
                    .unwrap();
            assert_eq!(page.total, 5);
            pages.push(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn pages_have_every_item_once_in_order() {
        let sorted = [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "c")];
        for limit in 1..=6 {
            assert_eq!(pages(Order::Asc, limit).concat(), sorted, "{limit}");
            let mut reversed = pages(Order::Desc, limit).concat();
            reversed.reverse();
            assert_eq!(reversed, sorted, "{limit}");
        }
        assert_eq!(pages(Order::Asc, 5).len(), 1, "no empty page at the end");
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        for cursor in ["", "x", "bnVsbA", "!!!!"] {
            assert!(page(vec![1], Order::Asc, 1, Some(cursor), |item| (*item, String::new())).is_err());
        }
        assert!(limit(Some(0)).is_err() && limit(Some(501)).is_err());
        assert_eq!((limit(None), limit(Some(500))), (Ok(50), Ok(500)));
    }
}
