//! [`Caller`]: who calls the API, and what that caller may see and change.
//!
//! A handler that takes a [`Caller`] cannot be reached without a valid token. It then asks for the
//! organization in question by one of the methods, which refuse what the role does not allow: a wrong
//! role in the own organization is 403, and whatever belongs to another organization is 404, in the same
//! words as what does not exist.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, web};
use mai_organization::{
    OrganizationServices,
    audit_log::{Actor, ActorKind},
    client_organization::{ApiTokenRole, Error as OrganizationError},
};
use mai_primitives::{OrganizationId, UserId};
use mai_storage::TransactionError;
use secrecy::SecretString;

use super::request_id::RequestIdOf;
use crate::{
    api::{Api, ApiError},
    gateway::identity::bearer,
    settings::same_secret,
};

/// What a caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// The reseller: every organization, raw cost and profit.
    Reseller,
    /// An administrator of one organization.
    Admin(OrganizationId),
    /// A member of one organization: its own usage and the summary.
    Member(OrganizationId, UserId),
}

/// A caller whose token was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// What the caller is.
    pub(crate) role: Role,
    /// As whom the audit log knows the caller.
    pub(crate) actor: Actor,
}

impl Caller {
    /// Reads and checks the request's token.
    async fn of(request: &HttpRequest, api: &Api) -> Result<Self, ApiError> {
        let token = bearer(request).ok_or_else(|| {
            ApiError::unauthorized("an API token is needed; use the header `Authorization: Bearer …`")
        })?;
        if api.admin_token.as_ref().is_some_and(|ours| same_secret(token, ours)) {
            return Ok(Self { role: Role::Reseller, actor: actor(ActorKind::ResellerToken, "", request) });
        }
        let model =
            api.services.api_token_db.verify(&SecretString::from(token)).await.map_err(
                |error| match error {
                    OrganizationError::Token(refusal) => ApiError::unauthorized(refusal.to_string()),
                    other => ApiError::internal(&other, other.storage()),
                },
            )?;
        let role = match (model.role, model.client_org_id, model.user_id) {
            (ApiTokenRole::Reseller, None, _) => Role::Reseller,
            (ApiTokenRole::Admin, Some(organization), _) => Role::Admin(organization),
            (ApiTokenRole::Member, Some(organization), Some(user)) => Role::Member(organization, user),
            _ => return Err(ApiError::unauthorized("the API token is incomplete; please make a new one")),
        };
        Ok(Self { role, actor: actor(ActorKind::ApiToken, &model.id, request) })
    }

    /// Whether the caller sees raw cost and profit.
    pub(crate) fn is_reseller(&self) -> bool {
        self.role == Role::Reseller
    }

    /// 403 unless the caller is the reseller.
    pub(crate) fn reseller(&self) -> Result<(), ApiError> {
        if self.is_reseller() { Ok(()) } else { Err(ApiError::forbidden("only the reseller may do this")) }
    }

    /// 403 for a member, before the request is looked at. Which organization an administrator or the
    /// reseller means is told by [`Self::administered`].
    pub(crate) fn not_a_member(&self) -> Result<(), ApiError> {
        match self.role {
            Role::Member(..) => {
                Err(ApiError::forbidden("only an administrator of the organization may do this"))
            }
            Role::Admin(_) | Role::Reseller => Ok(()),
        }
    }

    /// The organization that `my-organization` means, which every role may look at. A reseller has none
    /// and names one; whether there is one of that name is for the service to say.
    pub(crate) fn organization(&self, named: Option<&str>) -> Result<OrganizationId, ApiError> {
        let own = match &self.role {
            Role::Admin(organization) | Role::Member(organization, _) => organization,
            Role::Reseller => {
                let named = named.ok_or_else(|| {
                    ApiError::invalid("the reseller belongs to no organization; name one by `client_org_id`")
                })?;
                return OrganizationId::new(named).map_err(|_| unknown_organization());
            }
        };
        match named {
            Some(other) if other != own.as_str() => Err(unknown_organization()),
            _ => Ok(own.clone()),
        }
    }

    /// As [`Self::organization`], for what an administrator or the reseller may see and change.
    pub(crate) fn administered(&self, named: Option<&str>) -> Result<OrganizationId, ApiError> {
        let organization = self.organization(named)?;
        self.not_a_member()?;
        Ok(organization)
    }

    /// The organization of an id that a path names, where only the reseller may do it. For everybody else
    /// it is 403 at their own organization and 404 at any other.
    pub(crate) fn resold(&self, named: &str) -> Result<OrganizationId, ApiError> {
        let organization = self.organization(Some(named))?;
        self.reseller()?;
        Ok(organization)
    }

    /// The services in the name of the caller, so that the audit log knows who changed what.
    pub(crate) fn services(&self, api: &Api) -> OrganizationServices {
        api.services.acting_as(&self.actor)
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let api = request.app_data::<web::Data<Api>>().ok_or_else(ApiError::misconfigured)?.clone();
            let caller = Self::of(&request, &api).await?;
            // For the entry about a refusal, which is written when the handler is over.
            request.extensions_mut().insert(caller.clone());
            Ok(caller)
        })
    }
}

/// Somebody, with where the request came from.
pub(crate) fn actor(kind: ActorKind, id: &str, request: &HttpRequest) -> Actor {
    let remote = request.peer_addr().map(|address| address.ip().to_string());
    let request_id = request.extensions().get::<RequestIdOf>().map(|id| id.0.clone());
    Actor::new(kind, id).at(remote, request_id)
}

/// The same words whether it does not exist or is somebody else's.
pub(crate) fn unknown_organization() -> ApiError {
    ApiError::not_found("there is no such organization")
}
