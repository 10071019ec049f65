//! What the errors of the services are to whoever asks.

use actix_web::http::StatusCode;
use mai_batch::Error as BatchError;
use mai_billing::Error as BillingError;
use mai_openrouter::LookupError;
use mai_organization::{
    client_organization::{Error as OrganizationError, SessionRefusal, SignInRefusal, TokenRefusal},
    exchange_rates::Error as RateError,
    generation_processing::Error as LedgerError,
    global_settings::Error as SettingsError,
    usage_tracking::Error as UsageError,
};
use mai_storage::TransactionError;

use super::ApiError;
use crate::{
    api::caller::unknown_organization, gateway::TooMany, open_webui::session::OpenWebuiRefusal,
    provider_keys::ProviderKeyError,
};

impl From<TooMany> for ApiError {
    fn from(too_many: TooMany) -> Self {
        Self::too_many_requests(&too_many)
    }
}

impl From<OrganizationError> for ApiError {
    fn from(error: OrganizationError) -> Self {
        match &error {
            OrganizationError::NotFound { .. } => Self::not_found(error.to_string()),
            OrganizationError::Taken(_) => Self::taken(error.to_string()),
            OrganizationError::Invalid { field, reason } => Self::field(field, reason),
            OrganizationError::Id(_) => Self::invalid(error.to_string()),
            OrganizationError::Token(refusal) => match refusal {
                TokenRefusal::InactiveOrganization => Self::inactive_organization(error.to_string()),
                TokenRefusal::InactiveMember => Self::inactive_member(error.to_string()),
                TokenRefusal::Unknown | TokenRefusal::Expired | TokenRefusal::Revoked => {
                    Self::unauthorized(error.to_string())
                }
            },
            OrganizationError::Session(refusal) => match refusal {
                SessionRefusal::InactiveOrganization => Self::inactive_organization(error.to_string()),
                SessionRefusal::InactiveMember => Self::inactive_member(error.to_string()),
                SessionRefusal::Unknown | SessionRefusal::Expired | SessionRefusal::Revoked => {
                    Self::unauthorized(error.to_string())
                }
            },
            OrganizationError::SignIn(refusal) => match refusal {
                SignInRefusal::InactiveOrganization => Self::inactive_organization(error.to_string()),
                SignInRefusal::InactiveMember => Self::inactive_member(error.to_string()),
                SignInRefusal::CurrentPassword => Self::field("current", &error),
                _ => Self::not_signed_in(error.to_string()),
            },
            OrganizationError::ProviderKeyChanged
            | OrganizationError::ManagedKey
            | OrganizationError::LastReseller
            | OrganizationError::ExternalId { .. } => Self::wrong_state(error.to_string()),
            OrganizationError::Busy => Self::busy(error.to_string()),
            OrganizationError::Storage(_) | OrganizationError::Secret(_) | OrganizationError::Password(_) => {
                Self::internal(&error, error.storage())
            }
        }
    }
}

impl From<OpenWebuiRefusal> for ApiError {
    fn from(refusal: OpenWebuiRefusal) -> Self {
        match refusal {
            OpenWebuiRefusal::Unavailable => {
                let message = refusal.to_string();
                let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "open_webui_unavailable", message);
                Self { retry_after: Some(5), ..refusal }
            }
            OpenWebuiRefusal::Token(_) | OpenWebuiRefusal::Purpose | OpenWebuiRefusal::Ended => {
                Self::unauthorized(refusal.to_string())
            }
        }
    }
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        match &error {
            SettingsError::Currency(_) => Self::field("billing_currency", &error),
            SettingsError::ProvisioningKey => Self::field("openrouter_provisioning_key", &error),
            SettingsError::Storage(_) | SettingsError::Secret(_) => Self::internal(&error, error.storage()),
        }
    }
}

impl From<UsageError> for ApiError {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::UnknownOrganization(_) => unknown_organization(),
            UsageError::InvalidRange(..) => Self::field("start_date", "must not be after end_date"),
            UsageError::NotAssignable { field, reason } => Self::field(field, reason),
            UsageError::IsMember(_) => Self::wrong_state(error.to_string()),
            UsageError::Ledger(cause) => cause.into(),
            UsageError::Organization(cause) => cause.into(),
            other => Self::internal(&other, other.storage()),
        }
    }
}

impl From<RateError> for ApiError {
    fn from(error: RateError) -> Self {
        Self::internal(&error, error.storage())
    }
}

impl From<BatchError> for ApiError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Busy(_) => Self::wrong_state(error.to_string()),
            BatchError::NotOver { .. } => Self::field("processing_date", &error),
            BatchError::UnknownRun(_) | BatchError::UnknownAnomaly => Self::not_found(error.to_string()),
            BatchError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", error.to_string()),
            BatchError::Usage(cause) => cause.into(),
            BatchError::Organization(cause) => cause.into(),
            other => Self::internal(&other, other.storage()),
        }
    }
}

impl From<BillingError> for ApiError {
    fn from(error: BillingError) -> Self {
        match error {
            BillingError::UnknownOrganization(_) => unknown_organization(),
            BillingError::NotAMonth(_) => Self::field("month", "must be a month as YYYY-MM"),
            BillingError::NotBegun(_) | BillingError::NotOver(_) => Self::field("month", &error),
            BillingError::OutOfRange(_) => Self::unbookable(error.to_string()),
            BillingError::Organization(cause) => cause.into(),
            BillingError::Storage(_) | BillingError::LimitOutOfRange(_) => {
                Self::internal(&error, error.storage())
            }
        }
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Unbookable { .. } => Self::unbookable(error.to_string()),
            LedgerError::NotPending(_) => Self::not_found(error.to_string()),
            LedgerError::NoReason => Self::field("reason", "must not be empty"),
            LedgerError::NothingToLookUp { .. } => Self::wrong_state(error.to_string()),
            _ => Self::internal(&error, error.storage()),
        }
    }
}

impl From<ProviderKeyError> for ApiError {
    fn from(error: ProviderKeyError) -> Self {
        let text = error.to_string();
        match error {
            ProviderKeyError::NotConfigured | ProviderKeyError::AlreadyThere => Self::wrong_state(text),
            ProviderKeyError::NoKey => Self::not_found(text),
            ProviderKeyError::Settings(cause) => cause.into(),
            ProviderKeyError::Organization(cause) => cause.into(),
            ProviderKeyError::NotUndone { .. } => Self::half_done(text),
            ProviderKeyError::BrokenOff(cause) => Self::internal(&cause, None),
            ProviderKeyError::Upstream(LookupError::Unauthorized) => {
                Self::wrong_state("OpenRouter refuses the provisioning key")
            }
            ProviderKeyError::Upstream(LookupError::Upstream { status: 404 }) => {
                Self::wrong_state("OpenRouter no longer has the organization's provider key")
            }
            ProviderKeyError::Upstream(cause) => {
                tracing::warn!(error = %mai_capture::causes(&cause), "OpenRouter's management API failed");
                Self::upstream(text)
            }
        }
    }
}

impl From<mai_storage::Error> for ApiError {
    fn from(error: mai_storage::Error) -> Self {
        Self::internal(&error, Some(&error))
    }
}
