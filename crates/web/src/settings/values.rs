//! Where the values of settings come from, and how their texts are read.

use std::{collections::BTreeMap, fmt::Display, num::NonZeroU32, path::Path, str::FromStr, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use mai_primitives::OrganizationId;
use secrecy::SecretString;

use super::{SingleOrganization, VARIABLES, Variable};
use crate::gateway::rate::MAX_RATE;

/// The values that are set: the environment goes before `.env`, and that before the TOML file.
pub fn sources(config: Option<&Path>) -> Result<BTreeMap<String, String>> {
    let mut values = config.map(read_file).transpose()?.unwrap_or_default();
    match dotenvy::dotenv_iter() {
        Ok(pairs) => {
            for pair in pairs {
                let (name, value) = pair.context("cannot read .env")?;
                values.insert(name, value);
            }
        }
        // A missing .env is the usual case; a broken one is an error.
        Err(dotenvy::Error::Io(cause)) if cause.kind() == std::io::ErrorKind::NotFound => {}
        Err(cause) => return Err(cause).context("cannot read .env"),
    }
    for Variable { name, .. } in VARIABLES {
        if let Ok(value) = std::env::var(name) {
            values.insert((*name).to_owned(), value);
        }
    }
    Ok(values)
}

/// Reads a flat TOML table whose keys are names of [`VARIABLES`].
fn read_file(path: &Path) -> Result<BTreeMap<String, String>> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the configuration {shown}"))?;
    let table: toml::Table = text.parse().with_context(|| format!("{shown} is not a TOML file"))?;
    let mut values = BTreeMap::new();
    for (name, value) in table {
        if !VARIABLES.iter().any(|variable| variable.name == name) {
            bail!("{shown}: `{name}` is not a setting; `mai-usage config` lists all of them");
        }
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            _ => bail!("{shown}: `{name}` must be a text or a whole number"),
        };
        values.insert(name, text);
    }
    Ok(values)
}

/// A source of values together with the defaults.
pub(super) struct Values<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Values<'_> {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let default =
            || VARIABLES.iter().find(|variable| variable.name == name).map(|variable| variable.default);
        let set = (self.0)(name).filter(|value| !value.trim().is_empty());
        set.or_else(|| default().filter(|value| !value.is_empty()).map(str::to_owned))
    }

    pub(super) fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T> {
        self.parse_with(name, T::from_str)
    }

    pub(super) fn parse_with<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T> {
        let text = self.get(name).unwrap_or_default();
        parse(text.trim()).map_err(|why| anyhow!("{name} cannot be used: {why}"))
    }

    /// A setting that may be absent.
    pub(super) fn optional<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>> {
        self.get(name).map(|_| self.parse_with(name, parse)).transpose()
    }

    pub(super) fn truth(&self, name: &str) -> Result<bool> {
        self.parse_with(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("it must be `true` or `false`"),
        })
    }

    /// All three variables, or none of them.
    pub(super) fn single_organization(&self) -> Result<Option<SingleOrganization>> {
        let names = ["OPENROUTER_API_KEY", "OPENROUTER_EXTERNAL_USER", "ORGANIZATION_NAME"];
        match names.map(|name| self.get(name)) {
            [None, None, None] => Ok(None),
            [Some(key), Some(id), Some(name)] => Ok(Some(SingleOrganization {
                id: OrganizationId::new(&id).context("OPENROUTER_EXTERNAL_USER cannot be used")?,
                name,
                provider_key: SecretString::from(key),
            })),
            values => {
                let missing: Vec<&str> = names
                    .iter()
                    .zip(&values)
                    .filter(|(_, value)| value.is_none())
                    .map(|(name, _)| *name)
                    .collect();
                bail!(
                    "single-organization mode needs all of {}; missing: {}. Set what is missing, or none of them",
                    names.join(", "),
                    missing.join(", ")
                )
            }
        }
    }
}

/// A number of calls a minute; 0 is no limit.
pub(super) fn rate(text: &str) -> Result<Option<NonZeroU32>, String> {
    let rate = text.parse().ok().filter(|rate| *rate <= MAX_RATE);
    rate.map(NonZeroU32::new).ok_or_else(|| format!("it must be a whole number from 0 to {MAX_RATE}"))
}

/// Whole mebibytes as bytes, more than none.
pub(super) fn mebibytes<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    let number: u64 = text.parse().map_err(|_| "it must be a whole number".to_owned())?;
    let bytes =
        number.checked_mul(1 << 20).filter(|bytes| *bytes > 0).and_then(|bytes| N::try_from(bytes).ok());
    bytes.ok_or_else(|| "it must be greater than 0 and fit into memory".to_owned())
}

/// Whole seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "it must be a whole number of seconds".to_owned())
}

/// A secret that is long enough not to be guessed: as many characters as 128 bits have in hex.
pub(super) fn long_token(text: &str) -> Result<SecretString, &'static str> {
    if text.chars().count() < 32 {
        return Err("it must have at least 32 characters, such as what `openssl rand -hex 32` prints");
    }
    Ok(SecretString::from(text))
}
