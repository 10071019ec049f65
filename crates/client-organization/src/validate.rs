//! What a form may hold. The checks are written once, for creation and for change alike.

use mai_primitives::{OrganizationCalendar, OrganizationId, UnixTime, Usd};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    error::{Error, Result},
    openrouter_user::MAX_ORGANIZATION_ID_BYTES,
};

const MAX_NAME_CHARACTERS: usize = 200;
/// RFC 5321 section 4.5.3.1.3 leaves 254 characters for an address.
const MAX_EMAIL_BYTES: usize = 254;
const MAX_KEY_BYTES: usize = 512;
const MAX_SITE_URL_BYTES: usize = 200;

/// A name without the white space around it: 1 to 200 characters, none of them invisible control
/// characters.
pub(crate) fn name(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_NAME_CHARACTERS {
        Err(Error::invalid("name", "must have 1 to 200 characters"))
    } else if text.chars().any(char::is_control) {
        Err(Error::invalid("name", "must not hold control characters"))
    } else {
        Ok(text.to_owned())
    }
}

/// An address such as `billing@client.example`: one `@`, something on both sides, no white space.
pub(crate) fn email(field: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    let has_both_sides = text
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    let is_clean = !text.chars().any(|character| character.is_whitespace() || character.is_control());
    if has_both_sides && is_clean && text.len() <= MAX_EMAIL_BYTES {
        Ok(text.to_owned())
    } else {
        Err(Error::invalid(field, "must be an e-mail address such as billing@client.example"))
    }
}

/// The canonical name of an IANA zone.
pub(crate) fn zone(text: &str) -> Result<String> {
    let calendar =
        OrganizationCalendar::parse(text).map_err(|error| Error::invalid("timezone", error.to_string()))?;
    Ok(calendar.zone().to_owned())
}

/// A provider key: any visible ASCII, as providers change their forms. It is not quoted in errors.
pub(crate) fn provider_key(key: &SecretString) -> Result<()> {
    let text = key.expose_secret();
    if text.is_empty() || text.len() > MAX_KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid("openrouter_api_key", "must be 1 to 512 visible ASCII characters"));
    }
    Ok(())
}

/// A limit is zero or more.
pub(crate) fn limit(limit: Usd) -> Result<()> {
    if limit < Usd::ZERO { Err(Error::invalid("monthly_limit", "must not be negative")) } else { Ok(()) }
}

/// A rate of calls: at least one a minute, and no more than anybody can make.
pub(crate) fn requests_per_minute(rate: Option<i64>) -> Result<()> {
    if rate.is_some_and(|rate| !(1..=1_000_000).contains(&rate)) {
        return Err(Error::invalid("requests_per_minute", "must be 1 to 1000000"));
    }
    Ok(())
}

/// The address of a site, such as `https://chat.client.example/`, without anybody's name or password.
pub(crate) fn site_url(text: &str) -> Result<String> {
    let text = text.trim();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let has_host = !host.is_empty() && !host.starts_with(':') && !host.contains('@');
    let is_clean = text.len() <= MAX_SITE_URL_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
    if has_host && is_clean {
        return Ok(text.to_owned());
    }
    let reason = "must be an http or https URL of at most 200 visible ASCII characters, without a password";
    Err(Error::invalid("site_url", reason))
}

/// An organization id from outside must leave room for the ids that are made of it.
pub(crate) fn organization_id(id: &OrganizationId) -> Result<()> {
    if id.as_str().len() > MAX_ORGANIZATION_ID_BYTES {
        return Err(Error::invalid("id", format!("must have at most {MAX_ORGANIZATION_ID_BYTES} bytes")));
    }
    Ok(())
}

/// A key that has expired before it is made is a mistake of units, such as milliseconds left out.
pub(crate) fn expiry(expires_at: Option<UnixTime>, now: UnixTime) -> Result<()> {
    if expires_at.is_some_and(|at| at <= now) {
        return Err(Error::invalid("expires_at", "must be in the future, in Unix seconds"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name("  Żółw & Syn  ").unwrap(), "Żółw & Syn");
        assert!(name(&"ż".repeat(200)).is_ok());
        for wrong in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert!(matches!(name(wrong), Err(Error::Invalid { field: "name", .. })), "{wrong:?}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(email("email", " faktury@klient.example ").unwrap(), "faktury@klient.example");
        for wrong in ["", "klient", "@x", "x@", "a@b@c", "a b@c", "a@b\0", &format!("{}@x", "a".repeat(260))]
        {
            assert!(email("email", wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn keys_zones_limits_and_ids() {
        assert!(provider_key(&"sk-or-v1-0123".into()).is_ok());
        assert!(provider_key(&"another-form".into()).is_ok());
        for wrong in ["", "with space", "żółw", "line\n", &"x".repeat(513)] {
            let error = provider_key(&wrong.into()).unwrap_err().to_string();
            assert!(wrong.is_empty() || !error.contains(wrong), "{error}");
        }
        assert_eq!(zone("Europe/Warsaw").unwrap(), "Europe/Warsaw");
        assert!(matches!(zone("Mars/Olympus"), Err(Error::Invalid { field: "timezone", .. })));
        assert!(limit(Usd::ZERO).is_ok());
        assert!(limit(Usd::from_nanos(-1)).is_err());
        assert!(organization_id(&OrganizationId::new("o".repeat(234)).unwrap()).is_err());
        let now = UnixTime::from_seconds(10);
        assert!(expiry(None, now).is_ok() && expiry(Some(now.plus_seconds(1)), now).is_ok());
        assert!(expiry(Some(now), now).is_err());
        for good in [None, Some(1), Some(1_000_000)] {
            assert!(requests_per_minute(good).is_ok(), "{good:?}");
        }
        for wrong in [0, -1, 1_000_001, i64::MIN, i64::MAX] {
            let error = requests_per_minute(Some(wrong)).unwrap_err();
            assert!(matches!(error, Error::Invalid { field: "requests_per_minute", .. }), "{wrong}");
        }
    }

    #[test]
    fn addresses_of_sites() {
        let longest = format!("https://{}", "a".repeat(192));
        for good in ["https://chat.client.example", "http://10.0.0.1:8080/a?b#c", &longest] {
            assert_eq!(site_url(&format!(" {good} ")).unwrap(), good);
        }
        for wrong in [
            "",
            "chat.client.example",
            "ftp://client.example",
            "javascript:alert(1)",
            "https://",
            "https:///path",
            "https://:80",
            "https://user:password@client.example",
            "https://client.example/a b",
            "https://client.example/\r\nX-Other: 1",
            "https://żółw.example",
            &format!("{longest}a"),
        ] {
            assert!(matches!(site_url(wrong), Err(Error::Invalid { field: "site_url", .. })), "{wrong:?}");
        }
    }
}
