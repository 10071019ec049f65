//! The settings of the user registry: where an Open WebUI tells who its users are.

use anyhow::{Context, Result, bail};
use mai_primitives::OrganizationId;
use mai_storage::DatabaseUrl;
use secrecy::SecretString;

use super::{open_webui, values::Values};

/// Where an Open WebUI tells who its users are; at least one of the two ways is there.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Whose people its users are.
    pub organization: OrganizationId,
    /// Its own database, which is only read.
    pub database: Option<DatabaseUrl>,
    /// Its API: where it is, without a slash at the end, and the API key or session token of an
    /// administrator there.
    pub api: Option<(String, SecretString)>,
    /// Whether members who are missing in the registry become inactive.
    pub deactivate_missing: bool,
}

impl RegistrySettings {
    /// None without a database and a key.
    pub(super) fn read(values: &Values<'_>) -> Result<Option<Self>> {
        let database = values.optional("WEBUI_DATABASE_URL", str::parse::<DatabaseUrl>)?;
        let key = values.get("MAI_WEBUI_API_KEY").map(SecretString::from);
        let deactivate_missing = values.truth("MAI_WEBUI_DEACTIVATE_MISSING")?;
        let base_url = values.optional("WEBUI_BASE_URL", open_webui::base_url)?;
        let api = match (key, base_url) {
            (None, _) => None,
            (Some(key), Some(base_url)) => Some((base_url, key)),
            (Some(_), None) => {
                bail!("WEBUI_BASE_URL is needed with MAI_WEBUI_API_KEY: it says where Open WebUI is")
            }
        };
        if database.is_none() && api.is_none() {
            return Ok(None);
        }
        let organization = open_webui::organization(values)?.context(
            "MAI_WEBUI_ORGANIZATION is needed with WEBUI_DATABASE_URL or MAI_WEBUI_API_KEY: it says whose people \
             the users of Open WebUI are",
        )?;
        Ok(Some(Self { organization, database, api, deactivate_missing }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn from(pairs: &[(&str, &str)]) -> Result<Option<RegistrySettings>> {
        let settings = Settings::from_source(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        settings.map(|settings| settings.registry)
    }

    #[test]
    fn a_registry_needs_a_place_and_an_organization() {
        assert!(from(&[("WEBUI_BASE_URL", "https://chat.example")]).unwrap().is_none());
        let (key, organization) = (("MAI_WEBUI_API_KEY", "sk-t0p"), ("MAI_WEBUI_ORGANIZATION", "abc"));
        let place = ("WEBUI_BASE_URL", "https://chat.example/");
        for (pairs, name) in [
            (&[key, organization][..], "WEBUI_BASE_URL"),
            (&[key, place], "MAI_WEBUI_ORGANIZATION"),
            (&[("WEBUI_DATABASE_URL", "sqlite:webui.db")], "MAI_WEBUI_ORGANIZATION"),
            (&[("WEBUI_DATABASE_URL", "webui.db"), organization], "WEBUI_DATABASE_URL"),
            (&[("MAI_WEBUI_DEACTIVATE_MISSING", "perhaps")], "MAI_WEBUI_DEACTIVATE_MISSING"),
        ] {
            let error = format!("{:#}", from(pairs).unwrap_err());
            assert!(error.starts_with(name) && !error.contains("t0p"), "{error}");
        }
        let registry = from(&[key, place, organization]).unwrap().unwrap();
        assert_eq!(registry.api.as_ref().unwrap().0, "https://chat.example");
        assert_eq!((registry.organization.as_str(), registry.deactivate_missing), ("abc", false));
        assert!(!format!("{registry:?}").contains("t0p"));
        let database = [
            ("WEBUI_DATABASE_URL", "postgres://webui:t0p@db/webui"),
            ("MAI_WEBUI_DEACTIVATE_MISSING", "true"),
            organization,
        ];
        let registry = from(&database).unwrap().unwrap();
        assert!(registry.deactivate_missing && !format!("{registry:?}").contains("t0p"));
    }
}
