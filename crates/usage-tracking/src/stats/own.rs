//! What one member used.

use mai_primitives::{OrganizationId, UserId};
use mai_storage::DbConnection;

use crate::{error::Result, model::ClientUserDailyUsageModel, query, range::DayRange, totals::Totals};

/// A member's own usage over a range of days. Which models a member used is not kept per day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnUsage {
    /// The range.
    pub range: DayRange,
    /// The days with usage, ascending.
    pub days: Vec<ClientUserDailyUsageModel>,
    /// Their sums.
    pub totals: Totals,
}

/// The usage of one member, who need not be registered; none where nobody is named.
pub(crate) fn read(
    conn: &mut DbConnection,
    org: &OrganizationId,
    user: Option<&UserId>,
    range: DayRange,
) -> Result<OwnUsage> {
    let days = match user {
        Some(user) => query::rows_of_user(conn, org, user, range.from(), range.to())?,
        None => Vec::new(),
    };
    let totals = Totals::sum(days.iter().map(Totals::from))?;
    Ok(OwnUsage { range, days, totals })
}
