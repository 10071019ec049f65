//! [`Caller`]: who calls the API, and what that caller may see and change.
//!
//! A handler that takes a [`Caller`] cannot be reached without a valid token or session. It then asks for the
//! organization in question by one of the methods, which refuse what the role does not allow: a wrong
//! role in the own organization is 403, and whatever belongs to another organization is 404, in the same
//! words as what does not exist.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, web};
use mai_organization::{
    OrganizationServices,
    audit_log::{Actor, ActorKind},
    client_organization::{Role as StoredRole, SessionModel, Standing},
};
use mai_primitives::{OrganizationId, UserId};

use super::{Api, ApiError, credentials, request_id::RequestIdOf};

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

impl TryFrom<Standing> for Role {
    type Error = ApiError;

    fn try_from(standing: Standing) -> Result<Self, ApiError> {
        match (standing.role, standing.client_org_id, standing.user_id) {
            (StoredRole::Reseller, None, _) => Ok(Self::Reseller),
            (StoredRole::Admin, Some(organization), _) => Ok(Self::Admin(organization)),
            (StoredRole::Member, Some(organization), Some(user)) => Ok(Self::Member(organization, user)),
            _ => Err(ApiError::unauthorized("the token or session is incomplete; please make a new one")),
        }
    }
}

/// A caller whose token or session was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// What the caller is.
    pub(crate) role: Role,
    /// As whom the audit log knows the caller.
    pub(crate) actor: Actor,
    /// The session of a browser; none for a token.
    pub(crate) session: Option<Box<BrowserSession>>,
}

/// A session that a browser presented.
#[derive(Debug, Clone)]
pub(crate) struct BrowserSession {
    /// The session.
    pub(crate) model: SessionModel,
    /// What a change must carry beside the cookie.
    pub(crate) csrf_token: String,
}

impl Caller {
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

    /// Whoever sent a form of ours, with the proof that it carries.
    pub(crate) async fn of_form(request: &HttpRequest, api: &Api, proof: &str) -> Result<Self, ApiError> {
        credentials::of_form(request, api, proof).await?.admitted(request, api)
    }

    /// Refuses whoever asks too often, and remembers the others for the entry about a refusal, which is
    /// written when the handler is over.
    fn admitted(self, request: &HttpRequest, api: &Api) -> Result<Self, ApiError> {
        // The reseller is whoever runs the service.
        if !self.is_reseller() {
            api.rates.take_for_caller(&self.actor, api.clock.now())?;
        }
        request.extensions_mut().insert(self.clone());
        Ok(self)
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
            credentials::caller(&request, &api).await?.admitted(&request, &api)
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
