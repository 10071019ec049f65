//! The people of an organization: who they are and what they may see.

use std::sync::Arc;

use diesel::{prelude::*, upsert::excluded};
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_global_settings::bump_revision;
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Storage, on_backend, text_enum};

use crate::{
    error::{Error, Result},
    query::require_organization,
    schema::members,
    validate,
};

text_enum! {
    /// What a member may see.
    pub enum MemberRole {
        /// Everything of the organization.
        Admin = "admin",
        /// Their own usage and the organization's summary.
        Member = "member",
        /// Nothing yet: signed up, but nobody has let them in.
        Pending = "pending",
    }
}

text_enum! {
    /// Where we know a member from.
    pub enum MemberSource {
        /// The gateway saw a call of theirs.
        Gateway = "gateway",
        /// The user registry of Open WebUI.
        OpenWebui = "open_webui",
        /// An imported list.
        Csv = "csv",
        /// Our API or dashboard.
        Api = "api",
        /// The built-in demonstration.
        Demo = "demo",
    }
}

/// A member as it is stored; its key is the organization and the user.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = members, treat_none_as_default_value = false)]
pub struct MemberModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// The member.
    pub user_id: UserId,
    /// What people call the member.
    pub name: Option<String>,
    /// The member's address.
    pub email: Option<String>,
    /// What the member may see.
    pub role: MemberRole,
    /// Where we know the member from first.
    pub source: MemberSource,
    /// Whether the member still belongs to the organization.
    pub is_active: bool,
    /// When the row was made.
    pub created_at: UnixTime,
    /// When the row was last changed.
    pub updated_at: UnixTime,
}

/// A member as a list or a form has it; it replaces what we know.
#[derive(Debug, Clone)]
pub struct MemberForm {
    /// The member.
    pub user_id: UserId,
    /// What people call the member, 1 to 200 characters.
    pub name: Option<String>,
    /// The member's address.
    pub email: Option<String>,
    /// What the member may see.
    pub role: MemberRole,
    /// Where we know the member from.
    pub source: MemberSource,
    /// Whether the member still belongs to the organization.
    pub is_active: bool,
}

/// The members of an organization, active or not, by user id.
pub fn members_of(conn: &mut DbConnection, organization: &OrganizationId) -> Result<Vec<MemberModel>> {
    Ok(members::table
        .filter(members::client_org_id.eq(organization))
        .order(members::user_id)
        .select(MemberModel::as_select())
        .load(conn)?)
}

/// Stores members, each replacing what is known of the same user, except since when. They must be
/// sorted by user id, each once.
fn replace_members(conn: &mut DbConnection, rows: &[MemberModel]) -> Result<()> {
    for rows in rows.chunks(BATCH_ROWS) {
        on_backend!(conn, inner => diesel::insert_into(members::table)
            .values(rows)
            .on_conflict((members::client_org_id, members::user_id))
            .do_update()
            .set((
                members::name.eq(excluded(members::name)),
                members::email.eq(excluded(members::email)),
                members::role.eq(excluded(members::role)),
                members::source.eq(excluded(members::source)),
                members::is_active.eq(excluded(members::is_active)),
                members::updated_at.eq(excluded(members::updated_at)),
            ))
            .execute(inner))?;
    }
    Ok(())
}

/// One entry for a member, and one with their number for a list.
fn log(
    conn: &mut DbConnection,
    actor: &Actor,
    organization: &OrganizationId,
    rows: &[MemberModel],
    now: UnixTime,
) -> Result<()> {
    let entry = match rows {
        [] => return Ok(()),
        [one] => {
            let details = Details::none().with("role", one.role.as_str()).with("is_active", one.is_active);
            NewEntry::done(Some(organization), "member.update", one.user_id.as_str()).with(details)
        }
        many => {
            let details = Details::none().with("members", many.len());
            NewEntry::done(Some(organization), "member.import", "").with(details)
        }
    };
    append(conn, actor, now, &entry)?;
    Ok(())
}

/// Reads and changes members.
#[derive(Clone)]
pub struct MemberTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl MemberTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// The members of an organization, active or not, by user id.
    pub async fn list(&self, organization: &OrganizationId) -> Result<Vec<MemberModel>> {
        let organization = organization.clone();
        self.storage.read(move |conn| members_of(conn, &organization)).await
    }

    /// One member, active or not, or none.
    pub async fn get(&self, organization: &OrganizationId, user: &UserId) -> Result<Option<MemberModel>> {
        let (organization, user) = (organization.clone(), user.clone());
        self.storage
            .read(move |conn| {
                Ok(members::table
                    .find((organization, user))
                    .select(MemberModel::as_select())
                    .first(conn)
                    .optional()?)
            })
            .await
    }

    /// Stores members, new and known ones alike, all or none, and returns how many. A user that is
    /// named twice is refused; an unknown organization is [`Error::NotFound`].
    pub async fn upsert(&self, organization: &OrganizationId, forms: Vec<MemberForm>) -> Result<usize> {
        let organization = organization.clone();
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        let mut rows = forms
            .into_iter()
            .map(|form| check(&organization, form, now))
            .collect::<Result<Vec<MemberModel>>>()?;
        rows.sort_by(|a, b| a.user_id.cmp(&b.user_id));
        let mut neighbours = rows.iter().zip(rows.iter().skip(1));
        if let Some((twice, _)) = neighbours.find(|(one, next)| one.user_id == next.user_id) {
            return Err(Error::invalid("user_id", format!("`{}` is named twice", twice.user_id)));
        }
        self.storage
            .write(move |conn| {
                bump_revision(conn)?;
                require_organization(conn, &organization)?;
                replace_members(conn, &rows)?;
                log(conn, &actor, &organization, &rows, now)?;
                Ok(rows.len())
            })
            .await
    }
}

fn check(organization: &OrganizationId, form: MemberForm, now: UnixTime) -> Result<MemberModel> {
    Ok(MemberModel {
        client_org_id: organization.clone(),
        user_id: form.user_id,
        name: form.name.as_deref().map(validate::name).transpose()?,
        email: form.email.as_deref().map(|email| validate::email("email", email)).transpose()?,
        role: form.role,
        source: form.source,
        is_active: form.is_active,
        created_at: now,
        updated_at: now,
    })
}
