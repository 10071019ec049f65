//! The row of an organization and its forms.

use std::fmt;

use diesel::prelude::*;
use mai_exchange_rates::{DayRatePolicy, StatementRatePolicy};
use mai_global_settings::Change;
use mai_primitives::{MarkupRate, OrganizationCalendar, OrganizationId, UnixTime, Usd};
use secrecy::SecretString;

use crate::{
    error::{Error, Result},
    schema::client_organizations,
};

/// An organization as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = client_organizations, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct ClientOrganizationModel {
    /// `org_…`, or the configured id in single-organization mode.
    pub id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// The OpenRouter key, sealed; [`crate::ClientOrganizationTable::provider_key`] opens it.
    #[diesel(embed)]
    pub provider_key: ProviderKeyState,
    /// The id of the key in OpenRouter's management API, where it was made there.
    pub openrouter_key_hash: Option<String>,
    /// The secret that signs posts to the usage webhook, sealed; none asks for no signature.
    pub webhook_secret: Option<String>,
    /// The organization's own rate; none means the global default of the time of use.
    pub markup_rate: Option<MarkupRate>,
    /// What the organization may spend in a calendar month, in client price; none means no limit.
    pub monthly_limit: Option<Usd>,
    /// Where statements go.
    pub billing_email: Option<String>,
    /// IANA name of the zone whose days count.
    pub timezone: String,
    /// Whether an answer is read to its end when the client has left, so that its cost is known.
    pub drain_on_disconnect: bool,
    /// What OpenRouter gets as `HTTP-Referer`; without one none is sent.
    pub site_url: Option<String>,
    /// Which of NBP's tables gives a day its rate.
    pub day_rate_policy: DayRatePolicy,
    /// Which of NBP's tables gives a statement its rate.
    pub statement_rate_policy: StatementRatePolicy,
    /// Whether its keys work.
    pub is_active: bool,
    /// When the row was made.
    pub created_at: UnixTime,
    /// When the row was last changed.
    pub updated_at: UnixTime,
}

impl ClientOrganizationModel {
    /// The calendar of the organization's zone.
    pub fn calendar(&self) -> Result<OrganizationCalendar> {
        OrganizationCalendar::parse(&self.timezone)
            .map_err(|error| Error::invalid("timezone", error.to_string()))
    }
}

/// What is known of an organization's OpenRouter key without opening it. All is none when there is
/// no key.
#[derive(Clone, Default, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = client_organizations, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct ProviderKeyState {
    /// The key, sealed by the master key.
    #[diesel(column_name = openrouter_api_key)]
    pub sealed: Option<String>,
    /// Hex SHA-256 of the key, by which it is found.
    #[diesel(column_name = openrouter_api_key_fingerprint)]
    pub fingerprint: Option<String>,
    /// The last four characters of the key, by which people tell keys apart.
    #[diesel(column_name = openrouter_api_key_last4)]
    pub last4: Option<String>,
}

/// Shows the last four characters only.
impl fmt::Debug for ProviderKeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last4 {
            Some(last4) => write!(f, "ProviderKeyState(…{last4})"),
            None => f.write_str("ProviderKeyState(none)"),
        }
    }
}

/// What a new organization is made of.
#[derive(Debug, Clone, Default)]
pub struct ClientOrganizationForm {
    /// A configured id; none makes a new one, `org_` and eleven random characters.
    pub id: Option<OrganizationId>,
    /// 1 to 200 characters.
    pub name: String,
    /// The OpenRouter key in clear: 1 to 512 visible ASCII characters. Without one the gateway
    /// answers that it is missing.
    pub openrouter_api_key: Option<SecretString>,
    /// The id of the key in OpenRouter's management API, where it was made there.
    pub openrouter_key_hash: Option<String>,
    /// The organization's own rate; none means the global default of the time of use.
    pub markup_rate: Option<MarkupRate>,
    /// What the organization may spend in a calendar month, in client price; none means no limit.
    pub monthly_limit: Option<Usd>,
    /// Where statements go.
    pub billing_email: Option<String>,
    /// IANA name of a zone; none means Europe/Warsaw.
    pub timezone: Option<String>,
    /// Whether an answer is read to its end when the client has left.
    pub drain_on_disconnect: bool,
    /// What OpenRouter gets as `HTTP-Referer`: an http or https URL of at most 200 visible ASCII characters.
    pub site_url: Option<String>,
    /// Which of NBP's tables gives a day its rate.
    pub day_rate_policy: DayRatePolicy,
    /// Which of NBP's tables gives a statement its rate.
    pub statement_rate_policy: StatementRatePolicy,
}

/// A partial update of an organization: what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct ClientOrganizationPatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// The OpenRouter key in clear.
    pub openrouter_api_key: Change<SecretString>,
    /// The id of the key in OpenRouter's management API.
    pub openrouter_key_hash: Change<String>,
    /// The secret that signs posts to the usage webhook, in clear: 16 to 512 visible ASCII
    /// characters. Cleared, no signature is asked for.
    pub webhook_secret: Change<SecretString>,
    /// The organization's own rate, from now on; cleared means the global default.
    pub markup_rate: Change<MarkupRate>,
    /// What the organization may spend in a calendar month; cleared means no limit.
    pub monthly_limit: Change<Usd>,
    /// Where statements go.
    pub billing_email: Change<String>,
    /// IANA name of a zone. Days that are booked already keep their date.
    pub timezone: Option<String>,
    /// Whether an answer is read to its end when the client has left.
    pub drain_on_disconnect: Option<bool>,
    /// What OpenRouter gets as `HTTP-Referer`; cleared, none is sent.
    pub site_url: Change<String>,
    /// Which of NBP's tables gives a day its rate, of all days that have none yet.
    pub day_rate_policy: Option<DayRatePolicy>,
    /// Which of NBP's tables gives a statement its rate, of all statements that are not issued yet.
    pub statement_rate_policy: Option<StatementRatePolicy>,
    /// Whether its keys work.
    pub is_active: Option<bool>,
}
