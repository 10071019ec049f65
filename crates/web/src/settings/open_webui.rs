//! The settings of Open WebUI, and URLs as settings.

use anyhow::{Context, Result};
use mai_primitives::OrganizationId;
use reqwest::Url;

use super::Values;

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
