//! Whose an OpenRouter id is, where nothing but the id is known of the user.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use mai_primitives::{OpenRouterUserId, OrganizationId, UserId};
use mai_storage::{BATCH_ROWS, DbConnection};

use crate::{
    error::Result,
    external_ids::{members_called, redirect},
    openrouter_user::{LEGACY_HASH_DIGITS, openrouter_user_id, parse_openrouter_user_id},
    schema::user_client_mapping,
};

/// The users whom an organization knows by these OpenRouter ids; ids of nobody are absent.
///
/// A mapping to exactly this id decides, then a further id of a member, then the hash in the id: one with
/// the original's 8 hex digits finds the mapping with ours of 16 and the other way round, unless two
/// users share the 8. The id that stands for [`UserId::unattributed`] finds that. Mappings that were
/// deactivated are not used. A user who is registered under another id by now is told by that one.
pub fn users_behind(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    ids: &BTreeSet<OpenRouterUserId>,
) -> Result<HashMap<OpenRouterUserId, UserId>> {
    let mut users = HashMap::new();
    let all: Vec<&OpenRouterUserId> = ids.iter().collect();
    for chunk in all.chunks(BATCH_ROWS) {
        let rows = user_client_mapping::table
            .filter(user_client_mapping::client_org_id.eq(organization))
            .filter(user_client_mapping::openrouter_user_id.eq_any(chunk.iter().copied()))
            .filter(user_client_mapping::is_active.eq(true))
            .select((user_client_mapping::openrouter_user_id, user_client_mapping::user_id))
            .load::<(OpenRouterUserId, UserId)>(conn)?;
        users.extend(rows);
    }
    let nobody = openrouter_user_id(organization, &UserId::unattributed())?;
    let unmapped: Vec<&OpenRouterUserId> = ids.iter().filter(|id| !users.contains_key(*id)).collect();
    let called = members_called(conn, organization, unmapped.iter().map(|id| id.as_str()))?;
    for id in unmapped {
        let user = match called.get(id.as_str()) {
            Some(member) => Some(member.clone()),
            None if *id == nobody => Some(UserId::unattributed()),
            None => user_of_other_length(conn, organization, id)?,
        };
        users.extend(user.map(|user| (id.clone(), user)));
    }
    redirect(conn, organization, users.values_mut())?;
    Ok(users)
}

/// The only user whose mapping has the same hash, told with more or with fewer digits.
fn user_of_other_length(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    id: &OpenRouterUserId,
) -> Result<Option<UserId>> {
    let Some(parsed) = parse_openrouter_user_id(id.as_str()) else { return Ok(None) };
    if parsed.prefix != organization.as_str() {
        return Ok(None);
    }
    let more = parsed.user_hash.len() - LEGACY_HASH_DIGITS;
    let stem = id.as_str().get(..id.as_str().len() - more).unwrap_or_default();
    // Where the id has a character that means something in a pattern, any character will do.
    let pattern = stem.replace(['%', '\\'], "_") + "%";
    let rows = user_client_mapping::table
        .filter(user_client_mapping::client_org_id.eq(organization))
        .filter(user_client_mapping::openrouter_user_id.like(pattern))
        .filter(user_client_mapping::is_active.eq(true))
        .select((user_client_mapping::openrouter_user_id, user_client_mapping::user_id))
        .load::<(OpenRouterUserId, UserId)>(conn)?;
    let mut users =
        rows.into_iter().filter(|(mapped, user)| mapped.as_str().starts_with(stem) && parsed.may_be(user));
    let first = users.next();
    Ok(first.filter(|_| users.next().is_none()).map(|(_, user)| user))
}
