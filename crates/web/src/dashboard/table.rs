//! Tables: heads that sort by a link, search, and pages.

use mai_organization::usage_tracking::{Listing, Order};

use super::{address::Address, format, frame::Frame, visit::Visit};
use crate::api::ApiError;

/// How many rows a page of a table has.
const ROWS: usize = 50;

/// The head of a column.
pub(crate) struct Head {
    /// What it says.
    pub(crate) label: String,
    /// Where sorting by it leads; none where it cannot be sorted by.
    pub(crate) href: Option<String>,
    /// `ascending`, `descending` or nothing, as ARIA has it.
    pub(crate) sorted: &'static str,
    /// Whether it is a figure and stands on the right.
    pub(crate) is_figure: bool,
}

/// How a table is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sorting<S> {
    /// By what.
    pub(crate) by: S,
    /// Whether the greatest is first.
    pub(crate) is_descending: bool,
}

/// A column by which a table can be sorted: the code in addresses, what it is, and whether it is a figure, of
/// which the greatest comes first unless asked otherwise.
pub(crate) type Sortable<S> = (&'static str, S, bool);

impl<S: Copy + PartialEq> Sorting<S> {
    /// The sorting that an address names, by default by the first of `columns`.
    pub(crate) fn of(address: &Address, columns: &[Sortable<S>]) -> Result<Self, ApiError> {
        let unknown = || ApiError::field("sort", "is no column that can be sorted by");
        let wanted = match address.get("sort") {
            Some(code) => columns.iter().find(|(known, ..)| *known == code),
            None => columns.first(),
        };
        let (_, by, is_figure) = wanted.copied().ok_or_else(unknown)?;
        let is_descending = match address.get("order") {
            None => is_figure,
            Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(ApiError::field("order", "must be asc or desc")),
        };
        Ok(Self { by, is_descending })
    }

    /// The head of a column that can be sorted by.
    pub(crate) fn head(&self, address: &Address, label: String, (code, by, is_figure): Sortable<S>) -> Head {
        let is_current = by == self.by;
        let descending = if is_current { !self.is_descending } else { is_figure };
        let order = if descending { "desc" } else { "asc" };
        Head {
            label,
            href: Some(address.with(&[("sort", code), ("order", order), ("page", "")]).link()),
            sorted: match (is_current, self.is_descending) {
                (true, true) => "descending",
                (true, false) => "ascending",
                (false, _) => "",
            },
            is_figure,
        }
    }
}

impl Head {
    /// The head of a column that cannot be sorted by.
    pub(crate) fn plain(label: String, is_figure: bool) -> Self {
        Self { label, href: None, sorted: "", is_figure }
    }
}

/// Where one is in a table of several pages.
pub(crate) struct Pager {
    /// `51–100 of 1,000`
    pub(crate) text: String,
    /// The page before.
    pub(crate) previous: Option<String>,
    /// The next page.
    pub(crate) next: Option<String>,
}

/// The rows of the page that an address names. A page behind the last one is the last one: what it showed may
/// have gone meanwhile.
pub(crate) fn paged<T>(rows: Vec<T>, address: &Address, frame: &Frame) -> Result<(Vec<T>, Pager), ApiError> {
    let wanted = address.get("page").map_or(Ok(1), str::parse::<usize>);
    let wanted =
        wanted.ok().filter(|page| *page > 0).ok_or_else(|| ApiError::field("page", "must be 1 or more"))?;
    let total = rows.len();
    let last = total.div_ceil(ROWS).max(1);
    let page = wanted.min(last);
    let start = (page - 1) * ROWS;
    let shown: Vec<T> = rows.into_iter().skip(start).take(ROWS).collect();
    let number = |number: usize| format::number(frame.language, i64::try_from(number).unwrap_or(i64::MAX));
    let (from, to) = (number(if total == 0 { 0 } else { start + 1 }), number(start + shown.len()));
    let link = |page: usize| address.with(&[("page", &page.to_string())]).link();
    let pager = Pager {
        text: frame.language.with_all("pager", &[("from", &from), ("to", &to), ("total", &number(total))]),
        previous: (page > 1).then(|| link(page - 1)),
        next: (page < last).then(|| link(page + 1)),
    };
    Ok((shown, pager))
}

/// The form in which a list is searched.
pub(crate) struct Search {
    /// Where it leads.
    pub(crate) action: String,
    /// What it keeps.
    pub(crate) fields: Vec<(String, String)>,
    /// What is searched for.
    pub(crate) text: String,
    /// What the field says while it is empty.
    pub(crate) hint: String,
    /// The same list without the search.
    pub(crate) clear: Option<String>,
}

impl Search {
    /// The form of a page.
    pub(crate) fn of(visit: &Visit, hint: &str) -> Self {
        let text = visit.address.get("search").unwrap_or_default().to_owned();
        Self {
            action: visit.address.path().to_owned(),
            fields: visit.address.fields(&["search", "page"]),
            clear: (!text.is_empty()).then(|| visit.address.with(&[("search", ""), ("page", "")]).link()),
            hint: hint.to_owned(),
            text,
        }
    }
}

/// The whole list in the order that was asked for; the page is cut here.
pub(crate) fn listing<S: Copy>(visit: &Visit, sorting: Sorting<S>) -> Listing<S> {
    let order = if sorting.is_descending { Order::Descending } else { Order::Ascending };
    Listing {
        search: visit.address.get("search").map(str::to_owned),
        sort: sorting.by,
        order,
        after: None,
        limit: usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Sortable<u8>; 2] = [("cost", 0, true), ("name", 1, false)];

    #[test]
    fn a_second_click_turns_the_order_round() {
        let address = Address::to("/x").with(&[("page", "3")]);
        let sorting = Sorting::of(&address, &COLUMNS).unwrap();
        assert_eq!(sorting, Sorting { by: 0, is_descending: true });
        let head = sorting.head(&address, "Cost".into(), COLUMNS[0]);
        assert_eq!((head.href.as_deref(), head.sorted), (Some("/x?sort=cost&order=asc"), "descending"));
        let head = sorting.head(&address, "Name".into(), COLUMNS[1]);
        assert_eq!((head.href.as_deref(), head.sorted), (Some("/x?sort=name&order=asc"), ""));
        for wrong in [("sort", "x"), ("order", "x")] {
            assert!(Sorting::of(&address.with(&[wrong]), &COLUMNS).is_err());
        }
    }
}
