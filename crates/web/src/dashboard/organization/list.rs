//! What the lists of users, models and providers have in common: the range, the ranking, the search, the figures of
//! each row and their sum.

use mai_organization::usage_tracking::{Listed, ModelUsage, Totals, UserUsage, stats::models::ProviderUsage};
use mai_primitives::{Pln, Usd, display};

use crate::{
    api::ApiError,
    dashboard::{
        charts,
        figures::{Amount, Item, Notice, Ranked, cost, ranking, rate_notices, top},
        format,
        frame::{Frame, Link},
        range::Range,
        table::{Head, Pager, Search, paged},
        visit::Visit,
    },
};

/// How many have a bar of their own.
const TOP: usize = 8;

/// What was used of something that is listed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    totals: Totals,
    cost_pln: Option<Pln>,
    share_ppm: Option<i64>,
    days: i64,
    /// Those of the days whose rate may still change.
    days_estimated: i64,
}

impl From<&UserUsage> for Used {
    fn from(user: &UserUsage) -> Self {
        let &UserUsage { totals, cost_pln, share_ppm, days_active: days, days_estimated, .. } = user;
        Self { totals, cost_pln, share_ppm, days, days_estimated }
    }
}

impl From<&ModelUsage> for Used {
    fn from(model: &ModelUsage) -> Self {
        let &ModelUsage { totals, cost_pln, share_ppm, days_used: days, days_estimated, .. } = model;
        Self { totals, cost_pln, share_ppm, days, days_estimated }
    }
}

impl From<&ProviderUsage> for Used {
    fn from(provider: &ProviderUsage) -> Self {
        let &ProviderUsage { totals, cost_pln, share_ppm, days_used: days, days_estimated, .. } = provider;
        Self { totals, cost_pln, share_ppm, days, days_estimated }
    }
}

/// The figures of a row, or of the sum, as they are shown.
pub(super) struct Figures {
    pub(super) tokens: String,
    pub(super) requests: String,
    pub(super) cost: Amount,
    pub(super) share: String,
    /// The length of the share's bar in thousandths.
    pub(super) width: i64,
    pub(super) days: String,
}

impl Figures {
    fn of(frame: &Frame, used: Used) -> Self {
        Self {
            tokens: frame.number(used.totals.tokens),
            requests: frame.number(used.totals.requests),
            cost: Amount::new(used.totals.markup_cost, used.cost_pln).estimated(used.days_estimated),
            share: used.share_ppm.map(format::percent).unwrap_or_default(),
            width: used.share_ppm.map_or(0, |ppm| charts::width(ppm, 1_000_000)),
            days: frame.number(used.days),
        }
    }
}

/// What a list says of itself.
pub(super) struct Texts {
    /// How many there are, by the number.
    pub(super) count: &'static str,
    /// What the field of the search says while it is empty.
    pub(super) search: &'static str,
}

/// A list with what stands around it.
pub(super) struct List<R> {
    pub(super) range: Range,
    pub(super) notices: Vec<Notice>,
    /// Other views of the same; none where this is the only one.
    pub(super) views: Vec<Link>,
    /// The dearest; none where there is no ranking.
    pub(super) ranking: Vec<Ranked>,
    pub(super) search: Search,
    pub(super) count: String,
    pub(super) heads: Vec<Head>,
    /// What each row is of, and its figures.
    pub(super) rows: Vec<(R, Figures)>,
    pub(super) sum: Figures,
    pub(super) pager: Pager,
}

impl<R> List<R> {
    /// The page of a list that the address names, with the sums of all that was found.
    pub(super) fn of<T>(
        visit: &Visit,
        frame: &Frame,
        range: Range,
        listed: Listed<T>,
        (texts, heads): (Texts, Vec<Head>),
        row: impl Fn(T) -> R,
    ) -> Result<Self, ApiError>
    where
        for<'a> Used: From<&'a T>,
    {
        let found = listed.page;
        // The organization's rounded days where everything is listed, as everywhere else.
        let is_whole = found.matched_totals == found.totals;
        let estimated = found.items.iter().map(|item| Used::from(item).days_estimated);
        let sum = Used {
            totals: found.matched_totals,
            cost_pln: if is_whole { listed.cost_pln } else { found.matched_pln },
            share_ppm: None,
            days: 0,
            days_estimated: estimated.max().unwrap_or(0),
        };
        let count = i64::try_from(found.matched).unwrap_or(i64::MAX);
        let (shown, pager) = paged(found.items, &visit.address, frame)?;
        let rows = shown.into_iter().map(|item| {
            let figures = Figures::of(frame, Used::from(&item));
            (row(item), figures)
        });
        Ok(Self {
            range,
            notices: rate_notices(frame, &listed.conversion),
            views: Vec::new(),
            ranking: Vec::new(),
            search: Search::of(visit, &frame.t(texts.search)),
            count: frame.language.count(texts.count, count),
            heads,
            rows: rows.collect(),
            sum: Figures::of(frame, sum),
            pager,
        })
    }
}

/// The dearest of a list by their part of the whole, all others together as the last.
pub(super) fn dearest<T>(frame: &Frame, listed: &Listed<T>, name: impl Fn(&T) -> String) -> Vec<Ranked>
where
    for<'a> Used: From<&'a T>,
{
    let items = listed.page.items.iter();
    let items = items.map(|item| Item::new(name(item), cost(&Used::from(item).totals))).collect();
    let shown = |nanos| display::usd(Usd::from_nanos(nanos));
    ranking(top(items, TOP, frame.t("other")), cost(&listed.page.totals), shown)
}
