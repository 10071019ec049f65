//! The settings of alerts: the mail server, and where webhooks may go.

use anyhow::{Result, anyhow, bail};
use mai_alerts::{Mailer, Reach};
use secrecy::SecretString;

use super::values::Values;

/// How alerts are delivered.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// Which URLs webhooks may have.
    pub reach: Reach,
    /// The mail server, where one is set up.
    pub mailer: Option<Mailer>,
}

impl AlertSettings {
    pub(super) fn read(values: &Values<'_>) -> Result<Self> {
        let reach = if values.truth("MAI_WEBHOOKS_TO_PRIVATE_ADDRESSES")? {
            Reach::Everything
        } else {
            Reach::Public
        };
        let mailer = match (values.get("MAI_SMTP_URL"), values.get("MAI_SMTP_FROM")) {
            (None, None) => None,
            (Some(url), Some(from)) => {
                let url = SecretString::from(url);
                Some(mailer(&url, from.trim())?)
            }
            (Some(_), None) => bail!("MAI_SMTP_FROM is needed with MAI_SMTP_URL: it says whose mail it is"),
            (None, Some(_)) => bail!("MAI_SMTP_URL is needed with MAI_SMTP_FROM: it names the mail server"),
        };
        Ok(Self { reach, mailer })
    }
}

/// The errors name the setting and hold nothing of the URL.
fn mailer(url: &SecretString, from: &str) -> Result<Mailer> {
    Mailer::check_from(from).map_err(|why| anyhow!("MAI_SMTP_FROM cannot be used: {why}"))?;
    Mailer::new(url, from).map_err(|why| anyhow!("MAI_SMTP_URL cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    fn read(pairs: &[(&str, &str)]) -> anyhow::Result<Settings> {
        let find = |name: &str| pairs.iter().find(|(known, _)| *known == name);
        Settings::from_source(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_mail_server_needs_a_sender_and_nothing_tells_its_password() {
        assert!(read(&[]).unwrap().alerts.mailer.is_none());
        let from = ("MAI_SMTP_FROM", "mAI Usage <usage@reseller.example>");
        let url = ("MAI_SMTP_URL", "smtps://u:hunter22@mail.example");
        let settings = read(&[("MAI_SMTP_FROM", from.1), ("MAI_SMTP_URL", url.1)]).unwrap();
        assert!(settings.alerts.mailer.is_some());
        assert!(!format!("{settings:?}").contains("hunter22"));
        for (pairs, named) in [
            (&[("MAI_SMTP_URL", "smtps://u:hunter22@mail.example")][..], "MAI_SMTP_FROM"),
            (&[("MAI_SMTP_FROM", "a@b.example")][..], "MAI_SMTP_URL"),
            (&[("MAI_SMTP_FROM", "a"), ("MAI_SMTP_URL", "smtp://mail.example")][..], "MAI_SMTP_FROM"),
            (
                &[("MAI_SMTP_FROM", "a@b.example"), ("MAI_SMTP_URL", "smtp://u:hunter22@mail.example")][..],
                "MAI_SMTP_URL",
            ),
            (&[("MAI_WEBHOOKS_TO_PRIVATE_ADDRESSES", "yes")][..], "MAI_WEBHOOKS_TO_PRIVATE_ADDRESSES"),
        ] {
            let error = read(pairs).unwrap_err().to_string();
            assert!(error.starts_with(named) && !error.contains("hunter22"), "{error}");
        }
    }
}
