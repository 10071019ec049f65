//! The rows of the daily tables and of the monthly one.

use diesel::prelude::*;
use mai_exchange_rates::CurrentRate;
use mai_primitives::{
    ModelName, OpenRouterUserId, OrganizationId, Pln, UnixTime, UsageDate, Usd, UsdPlnRate, UserId,
};

use crate::{
    error::Result,
    schema::{client_daily_usage, client_model_daily_usage, client_monthly_usage, client_user_daily_usage},
    totals::Totals,
};

/// A row of `client_daily_usage`: an organization on one of its local days.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = client_daily_usage, treat_none_as_default_value = false)]
pub struct ClientDailyUsageModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Its local day.
    pub usage_date: UsageDate,
    /// Tokens of prompts and answers.
    pub total_tokens: i64,
    /// Generations.
    pub total_requests: i64,
    /// What OpenRouter charged.
    pub raw_cost: Usd,
    /// What the client is charged.
    pub markup_cost: Usd,
    /// The model with the most tokens; ties go by the client's cost, then by name.
    pub primary_model: Option<ModelName>,
    /// Distinct members.
    pub unique_users: i64,
    /// When the row was written.
    pub created_at: UnixTime,
    /// When usage was last added.
    pub updated_at: UnixTime,
    /// The rate by which the day is shown in PLN. None until the day is over and its rate is certain, then
    /// never changed.
    pub usd_pln_rate: Option<UsdPlnRate>,
    /// The number of NBP's table that has the rate.
    pub rate_table_no: Option<String>,
    /// The day of that table.
    pub rate_effective_date: Option<UsageDate>,
}

impl ClientDailyUsageModel {
    /// The text id of the original: `{organization}:{YYYY-MM-DD}`.
    pub fn id(&self) -> String {
        format!("{}:{}", self.client_org_id, self.usage_date)
    }
}

/// A row of `client_user_daily_usage`: a member on one of the organization's local days.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = client_user_daily_usage, treat_none_as_default_value = false)]
pub struct ClientUserDailyUsageModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Its local day.
    pub usage_date: UsageDate,
    /// The member.
    pub user_id: UserId,
    /// What OpenRouter knew the member as, at the first generation of the day.
    pub openrouter_user_id: OpenRouterUserId,
    /// Tokens of prompts and answers.
    pub total_tokens: i64,
    /// Generations.
    pub total_requests: i64,
    /// What OpenRouter charged.
    pub raw_cost: Usd,
    /// What the client is charged.
    pub markup_cost: Usd,
    /// When the row was written.
    pub created_at: UnixTime,
    /// When usage was last added.
    pub updated_at: UnixTime,
}

impl ClientUserDailyUsageModel {
    /// The text id of the original: `{organization}:{user}:{YYYY-MM-DD}`.
    pub fn id(&self) -> String {
        format!("{}:{}:{}", self.client_org_id, self.user_id, self.usage_date)
    }
}

/// A row of `client_model_daily_usage`: a model on one of the organization's local days.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = client_model_daily_usage, treat_none_as_default_value = false)]
pub struct ClientModelDailyUsageModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Its local day.
    pub usage_date: UsageDate,
    /// The model that answered.
    pub model_name: ModelName,
    /// The display name of the model's author; none where the name has no author.
    pub provider: Option<String>,
    /// Tokens of prompts and answers.
    pub total_tokens: i64,
    /// Generations.
    pub total_requests: i64,
    /// What OpenRouter charged.
    pub raw_cost: Usd,
    /// What the client is charged.
    pub markup_cost: Usd,
    /// When the row was written.
    pub created_at: UnixTime,
    /// When usage was last added.
    pub updated_at: UnixTime,
}

impl ClientModelDailyUsageModel {
    /// The text id of the original: `{organization}:{model}:{YYYY-MM-DD}`. A model's name may
    /// contain colons, so that the id cannot be taken apart again.
    pub fn id(&self) -> String {
        format!("{}:{}:{}", self.client_org_id, self.model_name, self.usage_date)
    }
}

mai_storage::text_enum! {
    /// Whose usage a row of `client_monthly_usage` adds up.
    pub enum MonthlyKind {
        /// A member's.
        User = "user",
        /// That of a model.
        Model = "model",
    }
}

/// A row of `client_monthly_usage`: a member or a model on those days of a month that have their rate.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = client_monthly_usage, treat_none_as_default_value = false)]
pub struct ClientMonthlyUsageModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Whose usage it is.
    pub kind: MonthlyKind,
    /// The first day of the month.
    pub usage_month: UsageDate,
    /// The member's id or the model's name.
    pub name: String,
    /// What OpenRouter knew the member as; of several ids the least. None of a model.
    pub openrouter_user_id: Option<OpenRouterUserId>,
    /// Tokens of prompts and answers.
    pub total_tokens: i64,
    /// Generations.
    pub total_requests: i64,
    /// What OpenRouter charged.
    pub raw_cost: Usd,
    /// What the client is charged.
    pub markup_cost: Usd,
    /// What the client is charged, each day in grosz by its own rate.
    pub cost_pln: Pln,
    /// The days with usage as bits, the lowest for the first day of the month.
    pub days: i64,
    /// When usage was last added.
    pub updated_at: UnixTime,
}

/// Usage of an organization so far today. The original kept it in a table of its own and lost or
/// doubled usage at midnight; here it is read from today's row of `client_daily_usage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLiveCountersModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Its present local day.
    pub current_date: UsageDate,
    /// Tokens of prompts and answers.
    pub today_tokens: i64,
    /// Generations.
    pub today_requests: i64,
    /// What OpenRouter charged.
    pub today_raw_cost: Usd,
    /// What the client is charged.
    pub today_markup_cost: Usd,
    /// What the client is charged, in PLN by the present rate. None where no rate is known.
    pub today_cost_pln: Option<Pln>,
    /// The rate of today: the present one.
    pub rate: Option<CurrentRate>,
    /// When usage was last added; none while there is none today.
    pub last_updated: Option<UnixTime>,
}

impl ClientLiveCountersModel {
    /// The counters of a day from its row; zero where there is no row.
    pub fn from_row(
        org: OrganizationId,
        today: UsageDate,
        row: Option<&ClientDailyUsageModel>,
        current: Option<&CurrentRate>,
    ) -> Result<Self> {
        let nothing = current.map(|_| Pln::ZERO);
        Ok(Self {
            client_org_id: org,
            current_date: today,
            today_tokens: row.map_or(0, |row| row.total_tokens),
            today_requests: row.map_or(0, |row| row.total_requests),
            today_raw_cost: row.map_or(Usd::ZERO, |row| row.raw_cost),
            today_markup_cost: row.map_or(Usd::ZERO, |row| row.markup_cost),
            today_cost_pln: row.map_or(Ok(nothing), |row| row.cost_pln(current))?,
            rate: row.map_or_else(|| current.cloned(), |row| row.rate(current)),
            last_updated: row.map(|row| row.updated_at),
        })
    }
}

/// Every daily row adds up the same four figures.
macro_rules! totals_of {
    ($($row:ident),+) => {$(
        impl From<&$row> for Totals {
            fn from(row: &$row) -> Self {
                Self {
                    tokens: row.total_tokens,
                    requests: row.total_requests,
                    raw_cost: row.raw_cost,
                    markup_cost: row.markup_cost,
                }
            }
        }
    )+};
}

totals_of!(
    ClientDailyUsageModel,
    ClientUserDailyUsageModel,
    ClientModelDailyUsageModel,
    ClientMonthlyUsageModel
);
