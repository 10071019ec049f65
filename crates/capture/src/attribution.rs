//! Members behind OpenRouter ids.
//!
//! Reports from outside often know a member only by the id that OpenRouter has of it. They carry that
//! id as the user until they are booked: then the database, which unlike the gateway's snapshot knows
//! the members who turned up a moment ago, says who it is. Ids of nobody stay as they are.

use std::collections::BTreeSet;

use mai_client_organization::{Error, users_behind};
use mai_primitives::{OpenRouterUserId, OrganizationId, UserId};
use mai_storage::DbConnection;

/// Replaces users that are OpenRouter ids by the members behind them. Where there are none, which is
/// the case of all that our own gateway records, the database is not asked.
pub(crate) fn attribute<'a>(
    conn: &mut DbConnection,
    org: &OrganizationId,
    rows: impl Iterator<Item = (&'a mut UserId, &'a OpenRouterUserId)>,
) -> Result<(), Error> {
    let unnamed: Vec<_> = rows.filter(|(user, id)| is_unnamed(user, id)).collect();
    if unnamed.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<OpenRouterUserId> = unnamed.iter().map(|(_, id)| (*id).clone()).collect();
    let users = users_behind(conn, org, &ids)?;
    for (user, id) in unnamed {
        if let Some(member) = users.get(id) {
            *user = member.clone();
        }
    }
    Ok(())
}

/// Whether nothing but the OpenRouter id is known of a user.
pub(crate) fn is_unnamed(user: &UserId, id: &OpenRouterUserId) -> bool {
    user.as_str() == id.as_str()
}
