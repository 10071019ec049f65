//! Where alerts go: the row, and what a form may hold.

use std::fmt;

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UnixTime};
use mai_storage::text_enum;
use secrecy::SecretString;

use crate::{
    address::{Reach, check_url},
    error::{Error, Result},
    schema::alert_destinations,
};

/// RFC 5321 section 4.5.3.1.3 leaves 254 characters for an address.
const LONGEST_ADDRESS: usize = 254;
const LONGEST_NAME: usize = 200;

text_enum! {
    /// By which way alerts go somewhere.
    pub enum Channel {
        /// A signed POST.
        Webhook = "webhook",
        /// A mail by SMTP.
        Email = "email",
    }
}

text_enum! {
    /// In which language mail is written.
    pub enum Language {
        /// Polish.
        Polish = "pl",
        /// English.
        English = "en",
    }
}

/// A destination as it is stored.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = alert_destinations, treat_none_as_default_value = false)]
pub struct DestinationModel {
    /// `alert_dest_…`
    pub id: String,
    /// Whose alerts go there; none is the reseller, who gets those of all organizations.
    pub client_org_id: Option<OrganizationId>,
    /// By which way.
    pub channel: Channel,
    /// The URL or the address.
    pub target: String,
    /// What people call it.
    pub name: String,
    /// In which language mail is written.
    pub language: Language,
    /// Whether alerts about limits go there.
    pub wants_limits: bool,
    /// Whether alerts about anomalies go there.
    pub wants_anomalies: bool,
    /// Whether anything goes there. What waits for an inactive one waits on.
    pub is_active: bool,
    /// When the receiver said that it is gone, by which it became inactive.
    pub gone_at: Option<UnixTime>,
    /// What webhooks are signed with, sealed; none for mail, and only then.
    pub secret: Option<String>,
    /// The secret before it, sealed.
    pub previous_secret: Option<String>,
    /// Until when the secret before signs too.
    pub previous_until: Option<UnixTime>,
    /// When it was removed; its row stays for the sake of its deliveries.
    pub removed_at: Option<UnixTime>,
    /// When the row was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
}

/// Leaves out what is secret, and addresses of people: neither has a place in a log.
impl fmt::Debug for DestinationModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestinationModel")
            .field("id", &self.id)
            .field("client_org_id", &self.client_org_id)
            .field("channel", &self.channel)
            .field("is_active", &self.is_active)
            .field("removed_at", &self.removed_at)
            .finish_non_exhaustive()
    }
}

/// What a new destination is made of.
#[derive(Clone)]
pub struct NewDestination {
    /// Whose alerts go there; none is the reseller.
    pub client_org_id: Option<OrganizationId>,
    /// By which way.
    pub channel: Channel,
    /// The URL or the address.
    pub target: String,
    /// 1 to 200 characters.
    pub name: String,
    /// In which language mail is written.
    pub language: Language,
    /// Whether alerts about limits go there.
    pub wants_limits: bool,
    /// Whether alerts about anomalies go there.
    pub wants_anomalies: bool,
}

/// What is changed of a destination; what is none stays.
#[derive(Clone, Default)]
pub struct DestinationPatch {
    /// The URL or the address.
    pub target: Option<String>,
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// In which language mail is written.
    pub language: Option<Language>,
    /// Whether alerts about limits go there.
    pub wants_limits: Option<bool>,
    /// Whether alerts about anomalies go there.
    pub wants_anomalies: Option<bool>,
    /// Whether anything goes there.
    pub is_active: Option<bool>,
}

/// A destination with a secret that was just made. This is the only time that the secret is there.
#[derive(Debug)]
pub struct WithSecret {
    /// What webhooks are signed with: `whsec_` and base64; none for mail.
    pub secret: Option<SecretString>,
    /// What is stored.
    pub model: DestinationModel,
}

/// A name without the white space around it.
pub(crate) fn name(text: &str) -> Result<String> {
    let text = text.trim();
    let is_fine = (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    let refused = || Error::invalid("name", "must have 1 to 200 characters and no control characters");
    is_fine.then(|| text.to_owned()).ok_or_else(refused)
}

/// A URL or an address in the form in which it is stored.
pub(crate) fn target(channel: Channel, text: &str, reach: Reach) -> Result<String> {
    let text = text.trim();
    match channel {
        Channel::Webhook => check_url(text, reach).map(String::from),
        Channel::Email => {
            // ASCII, because not every server takes other addresses (RFC 6531).
            let is_fine = text.len() <= LONGEST_ADDRESS
                && text.is_ascii()
                && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
                && text.parse::<lettre::Address>().is_ok();
            let refused =
                || Error::invalid("target", "must be an e-mail address such as alerts@client.example");
            is_fine.then(|| text.to_owned()).ok_or_else(refused)
        }
    }
}

/// The place for which a secret is sealed.
pub(crate) fn sealed_for(column: &str, id: &str) -> String {
    format!("alert_destinations/{column}/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_checked() {
        let address = |text: &str| target(Channel::Email, text, Reach::Public);
        assert_eq!(address(" alerts@client.example ").unwrap(), "alerts@client.example");
        let long = format!("{}@client.example", "x".repeat(254));
        for wrong in
            ["", "alerts", "@client.example", "a@", "a b@client.example", "a@b\r\nBcc: c@d", "ż@x.pl", &long]
        {
            assert!(address(wrong).is_err(), "{wrong}");
        }
        assert_eq!(name(" Żółw ").unwrap(), "Żółw");
        for wrong in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
