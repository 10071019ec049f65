//! Usage by member: everybody who is registered, and everybody who used something.

use std::collections::HashMap;

use mai_client_organization::{MemberModel, MemberRole, mapping, members::members_of, openrouter_user_id};
use mai_primitives::{
    OpenRouterUserId, OrganizationId, Pln, UnixTime, UsdPlnRate, UserId, ratio, text::sortable,
};
use mai_storage::DbConnection;

use crate::{
    error::Result,
    listing::{Item, SortKey},
    query::{self, UserSums},
    range::DayRange,
    totals::Totals,
};

/// Usage of a member over a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserUsage {
    /// The member.
    pub user_id: UserId,
    /// What the registry knows of the member; none for a user whom nobody registered.
    pub member: Option<RegisteredMember>,
    /// What OpenRouter knew the member as when it was used, or would know it as. None where no id can
    /// be made.
    pub openrouter_user_id: Option<OpenRouterUserId>,
    /// Whether there is an active mapping of the member; else calls go by the id that is made.
    pub is_mapped: bool,
    /// The sums.
    pub totals: Totals,
    /// What the client is charged, as the sum of the rounded days in PLN; none where no rate is known.
    pub cost_pln: Option<Pln>,
    /// Days with usage.
    pub days_active: i64,
    /// Those of them that have no rate of their own yet.
    pub days_estimated: i64,
    /// When usage was last added in the range.
    pub last_activity: Option<UnixTime>,
    /// The part of the organization's client price in the range, in parts per million. None where
    /// nothing was charged.
    pub share_ppm: Option<i64>,
}

/// What the registry knows of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredMember {
    /// What people call the member.
    pub name: Option<String>,
    /// The member's address.
    pub email: Option<String>,
    /// What the member may see.
    pub role: MemberRole,
    /// Whether the member still belongs to the organization.
    pub is_active: bool,
}

impl From<MemberModel> for RegisteredMember {
    fn from(row: MemberModel) -> Self {
        Self { name: row.name, email: row.email, role: row.role, is_active: row.is_active }
    }
}

impl UserUsage {
    /// What to call the member: the name, else the id.
    pub fn display_name(&self) -> &str {
        let name = self.member.as_ref().and_then(|member| member.name.as_deref());
        name.unwrap_or(self.user_id.as_str())
    }

    /// The member's address, where one is known.
    pub fn email(&self) -> Option<&str> {
        self.member.as_ref().and_then(|member| member.email.as_deref())
    }
}

/// What a list of members can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserSort {
    /// What the client is charged.
    #[default]
    Cost,
    /// Tokens of prompts and answers.
    Tokens,
    /// Generations.
    Requests,
    /// What people call the member.
    Name,
    /// Days with usage.
    DaysActive,
    /// When usage was last added.
    LastActivity,
}

/// Which members are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// All.
    #[default]
    All,
    /// Those with usage in the range.
    Active,
    /// Those without.
    Idle,
}

impl Activity {
    /// Whether the member is one of these.
    pub(crate) fn includes(self, user: &UserUsage) -> bool {
        match self {
            Self::All => true,
            Self::Active => user.totals.requests > 0,
            Self::Idle => user.totals.requests == 0,
        }
    }
}

impl Item for UserUsage {
    type Sort = UserSort;

    fn id(&self) -> &str {
        self.user_id.as_str()
    }

    fn key(&self, sort: UserSort) -> SortKey {
        match sort {
            UserSort::Cost => SortKey::Number(self.totals.markup_cost.nanos()),
            UserSort::Tokens => SortKey::Number(self.totals.tokens),
            UserSort::Requests => SortKey::Number(self.totals.requests),
            UserSort::Name => SortKey::Text(sortable(self.display_name())),
            UserSort::DaysActive => SortKey::Number(self.days_active),
            UserSort::LastActivity => SortKey::Number(self.last_activity.map_or(i64::MIN, UnixTime::seconds)),
        }
    }

    fn texts(&self) -> Vec<&str> {
        let known = [Some(self.display_name()), self.email(), Some(self.user_id.as_str())];
        let external = self.openrouter_user_id.as_ref().map(OpenRouterUserId::as_str);
        known.into_iter().chain([external]).flatten().collect()
    }

    fn totals(&self) -> Totals {
        self.totals
    }

    fn cost_pln(&self) -> Option<Pln> {
        self.cost_pln
    }
}

/// The usage of every registered member and of every other user with usage in the range; in no order.
pub(crate) fn read(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    current: Option<UsdPlnRate>,
) -> Result<Vec<UserUsage>> {
    let used = query::by_user(conn, org, range.from(), range.to(), current)?;
    let nothing = current.map(|_| Pln::ZERO);
    let whole = Totals::sum(used.iter().map(|one| one.totals))?.markup_cost;
    let mut used: HashMap<UserId, UserSums> =
        used.into_iter().map(|sums| (sums.user_id.clone(), sums)).collect();
    let mappings = mapping::mappings(conn, org)?;
    let mapped: HashMap<UserId, OpenRouterUserId> =
        mappings.into_iter().map(|row| (row.user_id, row.openrouter_user_id)).collect();

    let mut users: Vec<UserUsage> = Vec::new();
    for member in members_of(conn, org)? {
        let user_id = member.user_id.clone();
        let sums = used.remove(&user_id);
        let external = mapped.get(&user_id).cloned().or_else(|| openrouter_user_id(org, &user_id).ok());
        users.push(user(user_id, Some(member.into()), external, sums, nothing));
    }
    users.extend(used.into_values().map(|sums| user(sums.user_id.clone(), None, None, Some(sums), None)));
    for user in &mut users {
        user.is_mapped = mapped.contains_key(&user.user_id);
        user.share_ppm = ratio::parts_per_million(user.totals.markup_cost.nanos(), whole.nanos());
    }
    Ok(users)
}

/// A member with its usage, if it has any, and the id that it would have else; not mapped as yet. `nothing`
/// is no usage in PLN.
fn user(
    user_id: UserId,
    member: Option<RegisteredMember>,
    external: Option<OpenRouterUserId>,
    sums: Option<UserSums>,
    nothing: Option<Pln>,
) -> UserUsage {
    let Some(sums) = sums else {
        return UserUsage {
            user_id,
            member,
            openrouter_user_id: external,
            is_mapped: false,
            totals: Totals::default(),
            cost_pln: nothing,
            days_active: 0,
            days_estimated: 0,
            last_activity: None,
            share_ppm: None,
        };
    };
    UserUsage {
        user_id,
        member,
        openrouter_user_id: sums.openrouter_user_id.or(external),
        is_mapped: false,
        totals: sums.totals,
        cost_pln: sums.cost_pln,
        days_active: sums.days_active,
        days_estimated: sums.days_estimated,
        last_activity: Some(sums.last_activity),
        share_ppm: None,
    }
}
