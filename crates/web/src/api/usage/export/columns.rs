//! The columns of each table: a name, and what of a row stands in it.

use mai_organization::{
    ClientBillingResponse, ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel,
    ProcessedGenerationModel,
    exchange_rates::{CurrentRate, RateOrigin},
    usage_tracking::{
        ModelUsage, Totals, UserUsage, provider_name,
        stats::costs::{profit, profit_percent},
    },
};
use mai_primitives::{ModelName, Pln, UnixTime, UsageDate, Usd};

/// What stands in one place of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum Cell {
    Text(String),
    Number(i64),
    Usd(Usd),
    Pln(Pln),
    /// A decimal number.
    Decimal(String),
    Day(UsageDate),
    Instant(UnixTime),
    Flag(bool),
    Nothing,
}

impl Cell {
    fn text(text: Option<impl ToString>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.to_string()))
    }

    fn number(number: Option<i64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }
}

/// What a row is charged, in złoty.
fn pln_cell(cost_pln: Option<Pln>) -> Cell {
    cost_pln.map_or(Cell::Nothing, Cell::Pln)
}

/// A column of rows of `T`.
pub(super) type Column<T> = (&'static str, fn(&T) -> Cell);

/// The columns of a table, and those that only the reseller sees.
pub(super) struct Columns<T: 'static> {
    pub(super) all: &'static [Column<T>],
    pub(super) raw: &'static [Column<T>],
}

impl<T> Columns<T> {
    fn seen(&self, sees_raw_cost: bool) -> impl Iterator<Item = &Column<T>> {
        self.all.iter().chain(self.raw.iter().filter(move |_| sees_raw_cost))
    }

    /// The names.
    pub(super) fn names(&self, sees_raw_cost: bool) -> Vec<&'static str> {
        self.seen(sees_raw_cost).map(|(name, _)| *name).collect()
    }

    /// One row.
    pub(super) fn row(&self, row: &T, sees_raw_cost: bool) -> Vec<Cell> {
        self.seen(sees_raw_cost).map(|(_, cell)| cell(row)).collect()
    }
}

/// A day, and the rate of days that have none of their own yet.
pub(super) struct Day {
    pub(super) row: ClientDailyUsageModel,
    pub(super) cost_pln: Option<Pln>,
    pub(super) rate: Option<CurrentRate>,
}

impl Day {
    /// The number and the day of NBP's table.
    fn table(&self) -> Option<(&str, UsageDate)> {
        match &self.rate.as_ref()?.origin {
            RateOrigin::Nbp { table_no, effective_date } => Some((table_no, *effective_date)),
            RateOrigin::Fallback => None,
        }
    }
}

/// A row of a model, with its worth.
pub(super) struct InPln<T> {
    pub(super) row: T,
    pub(super) cost_pln: Option<Pln>,
}

/// A row of a member, with what the registry knows of the member.
pub(super) struct Named<T> {
    pub(super) row: T,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) cost_pln: Option<Pln>,
}

/// A row of the ledger, with what stands elsewhere.
pub(super) struct Generation {
    pub(super) row: ProcessedGenerationModel,
    pub(super) user_name: Option<String>,
    pub(super) key_prefix: Option<String>,
}

/// The difference of the two costs; they are stored, so that it is in range but for corrupted rows.
fn profit_cell(totals: &Totals) -> Cell {
    profit(totals).map_or(Cell::Nothing, Cell::Usd)
}

fn provider_cell(model: &ModelName) -> Cell {
    Cell::text(model.author().map(provider_name))
}

pub(super) const DAILY: Columns<Day> = Columns {
    all: &[
        ("date", |day| Cell::Day(day.row.usage_date)),
        ("total_tokens", |day| Cell::Number(day.row.total_tokens)),
        ("total_requests", |day| Cell::Number(day.row.total_requests)),
        ("markup_cost", |day| Cell::Usd(day.row.markup_cost)),
        ("cost_pln", |day| pln_cell(day.cost_pln)),
        ("usd_pln_rate", |day| {
            day.rate.as_ref().map_or(Cell::Nothing, |rate| Cell::Decimal(rate.rate.to_string()))
        }),
        ("rate_date", |day| day.table().map_or(Cell::Nothing, |(_, date)| Cell::Day(date))),
        ("rate_table_no", |day| Cell::text(day.table().map(|(number, _)| number))),
        ("rate_is_final", |day| Cell::Flag(day.row.usd_pln_rate.is_some())),
        ("unique_users", |day| Cell::Number(day.row.unique_users)),
        ("primary_model", |day| Cell::text(day.row.primary_model.as_ref())),
    ],
    raw: &[
        ("raw_cost", |day| Cell::Usd(day.row.raw_cost)),
        ("profit", |day| profit_cell(&Totals::from(&day.row))),
    ],
};

pub(super) const BY_USER: Columns<UserUsage> = Columns {
    all: &[
        ("user_id", |user| Cell::text(Some(&user.user_id))),
        ("user_name", |user| Cell::text(user.member.as_ref().and_then(|member| member.name.as_ref()))),
        ("user_email", |user| Cell::text(user.email())),
        ("role", |user| Cell::text(user.member.as_ref().map(|member| member.role.as_str()))),
        ("is_active", |user| {
            user.member.as_ref().map_or(Cell::Nothing, |member| Cell::Flag(member.is_active))
        }),
        ("external_user_id", |user| Cell::text(user.openrouter_user_id.as_ref())),
        ("total_tokens", |user| Cell::Number(user.totals.tokens)),
        ("total_requests", |user| Cell::Number(user.totals.requests)),
        ("markup_cost", |user| Cell::Usd(user.totals.markup_cost)),
        ("cost_pln", |user| pln_cell(user.cost_pln)),
        ("days_active", |user| Cell::Number(user.days_active)),
        ("last_activity", |user| user.last_activity.map_or(Cell::Nothing, Cell::Instant)),
    ],
    raw: &[
        ("raw_cost", |user| Cell::Usd(user.totals.raw_cost)),
        ("profit", |user| profit_cell(&user.totals)),
    ],
};

pub(super) const BY_MODEL: Columns<ModelUsage> = Columns {
    all: &[
        ("model_name", |model| Cell::text(Some(&model.model_name))),
        ("provider", |model| Cell::text(model.provider.as_ref())),
        ("total_tokens", |model| Cell::Number(model.totals.tokens)),
        ("total_requests", |model| Cell::Number(model.totals.requests)),
        ("markup_cost", |model| Cell::Usd(model.totals.markup_cost)),
        ("cost_pln", |model| pln_cell(model.cost_pln)),
        ("days_used", |model| Cell::Number(model.days_used)),
    ],
    raw: &[
        ("raw_cost", |model| Cell::Usd(model.totals.raw_cost)),
        ("profit", |model| profit_cell(&model.totals)),
    ],
};

pub(super) const BY_USER_DAILY: Columns<Named<ClientUserDailyUsageModel>> = Columns {
    all: &[
        ("date", |named| Cell::Day(named.row.usage_date)),
        ("user_id", |named| Cell::text(Some(&named.row.user_id))),
        ("user_name", |named| Cell::text(named.name.as_ref())),
        ("user_email", |named| Cell::text(named.email.as_ref())),
        ("external_user_id", |named| Cell::text(Some(&named.row.openrouter_user_id))),
        ("total_tokens", |named| Cell::Number(named.row.total_tokens)),
        ("total_requests", |named| Cell::Number(named.row.total_requests)),
        ("markup_cost", |named| Cell::Usd(named.row.markup_cost)),
        ("cost_pln", |named| pln_cell(named.cost_pln)),
    ],
    raw: &[
        ("raw_cost", |named| Cell::Usd(named.row.raw_cost)),
        ("profit", |named| profit_cell(&Totals::from(&named.row))),
    ],
};

pub(super) const BY_MODEL_DAILY: Columns<InPln<ClientModelDailyUsageModel>> = Columns {
    all: &[
        ("date", |one| Cell::Day(one.row.usage_date)),
        ("model_name", |one| Cell::text(Some(&one.row.model_name))),
        ("provider", |one| provider_cell(&one.row.model_name)),
        ("total_tokens", |one| Cell::Number(one.row.total_tokens)),
        ("total_requests", |one| Cell::Number(one.row.total_requests)),
        ("markup_cost", |one| Cell::Usd(one.row.markup_cost)),
        ("cost_pln", |one| pln_cell(one.cost_pln)),
    ],
    raw: &[
        ("raw_cost", |one| Cell::Usd(one.row.raw_cost)),
        ("profit", |one| profit_cell(&Totals::from(&one.row))),
    ],
};

pub(super) const GENERATIONS: Columns<Generation> = Columns {
    all: &[
        ("generation_id", |one| Cell::text(Some(&one.row.id))),
        ("date", |one| Cell::Day(one.row.generation_date)),
        ("started_at", |one| Cell::Instant(one.row.started_at)),
        ("user_id", |one| Cell::text(Some(&one.row.user_id))),
        ("user_name", |one| Cell::text(one.user_name.as_ref())),
        ("external_user_id", |one| Cell::text(Some(&one.row.openrouter_user_id))),
        ("model_name", |one| Cell::text(Some(&one.row.model_name))),
        ("requested_model", |one| Cell::text(one.row.requested_model.as_ref())),
        ("provider", |one| provider_cell(&one.row.model_name)),
        ("serving_provider", |one| Cell::text(one.row.serving_provider.as_ref())),
        ("input_tokens", |one| Cell::Number(one.row.input_tokens)),
        ("output_tokens", |one| Cell::Number(one.row.output_tokens)),
        ("total_tokens", |one| Cell::Number(one.row.total_tokens)),
        ("cached_tokens", |one| Cell::number(one.row.cached_tokens)),
        ("cache_write_tokens", |one| Cell::number(one.row.cache_write_tokens)),
        ("reasoning_tokens", |one| Cell::number(one.row.reasoning_tokens)),
        ("markup_cost", |one| Cell::Usd(one.row.markup_cost)),
        ("is_byok", |one| Cell::Flag(one.row.is_byok)),
        ("tokens_estimated", |one| Cell::Flag(one.row.tokens_estimated)),
        ("streamed", |one| Cell::Flag(one.row.streamed)),
        ("task", |one| Cell::text(one.row.task.as_ref())),
        ("source", |one| Cell::text(Some(one.row.source.as_str()))),
        ("gateway_key_prefix", |one| Cell::text(one.key_prefix.as_ref())),
    ],
    raw: &[
        ("raw_cost", |one| Cell::Usd(one.row.total_cost)),
        ("markup_rate", |one| Cell::Decimal(one.row.markup_rate.to_string())),
    ],
};

pub(super) const CLIENTS: Columns<ClientBillingResponse> = Columns {
    all: &[
        ("client_org_id", |bill| Cell::text(Some(&bill.client_org_id))),
        ("client_name", |bill| Cell::text(Some(&bill.client_name))),
        ("is_active", |bill| Cell::Flag(bill.is_active)),
        ("total_tokens", |bill| Cell::Number(bill.total_tokens)),
        ("total_requests", |bill| Cell::Number(bill.total_requests)),
        ("days_active", |bill| Cell::Number(bill.days_active)),
        ("markup_cost", |bill| Cell::Usd(bill.markup_cost)),
        ("cost_pln", |bill| pln_cell(bill.cost_pln)),
    ],
    raw: &[
        ("raw_cost", |bill| Cell::Usd(bill.raw_cost)),
        ("profit", |bill| Cell::Usd(bill.profit_margin)),
        ("profit_margin_percent", |bill| {
            let totals =
                Totals { raw_cost: bill.raw_cost, markup_cost: bill.markup_cost, ..Totals::default() };
            profit_percent(&totals).map_or(Cell::Nothing, Cell::Decimal)
        }),
    ],
};
