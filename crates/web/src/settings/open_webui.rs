//! The settings of Open WebUI, and URLs as settings.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use mai_primitives::OrganizationId;
use reqwest::Url;
use secrecy::SecretString;

use super::values::Values;

/// Open WebUI, whose sessions sign in here as well.
#[derive(Debug, Clone)]
pub struct OpenWebuiSettings {
    /// What its sessions are signed with.
    pub secret: SecretString,
    /// Where it is asked about a session, without a slash at the end; none asks nobody.
    pub base_url: Option<String>,
    /// Whose people its users are.
    pub organization: OrganizationId,
    /// How long a confirmation is believed.
    pub confirm_every: Duration,
}

impl OpenWebuiSettings {
    /// None without a secret.
    pub(super) fn read(values: &Values<'_>) -> Result<Option<Self>> {
        let base_url = values.optional("WEBUI_BASE_URL", base_url)?;
        let confirm_every = values.parse_with("MAI_WEBUI_CONFIRM_SECONDS", confirm_seconds)?;
        let organization = organization(values)?;
        let Some(secret) = values.get("WEBUI_SECRET_KEY").map(SecretString::from) else { return Ok(None) };
        let Some(organization) = organization else {
            bail!(
                "MAI_WEBUI_ORGANIZATION is needed with WEBUI_SECRET_KEY: it says whose people the users of Open \
                 WebUI are"
            )
        };
        Ok(Some(Self { secret, base_url, organization, confirm_every }))
    }
}

fn confirm_seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (1..=60).contains(seconds));
    seconds.map(Duration::from_secs).ok_or("it must be a whole number of seconds, 1 to 60")
}

/// Whose people the users of Open WebUI are: by default the organization of single-organization mode.
pub(super) fn organization(values: &Values<'_>) -> Result<Option<OrganizationId>> {
    let named = values.optional("MAI_WEBUI_ORGANIZATION", str::parse::<OrganizationId>)?;
    let single = || values.get("OPENROUTER_EXTERNAL_USER").map(OrganizationId::new).transpose();
    match named {
        Some(organization) => Ok(Some(organization)),
        None => single().context("OPENROUTER_EXTERNAL_USER cannot be used"),
    }
}

/// Where a service is, without a slash at the end.
pub(super) fn base_url(text: &str) -> Result<String, &'static str> {
    parsed(text).map(|url| url.as_str().trim_end_matches('/').to_owned())
}

/// Scheme, host and port of a URL that has nothing else.
pub(super) fn origin(text: &str) -> Result<String, &'static str> {
    let url = parsed(text)?;
    if url.path() != "/" {
        return Err("it must have no path");
    }
    Ok(url.origin().ascii_serialization())
}

fn parsed(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it must be a URL such as https://chat.example")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it must begin with http:// or https://");
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err("it must have no user, no password, no query and no fragment");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn from(pairs: &[(&str, &str)]) -> Result<Settings> {
        Settings::from_source(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_secret_needs_an_organization() {
        assert!(from(&[]).unwrap().open_webui.is_none());
        assert!(from(&[("WEBUI_BASE_URL", "https://chat.example")]).unwrap().open_webui.is_none());
        let secret = ("WEBUI_SECRET_KEY", "t0p-s3cr3t");
        let error = from(&[secret]).unwrap_err().to_string();
        assert!(error.starts_with("MAI_WEBUI_ORGANIZATION") && !error.contains("t0p"), "{error}");
        let named = [secret, ("MAI_WEBUI_ORGANIZATION", "abc"), ("WEBUI_BASE_URL", "http://chat:8080/a/")];
        let settings = from(&named).unwrap().open_webui.unwrap();
        assert_eq!(settings.organization.as_str(), "abc");
        assert_eq!(settings.base_url.as_deref(), Some("http://chat:8080/a"));
        assert_eq!(settings.confirm_every, Duration::from_secs(60));
        assert!(!format!("{settings:?}").contains("t0p"));
        let single = [
            secret,
            ("OPENROUTER_API_KEY", "sk-or-v1-x"),
            ("OPENROUTER_EXTERNAL_USER", "single"),
            ("ORGANIZATION_NAME", "Single"),
        ];
        assert_eq!(from(&single).unwrap().open_webui.unwrap().organization.as_str(), "single");
    }

    #[test]
    fn urls_are_checked_and_origins_normal() {
        for (name, value) in [
            ("WEBUI_BASE_URL", "chat.example"),
            ("WEBUI_BASE_URL", "ftp://chat.example"),
            ("WEBUI_BASE_URL", "https://user:pass@chat.example"),
            ("MAI_PUBLIC_URL", "https://usage.example/path"),
            ("MAI_PUBLIC_URL", "https://usage.example?x=1"),
            ("MAI_WEBUI_CONFIRM_SECONDS", "0"),
            ("MAI_WEBUI_CONFIRM_SECONDS", "61"),
            ("MAI_SIGN_IN_ATTEMPTS_PER_MINUTE", "many"),
        ] {
            let error = from(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name) && !error.contains("user:pass"), "{error}");
        }
        let origin = |text| from(&[("MAI_PUBLIC_URL", text)]).unwrap().public_url.unwrap();
        assert_eq!(origin("HTTPS://Usage.Example:443/"), "https://usage.example");
        assert_eq!(origin("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }
}
