//! The days of a range, and beside them what the greatest models, providers or members used on each.

use std::collections::{BTreeMap, HashMap};

use mai_client_organization::members::members_of;
use mai_exchange_rates::CurrentRate;
use mai_primitives::{ModelName, OrganizationId, Pln, UsageDate, Usd, UserId};
use mai_storage::DbConnection;

use super::{models, row_totals};
use crate::{
    error::{Error, Result},
    model::ClientDailyUsageModel,
    pln::{self, Conversion, DayRates},
    query,
    range::DayRange,
    totals::Totals,
};

/// What a day's usage is taken apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupBy {
    /// Nothing: the days alone.
    #[default]
    Nothing,
    /// By model.
    Model,
    /// By the models' authors.
    Provider,
    /// By member.
    User,
}

/// Which figure decides who is among the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metric {
    /// What the client is charged.
    #[default]
    Cost,
    /// Tokens of prompts and answers.
    Tokens,
    /// Generations.
    Requests,
}

impl Metric {
    /// The figure of these sums: nano-dollars, tokens or generations.
    pub fn of(self, totals: &Totals) -> i64 {
        match self {
            Self::Cost => totals.markup_cost.nanos(),
            Self::Tokens => totals.tokens,
            Self::Requests => totals.requests,
        }
    }
}

/// The days of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyUsage {
    /// The range.
    pub range: DayRange,
    /// The days with usage, ascending.
    pub days: Vec<ClientDailyUsageModel>,
    /// Their sums.
    pub totals: Totals,
    /// The sum of the rounded days in PLN; none where no rate is known.
    pub cost_pln: Option<Pln>,
    /// How the costs became PLN.
    pub conversion: Conversion,
    /// The greatest ones over the whole range first, at last all others together, if there are any.
    /// On each day they add up to the day; in PLN, where each model or member is rounded, and all others are
    /// as one, nearly.
    pub series: Vec<Series>,
}

/// One line of a stacked chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Whose.
    pub who: SeriesOf,
    /// The sums over the range.
    pub totals: Totals,
    /// The sum of the rounded days in PLN; none where no rate is known.
    pub cost_pln: Option<Pln>,
    /// What was used on each of [`DailyUsage::days`], in their order, and what it is worth in PLN.
    pub per_day: Vec<(Totals, Option<Pln>)>,
}

/// Whose usage a series shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeriesOf {
    /// A model's, a provider's or a member's.
    One {
        /// The model, the provider's slug (empty for models without an author), or the member's id.
        id: String,
        /// What people call it.
        name: String,
    },
    /// All others' together.
    Others,
}

/// The days of a range and the series of the `top` greatest.
pub(crate) fn read(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    (group_by, metric, top): (GroupBy, Metric, usize),
    current: Option<CurrentRate>,
) -> Result<DailyUsage> {
    let days = query::daily_rows(conn, org, range.from(), range.to())?;
    let totals = row_totals(&days)?;
    let cost_pln = pln::sum_days(&days, current.as_ref())?;
    let conversion = Conversion::of(&days, current);
    let rate = conversion.rate();
    let rates = DayRates::of(&days, rate);
    let series = match group_by {
        GroupBy::Nothing => Vec::new(),
        GroupBy::User => {
            let mut users = query::by_user(conn, org, range.from(), range.to(), rate)?;
            users.sort_by(|a, b| a.user_id.cmp(&b.user_id));
            let users = greatest(users, metric, top, |user| user.totals);
            let named: Vec<UserId> = users.into_iter().map(|user| user.user_id).collect();
            let mut names: HashMap<UserId, String> = members_of(conn, org)?
                .into_iter()
                .filter_map(|member| Some((member.user_id, member.name?)))
                .collect();
            let found = query::users_per_day(conn, org, (range.from(), range.to()), &named)?;
            let one = |user: UserId| {
                let name = names.remove(&user).unwrap_or_else(|| user.to_string());
                (user.to_string(), name, vec![user])
            };
            assemble(&days, named.into_iter().map(one).collect(), found, &rates)?
        }
        GroupBy::Model => {
            let models = greatest(models::read(conn, org, range, rate)?, metric, top, |model| model.totals);
            let named: Vec<ModelName> = models.iter().map(|model| model.model_name.clone()).collect();
            let found = query::models_per_day(conn, org, (range.from(), range.to()), &named)?;
            let one = |name: ModelName| (name.to_string(), name.to_string(), vec![name]);
            assemble(&days, named.into_iter().map(one).collect(), found, &rates)?
        }
        GroupBy::Provider => {
            let providers = models::read_providers(conn, org, range, rate)?;
            let providers = greatest(providers, metric, top, |provider| provider.totals);
            let models = query::by_model(conn, org, range.from(), range.to(), rate)?;
            let groups: Vec<Group<ModelName>> = providers
                .into_iter()
                .map(|provider| {
                    let own = models.iter().map(|model| &model.model_name);
                    let own = own.filter(|name| name.author() == provider.slug.as_deref()).cloned().collect();
                    (provider.slug.unwrap_or_default(), provider.name.unwrap_or_default(), own)
                })
                .collect();
            let named: Vec<ModelName> = groups.iter().flat_map(|(.., own)| own.clone()).collect();
            let found = query::models_per_day(conn, org, (range.from(), range.to()), &named)?;
            assemble(&days, groups, found, &rates)?
        }
    };
    Ok(DailyUsage { range, days, totals, cost_pln, conversion, series })
}

/// The id and the name of a series, and whose rows it adds up.
type Group<K> = (String, String, Vec<K>);

/// The greatest of those with usage, the greatest first; equal ones stay in the order that they have.
fn greatest<T>(mut items: Vec<T>, metric: Metric, top: usize, totals: impl Fn(&T) -> Totals) -> Vec<T> {
    items.retain(|item| totals(item).requests > 0);
    items.sort_by_key(|item| std::cmp::Reverse(metric.of(&totals(item))));
    items.truncate(top);
    items
}

/// The series of the groups, and of what is left of the days.
fn assemble<K: std::hash::Hash + Eq>(
    days: &[ClientDailyUsageModel],
    groups: Vec<Group<K>>,
    found: Vec<(UsageDate, K, Totals)>,
    rates: &DayRates,
) -> Result<Vec<Series>> {
    let nothing = |date| Ok::<_, Error>((Totals::default(), rates.convert(date, Usd::ZERO)?));
    let mut left: BTreeMap<UsageDate, Totals> =
        days.iter().map(|row| (row.usage_date, Totals::from(row))).collect();
    let mut place = HashMap::new();
    let mut named = Vec::new();
    for (index, (id, name, keys)) in groups.into_iter().enumerate() {
        place.extend(keys.into_iter().map(|key| (key, index)));
        named.push((SeriesOf::One { id, name }, BTreeMap::new()));
    }
    for (date, key, totals) in found {
        if let Some((_, days)) = place.get(&key).and_then(|index| named.get_mut(*index)) {
            let before = days.get(&date).copied().map_or_else(|| nothing(date), Ok)?;
            let in_pln = rates.convert(date, totals.markup_cost)?;
            days.insert(date, (before.0.checked_add(totals)?, pln::add(before.1, in_pln)?));
            let rest = left.entry(date).or_default();
            *rest = rest.checked_add(totals.checked_neg()?)?;
        }
    }
    left.retain(|_, totals| *totals != Totals::default());
    if !left.is_empty() {
        let others = left
            .into_iter()
            .map(|(date, totals)| Ok((date, (totals, rates.convert(date, totals.markup_cost)?))));
        named.push((SeriesOf::Others, others.collect::<Result<_>>()?));
    }
    let series = named.into_iter().map(|(who, of_days)| {
        let day = |row: &ClientDailyUsageModel| {
            of_days.get(&row.usage_date).copied().map_or_else(|| nothing(row.usage_date), Ok)
        };
        let per_day: Vec<(Totals, Option<Pln>)> = days.iter().map(day).collect::<Result<_>>()?;
        Ok(Series {
            who,
            totals: Totals::sum(per_day.iter().map(|(totals, _)| *totals))?,
            cost_pln: pln::sum(per_day.iter().map(|(_, in_pln)| *in_pln))?,
            per_day,
        })
    });
    series.collect()
}
