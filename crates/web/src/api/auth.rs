//! Who calls the API.

use actix_web::HttpRequest;
use mai_organization::client_organization::{Error as OrganizationError, Role};
use mai_primitives::{OrganizationId, UserId};
use mai_storage::TransactionError;
use secrecy::SecretString;

use crate::{
    api::{Api, ApiError},
    gateway::identity::bearer,
    settings::same_secret,
};

/// A caller whose token was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The reseller: every organization, raw cost and profit.
    Reseller,
    /// An administrator of one organization.
    Admin(OrganizationId),
    /// A member of one organization: its own usage and the summary.
    Member(OrganizationId, UserId),
}

impl Caller {
    /// Reads and checks the request's token.
    pub(crate) async fn of(request: &HttpRequest, api: &Api) -> Result<Self, ApiError> {
        let token = bearer(request).ok_or_else(|| {
            ApiError::unauthorized("an API token is needed; use the header `Authorization: Bearer …`")
        })?;
        if api.admin_token.as_ref().is_some_and(|ours| same_secret(token, ours)) {
            return Ok(Self::Reseller);
        }
        let model =
            api.services.api_token_db.verify(&SecretString::from(token)).await.map_err(
                |error| match error {
                    OrganizationError::Token(refusal) => ApiError::unauthorized(refusal.to_string()),
                    other => ApiError::internal(&other, other.storage()),
                },
            )?;
        match (model.role, model.client_org_id, model.user_id) {
            (Role::Reseller, None, _) => Ok(Self::Reseller),
            (Role::Admin, Some(organization), _) => Ok(Self::Admin(organization)),
            (Role::Member, Some(organization), Some(user)) => Ok(Self::Member(organization, user)),
            _ => Err(ApiError::unauthorized("the API token is incomplete; please make a new one")),
        }
    }

    /// The organization that `my-organization` means. A reseller has none and names one.
    pub(super) fn organization(self, named: Option<&str>) -> Result<OrganizationId, ApiError> {
        let own = match self {
            Self::Admin(organization) | Self::Member(organization, _) => organization,
            Self::Reseller => {
                let named = named.ok_or_else(|| {
                    ApiError::invalid("the reseller belongs to no organization; name one by `client_org_id`")
                })?;
                return OrganizationId::new(named).map_err(|_| unknown_organization());
            }
        };
        match named {
            Some(other) if other != own.as_str() => Err(unknown_organization()),
            _ => Ok(own),
        }
    }
}

/// The same words whether it does not exist or is somebody else's.
pub(super) fn unknown_organization() -> ApiError {
    ApiError::not_found("there is no such organization")
}
