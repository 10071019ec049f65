//! Reading what is too much for one answer, in pages. Each page is read from a snapshot of its own, so
//! that a download of hours holds no connection; what is booked meanwhile may or may not be in it.

use std::collections::HashMap;

use mai_client_organization::members::members_of;
use mai_exchange_rates::{CurrentRate, query::current};
use mai_generation_processing::{ProcessedGenerationModel, query as ledger};
use mai_primitives::{GenerationId, ModelName, OrganizationCalendar, OrganizationId, UserId};

use crate::{
    error::Result,
    model::{ClientModelDailyUsageModel, ClientUserDailyUsageModel},
    organization,
    pln::DayRates,
    query::{self, DayKey},
    range::DayRange,
    reading::Days,
    service::ClientUsageTable,
    stats::users::RegisteredMember,
};

/// What every page of an export is read with.
#[derive(Debug, Clone)]
pub struct Export {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Its name.
    pub client_org_name: String,
    /// Its calendar.
    pub calendar: OrganizationCalendar,
    /// The days.
    pub range: DayRange,
    /// The members of the registry.
    pub members: HashMap<UserId, RegisteredMember>,
    /// The rates of the days as they were when the export began.
    pub rates: DayRates,
    /// The rate of days that have none of their own yet.
    pub current: Option<CurrentRate>,
}

impl ClientUsageTable {
    /// Begins an export of a range of days.
    pub async fn export(&self, org: &OrganizationId, days: Days) -> Result<Export> {
        let (org, now, fallback) = (org.clone(), self.clock.now(), self.fallback_rate);
        let export = self.storage.read(move |conn| {
            let organization = organization::load(conn, &org)?;
            let today = organization.calendar.usage_date(now);
            let members = members_of(conn, &org)?.into_iter();
            let range = DayRange::resolve(today, days.start, days.end)?;
            let current = current(conn, fallback)?;
            let rows = query::daily_rows(conn, &org, range.from(), range.to())?;
            Ok(Export {
                range,
                rates: DayRates::of(&rows, current.as_ref().map(|current| current.rate)),
                current,
                members: members.map(|row| (row.user_id.clone(), row.into())).collect(),
                client_org_name: organization.name,
                calendar: organization.calendar,
                client_org_id: org,
            })
        });
        export.await
    }

    /// At most `limit` of the members' daily rows, by day, behind `after`.
    pub async fn user_days(
        &self,
        export: &Export,
        after: Option<DayKey<UserId>>,
        limit: i64,
    ) -> Result<Vec<ClientUserDailyUsageModel>> {
        let (org, range) = (export.client_org_id.clone(), export.range);
        let read = move |conn: &mut _| Ok(query::user_rows_after(conn, &org, range, after.as_ref(), limit)?);
        self.storage.read(read).await
    }

    /// At most `limit` of the models' daily rows, by day, behind `after`.
    pub async fn model_days(
        &self,
        export: &Export,
        after: Option<DayKey<ModelName>>,
        limit: i64,
    ) -> Result<Vec<ClientModelDailyUsageModel>> {
        let (org, range) = (export.client_org_id.clone(), export.range);
        let read = move |conn: &mut _| Ok(query::model_rows_after(conn, &org, range, after.as_ref(), limit)?);
        self.storage.read(read).await
    }

    /// At most `limit` of the ledger's rows, by day, behind `after`.
    pub async fn generations(
        &self,
        export: &Export,
        after: Option<DayKey<GenerationId>>,
        limit: i64,
    ) -> Result<Vec<ProcessedGenerationModel>> {
        let (org, range) = (export.client_org_id.clone(), export.range);
        let read = move |conn: &mut _| {
            Ok(ledger::rows_after(conn, &org, (range.from(), range.to()), after.as_ref(), limit)?)
        };
        self.storage.read(read).await
    }
}
