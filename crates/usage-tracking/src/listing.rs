//! Searching, sorting and paging lists of sums.
//!
//! A sum over a range of days exists only when all of its rows were read, so that a page costs as much
//! as the whole list; the list is therefore made whole, and only what is asked for is handed out. Texts
//! are compared here and not in SQL, because there their order depends on the database's locale.

use std::cmp::Ordering;

use mai_primitives::Pln;

use crate::{error::Result, pln, totals::Totals};

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The greatest first.
    #[default]
    Descending,
    /// The least first.
    Ascending,
}

/// What a list is sorted by, of one item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey {
    /// A number.
    Number(i64),
    /// A text as [`sortable`](mai_primitives::text::sortable) makes it.
    Text(String),
}

/// The place of an item in a list, from which the next page goes on: it stays valid when other items
/// come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// What the list is sorted by.
    pub key: SortKey,
    /// Of equal items those with more requests come first,
    pub requests: i64,
    /// and then those whose id comes first.
    pub id: String,
}

impl Position {
    fn compare(&self, other: &Self, order: Order) -> Ordering {
        let by_key = match order {
            Order::Ascending => self.key.cmp(&other.key),
            Order::Descending => other.key.cmp(&self.key),
        };
        by_key.then_with(|| other.requests.cmp(&self.requests)).then_with(|| self.id.cmp(&other.id))
    }
}

/// Which part of a list is wanted, in which order.
#[derive(Debug, Clone)]
pub struct Listing<S> {
    /// Only items that contain this text, in whatever case.
    pub search: Option<String>,
    /// What to sort by.
    pub sort: S,
    /// Which way.
    pub order: Order,
    /// Behind which place to begin; none is the beginning.
    pub after: Option<Position>,
    /// How many items at most.
    pub limit: usize,
}

impl<S: Default> Default for Listing<S> {
    /// Everything.
    fn default() -> Self {
        Self { search: None, sort: S::default(), order: Order::default(), after: None, limit: usize::MAX }
    }
}

/// A part of a list, and the sums of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Where the next page begins; none when this is the last one.
    pub next: Option<Position>,
    /// How many items were found, on all pages.
    pub matched: usize,
    /// Their sums.
    pub matched_totals: Totals,
    /// Their sum in PLN; none where it cannot be told.
    pub matched_pln: Option<Pln>,
    /// How many items there are, whatever was searched for.
    pub count: usize,
    /// Their sums.
    pub totals: Totals,
    /// Their sum in PLN; none where it cannot be told.
    pub pln: Option<Pln>,
}

/// What can be listed.
pub(crate) trait Item {
    /// What it can be sorted by.
    type Sort: Copy;
    /// What tells it from others.
    fn id(&self) -> &str;
    /// What it is sorted by.
    fn key(&self, sort: Self::Sort) -> SortKey;
    /// The texts in which it is searched.
    fn texts(&self) -> Vec<&str>;
    /// What it adds to the sums.
    fn totals(&self) -> Totals;
    /// What it adds to the sum in PLN; none where it cannot be told.
    fn cost_pln(&self) -> Option<Pln>;
}

/// The part of `items` that is wanted.
pub(crate) fn page<T: Item>(items: Vec<T>, wanted: &Listing<T::Sort>) -> Result<Page<T>> {
    page_of(items, wanted, |_| true)
}

/// The part of `items` that is wanted and that `fits`, which narrows the list as a search does.
pub(crate) fn page_of<T: Item>(
    items: Vec<T>,
    wanted: &Listing<T::Sort>,
    fits: impl Fn(&T) -> bool,
) -> Result<Page<T>> {
    let (count, totals) = (items.len(), Totals::sum(items.iter().map(Item::totals))?);
    let sum_pln = pln::sum(items.iter().map(Item::cost_pln))?;
    let needle = wanted.search.as_deref().map(str::to_lowercase).unwrap_or_default();
    let contains = |text: &str| text.to_lowercase().contains(&needle);
    let is_found = |item: &T| fits(item) && (needle.is_empty() || item.texts().into_iter().any(contains));
    let found: Vec<T> = items.into_iter().filter(is_found).collect();
    let (matched, matched_totals) = (found.len(), Totals::sum(found.iter().map(Item::totals))?);
    let matched_pln = pln::sum(found.iter().map(Item::cost_pln))?;

    let position = |item: &T| Position {
        key: item.key(wanted.sort),
        requests: item.totals().requests,
        id: item.id().to_owned(),
    };
    let mut placed: Vec<(Position, T)> = found.into_iter().map(|item| (position(&item), item)).collect();
    if let Some(after) = &wanted.after {
        placed.retain(|(place, _)| place.compare(after, wanted.order).is_gt());
    }
    placed.sort_by(|(one, _), (other, _)| one.compare(other, wanted.order));
    let is_last = placed.len() <= wanted.limit;
    placed.truncate(wanted.limit);
    let next = if is_last { None } else { placed.last().map(|(place, _)| place.clone()) };
    let items = placed.into_iter().map(|(_, item)| item).collect();
    Ok(Page { items, next, matched, matched_totals, matched_pln, count, totals, pln: sum_pln })
}

#[cfg(test)]
mod tests {
    use mai_primitives::{Usd, text::sortable};
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Thing(String, i64);

    impl Item for Thing {
        type Sort = bool;

        fn id(&self) -> &str {
            &self.0
        }

        fn key(&self, by_name: bool) -> SortKey {
            if by_name { SortKey::Text(sortable(&self.0)) } else { SortKey::Number(self.1) }
        }

        fn texts(&self) -> Vec<&str> {
            vec![&self.0]
        }

        fn totals(&self) -> Totals {
            Totals { tokens: self.1, requests: self.1 % 2, raw_cost: Usd::ZERO, markup_cost: Usd::ZERO }
        }

        fn cost_pln(&self) -> Option<Pln> {
            (self.1 != 7).then_some(Pln::from_grosz(self.1))
        }
    }

    fn wanted(limit: usize) -> Listing<bool> {
        Listing { limit, ..Listing::default() }
    }

    #[test]
    fn a_search_narrows_the_list_and_not_the_sums_of_the_whole() {
        let items = vec![Thing("Żółw".into(), 3), Thing("lew".into(), 4), Thing("ŻÓŁĆ".into(), 5)];
        let found = page(items, &Listing { search: Some("żół".into()), ..wanted(1) }).unwrap();
        assert_eq!(found.items, [Thing("ŻÓŁĆ".into(), 5)]);
        assert_eq!((found.matched, found.matched_totals.tokens), (2, 8));
        assert_eq!((found.matched_pln, found.pln), (Some(Pln::from_grosz(8)), Some(Pln::from_grosz(12))));
        assert_eq!((found.count, found.totals.tokens), (3, 12));
        assert!(found.next.is_some());
    }

    proptest! {
        #[test]
        fn pages_put_together_are_the_sorted_list(
            numbers in prop::collection::vec(0_i64..4, 0..30),
            limit in 1_usize..7,
            by_name: bool,
            ascending: bool,
        ) {
            let name = |index: usize| ["a", "Ą", "b"][index % 3].to_owned() + &index.to_string();
            let items: Vec<Thing> =
                numbers.iter().enumerate().map(|(index, number)| Thing(name(index), *number)).collect();
            let order = if ascending { Order::Ascending } else { Order::Descending };
            let mut all = Vec::new();
            let mut after = None;
            loop {
                let part = Listing { sort: by_name, order, after, ..wanted(limit) };
                let part = page(items.clone(), &part).unwrap();
                prop_assert!(part.items.len() <= limit);
                all.extend(part.items);
                after = part.next;
                if after.is_none() {
                    break;
                }
            }
            let whole = page(items.clone(), &Listing { sort: by_name, order, ..wanted(usize::MAX) }).unwrap();
            prop_assert_eq!(&all, &whole.items);
            prop_assert_eq!(all.len(), items.len());
            let keys: Vec<SortKey> = all.iter().map(|item| item.key(by_name)).collect();
            let is_sorted = keys.windows(2).all(|two| if ascending { two[0] <= two[1] } else { two[0] >= two[1] });
            prop_assert!(is_sorted);
        }
    }
}
