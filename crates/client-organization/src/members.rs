//! The people of an organization: who they are and what they may see.

use std::{collections::HashMap, sync::Arc};

use diesel::{prelude::*, upsert::excluded};
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_global_settings::bump_revision;
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Storage, on_backend};

pub use self::model::{MemberForm, MemberModel, MemberPatch, MemberRole, MemberSource};
use crate::{
    error::{Error, Result},
    external_ids::{
        add_external_id, alone, begin_change, external_ids, is_of_nobody, members_called, remove_external_id,
        require_no_external_id,
    },
    mapping::{insert_missing, missing_mappings},
    member_changes::remember,
    member_query::MemberQuery,
    openrouter_user::openrouter_user_id,
    query::require_organization,
    schema::members,
    validate,
};

mod model;

/// The members of an organization, active or not, by user id.
pub fn members_of(conn: &mut DbConnection, organization: &OrganizationId) -> Result<Vec<MemberModel>> {
    Ok(members::table
        .filter(members::client_org_id.eq(organization))
        .order(members::user_id)
        .select(MemberModel::as_select())
        .load(conn)?)
}

/// One member, active or not.
pub fn member(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    user: &UserId,
) -> Result<Option<MemberModel>> {
    let row = members::table.find((organization, user)).select(MemberModel::as_select());
    Ok(row.first(conn).optional()?)
}

/// Makes a member inactive, such as one who is registered under another id as well. False where there is
/// no such member. The caller has taken its turn by [`alone`](crate::external_ids::alone) or
/// [`together`](crate::external_ids::together).
pub fn deactivate_member(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    user: &UserId,
    now: UnixTime,
) -> Result<bool> {
    bump_revision(conn)?;
    let Some(old) = member(conn, organization, user)? else { return Ok(false) };
    replace_members(conn, &[MemberModel { is_active: false, updated_at: now, ..old }])?;
    Ok(true)
}

/// Stores members of one organization, each replacing what is known of the same user. They must be sorted
/// by user id, each once.
pub(crate) fn replace_members(conn: &mut DbConnection, rows: &[MemberModel]) -> Result<()> {
    for rows in rows.chunks(BATCH_ROWS) {
        remember(conn, rows)?;
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
                members::created_at.eq(excluded(members::created_at)),
                members::updated_at.eq(excluded(members::updated_at)),
            ))
            .execute(inner))?;
    }
    Ok(())
}

/// Maps members that have no mapping yet to the ids that a gateway makes of them.
pub(crate) fn map_new(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    users: impl IntoIterator<Item = UserId>,
    now: UnixTime,
) -> Result<()> {
    let pairs = users.into_iter().map(|user| Ok((openrouter_user_id(organization, &user)?, user)));
    let pairs = pairs.collect::<Result<Vec<_>>>()?;
    let wanted = pairs.iter().map(|(id, user)| (user, id));
    let missing = missing_mappings(conn, organization, wanted, now)?;
    insert_missing(conn, &missing)?;
    Ok(())
}

fn log(
    conn: &mut DbConnection,
    actor: &Actor,
    action: &str,
    member: &MemberModel,
    more: Details,
) -> Result<()> {
    let details = more.with("role", member.role.as_str()).with("is_active", member.is_active);
    let entry = NewEntry::done(Some(&member.client_org_id), action, member.user_id.as_str()).with(details);
    append(conn, actor, member.updated_at, &entry)?;
    Ok(())
}

/// Reads and changes members.
#[derive(Clone)]
pub struct MemberTable {
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) actor: Actor,
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

    /// The members that a query names, by user id. An unknown organization is [`Error::NotFound`].
    pub async fn search(
        &self,
        organization: &OrganizationId,
        query: MemberQuery,
    ) -> Result<Vec<MemberModel>> {
        let organization = organization.clone();
        self.storage
            .read(move |conn| {
                require_organization(conn, &organization)?;
                query.run(conn, &organization)
            })
            .await
    }

    /// One member, active or not, or none.
    pub async fn get(&self, organization: &OrganizationId, user: &UserId) -> Result<Option<MemberModel>> {
        let (organization, user) = (organization.clone(), user.clone());
        self.storage.read(move |conn| member(conn, &organization, &user)).await
    }

    /// The further ids of a member, in order; see [`external_ids`](crate::external_ids).
    pub async fn external_ids(&self, organization: &OrganizationId, user: &UserId) -> Result<Vec<UserId>> {
        let (organization, user) = (organization.clone(), user.clone());
        self.storage.read(move |conn| external_ids(conn, &organization, &user)).await
    }

    /// Gives a member a further id, under which foreign sources report usage; see
    /// [`add_external_id`] for what is refused. False where the member has it already.
    pub async fn add_external_id(
        &self,
        organization: &OrganizationId,
        external: &UserId,
        user: &UserId,
    ) -> Result<bool> {
        let (organization, external, user) = (organization.clone(), external.clone(), user.clone());
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        self.storage
            .write(move |conn| {
                alone(conn, &organization)?;
                require_organization(conn, &organization)?;
                let is_new = add_external_id(conn, &organization, &external, &user, now)?;
                if is_new {
                    log_external_id(
                        conn,
                        &actor,
                        "member.add_external_id",
                        (&organization, &external, &user),
                        now,
                    )?;
                }
                Ok(is_new)
            })
            .await
    }

    /// Takes a further id from a member; [`Error::NotFound`] where the member does not have it. Usage that was booked
    /// stays with the member.
    pub async fn remove_external_id(
        &self,
        organization: &OrganizationId,
        external: &UserId,
        user: &UserId,
    ) -> Result<()> {
        let (organization, external, user) = (organization.clone(), external.clone(), user.clone());
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        self.storage
            .write(move |conn| {
                begin_change(conn, &organization)?;
                if !remove_external_id(conn, &organization, &external, &user)? {
                    return Err(Error::not_found("external id", external.as_str()));
                }
                log_external_id(
                    conn,
                    &actor,
                    "member.remove_external_id",
                    (&organization, &external, &user),
                    now,
                )
            })
            .await
    }

    /// Makes a member. A user who is one already is [`Error::Taken`], and an id that stands for another
    /// member is [`Error::ExternalId`].
    pub async fn create(&self, organization: &OrganizationId, form: MemberForm) -> Result<MemberModel> {
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        let new = check(organization, form, now)?;
        self.storage
            .write(move |conn| {
                begin_change(conn, &new.client_org_id)?;
                require_no_external_id(conn, &new.client_org_id, &new.user_id)?;
                let inserted = on_backend!(conn, inner => diesel::insert_into(members::table)
                    .values(&new)
                    .on_conflict_do_nothing()
                    .execute(inner))?;
                if inserted == 0 {
                    return Err(Error::Taken("user id"));
                }
                map_new(conn, &new.client_org_id, [new.user_id.clone()], now)?;
                log(conn, &actor, "member.create", &new, Details::none())?;
                Ok(new.clone())
            })
            .await
    }

    /// Changes what the patch names, of an active or inactive member. An unknown user is
    /// [`Error::NotFound`]; to make one active whose id stands for another member by now is
    /// [`Error::ExternalId`].
    pub async fn update(
        &self,
        organization: &OrganizationId,
        user: &UserId,
        patch: MemberPatch,
    ) -> Result<MemberModel> {
        let (organization, user) = (organization.clone(), user.clone());
        let (now, actor): (UnixTime, _) = (self.clock.now().into(), self.actor.clone());
        let name = patch.name.clone().try_map(|name| validate::name(&name))?;
        let email = patch.email.clone().try_map(|email| validate::email("email", &email))?;
        self.storage
            .write(move |conn| {
                begin_change(conn, &organization)?;
                let old = member(conn, &organization, &user)?;
                let old = old.ok_or_else(|| Error::not_found("member", user.as_str()))?;
                if patch.is_active == Some(true) {
                    require_no_external_id(conn, &organization, &user)?;
                }
                let new = MemberModel {
                    name: name.clone().apply(old.name),
                    email: email.clone().apply(old.email),
                    role: patch.role.unwrap_or(old.role),
                    is_active: patch.is_active.unwrap_or(old.is_active),
                    updated_at: now,
                    ..old
                };
                replace_members(conn, std::slice::from_ref(&new))?;
                let words = Details::none()
                    .with_some("name", patch.name.word())
                    .with_some("email", patch.email.word());
                log(conn, &actor, "member.update", &new, words)?;
                Ok(new)
            })
            .await
    }

    /// Stores members, new and known ones alike, all or none, and returns how many. Each replaces what is
    /// known of the same user, but since when. A user that is named twice is refused; an unknown
    /// organization is [`Error::NotFound`]. [`Self::import`] takes lists that leave things out.
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
                begin_change(conn, &organization)?;
                let called =
                    members_called(conn, &organization, rows.iter().map(|row| row.user_id.as_str()))?;
                if let Some(row) = rows.iter().find(|row| called.contains_key(row.user_id.as_str())) {
                    require_no_external_id(conn, &organization, &row.user_id)?;
                }
                let since: HashMap<UserId, UnixTime> = members_of(conn, &organization)?
                    .into_iter()
                    .map(|known| (known.user_id, known.created_at))
                    .collect();
                let mut rows = rows.clone();
                for row in &mut rows {
                    row.created_at = since.get(&row.user_id).copied().unwrap_or(now);
                }
                replace_members(conn, &rows)?;
                map_new(conn, &organization, rows.iter().map(|row| row.user_id.clone()), now)?;
                match rows.as_slice() {
                    [] => {}
                    [one] => log(conn, &actor, "member.update", one, Details::none())?,
                    many => {
                        let details = Details::none().with("members", many.len());
                        let entry = NewEntry::done(Some(&organization), "member.import", "").with(details);
                        append(conn, &actor, now, &entry)?;
                    }
                }
                Ok(rows.len())
            })
            .await
    }
}

fn log_external_id(
    conn: &mut DbConnection,
    actor: &Actor,
    action: &str,
    (organization, external, user): (&OrganizationId, &UserId, &UserId),
    now: UnixTime,
) -> Result<()> {
    let details = Details::none().with("external_user_id", external.as_str());
    append(conn, actor, now, &NewEntry::done(Some(organization), action, user.as_str()).with(details))?;
    Ok(())
}

fn check(organization: &OrganizationId, form: MemberForm, now: UnixTime) -> Result<MemberModel> {
    if is_of_nobody(organization, &form.user_id)? {
        return Err(Error::invalid("user_id", format!("`{}` stands for nobody", form.user_id)));
    }
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
