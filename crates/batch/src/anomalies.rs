//! Days on which a member or a model stands far outside its own history: [`rule`] says what that is,
//! `detect` finds them, [`AnomalyTable`] lists and acknowledges them.

pub(crate) mod detect;
pub mod query;
pub mod rule;
mod service;

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UnixTime, UsageDate, Usd};
use mai_storage::text_enum;

use crate::schema::usage_anomalies;

pub use service::AnomalyTable;

text_enum! {
    /// What stands out.
    pub enum SubjectKind {
        /// A member, by user id.
        Member = "member",
        /// A model, by name.
        Model = "model",
    }
}

text_enum! {
    /// What of it stands out.
    pub enum Measure {
        /// The client's price, in nano-dollars.
        Spend = "spend",
        /// Generations.
        Requests = "requests",
    }
}

/// A row of `usage_anomalies`. Figures of [`Measure::Spend`] are nano-dollars.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = usage_anomalies, treat_none_as_default_value = false)]
pub struct AnomalyModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Its local day.
    pub usage_date: UsageDate,
    /// What stands out.
    pub subject_kind: SubjectKind,
    /// Which of them.
    pub subject: String,
    /// What of it stands out.
    pub measure: Measure,
    /// The day's figure.
    pub value: i64,
    /// The median of the days before.
    pub median: i64,
    /// Their median absolute deviation from it.
    pub deviation: i64,
    /// From which figure on the day would have stood out.
    pub threshold: i64,
    /// How many days before were looked at.
    pub history_days: i32,
    /// What OpenRouter charged for the subject on the day.
    pub raw_cost: Usd,
    /// When it was found.
    pub detected_at: UnixTime,
    /// When somebody said that they know of it.
    pub acknowledged_at: Option<UnixTime>,
    /// Who that was: kind and id as in the audit log.
    pub acknowledged_by: Option<String>,
    /// What they said.
    pub note: Option<String>,
}

impl AnomalyModel {
    /// Which one of its organization it is.
    pub fn key(&self) -> AnomalyKey {
        AnomalyKey {
            usage_date: self.usage_date,
            subject_kind: self.subject_kind,
            subject: self.subject.clone(),
            measure: self.measure,
        }
    }
}

/// Which one of an organization's anomalies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnomalyKey {
    /// The local day.
    pub usage_date: UsageDate,
    /// What stands out.
    pub subject_kind: SubjectKind,
    /// Which of them.
    pub subject: String,
    /// What of it stands out.
    pub measure: Measure,
}
