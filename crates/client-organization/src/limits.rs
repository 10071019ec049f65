//! [`Limits`]: what an organization, its members and its models may cost in a calendar month, as a gateway knows it.
//!
//! Amounts are US dollars of client price. The organization's own limit is a field of the organization; those of
//! members and models are rows of `usage_limits`, which [`UsageLimitTable`](crate::UsageLimitTable) changes.

use std::{collections::HashMap, fmt};

use diesel::prelude::*;
use mai_primitives::{ModelName, OrganizationId, Usd, UserId};
use mai_storage::{DbConnection, text_enum};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    schema::{external_users, usage_limits},
};

text_enum! {
    /// What a limit besides the organization's own is about.
    pub enum LimitScope {
        /// One member, with all of the member's ids.
        Member = "member",
        /// One model, with all of its variants and dated names.
        Model = "model",
    }
}

/// What a limit is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "scope", content = "subject", rename_all = "snake_case")]
pub enum LimitSubject {
    /// The organization as a whole.
    Organization,
    /// A member.
    Member(UserId),
    /// A model, by its name without a variant.
    Model(ModelName),
}

impl LimitSubject {
    /// `organization`, `member` or `model`.
    pub const fn scope(&self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Member(_) => LimitScope::Member.as_str(),
            Self::Model(_) => LimitScope::Model.as_str(),
        }
    }

    /// Which member or model; none for the organization.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Organization => None,
            Self::Member(user) => Some(user.as_str()),
            Self::Model(model) => Some(model.as_str()),
        }
    }

    /// The subject of a row of `usage_limits`.
    pub fn new(scope: LimitScope, subject: &str) -> Result<Self> {
        Ok(match scope {
            LimitScope::Member => Self::Member(UserId::new(subject)?),
            LimitScope::Model => Self::Model(ModelName::new(subject)?),
        })
    }
}

/// As people say it.
impl fmt::Display for LimitSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization => f.write_str("the organization"),
            Self::Member(user) => write!(f, "the member `{user}`"),
            Self::Model(model) => write!(f, "the model `{model}`"),
        }
    }
}

/// The limits of one organization. Serialized, amounts are nano-dollars.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    organization: Option<i64>,
    members: HashMap<UserId, i64>,
    models: HashMap<ModelName, i64>,
    /// Whose further ids these are, as far as the members have limits: their usage is booked for the member.
    further_ids: HashMap<UserId, UserId>,
}

impl Limits {
    /// The limits of an organization with this limit of its own and these of members and models.
    pub fn new(organization: Option<Usd>, others: impl IntoIterator<Item = (LimitSubject, Usd)>) -> Self {
        let mut limits = Self { organization: organization.map(Usd::nanos), ..Self::default() };
        for (subject, limit) in others {
            limits.add(subject, limit);
        }
        limits
    }

    /// These with the organization's own limit.
    pub(crate) fn with_organization(self, limit: Option<Usd>) -> Self {
        Self { organization: limit.map(Usd::nanos), ..self }
    }

    fn add(&mut self, subject: LimitSubject, limit: Usd) {
        match subject {
            LimitSubject::Organization => self.organization = Some(limit.nanos()),
            LimitSubject::Member(user) => drop(self.members.insert(user, limit.nanos())),
            LimitSubject::Model(model) => drop(self.models.insert(model, limit.nanos())),
        }
    }

    /// Whether there is none, so that nothing of a call has to be counted.
    pub fn is_empty(&self) -> bool {
        self.organization.is_none() && self.members.is_empty() && self.models.is_empty()
    }

    /// The limit of the organization as a whole.
    pub fn organization(&self) -> Option<Usd> {
        self.organization.map(Usd::from_nanos)
    }

    /// The limit of a member who has one.
    pub fn member(&self, user: &UserId) -> Option<Usd> {
        self.members.get(user).copied().map(Usd::from_nanos)
    }

    /// The limit of a model that has one, by the name under which it was set.
    pub fn model(&self, model: &ModelName) -> Option<Usd> {
        self.models.get(model).copied().map(Usd::from_nanos)
    }

    /// The limits of models by the names under which they were set, in no order. Which calls they concern the price
    /// list tells.
    pub fn models(&self) -> impl Iterator<Item = (ModelName, Usd)> {
        self.models.iter().map(|(name, nanos)| (name.clone(), Usd::from_nanos(*nanos)))
    }

    /// What there are limits of, in no order.
    pub fn subjects(&self) -> impl Iterator<Item = LimitSubject> {
        let members = self.members.keys().cloned().map(LimitSubject::Member);
        let models = self.models().map(|(model, _)| model);
        let organization = self.organization.map(|_| LimitSubject::Organization);
        organization.into_iter().chain(members).chain(models.map(LimitSubject::Model))
    }

    /// For whom usage of a user is counted: the member whose further id it is, else the user.
    pub fn member_behind<'a>(&'a self, user: &'a UserId) -> &'a UserId {
        self.further_ids.get(user).unwrap_or(user)
    }
}

/// The limits of members and models, and the further ids of those members, by organization.
pub(crate) fn by_organization(conn: &mut DbConnection) -> Result<HashMap<OrganizationId, Limits>> {
    let mut found = HashMap::<OrganizationId, Limits>::new();
    let rows = usage_limits::table
        .select((
            usage_limits::client_org_id,
            usage_limits::scope,
            usage_limits::subject,
            usage_limits::monthly_limit,
        ))
        .load::<(OrganizationId, LimitScope, String, Usd)>(conn)?;
    for (organization, scope, subject, limit) in rows {
        found.entry(organization).or_default().add(LimitSubject::new(scope, &subject)?, limit);
    }
    if found.values().all(|limits| limits.members.is_empty()) {
        return Ok(found);
    }
    let rows = external_users::table
        .select((external_users::client_org_id, external_users::external_user_id, external_users::user_id))
        .load::<(OrganizationId, UserId, UserId)>(conn)?;
    for (organization, external, user) in rows {
        if let Some(limits) = found.get_mut(&organization)
            && limits.members.contains_key(&user)
        {
            limits.further_ids.insert(external, user);
        }
    }
    Ok(found)
}
