//! [`StatementTable`]: drafts, issuing, and who sells and buys.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_client_organization::{ClientOrganizationModel, schema::client_organizations};
use mai_exchange_rates::query::published;
use mai_global_settings::Change;
use mai_primitives::{Clock, OrganizationCalendar, OrganizationId, UsageDate};
use mai_storage::{DbConnection, Storage};

use super::{
    compute::{Hold, Parts, draft},
    document::Statement,
    gather,
    issuing::issue,
    parties::{
        BillingProfile, BillingSettings, ProfileForm, SettingsForm, locked_settings, profile, settings,
        store_profile, store_settings,
    },
    register::{self, StatementModel},
};
use crate::{
    error::{Error, Result},
    month::BillingMonth,
    query::{computed, frozen},
    service::require,
};

/// Makes and issues statements. The day of issue and its series are those of the seller's calendar; the month is the
/// organization's own.
#[derive(Clone)]
pub struct StatementTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    calendar: OrganizationCalendar,
    actor: Actor,
}

/// How it stands with an organization's statement of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// What people call it.
    pub organization_name: String,
    /// What there is.
    pub standing: Standing,
    /// How many generations of the month wait for their cost. What comes of them after the statement was issued becomes
    /// corrections of a later one; where there was nothing to bill, it is billed by closing the month again.
    pub pending_generations: i64,
    /// Months before this one with usage and without a statement, from the first month on of which any organization has one.
    pub unbilled_months: Vec<BillingMonth>,
}

/// What there is of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was issued.
    Issued(Box<StatementModel>),
    /// No usage, no seat and no correction: there is no statement, and no number is spent.
    NothingToBill,
    /// It would be issued as it is.
    Ready(Box<Statement>),
    /// It has to wait.
    Held(Box<Statement>, Vec<Hold>),
}

/// What issuing has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuing {
    /// How it stands now.
    pub closing: Closing,
    /// Whether it was issued by this.
    pub is_new: bool,
}

impl StatementTable {
    /// A service on `storage` for a seller with this calendar.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>, calendar: OrganizationCalendar) -> Self {
        Self { storage, clock, calendar, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// How it stands with an organization's statement. A month that has not begun is refused.
    pub async fn closing(&self, id: &OrganizationId, month: BillingMonth) -> Result<Closing> {
        let (id, now, calendar) = (id.clone(), self.clock.now(), self.calendar);
        self.storage
            .read(move |conn| {
                let organization = require(conn, &id)?;
                let settings = settings(conn)?;
                closing_of(conn, &organization, month, &settings, now, calendar.usage_date(now))
            })
            .await
    }

    /// The ids and names of organizations in the order of their ids, those behind `after`, at most `limit`; also of
    /// inactive ones. What each owes is asked one by one, so that one which cannot be computed stops no other.
    pub async fn organizations(
        &self,
        after: Option<OrganizationId>,
        limit: i64,
    ) -> Result<Vec<(OrganizationId, String)>> {
        use client_organizations as t;
        self.storage
            .read(move |conn| {
                let mut rows = t::table.select((t::id, t::name)).into_boxed();
                if let Some(after) = after {
                    rows = rows.filter(t::id.gt(after));
                }
                Ok(rows.order(t::id).limit(limit).load(conn)?)
            })
            .await
    }

    /// Issues the statement of a month, where it can be, and freezes its seats. Again, it changes nothing.
    pub async fn issue(&self, id: &OrganizationId, month: BillingMonth) -> Result<Issuing> {
        let (id, actor) = (id.clone(), self.actor.clone());
        let (clock, calendar) = (Arc::clone(&self.clock), self.calendar);
        self.storage.write(move |conn| issue(conn, &id, month, clock.as_ref(), calendar, &actor)).await
    }

    /// An organization's issued statements, the newest month first, those before `before`.
    pub async fn list(
        &self,
        id: &OrganizationId,
        before: Option<BillingMonth>,
        limit: i64,
    ) -> Result<Vec<StatementModel>> {
        let id = id.clone();
        self.storage.read(move |conn| register::of_organization(conn, &id, before, limit)).await
    }

    /// The issued statement of a month.
    pub async fn find(&self, id: &OrganizationId, month: BillingMonth) -> Result<Option<StatementModel>> {
        let id = id.clone();
        self.storage.read(move |conn| register::find(conn, &id, month)).await
    }

    /// Who sells, how it is taxed and numbered.
    pub async fn settings(&self) -> Result<BillingSettings> {
        self.storage.read(settings).await
    }

    /// Changes what the form names, for statements that are not issued yet.
    pub async fn update_settings(&self, form: SettingsForm) -> Result<BillingSettings> {
        let (now, actor) = (self.clock.now(), self.actor.clone());
        self.storage
            .write(move |conn| {
                let old = locked_settings(conn)?;
                let changed = old.clone().changed(form.clone(), now.into())?;
                store_settings(conn, &changed)?;
                let details = Details::none()
                    .with("seller_name", changed.seller_name.clone())
                    .with("seller_tax_id", changed.seller_tax_id.clone())
                    .with("vat", changed.vat.to_string())
                    .with_some("seller_address", form.seller_address.word())
                    .with_some(
                        "vat_note",
                        note_word(&form.vat_note, old.vat_note.as_ref(), changed.vat_note.as_ref()),
                    )
                    .with("numbering", changed.numbering.as_str());
                let entry = NewEntry::done(None, "billing_settings.update", "billing").with(details);
                append(conn, &actor, now.into(), &entry)?;
                Ok(changed)
            })
            .await
    }

    /// What statements say about an organization.
    pub async fn profile(&self, id: &OrganizationId) -> Result<BillingProfile> {
        let id = id.clone();
        self.storage
            .read(move |conn| {
                require(conn, &id)?;
                profile(conn, &id)
            })
            .await
    }

    /// Changes what the form names, for statements that are not issued yet.
    pub async fn update_profile(&self, id: &OrganizationId, form: ProfileForm) -> Result<BillingProfile> {
        let (id, now, actor) = (id.clone(), self.clock.now(), self.actor.clone());
        self.storage
            .write(move |conn| {
                // One after another, also where there is no row yet.
                locked_settings(conn)?;
                require(conn, &id)?;
                let old = profile(conn, &id)?;
                let changed = old.clone().changed(form.clone())?;
                store_profile(conn, &id, &changed, now.into())?;
                let details = Details::none()
                    .with("legal_name", changed.legal_name.clone())
                    .with("tax_id", changed.tax_id.clone())
                    .with("vat", changed.vat.map(|vat| vat.to_string()))
                    .with_some("address", form.address.word())
                    .with_some(
                        "vat_note",
                        note_word(&form.vat_note, old.vat_note.as_ref(), changed.vat_note.as_ref()),
                    )
                    .with("language", changed.language.as_str());
                let entry = NewEntry::done(Some(&id), "billing_profile.update", id.as_str()).with(details);
                append(conn, &actor, now.into(), &entry)?;
                Ok(changed)
            })
            .await
    }
}

/// What the audit log says of a note, which may also go with the VAT that it explained.
fn note_word(change: &Change<String>, old: Option<&String>, new: Option<&String>) -> Option<&'static str> {
    change.word().or_else(|| (old != new).then_some("cleared"))
}

/// How it stands with one statement, by what a transaction sees.
pub(crate) fn closing_of(
    conn: &mut DbConnection,
    organization: &ClientOrganizationModel,
    month: BillingMonth,
    settings: &BillingSettings,
    now: DateTime<Utc>,
    issue_day: UsageDate,
) -> Result<Closing> {
    let id = &organization.id;
    let calendar = organization.calendar()?;
    let present = BillingMonth::of(calendar.usage_date(now));
    if month > present {
        return Err(Error::NotBegun(month));
    }
    let unbilled_months = gather::unbilled(conn, id, month)?;
    let closing = |standing, pending_generations| Closing {
        client_org_id: id.clone(),
        organization_name: organization.name.clone(),
        standing,
        pending_generations,
        unbilled_months,
    };
    if let Some(row) = register::find(conn, id, month)? {
        return Ok(closing(Standing::Issued(Box::new(row)), gather::pending_in(conn, id, month)?));
    }
    let policy = organization.statement_rate_policy;
    let last_day = policy.last_day(month.last(), issue_day);
    let tables = published(conn, last_day, last_day)?;
    let table = policy.rate_of(&tables, month.last(), issue_day);
    let used = gather::used(conn, id, month)?;
    let token_kinds = gather::token_kinds(conn, id, month, &used)?;
    let seats = match frozen(conn, id, month)? {
        Some(frozen) => frozen,
        None => computed(conn, organization, month)?,
    };
    let changes = gather::changes(conn, id, month)?;
    let profile = profile(conn, id)?;
    let statement = draft(Parts {
        month,
        time_zone: calendar.zone(),
        settings,
        profile: &profile,
        client_org_id: id.to_string(),
        organization_name: organization.name.clone(),
        billing_email: organization.billing_email.clone(),
        policy,
        table,
        used,
        token_kinds,
        seats,
        changes,
    })?;
    let pending = gather::pending_in(conn, id, month)?;
    let is_empty =
        statement.usage.is_empty() && statement.subscription.is_empty() && statement.corrections.is_empty();
    if is_empty {
        return Ok(closing(Standing::NothingToBill, pending));
    }
    let holds = [
        (month == present, Hold::MonthNotOver),
        (statement.rate.is_none(), Hold::NoCertainRate),
        (!settings.is_complete(), Hold::SellerIncomplete),
    ];
    let holds: Vec<Hold> = holds.into_iter().filter_map(|(holds, why)| holds.then_some(why)).collect();
    let statement = Box::new(statement);
    let standing =
        if holds.is_empty() { Standing::Ready(statement) } else { Standing::Held(statement, holds) };
    Ok(closing(standing, pending))
}
