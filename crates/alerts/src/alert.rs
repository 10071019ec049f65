//! What an alert is, and the JSON that webhooks get of it.

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UnixTime, Usd};
use mai_storage::text_enum;
use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Result},
    schema::alerts,
};

text_enum! {
    /// What an alert is about.
    pub enum AlertKind {
        /// A part of a monthly limit is used up.
        LimitReached = "limit_reached",
        /// A day stands far outside of a member's or a model's own history.
        Anomaly = "anomaly",
        /// Nothing: somebody tries a destination.
        Test = "test",
    }
}

text_enum! {
    /// Whose usage an alert is about.
    pub enum Scope {
        /// All of the organization.
        Organization = "organization",
        /// One member, by user id.
        Member = "member",
        /// One model, by name.
        Model = "model",
    }
}

text_enum! {
    /// What the figures of an alert count.
    pub enum Measure {
        /// The client's price, in nano-dollars.
        Spend = "spend",
        /// Generations.
        Requests = "requests",
    }
}

impl Measure {
    /// A figure as people and programs read it: dollars as an exact decimal, or a whole number.
    pub fn shown(self, figure: i64) -> String {
        match self {
            Self::Spend => Usd::from_nanos(figure).to_string(),
            Self::Requests => figure.to_string(),
        }
    }
}

/// What was noticed. All but the figures says whether it was noticed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlert {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// What it is about.
    pub kind: AlertKind,
    /// Whose usage.
    pub scope: Scope,
    /// The member's user id or the model's name; empty for the organization.
    pub subject: String,
    /// The organization's local month as `YYYY-MM`, or its local day.
    pub period: String,
    /// Percent of the limit; 0 where there is none.
    pub threshold: i32,
    /// What the figures count.
    pub measure: Measure,
    /// The figure.
    pub value: i64,
    /// The limit, or from where on the figure stands out.
    pub bound: i64,
    /// The usual figure, where one is known.
    pub typical: Option<i64>,
}

/// What must be the same for two alerts to be one: kind, scope, subject, period, measure, threshold.
pub type AlertKey = (AlertKind, Scope, String, String, Measure, i32);

impl NewAlert {
    /// By what the alert is known within its organization.
    pub fn key(&self) -> AlertKey {
        (self.kind, self.scope, self.subject.clone(), self.period.clone(), self.measure, self.threshold)
    }
}

/// An alert as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = alerts, treat_none_as_default_value = false)]
pub struct AlertModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// A UUID; receivers of webhooks know the alert by it.
    pub id: String,
    /// What it is about.
    pub kind: AlertKind,
    /// Whose usage.
    pub scope: Scope,
    /// The member's user id or the model's name; empty for the organization.
    pub subject: String,
    /// What people called the subject when it was raised, where that is known.
    pub subject_name: Option<String>,
    /// What people called the organization when it was raised.
    pub organization_name: String,
    /// The organization's local month as `YYYY-MM`, or its local day.
    pub period: String,
    /// Percent of the limit; 0 where there is none.
    pub threshold: i32,
    /// What the figures count.
    pub measure: Measure,
    /// The figure.
    pub value: i64,
    /// The limit, or from where on the figure stands out.
    pub bound: i64,
    /// The usual figure, where one is known.
    pub typical: Option<i64>,
    /// The JSON that webhooks get.
    pub body: String,
    /// When it was raised.
    pub created_at: UnixTime,
}

impl AlertModel {
    /// The row of a new alert, with names as they are now.
    pub(crate) fn new(
        new: &NewAlert,
        id: String,
        (organization_name, subject_name): (String, Option<String>),
        now: UnixTime,
    ) -> Result<Self> {
        let mut row = Self {
            client_org_id: new.client_org_id.clone(),
            id,
            kind: new.kind,
            scope: new.scope,
            subject: new.subject.clone(),
            subject_name,
            organization_name,
            period: new.period.clone(),
            threshold: new.threshold,
            measure: new.measure,
            value: new.value,
            bound: new.bound,
            typical: new.typical,
            body: String::new(),
            created_at: now,
        };
        row.body = row.json()?.to_string();
        Ok(row)
    }

    /// The subject as people know it, where it has one.
    pub(crate) fn subject_shown(&self) -> &str {
        self.subject_name.as_deref().unwrap_or(&self.subject)
    }

    /// `type`, `timestamp` and `data`, as the Standard Webhooks recommend.
    /// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
    fn json(&self) -> Result<Value> {
        let timestamp = chrono::DateTime::from_timestamp(self.created_at.seconds(), 0)
            .ok_or_else(|| Error::Unwritable("its time is no date".into()))?;
        let mut data = Map::new();
        let mut field = |name: &str, value: Value| data.insert(name.to_owned(), value);
        field("client_org_id", self.client_org_id.as_str().into());
        field("organization_name", self.organization_name.as_str().into());
        if self.kind != AlertKind::Test {
            field("scope", self.scope.as_str().into());
            field("subject", Some(self.subject.as_str()).filter(|subject| !subject.is_empty()).into());
            field("subject_name", self.subject_name.as_deref().into());
        }
        let type_name = match self.kind {
            AlertKind::LimitReached => {
                field("month", self.period.as_str().into());
                field("threshold_percent", self.threshold.into());
                field("limit_usd", self.measure.shown(self.bound).into());
                field("spent_usd", self.measure.shown(self.value).into());
                "alert.limit_reached"
            }
            AlertKind::Anomaly => {
                field("usage_date", self.period.as_str().into());
                field("measure", self.measure.as_str().into());
                field("value", self.measure.shown(self.value).into());
                field("threshold", self.measure.shown(self.bound).into());
                field("median", self.typical.map(|figure| self.measure.shown(figure)).into());
                "alert.anomaly"
            }
            AlertKind::Test => "alert.test",
        };
        let timestamp = timestamp.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        Ok(json!({ "type": type_name, "timestamp": timestamp, "data": data }))
    }
}
