//! Members who turn up in the traffic are registered when their usage is booked.
//!
//! This does not increase [`mai_global_settings::revision`], or else every stranger's first call would make
//! every gateway load the whole directory again. It need not: without a mapping a gateway sends what
//! [`openrouter_user_id`](crate::openrouter_user_id) makes, and that is what the new mapping says.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use mai_primitives::{OpenRouterUserId, OrganizationId, UnixTime, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, on_backend};

use crate::{
    error::Result,
    external_ids::members_called,
    mapping::{UserClientMappingModel, insert_missing, missing_mappings},
    members::{MemberModel, MemberRole, MemberSource},
    query::require_organization,
    schema::members,
};

/// Names and addresses that strangers send are cut to this many characters.
const MAX_TEXT_CHARACTERS: usize = 200;

/// A member as a call named it.
#[derive(Debug, Clone)]
pub struct SeenMember {
    /// The member.
    pub user_id: UserId,
    /// What the call sent to OpenRouter as `user`.
    pub openrouter_user_id: OpenRouterUserId,
    /// What people call the member, where the call says so.
    pub name: Option<String>,
    /// The member's address, where the call says so.
    pub email: Option<String>,
    /// What the member may see, where the call says so; it counts for a new member only.
    pub role: Option<MemberRole>,
    /// Where the call comes from.
    pub source: MemberSource,
}

/// Registers and maps the members that are new, and gives those that are known the name and address
/// that a call names. Returns how many rows were written; the common case, nothing new, only reads.
///
/// [`UserId::unattributed`] stands for nobody and is left out, and so are further ids of members, who are
/// registered already. The caller has taken its turn by [`together`](crate::external_ids::together). An unknown organization is an error
/// before anything is written, so a caller's transaction can go on without it.
pub fn register_seen(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    seen: &[SeenMember],
    now: UnixTime,
) -> Result<usize> {
    let mut members = merge(seen);
    let called = members_called(conn, organization, members.keys().map(UserId::as_str))?;
    members.retain(|user, _| !called.contains_key(user.as_str()));
    let members: Vec<SeenMember> = members.into_values().collect();
    let mut written = 0;
    for chunk in members.chunks(BATCH_ROWS) {
        let work = compare(conn, organization, chunk, now)?;
        if work.is_empty() {
            continue;
        }
        if written == 0 {
            require_organization(conn, organization)?;
        }
        written += work.write(conn, organization, now)?;
    }
    Ok(written)
}

/// One entry per user, in the order of the user ids; of several texts the last counts.
fn merge(seen: &[SeenMember]) -> BTreeMap<UserId, SeenMember> {
    let mut members = BTreeMap::<UserId, SeenMember>::new();
    for one in seen.iter().filter(|one| one.user_id.as_str() != UserId::UNATTRIBUTED) {
        let one = SeenMember {
            name: clean(one.name.as_deref()),
            email: clean(one.email.as_deref()),
            ..one.clone()
        };
        let member = members.entry(one.user_id.clone()).or_insert_with(|| one.clone());
        member.name = one.name.or(member.name.take());
        member.email = one.email.or(member.email.take());
        member.role = one.role.or(member.role);
    }
    members
}

/// What a stranger sends must never be the reason why usage cannot be booked: PostgreSQL refuses NUL,
/// and nobody needs a name of a megabyte.
pub(crate) fn clean(text: Option<&str>) -> Option<String> {
    let text: String =
        text?.chars().filter(|character| !character.is_control()).take(MAX_TEXT_CHARACTERS).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What has to be written.
struct Work {
    new_members: Vec<MemberModel>,
    new_mappings: Vec<UserClientMappingModel>,
    /// The user with the name and the address as they shall be.
    changed: Vec<(UserId, Option<String>, Option<String>)>,
}

fn compare(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    seen: &[SeenMember],
    now: UnixTime,
) -> Result<Work> {
    let user_ids: Vec<&UserId> = seen.iter().map(|one| &one.user_id).collect();
    let known: HashMap<UserId, (Option<String>, Option<String>)> = members::table
        .filter(members::client_org_id.eq(organization))
        .filter(members::user_id.eq_any(user_ids.iter().copied()))
        .select((members::user_id, (members::name, members::email)))
        .load::<(UserId, (Option<String>, Option<String>))>(conn)?
        .into_iter()
        .collect();
    let wanted = seen.iter().map(|one| (&one.user_id, &one.openrouter_user_id));
    let new_mappings = missing_mappings(conn, organization, wanted, now)?;
    let mut work = Work { new_members: Vec::new(), new_mappings, changed: Vec::new() };
    for one in seen {
        match known.get(&one.user_id) {
            None => work.new_members.push(new_member(organization, one, now)),
            Some((name, email)) => {
                let differs =
                    (one.name.is_some() && one.name != *name) || (one.email.is_some() && one.email != *email);
                if differs {
                    let name = one.name.clone().or_else(|| name.clone());
                    let email = one.email.clone().or_else(|| email.clone());
                    work.changed.push((one.user_id.clone(), name, email));
                }
            }
        }
    }
    Ok(work)
}

fn new_member(organization: &OrganizationId, seen: &SeenMember, now: UnixTime) -> MemberModel {
    MemberModel {
        client_org_id: organization.clone(),
        user_id: seen.user_id.clone(),
        name: seen.name.clone(),
        email: seen.email.clone(),
        role: seen.role.unwrap_or(MemberRole::Member),
        source: seen.source,
        is_active: true,
        created_at: now,
        updated_at: now,
    }
}

impl Work {
    fn is_empty(&self) -> bool {
        self.new_members.is_empty() && self.new_mappings.is_empty() && self.changed.is_empty()
    }

    /// Another process may have written the same since we looked, which is as good. Empty batches are
    /// left out, as SQLite would report the count of the statement before them.
    fn write(&self, conn: &mut DbConnection, organization: &OrganizationId, now: UnixTime) -> Result<usize> {
        let mut written = 0;
        if !self.new_members.is_empty() {
            written += on_backend!(conn, inner => diesel::insert_into(members::table)
                .values(&self.new_members)
                .on_conflict_do_nothing()
                .execute(inner))?;
        }
        written += insert_missing(conn, &self.new_mappings)?;
        for (user, name, email) in &self.changed {
            written += diesel::update(members::table.find((organization, user)))
                .set((members::name.eq(name), members::email.eq(email), members::updated_at.eq(now)))
                .execute(conn)?;
        }
        Ok(written)
    }
}
