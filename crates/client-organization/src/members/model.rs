//! Members as they are stored, made and changed.

use diesel::prelude::*;
use mai_global_settings::Change;
use mai_primitives::{OrganizationId, UnixTime, UserId};
use mai_storage::text_enum;

use crate::schema::members;

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
    /// Where we know the member from: the list that named the member last, else where the member turned up
    /// first.
    pub source: MemberSource,
    /// Whether the member still belongs to the organization.
    pub is_active: bool,
    /// Since when the member is known: the earliest instant that any source names, else when the row was
    /// made.
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

/// A partial update of a member: what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct MemberPatch {
    /// What people call the member, 1 to 200 characters.
    pub name: Change<String>,
    /// The member's address.
    pub email: Change<String>,
    /// What the member may see.
    pub role: Option<MemberRole>,
    /// Whether the member belongs to the organization.
    pub is_active: Option<bool>,
}
