//! What somebody who calls the API may do, and for whom.

use mai_primitives::{OrganizationId, UserId};
use mai_storage::text_enum;

use crate::error::{Error, Result};

text_enum! {
    /// What a token, an account or a session may do.
    pub enum Role {
        /// Everything, for all organizations.
        Reseller = "reseller",
        /// Everything of one organization.
        Admin = "admin",
        /// One member's own usage and the organization's summary.
        Member = "member",
    }
}

/// A role and whom it is for. A reseller has neither organization nor user, everybody else has an
/// organization, and a member is always somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What may be done.
    pub role: Role,
    /// The organization; none for a reseller, and only then.
    pub client_org_id: Option<OrganizationId>,
    /// Who it is among the members; always there for the role `member`.
    pub user_id: Option<UserId>,
}

/// Whether an organization and a member are active, in the query that looks for what is theirs. None
/// of either is as good as an active one.
pub(crate) type Activity = (Option<bool>, Option<bool>);

impl Standing {
    /// That of the reseller.
    pub const RESELLER: Self = Self { role: Role::Reseller, client_org_id: None, user_id: None };

    /// Refuses a standing whose parts do not fit together.
    pub(crate) fn check(&self) -> Result<()> {
        match (self.role, &self.client_org_id, &self.user_id) {
            (Role::Reseller, None, None) | (Role::Admin, Some(_), _) | (Role::Member, Some(_), Some(_)) => {
                Ok(())
            }
            (Role::Reseller, ..) => Err(Error::invalid("role", "a reseller has no organization and no user")),
            (_, None, _) => Err(Error::invalid("client_org_id", "is needed for this role")),
            (_, _, None) => Err(Error::invalid("user_id", "is needed for the role `member`")),
        }
    }
}
