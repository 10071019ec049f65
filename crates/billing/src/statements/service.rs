//! [`StatementTable`]: drafts, issuing, and who sells and buys.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_client_organization::{ClientOrganizationModel, query::organizations};
use mai_exchange_rates::query::published;
use mai_primitives::{Clock, OrganizationCalendar, OrganizationId, UsageDate};
use mai_storage::{DbConnection, Storage};
use mai_usage_tracking::Totals;

use super::{
    compute::{Hold, Parts, draft},
    document::{State, Statement, sha256},
    gather,
    parties::{
        BillingProfile, BillingSettings, ProfileForm, SettingsForm, locked_settings, profile, settings,
        store_profile, store_settings,
    },
    pdf::pdf,
    register::{self, BilledUsage, StatementModel},
};
use crate::{
    error::{Error, Result},
    month::BillingMonth,
    query::{computed, frozen},
    service::{freeze_now, require},
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
    /// How many generations of the month wait for their cost. What comes of them after the statement was issued
    /// becomes corrections of a later one.
    pub pending_generations: i64,
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

    /// The same of organizations by their ids, those behind `after`, at most `limit`; also of inactive ones.
    pub async fn closings(
        &self,
        month: BillingMonth,
        after: Option<OrganizationId>,
        limit: usize,
    ) -> Result<Vec<Closing>> {
        let (now, calendar) = (self.clock.now(), self.calendar);
        self.storage
            .read(move |conn| {
                let mut all = organizations(conn)?;
                all.retain(|one| after.as_ref().is_none_or(|after| one.id > *after));
                all.sort_by(|a, b| a.id.cmp(&b.id));
                let settings = settings(conn)?;
                let today = calendar.usage_date(now);
                let closing = |one| closing_of(conn, one, month, &settings, now, today);
                all.iter().take(limit).map(closing).collect()
            })
            .await
    }

    /// Issues the statement of a month, where it can be, and freezes its seats. Again, it changes nothing.
    pub async fn issue(&self, id: &OrganizationId, month: BillingMonth) -> Result<Issuing> {
        let (id, now, actor) = (id.clone(), self.clock.now(), self.actor.clone());
        let today = self.calendar.usage_date(now);
        self.storage.write(move |conn| issue(conn, &id, month, now, today, &actor)).await
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
                let changed = locked_settings(conn)?.changed(form.clone(), now.into())?;
                store_settings(conn, &changed)?;
                let details = Details::none()
                    .with("seller_name", changed.seller_name.clone())
                    .with("seller_tax_id", changed.seller_tax_id.clone())
                    .with("vat", changed.vat.to_string())
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
                let changed = profile(conn, &id)?.changed(form.clone())?;
                store_profile(conn, &id, &changed, now.into())?;
                let details = Details::none()
                    .with("legal_name", changed.legal_name.clone())
                    .with("tax_id", changed.tax_id.clone())
                    .with("vat", changed.vat.map(|vat| vat.to_string()))
                    .with("language", changed.language.as_str());
                let entry = NewEntry::done(Some(&id), "billing_profile.update", id.as_str()).with(details);
                append(conn, &actor, now.into(), &entry)?;
                Ok(changed)
            })
            .await
    }
}

/// How it stands with one statement, by what a transaction sees.
fn closing_of(
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
    let closing = |standing, pending_generations| Closing {
        client_org_id: id.clone(),
        organization_name: organization.name.clone(),
        standing,
        pending_generations,
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
    // An organization that was closed needs no seats in months that nobody froze before.
    let seats = match frozen(conn, id, month)? {
        Some(frozen) => Some(frozen),
        None if organization.is_active => Some(computed(conn, organization, month)?),
        None => None,
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

/// Issues a statement inside of a transaction, as whoever waits for the locked settings last sees it.
pub(crate) fn issue(
    conn: &mut DbConnection,
    id: &OrganizationId,
    month: BillingMonth,
    now: DateTime<Utc>,
    today: UsageDate,
    actor: &Actor,
) -> Result<Issuing> {
    let settings = locked_settings(conn)?;
    let organization = require(conn, id)?;
    let is_over = month < BillingMonth::of(organization.calendar()?.usage_date(now));
    if is_over && organization.is_active && frozen(conn, id, month)?.is_none() {
        freeze_now(conn, &organization, month, now, actor)?;
    }
    let closing = closing_of(conn, &organization, month, &settings, now, today)?;
    let Standing::Ready(statement) = closing.standing else {
        return Ok(Issuing { closing, is_new: false });
    };
    let row = store(conn, &organization, month, *statement, &settings, now, today)?;
    let details = Details::none()
        .with("number", row.number.clone())
        .with("gross_pln", row.gross.to_string())
        .with("pending_generations", closing.pending_generations)
        .with_confidential("document_sha256", row.document_sha256.clone());
    let target = month.to_string();
    let entry = NewEntry::done(Some(id), "statement.issue", &target).with(details);
    append(conn, actor, now.into(), &entry)?;
    let closing = Closing { standing: Standing::Issued(Box::new(row)), ..closing };
    Ok(Issuing { closing, is_new: true })
}

/// Gives a statement its number and stores it.
fn store(
    conn: &mut DbConnection,
    organization: &ClientOrganizationModel,
    month: BillingMonth,
    draft: Statement,
    settings: &BillingSettings,
    now: DateTime<Utc>,
    today: UsageDate,
) -> Result<StatementModel> {
    let incomplete = || Error::Stored(format!("a statement of {month} without a rate"));
    let series = register::series(settings.numbering, today);
    let number = register::next_number(conn, &series)?;
    let statement = Statement {
        state: State::Issued,
        number: Some(register::number_text(&series, number)),
        issue_date: Some(today),
        ..draft
    };
    let rate = statement.rate.clone().ok_or_else(incomplete)?;
    let totals = &statement.totals;
    let usage_usd = totals.usage_usd.checked_add(totals.corrections_usd).ok_or(Error::OutOfRange(month))?;
    let document = statement.to_json()?;
    let row = StatementModel {
        client_org_id: organization.id.clone(),
        month: month.first(),
        number: register::number_text(&series, number),
        issue_date: today,
        issued_at: now.into(),
        usd_pln_rate: rate.usd_pln,
        rate_table_no: rate.table_no,
        rate_effective_date: rate.effective_date,
        usage_usd,
        net: totals.net_pln.ok_or_else(incomplete)?,
        vat: totals.vat_pln.ok_or_else(incomplete)?,
        gross: totals.gross_pln.ok_or_else(incomplete)?,
        document_sha256: sha256(document.as_bytes()),
        pdf_sha256: sha256(&pdf(&statement)?),
        document,
    };
    register::insert(conn, &row, (&series, number), &billed(&statement)?)?;
    Ok(row)
}

/// What a statement bills, by month and model.
fn billed(statement: &Statement) -> Result<Vec<BilledUsage>> {
    let broken = |what: &str| Error::Stored(format!("the model `{what}` without its raw cost"));
    let mut billed = Vec::new();
    for line in &statement.usage {
        billed.push(BilledUsage {
            usage_month: statement.month.parse()?,
            model: line.model.parse().map_err(|_| broken(&line.model))?,
            sums: Totals {
                tokens: line.total_tokens,
                requests: line.requests,
                raw_cost: line.own.ok_or_else(|| broken(&line.model))?.raw_cost_usd,
                markup_cost: line.cost_usd,
            },
        });
    }
    for line in &statement.corrections {
        billed.push(BilledUsage {
            usage_month: line.month.parse()?,
            model: line.model.parse().map_err(|_| broken(&line.model))?,
            sums: Totals {
                tokens: line.total_tokens,
                requests: line.requests,
                raw_cost: line.own.ok_or_else(|| broken(&line.model))?.raw_cost_usd,
                markup_cost: line.cost_usd,
            },
        });
    }
    Ok(billed)
}
