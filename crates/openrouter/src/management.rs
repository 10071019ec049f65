//! Keys as OpenRouter's management API tells them and is told about them.

use mai_primitives::Usd;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer, ser::Error};
use serde_json::value::RawValue;

use crate::usage::amount;

/// After what time the spending that a limit counts begins again, at midnight UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitReset {
    /// Every day.
    Daily,
    /// Every Monday.
    Weekly,
    /// On the first of every month.
    Monthly,
}

/// What a partial update does to a field that may be null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyField<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It becomes null.
    Null,
    /// It gets this value.
    Set(T),
}

impl<T> KeyField<T> {
    /// Null where there is no value.
    pub fn of(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Set)
    }

    /// Whether the field stays as it is.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

/// What a new key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewManagedKey {
    /// What people call the key.
    pub name: String,
    /// What it may spend; none means no limit.
    pub limit: Option<Usd>,
    /// When the limit begins again; none means never.
    pub limit_reset: Option<LimitReset>,
}

/// A partial update of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ManagedKeyPatch {
    /// Whether the key is refused.
    pub disabled: Option<bool>,
    /// What it may spend.
    pub limit: KeyField<Usd>,
    /// When the limit begins again.
    pub limit_reset: KeyField<LimitReset>,
}

/// A key as OpenRouter tells it. Amounts are exact, rounded once to nano-dollars; what it does not tell
/// is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedKey {
    /// 64 hex digits, by which the management API names the key.
    pub hash: String,
    /// What people call the key.
    pub name: String,
    /// The beginning and the end of the key.
    pub label: Option<String>,
    /// Whether the key is refused.
    pub disabled: bool,
    /// What it may spend; none means no limit.
    pub limit: Option<Usd>,
    /// What is left of the limit.
    pub limit_remaining: Option<Usd>,
    /// When the limit begins again, in OpenRouter's word for it; none means never.
    pub limit_reset: Option<String>,
    /// What was charged since the key was made.
    pub usage: Option<Usd>,
    /// What was charged since the UTC day began.
    pub usage_daily: Option<Usd>,
    /// What was charged since Monday.
    pub usage_weekly: Option<Usd>,
    /// What was charged since the UTC month began.
    pub usage_monthly: Option<Usd>,
    /// What providers charged for calls with own keys (BYOK) since the key was made.
    pub byok_usage: Option<Usd>,
    /// When the key was made, in RFC 3339.
    pub created_at: Option<String>,
}

/// A new key. This is the only time that OpenRouter shows the key itself.
#[derive(Debug)]
pub struct CreatedManagedKey {
    /// `sk-or-v1-…`
    pub key: SecretString,
    /// What OpenRouter tells of it.
    pub info: ManagedKey,
}

/// What is posted for a new key.
#[derive(Serialize)]
pub(crate) struct NewBody<'a> {
    name: &'a str,
    limit: Option<Number>,
    limit_reset: Option<LimitReset>,
}

impl<'a> From<&'a NewManagedKey> for NewBody<'a> {
    fn from(new: &'a NewManagedKey) -> Self {
        Self { name: &new.name, limit: new.limit.map(Number), limit_reset: new.limit_reset }
    }
}

/// What is sent for a changed key.
#[derive(Serialize)]
pub(crate) struct PatchBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
    #[serde(skip_serializing_if = "KeyField::is_keep")]
    limit: KeyField<Number>,
    #[serde(skip_serializing_if = "KeyField::is_keep")]
    limit_reset: KeyField<LimitReset>,
}

impl From<ManagedKeyPatch> for PatchBody {
    fn from(patch: ManagedKeyPatch) -> Self {
        let limit = match patch.limit {
            KeyField::Keep => KeyField::Keep,
            KeyField::Null => KeyField::Null,
            KeyField::Set(limit) => KeyField::Set(Number(limit)),
        };
        Self { disabled: patch.disabled, limit, limit_reset: patch.limit_reset }
    }
}

impl<T: Serialize> Serialize for KeyField<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Null => serializer.serialize_none(),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

/// An amount that is written digit by digit, never by way of a float.
struct Number(Usd);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[derive(Deserialize)]
struct One<'a> {
    #[serde(borrow)]
    data: Wire<'a>,
    key: Option<String>,
}

#[derive(Deserialize)]
struct Many<'a> {
    #[serde(borrow)]
    data: Vec<Wire<'a>>,
}

/// The members of the key object that are read.
#[derive(Deserialize)]
struct Wire<'a> {
    hash: String,
    name: Option<String>,
    label: Option<String>,
    disabled: bool,
    #[serde(borrow)]
    limit: Option<&'a RawValue>,
    #[serde(borrow)]
    limit_remaining: Option<&'a RawValue>,
    limit_reset: Option<String>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    usage_daily: Option<&'a RawValue>,
    #[serde(borrow)]
    usage_weekly: Option<&'a RawValue>,
    #[serde(borrow)]
    usage_monthly: Option<&'a RawValue>,
    #[serde(borrow)]
    byok_usage: Option<&'a RawValue>,
    created_at: Option<String>,
}

impl Wire<'_> {
    /// None where a figure is there and is no amount.
    fn read(self) -> Option<ManagedKey> {
        Some(ManagedKey {
            hash: self.hash,
            name: self.name.unwrap_or_default(),
            label: self.label,
            disabled: self.disabled,
            limit: usd(self.limit).ok()?,
            limit_remaining: usd(self.limit_remaining).ok()?,
            limit_reset: self.limit_reset,
            usage: usd(self.usage).ok()?,
            usage_daily: usd(self.usage_daily).ok()?,
            usage_weekly: usd(self.usage_weekly).ok()?,
            usage_monthly: usd(self.usage_monthly).ok()?,
            byok_usage: usd(self.byok_usage).ok()?,
            created_at: self.created_at,
        })
    }
}

/// The amount of a JSON number, from its text; none where there is none.
fn usd(raw: Option<&RawValue>) -> Result<Option<Usd>, ()> {
    let text = amount(raw).map_err(|_| ())?;
    text.map(|text| Usd::parse(&text)).transpose().map_err(|_| ())
}

/// Reads a key that was asked for. None if it is not of the documented shape.
pub(crate) fn parse_key(body: &[u8]) -> Option<ManagedKey> {
    serde_json::from_slice::<One<'_>>(body).ok()?.data.read()
}

/// Reads a key that was made, with the key itself.
pub(crate) fn parse_created(body: &[u8]) -> Option<CreatedManagedKey> {
    let One { data, key } = serde_json::from_slice(body).ok()?;
    Some(CreatedManagedKey { key: key?.into(), info: data.read()? })
}

/// Reads a list of keys.
pub(crate) fn parse_keys(body: &[u8]) -> Option<Vec<ManagedKey>> {
    serde_json::from_slice::<Many<'_>>(body).ok()?.data.into_iter().map(Wire::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_has_every_digit_and_only_what_changes() {
        let limit = Usd::parse("9007199.254740993").unwrap();
        let new =
            NewManagedKey { name: "a".into(), limit: Some(limit), limit_reset: Some(LimitReset::Weekly) };
        let text = serde_json::to_string(&NewBody::from(&new)).unwrap();
        assert_eq!(text, r#"{"name":"a","limit":9007199.254740993,"limit_reset":"weekly"}"#);
        let patch = ManagedKeyPatch { limit: KeyField::Null, ..ManagedKeyPatch::default() };
        assert_eq!(serde_json::to_string(&PatchBody::from(patch)).unwrap(), r#"{"limit":null}"#);
        let patch = ManagedKeyPatch {
            disabled: Some(true),
            limit: KeyField::of(Some(limit)),
            limit_reset: KeyField::of(None),
        };
        let text = serde_json::to_string(&PatchBody::from(patch)).unwrap();
        assert_eq!(text, r#"{"disabled":true,"limit":9007199.254740993,"limit_reset":null}"#);
    }

    #[test]
    fn what_is_told_is_read_exactly() {
        let body = r#"{"data":{"hash":"ab","name":"a","disabled":false,"limit":null,"usage":0.1234567895,
            "usage_daily":1e-7,"limit_reset":"monthly"},"key":"sk-or-v1-secret"}"#;
        let created = parse_created(body.as_bytes()).unwrap();
        assert_eq!((created.info.limit, created.info.usage_weekly), (None, None));
        assert_eq!(created.info.usage, Some(Usd::from_nanos(123_456_790)), "rounded half to even, once");
        assert_eq!(created.info.usage_daily, Some(Usd::from_nanos(100)));
        assert!(!format!("{created:?}").contains("secret"));
        assert!(parse_created(body.replace("\"key\"", "\"other\"").as_bytes()).is_none());
        assert!(parse_key(body.replace("1e-7", "true").as_bytes()).is_none());
        assert_eq!(parse_keys(br#"{"data":[]}"#), Some(Vec::new()));
    }
}
