//! [`Table`]: the rows of an export, a page at a time.

use std::collections::HashMap;

use actix_web::web;
use mai_organization::usage_tracking::{
    ClientDailyUsageModel, DayRange, Days, Listing,
    exports::Export,
    query::DayKey,
    stats::{
        series::{GroupBy, Metric},
        users::Activity,
    },
};
use mai_primitives::{GenerationId, ModelName, UserId};

use super::super::fleet::by_name;
use super::{
    Kind,
    columns::{
        BY_MODEL, BY_MODEL_DAILY, BY_USER, BY_USER_DAILY, CLIENTS, Cell, Columns, DAILY, Day, GENERATIONS,
        Generation, InPln, Named,
    },
};
use crate::api::{Api, ApiError};

/// How many rows are read at once.
const PAGE: i64 = 2_000;

/// Where the rows come from, and which page is the next one.
pub(super) enum Source {
    Daily(Export),
    ByUser(Export),
    ByModel(Export),
    ByUserDaily(Export, Option<DayKey<UserId>>),
    ByModelDaily(Export, Option<DayKey<ModelName>>),
    Generations(Export, HashMap<String, String>, Option<DayKey<GenerationId>>),
    Clients(DayRange),
}

impl Source {
    /// The rows of a kind.
    pub(super) async fn of(kind: Kind, api: &Api, export: Export) -> Result<Self, ApiError> {
        Ok(match kind {
            Kind::Daily => Self::Daily(export),
            Kind::ByUser => Self::ByUser(export),
            Kind::ByModel => Self::ByModel(export),
            Kind::ByUserDaily => Self::ByUserDaily(export, None),
            Kind::ByModelDaily => Self::ByModelDaily(export, None),
            Kind::Generations => {
                let keys = api.services.gateway_key_db.list(&export.client_org_id).await?;
                let prefixes = keys.into_iter().map(|key| (key.id, key.key_prefix)).collect();
                Self::Generations(export, prefixes, None)
            }
        })
    }
}

/// The rows of an export.
pub(super) struct Table {
    api: web::Data<Api>,
    /// None when all rows were read.
    source: Option<Source>,
    sees_raw_cost: bool,
    /// The names of the columns.
    pub(super) names: Vec<&'static str>,
}

/// Rows, each with a cell for every column.
pub(super) type Rows = Vec<Vec<Cell>>;

impl Table {
    /// A table of which nothing was read yet.
    pub(super) fn new(api: web::Data<Api>, source: Source, sees_raw_cost: bool) -> Self {
        let names = match &source {
            Source::Daily(_) => DAILY.names(sees_raw_cost),
            Source::ByUser(_) => BY_USER.names(sees_raw_cost),
            Source::ByModel(_) => BY_MODEL.names(sees_raw_cost),
            Source::ByUserDaily(..) => BY_USER_DAILY.names(sees_raw_cost),
            Source::ByModelDaily(..) => BY_MODEL_DAILY.names(sees_raw_cost),
            Source::Generations(..) => GENERATIONS.names(sees_raw_cost),
            Source::Clients(_) => CLIENTS.names(sees_raw_cost),
        };
        Self { api, source: Some(source), sees_raw_cost, names }
    }

    /// The next rows; none when there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Rows>, ApiError> {
        let Some(source) = self.source.take() else { return Ok(None) };
        let usage = &self.api.services.client_usage_db;
        let rows = match source {
            Source::Daily(export) => {
                let found = usage.daily_usage(
                    &export.client_org_id,
                    whole(&export),
                    GroupBy::Nothing,
                    Metric::Cost,
                    0,
                );
                let found = found.await?;
                let current = found.conversion.current.as_ref();
                let day = |row: ClientDailyUsageModel| {
                    Ok(Day { cost_pln: row.cost_pln(current)?, rate: row.rate(current), row })
                };
                let days = found.days.into_iter().map(day).collect::<Result<Vec<_>, ApiError>>()?;
                self.rows(&DAILY, &days)
            }
            Source::ByUser(export) => {
                let found =
                    usage.users(&export.client_org_id, whole(&export), Activity::All, Listing::default());
                self.rows(&BY_USER, &found.await?.page.items)
            }
            Source::ByModel(export) => {
                let found = usage.models(&export.client_org_id, whole(&export), Listing::default());
                self.rows(&BY_MODEL, &found.await?.page.items)
            }
            Source::ByUserDaily(export, after) => {
                let page = usage.user_days(&export, after, PAGE).await?;
                let last = page.last().map(|row| (row.usage_date, row.user_id.clone()));
                let named = page.into_iter().map(|row| {
                    let member = export.members.get(&row.user_id);
                    let name = member.and_then(|member| member.name.clone());
                    let cost_pln = export.rates.convert(row.usage_date, row.markup_cost)?;
                    Ok(Named { row, name, email: member.and_then(|member| member.email.clone()), cost_pln })
                });
                let rows = self.rows(&BY_USER_DAILY, &named.collect::<Result<Vec<_>, ApiError>>()?);
                self.source = last.filter(|_| is_full(&rows)).map(|at| Source::ByUserDaily(export, Some(at)));
                rows
            }
            Source::ByModelDaily(export, after) => {
                let page = usage.model_days(&export, after, PAGE).await?;
                let last = page.last().map(|row| (row.usage_date, row.model_name.clone()));
                let in_pln = page.into_iter().map(|row| {
                    let cost_pln = export.rates.convert(row.usage_date, row.markup_cost)?;
                    Ok(InPln { row, cost_pln })
                });
                let rows = self.rows(&BY_MODEL_DAILY, &in_pln.collect::<Result<Vec<_>, ApiError>>()?);
                self.source =
                    last.filter(|_| is_full(&rows)).map(|at| Source::ByModelDaily(export, Some(at)));
                rows
            }
            Source::Generations(export, prefixes, after) => {
                let page = usage.generations(&export, after, PAGE).await?;
                let last = page.last().map(|row| (row.generation_date, row.id.clone()));
                let found = page.into_iter().map(|row| Generation {
                    user_name: export.members.get(&row.user_id).and_then(|member| member.name.clone()),
                    key_prefix: row.gateway_key_id.as_ref().and_then(|id| prefixes.get(id).cloned()),
                    row,
                });
                let rows = self.rows(&GENERATIONS, &found.collect::<Vec<_>>());
                self.source =
                    last.filter(|_| is_full(&rows)).map(|at| Source::Generations(export, prefixes, Some(at)));
                rows
            }
            Source::Clients(range) => self.rows(&CLIENTS, &usage.clients(range, by_name()).await?.page.items),
        };
        Ok(Some(rows))
    }

    fn rows<T>(&self, columns: &Columns<T>, items: &[T]) -> Rows {
        items.iter().map(|item| columns.row(item, self.sees_raw_cost)).collect()
    }
}

/// The days that were resolved when the export began, which stay the same when midnight passes.
fn whole(export: &Export) -> Days {
    Days { start: Some(export.range.from()), end: Some(export.range.to()) }
}

/// Whether more rows may follow.
fn is_full(rows: &Rows) -> bool {
    i64::try_from(rows.len()) == Ok(PAGE)
}
