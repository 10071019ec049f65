//! Reading many rows in pages, each of which goes on where the one before ended.
//!
//! A page is two reads of the primary key: the rest of the day on which the last one ended, and the
//! days behind it. Within a day the rows come in the database's own order of texts.

use diesel::prelude::*;
use mai_generation_processing::query::rest_of_page;
use mai_primitives::{ModelName, OrganizationId, UsageDate, UserId};
use mai_storage::{DbConnection, Result};

use crate::{
    model::{ClientModelDailyUsageModel, ClientUserDailyUsageModel},
    range::DayRange,
    schema::{client_model_daily_usage as models, client_user_daily_usage as users},
};

/// The last row of a page: its day, and what tells it from others of the day.
pub type DayKey<K> = (UsageDate, K);

/// At most `limit` of the members' rows in a range of days, by day, behind `after`.
pub fn user_rows_after(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    after: Option<&DayKey<UserId>>,
    limit: i64,
) -> Result<Vec<ClientUserDailyUsageModel>> {
    let rows = || users::table.filter(users::client_org_id.eq(org));
    let (mut page, behind) = match after {
        None => (Vec::new(), None),
        Some((date, user)) => {
            let rest = rows().filter(users::usage_date.eq(date)).filter(users::user_id.gt(user));
            (rest.order(users::user_id).limit(limit).load(conn)?, Some(*date))
        }
    };
    let Some((from, left)) = rest_of_page((range.from(), range.to()), behind, page.len(), limit) else {
        return Ok(page);
    };
    let later: Vec<ClientUserDailyUsageModel> = rows()
        .filter(users::usage_date.between(from, range.to()))
        .order((users::usage_date, users::user_id))
        .limit(left)
        .load(conn)?;
    page.extend(later);
    Ok(page)
}

/// At most `limit` of the models' rows in a range of days, by day, behind `after`.
pub fn model_rows_after(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    after: Option<&DayKey<ModelName>>,
    limit: i64,
) -> Result<Vec<ClientModelDailyUsageModel>> {
    let rows = || models::table.filter(models::client_org_id.eq(org));
    let (mut page, behind) = match after {
        None => (Vec::new(), None),
        Some((date, model)) => {
            let rest = rows().filter(models::usage_date.eq(date)).filter(models::model_name.gt(model));
            (rest.order(models::model_name).limit(limit).load(conn)?, Some(*date))
        }
    };
    let Some((from, left)) = rest_of_page((range.from(), range.to()), behind, page.len(), limit) else {
        return Ok(page);
    };
    let later: Vec<ClientModelDailyUsageModel> = rows()
        .filter(models::usage_date.between(from, range.to()))
        .order((models::usage_date, models::model_name))
        .limit(left)
        .load(conn)?;
    page.extend(later);
    Ok(page)
}
