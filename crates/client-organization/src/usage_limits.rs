//! [`UsageLimitTable`]: sets and takes away what members and models may cost in a calendar month.

use std::{collections::HashSet, sync::Arc};

use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_global_settings::bump_revision;
use mai_primitives::{Clock, OrganizationId, UnixTime, Usd};
use mai_storage::{DbConnection, Storage, on_backend};

use crate::{
    error::{Error, Result},
    limits::{LimitScope, LimitSubject},
    members::member,
    query::require_organization,
    schema::{client_organizations, usage_limits},
};

/// How many limits of members and models an organization may have. Each call of a model looks at all limits of models,
/// and each reading of what was spent has a figure for every limit.
pub const LIMITS_AT_MOST: i64 = 1_000;

/// A limit of a member or a model.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = usage_limits, treat_none_as_default_value = false)]
pub struct UsageLimitModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Whether it is about a member or a model.
    pub scope: LimitScope,
    /// The user id, or the name of the model.
    pub subject: String,
    /// What it may cost in a calendar month, in client price; 0 means that nothing may be bought.
    pub monthly_limit: Usd,
    /// When it was set.
    pub updated_at: UnixTime,
}

impl UsageLimitModel {
    /// What it is about.
    pub fn about(&self) -> Result<LimitSubject> {
        LimitSubject::new(self.scope, &self.subject)
    }
}

/// The limits of the members and models of organizations, by organization, scope and subject.
pub fn limits_of(conn: &mut DbConnection, organizations: &[OrganizationId]) -> Result<Vec<UsageLimitModel>> {
    Ok(usage_limits::table
        .filter(usage_limits::client_org_id.eq_any(organizations))
        .order((usage_limits::client_org_id, usage_limits::scope, usage_limits::subject))
        .select(UsageLimitModel::as_select())
        .load(conn)?)
}

/// The organizations that have a limit of any kind, active or not.
pub fn limited_organizations(conn: &mut DbConnection) -> Result<HashSet<OrganizationId>> {
    let own: Vec<OrganizationId> = client_organizations::table
        .filter(client_organizations::monthly_limit.is_not_null())
        .select(client_organizations::id)
        .load(conn)?;
    let others: Vec<OrganizationId> =
        usage_limits::table.select(usage_limits::client_org_id).distinct().load(conn)?;
    Ok(own.into_iter().chain(others).collect())
}

/// Sets, lists and takes away limits of members and models.
#[derive(Clone)]
pub struct UsageLimitTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl UsageLimitTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// The limits of an organization's members and models. An unknown organization is [`Error::NotFound`].
    pub async fn list(&self, organization: &OrganizationId) -> Result<Vec<UsageLimitModel>> {
        let organization = organization.clone();
        self.storage
            .read(move |conn| {
                require_organization(conn, &organization)?;
                limits_of(conn, std::slice::from_ref(&organization))
            })
            .await
    }

    /// Sets a limit, in place of the one before. Setting the same again changes nothing.
    ///
    /// An unknown organization or member is [`Error::NotFound`]; an amount below zero, and a model with a
    /// variant such as `:free`, [`Error::Invalid`]; so is one limit more than [`LIMITS_AT_MOST`].
    pub async fn set(
        &self,
        organization: &OrganizationId,
        subject: (LimitScope, &str),
        monthly_limit: Usd,
    ) -> Result<UsageLimitModel> {
        let now = self.clock.now().into();
        let new = checked(organization, subject, monthly_limit, now)?;
        let actor = self.actor.clone();
        self.storage
            .write(move |conn| {
                bump_revision(conn)?;
                require_organization(conn, &new.client_org_id)?;
                if let LimitSubject::Member(user) = new.about()?
                    && member(conn, &new.client_org_id, &user)?.is_none()
                {
                    return Err(Error::not_found("member", user.as_str()));
                }
                let old = find(conn, &new)?;
                if let Some(old) = &old
                    && old.monthly_limit == new.monthly_limit
                {
                    return Ok(old.clone());
                }
                if old.is_none() {
                    require_room(conn, &new.client_org_id)?;
                }
                store(conn, &new)?;
                let details = Details::none()
                    .with("monthly_limit", new.monthly_limit.to_string())
                    .with_some("before", old.map(|old| old.monthly_limit.to_string()));
                log(conn, &actor, "usage_limit.set", &new, details)?;
                Ok(new.clone())
            })
            .await
    }

    /// Takes a limit away. Without one it is [`Error::NotFound`].
    pub async fn clear(&self, organization: &OrganizationId, subject: (LimitScope, &str)) -> Result<()> {
        let gone = checked(organization, subject, Usd::ZERO, self.clock.now().into())?;
        let actor = self.actor.clone();
        self.storage
            .write(move |conn| {
                bump_revision(conn)?;
                require_organization(conn, &gone.client_org_id)?;
                let Some(old) = find(conn, &gone)? else {
                    return Err(Error::not_found("limit", gone.subject.as_str()));
                };
                diesel::delete(usage_limits::table.find((&old.client_org_id, old.scope, &old.subject)))
                    .execute(conn)?;
                let details = Details::none().with("before", old.monthly_limit.to_string());
                log(conn, &actor, "usage_limit.clear", &gone, details)
            })
            .await
    }
}

fn checked(
    organization: &OrganizationId,
    (scope, subject): (LimitScope, &str),
    monthly_limit: Usd,
    updated_at: UnixTime,
) -> Result<UsageLimitModel> {
    LimitSubject::new(scope, subject).map_err(|error| Error::invalid("subject", error.to_string()))?;
    if scope == LimitScope::Model && subject.contains(':') {
        let reason = "name the model without a variant such as `:free`; its limit counts all of them";
        return Err(Error::invalid("subject", reason));
    }
    if monthly_limit < Usd::ZERO {
        return Err(Error::invalid("monthly_limit", "must be 0 or more"));
    }
    let (client_org_id, subject) = (organization.clone(), subject.to_owned());
    Ok(UsageLimitModel { client_org_id, scope, subject, monthly_limit, updated_at })
}

fn require_room(conn: &mut DbConnection, organization: &OrganizationId) -> Result<()> {
    let limits = usage_limits::table.filter(usage_limits::client_org_id.eq(organization));
    if limits.count().get_result::<i64>(conn)? >= LIMITS_AT_MOST {
        let reason = format!("the organization has {LIMITS_AT_MOST} limits already; take one away first");
        return Err(Error::invalid("subject", reason));
    }
    Ok(())
}

fn find(conn: &mut DbConnection, wanted: &UsageLimitModel) -> Result<Option<UsageLimitModel>> {
    let key = (&wanted.client_org_id, wanted.scope, &wanted.subject);
    let row = usage_limits::table.find(key).select(UsageLimitModel::as_select());
    Ok(row.first(conn).optional()?)
}

fn store(conn: &mut DbConnection, new: &UsageLimitModel) -> Result<()> {
    on_backend!(conn, inner => diesel::insert_into(usage_limits::table)
        .values(new)
        .on_conflict((usage_limits::client_org_id, usage_limits::scope, usage_limits::subject))
        .do_update()
        .set((
            usage_limits::monthly_limit.eq(new.monthly_limit),
            usage_limits::updated_at.eq(new.updated_at),
        ))
        .execute(inner))?;
    Ok(())
}

fn log(
    conn: &mut DbConnection,
    actor: &Actor,
    action: &str,
    limit: &UsageLimitModel,
    details: Details,
) -> Result<()> {
    let entry = NewEntry::done(Some(&limit.client_org_id), action, &limit.subject);
    append(conn, actor, limit.updated_at, &entry.with(details.with("scope", limit.scope.as_str())))?;
    Ok(())
}
