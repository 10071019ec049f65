//! The ids under which OpenRouter knows the members of an organization.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_primitives::{Clock, OpenRouterUserId, OrganizationId, UnixTime, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Storage, on_backend};

use crate::{
    attribution::users_behind,
    error::{Error, Result},
    external_ids::{begin_change, members_called, require_no_external_id},
    openrouter_user::{openrouter_user_id, parse_openrouter_user_id},
    schema::user_client_mapping,
};

/// A mapping as it is stored; its key is the organization and the user.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = user_client_mapping, primary_key(client_org_id, user_id), treat_none_as_default_value = false)]
pub struct UserClientMappingModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// The member as we know it.
    pub user_id: UserId,
    /// The member as OpenRouter knows it; no two members of an organization share one.
    pub openrouter_user_id: OpenRouterUserId,
    /// Whether the mapping is used.
    pub is_active: bool,
    /// When the row was made.
    pub created_at: UnixTime,
    /// When the row was last changed.
    pub updated_at: UnixTime,
}

/// What a new mapping is made of.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "the fields are named as the columns and as in the original")]
pub struct UserClientMappingForm {
    /// The member as we know it.
    pub user_id: UserId,
    /// The organization.
    pub client_org_id: OrganizationId,
    /// The member as OpenRouter knows it; none makes [`openrouter_user_id`].
    pub openrouter_user_id: Option<OpenRouterUserId>,
}

/// A partial update of a mapping: what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UserClientMappingPatch {
    /// The member as OpenRouter knows it.
    pub openrouter_user_id: Option<OpenRouterUserId>,
    /// Whether the mapping is used.
    pub is_active: Option<bool>,
}

/// The mapping of one member, active or not.
pub fn mapping(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    user: &UserId,
) -> Result<Option<UserClientMappingModel>> {
    Ok(user_client_mapping::table
        .find((organization, user))
        .select(UserClientMappingModel::as_select())
        .first(conn)
        .optional()?)
}

/// The active mappings of a user in whatever organizations, the one that changed last first.
fn mappings_of_user(conn: &mut DbConnection, user: &UserId) -> Result<Vec<UserClientMappingModel>> {
    use user_client_mapping::{client_org_id, is_active, table, updated_at, user_id};
    Ok(table
        .filter(user_id.eq(user))
        .filter(is_active.eq(true))
        .order((updated_at.desc(), client_org_id))
        .select(UserClientMappingModel::as_select())
        .load(conn)?)
}

/// The active mappings of an organization, by user id.
pub fn mappings(
    conn: &mut DbConnection,
    organization: &OrganizationId,
) -> Result<Vec<UserClientMappingModel>> {
    use user_client_mapping::{client_org_id, is_active, table, user_id};
    Ok(table
        .filter(client_org_id.eq(organization))
        .filter(is_active.eq(true))
        .order(user_id)
        .select(UserClientMappingModel::as_select())
        .load(conn)?)
}

/// The member of an organization whom a foreign source calls `external`, see [`users_behind`]. None when
/// nobody fits, or more than one.
pub fn user_by_external_id(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    external: &OpenRouterUserId,
) -> Result<Option<UserId>> {
    Ok(users_behind(conn, organization, &BTreeSet::from([external.clone()]))?.remove(external))
}

/// New mappings for those of the users who have none, of OpenRouter ids that nobody has; an id of another
/// user stays with that one. Several users must not want one id.
pub(crate) fn missing_mappings<'a>(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    wanted: impl IntoIterator<Item = (&'a UserId, &'a OpenRouterUserId)>,
    now: UnixTime,
) -> Result<Vec<UserClientMappingModel>> {
    use user_client_mapping::{client_org_id, openrouter_user_id, table, user_id};
    let wanted: Vec<(&UserId, &OpenRouterUserId)> = wanted.into_iter().collect();
    let mut missing = Vec::new();
    for chunk in wanted.chunks(BATCH_ROWS) {
        let users = chunk.iter().map(|(user, _)| *user);
        let ids = chunk.iter().map(|(_, id)| *id);
        let (users, ids): (HashSet<UserId>, HashSet<OpenRouterUserId>) = table
            .filter(client_org_id.eq(organization))
            .filter(user_id.eq_any(users).or(openrouter_user_id.eq_any(ids)))
            .select((user_id, openrouter_user_id))
            .load::<(UserId, OpenRouterUserId)>(conn)?
            .into_iter()
            .unzip();
        let free = chunk.iter().filter(|(user, id)| !users.contains(*user) && !ids.contains(*id));
        missing.extend(free.map(|(user, id)| UserClientMappingModel {
            client_org_id: organization.clone(),
            user_id: (*user).clone(),
            openrouter_user_id: (*id).clone(),
            is_active: true,
            created_at: now,
            updated_at: now,
        }));
    }
    Ok(missing)
}

/// Stores new mappings and returns how many. Another process may have written the same since we looked,
/// which is as good.
pub(crate) fn insert_missing(conn: &mut DbConnection, mappings: &[UserClientMappingModel]) -> Result<usize> {
    let mut written = 0;
    for chunk in mappings.chunks(BATCH_ROWS) {
        written += on_backend!(conn, inner => diesel::insert_into(user_client_mapping::table)
            .values(chunk)
            .on_conflict_do_nothing()
            .execute(inner))?;
    }
    Ok(written)
}

/// Refuses an id that is made of another organization's. Whoever reports usage by nothing but such an id
/// would have it booked there.
fn require_own_prefix(organization: &OrganizationId, wanted: &OpenRouterUserId) -> Result<()> {
    match parse_openrouter_user_id(wanted.as_str()) {
        Some(parsed) if parsed.prefix != organization.as_str() => {
            Err(Error::invalid("openrouter_user_id", "is made of the id of another organization"))
        }
        _ => Ok(()),
    }
}

/// Refuses an active mapping that would make reports of usage ambiguous: to an id that another member has,
/// in this organization or, where the id does not tell its organization, in any other; or of or to a
/// further id of another member. It is not told whose the id is.
fn require_unambiguous(conn: &mut DbConnection, new: &UserClientMappingModel) -> Result<()> {
    use user_client_mapping::{client_org_id, is_active, openrouter_user_id, table};
    let (organization, wanted) = (&new.client_org_id, &new.openrouter_user_id);
    require_free_openrouter_id(conn, organization, &new.user_id, wanted)?;
    if !new.is_active {
        return Ok(());
    }
    require_own_prefix(organization, wanted)?;
    if parse_openrouter_user_id(wanted.as_str()).is_none() {
        let elsewhere = table
            .filter(openrouter_user_id.eq(wanted))
            .filter(client_org_id.ne(organization))
            .filter(is_active.eq(true))
            .select(client_org_id)
            .first::<OrganizationId>(conn)
            .optional()?;
        if elsewhere.is_some() {
            return Err(Error::Taken("OpenRouter user id"));
        }
    }
    require_no_external_id(conn, organization, &new.user_id)?;
    match members_called(conn, organization, [wanted.as_str()])?.remove(wanted.as_str()) {
        Some(member) if member != new.user_id => Err(Error::Taken("OpenRouter user id")),
        _ => Ok(()),
    }
}

fn require_free_openrouter_id(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    user: &UserId,
    wanted: &OpenRouterUserId,
) -> Result<()> {
    use user_client_mapping::{client_org_id, openrouter_user_id, table, user_id};
    let owner = table
        .filter(client_org_id.eq(organization))
        .filter(openrouter_user_id.eq(wanted))
        .select(user_id)
        .first::<UserId>(conn)
        .optional()?;
    match owner {
        Some(owner) if owner != *user => Err(Error::Taken("OpenRouter user id")),
        _ => Ok(()),
    }
}

/// What the checks before it have seen may be outdated on PostgreSQL: [`register_seen`](crate::register_seen)
/// does not wait for the changes of this service, nor they for it.
fn taken_meanwhile(error: diesel::result::Error) -> Error {
    match error.into() {
        mai_storage::Error::Unique(_) => Error::Taken("user id or OpenRouter user id"),
        other => Error::Storage(other),
    }
}

fn log(conn: &mut DbConnection, actor: &Actor, action: &str, mapping: &UserClientMappingModel) -> Result<()> {
    let details = Details::none()
        .with("openrouter_user_id", mapping.openrouter_user_id.as_str())
        .with("is_active", mapping.is_active);
    let entry = NewEntry::done(Some(&mapping.client_org_id), action, mapping.user_id.as_str()).with(details);
    append(conn, actor, mapping.updated_at, &entry)?;
    Ok(())
}

/// Reads and changes mappings.
#[derive(Clone)]
pub struct UserClientMappingTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl UserClientMappingTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// The active mapping of a user in whatever organization, or none; of several the one that
    /// changed last.
    pub async fn get_user_mapping(&self, user: &UserId) -> Result<Option<UserClientMappingModel>> {
        Ok(self.get_mappings_of_user(user).await?.into_iter().next())
    }

    /// The active mappings of a user in whatever organizations, the one that changed last first.
    pub async fn get_mappings_of_user(&self, user: &UserId) -> Result<Vec<UserClientMappingModel>> {
        let user = user.clone();
        self.storage.read(move |conn| mappings_of_user(conn, &user)).await
    }

    /// The mapping of one member, active or not, or none.
    pub async fn get_mapping(
        &self,
        organization: &OrganizationId,
        user: &UserId,
    ) -> Result<Option<UserClientMappingModel>> {
        let (organization, user) = (organization.clone(), user.clone());
        self.storage.read(move |conn| mapping(conn, &organization, &user)).await
    }

    /// The same as [`Self::get_user_mapping`]; the other name of the original.
    pub async fn get_mapping_by_user_id(&self, user: &UserId) -> Result<Option<UserClientMappingModel>> {
        self.get_user_mapping(user).await
    }

    /// The active mappings of an organization, by user id.
    pub async fn get_client_users(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<UserClientMappingModel>> {
        let organization = organization.clone();
        self.storage.read(move |conn| mappings(conn, &organization)).await
    }

    /// The same as [`Self::get_client_users`]; the other name of the original.
    pub async fn get_mappings_by_client_id(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<UserClientMappingModel>> {
        self.get_client_users(organization).await
    }

    /// The member of an organization whom a foreign source calls `external`, see
    /// [`user_by_external_id`].
    pub async fn get_user_by_external_id(
        &self,
        organization: &OrganizationId,
        external: &OpenRouterUserId,
    ) -> Result<Option<UserId>> {
        let (organization, external) = (organization.clone(), external.clone());
        self.storage.read(move |conn| user_by_external_id(conn, &organization, &external)).await
    }

    /// Makes a mapping. An unknown organization is [`Error::NotFound`]; a user that has a mapping
    /// already, or an OpenRouter id that another member has, also one of another organization, is
    /// [`Error::Taken`]. An id that is made of another organization's is [`Error::Invalid`], and a user
    /// that is a further id of a member is [`Error::ExternalId`].
    pub async fn create_mapping(&self, form: UserClientMappingForm) -> Result<UserClientMappingModel> {
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        let openrouter_user_id = match form.openrouter_user_id {
            Some(id) => id,
            None => openrouter_user_id(&form.client_org_id, &form.user_id)?,
        };
        let new = UserClientMappingModel {
            client_org_id: form.client_org_id,
            user_id: form.user_id,
            openrouter_user_id,
            is_active: true,
            created_at: now,
            updated_at: now,
        };
        self.storage
            .write(move |conn| {
                begin_change(conn, &new.client_org_id)?;
                if mapping(conn, &new.client_org_id, &new.user_id)?.is_some() {
                    return Err(Error::Taken("user id"));
                }
                require_unambiguous(conn, &new)?;
                diesel::insert_into(user_client_mapping::table)
                    .values(&new)
                    .execute(conn)
                    .map_err(taken_meanwhile)?;
                log(conn, &actor, "mapping.create", &new)?;
                Ok(new.clone())
            })
            .await
    }

    /// Changes what the patch names, of an active or inactive mapping. A user without one is
    /// [`Error::NotFound`]. An active mapping must be one that [`Self::create_mapping`] would make.
    pub async fn update_mapping(
        &self,
        organization: &OrganizationId,
        user: &UserId,
        patch: UserClientMappingPatch,
    ) -> Result<UserClientMappingModel> {
        let (organization, user) = (organization.clone(), user.clone());
        let (now, actor): (UnixTime, _) = (self.clock.now().into(), self.actor.clone());
        self.storage
            .write(move |conn| {
                begin_change(conn, &organization)?;
                let old = mapping(conn, &organization, &user)?;
                let old = old.ok_or_else(|| Error::not_found("mapping of the user", user.as_str()))?;
                let new = UserClientMappingModel {
                    openrouter_user_id: patch.openrouter_user_id.clone().unwrap_or(old.openrouter_user_id),
                    is_active: patch.is_active.unwrap_or(old.is_active),
                    updated_at: now,
                    ..old
                };
                require_unambiguous(conn, &new)?;
                diesel::update(user_client_mapping::table.find((&organization, &user)))
                    .set(&new)
                    .execute(conn)
                    .map_err(taken_meanwhile)?;
                log(conn, &actor, "mapping.update", &new)?;
                Ok(new)
            })
            .await
    }

    /// Makes a mapping inactive. False when there is none; true also when it was inactive already.
    pub async fn deactivate_mapping(&self, organization: &OrganizationId, user: &UserId) -> Result<bool> {
        let patch = UserClientMappingPatch { is_active: Some(false), ..Default::default() };
        match self.update_mapping(organization, user, patch).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
