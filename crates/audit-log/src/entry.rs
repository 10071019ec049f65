//! What an entry says.

use std::collections::BTreeMap;

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UnixTime};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    actor::{Actor, ActorKind},
    schema::audit_log,
};

/// Texts that strangers may have chosen are cut to this many characters.
const MAX_TEXT_CHARACTERS: usize = 300;

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log, treat_none_as_default_value = false)]
pub struct AuditEntryModel {
    /// Its place in the chain, from 1 on without gaps.
    pub seq: i64,
    /// When it happened.
    pub created_at: UnixTime,
    /// What kind of caller did it.
    pub actor_kind: ActorKind,
    /// Which of that kind.
    pub actor_id: String,
    /// The address that the request came from.
    pub remote: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// Whose data it is about; none where it is about no organization.
    pub client_org_id: Option<OrganizationId>,
    /// What was done, such as `gateway_key.create`.
    pub action: String,
    /// To what: the id of the thing.
    pub target: String,
    /// `ok`, or the stable code of the refusal.
    pub result: String,
    /// A JSON object with more; never a secret.
    pub details: String,
    /// Hex SHA-256 of the previous entry's hash and of the other columns.
    pub hash: String,
}

/// The field of the details that only the reseller may read.
pub const CONFIDENTIAL: &str = "confidential";

/// What is told beside the action: names of fields, in their order, and their new values, never a secret.
#[derive(Debug, Clone, Default)]
pub struct Details(BTreeMap<String, Value>);

impl Details {
    /// Nothing more to tell.
    pub fn none() -> Self {
        Self::default()
    }

    /// With one more field. Texts are cut to 300 characters.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = match value.into() {
            Value::String(text) => Value::String(cut(&text)),
            other => other,
        };
        self.0.insert(name.to_owned(), value);
        self
    }

    /// With one more field that only the reseller may read, such as a raw cost: below [`CONFIDENTIAL`].
    #[must_use]
    pub fn with_confidential(mut self, name: &str, value: impl Into<Value>) -> Self {
        let below = self.0.entry(CONFIDENTIAL.to_owned()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(below) = below {
            below.insert(name.to_owned(), value.into());
        }
        self
    }

    /// As [`Self::with_confidential`] where there is a value.
    #[must_use]
    pub fn with_some_confidential(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with_confidential(name, value),
            None => self,
        }
    }

    /// With one more field where there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// What [`append`](crate::append) writes.
#[derive(Debug, Clone)]
pub struct NewEntry<'a> {
    /// Whose data it is about.
    pub organization: Option<&'a OrganizationId>,
    /// What was done: a noun, a point and a verb, such as `gateway_key.create`.
    pub action: &'a str,
    /// To what: the id of the thing.
    pub target: &'a str,
    /// `ok`, or the stable code of the refusal.
    pub result: &'a str,
    /// What else is worth knowing.
    pub details: Details,
}

impl<'a> NewEntry<'a> {
    /// Something that was done.
    pub fn done(organization: Option<&'a OrganizationId>, action: &'a str, target: &'a str) -> Self {
        Self { organization, action, target, result: "ok", details: Details::none() }
    }

    /// With more to tell.
    #[must_use]
    pub fn with(mut self, details: Details) -> Self {
        self.details = details;
        self
    }

    /// The row at a place in the chain, behind the row with the hash `previous`.
    pub(crate) fn row(&self, actor: &Actor, now: UnixTime, seq: i64, previous: &str) -> AuditEntryModel {
        let mut row = AuditEntryModel {
            seq,
            created_at: now,
            actor_kind: actor.kind(),
            actor_id: cut(actor.id()),
            remote: actor.remote().map(cut),
            request_id: actor.request_id().map(cut),
            client_org_id: self.organization.cloned(),
            action: cut(self.action),
            target: cut(self.target),
            result: cut(self.result),
            details: Value::Object(self.details.0.clone().into_iter().collect()).to_string(),
            hash: String::new(),
        };
        row.hash = row.hash_behind(previous);
        row
    }
}

impl AuditEntryModel {
    /// The details without what only the reseller may read.
    ///
    /// # Errors
    /// When the details are no JSON object, which nothing here writes.
    pub fn public_details(&self) -> Result<String, serde_json::Error> {
        let mut details: Map<String, Value> = serde_json::from_str(&self.details)?;
        details.remove(CONFIDENTIAL);
        Ok(Value::Object(details).to_string())
    }

    /// The hash that the entry must have behind the entry with the hash `previous`. Every column but
    /// the hash itself goes in, each with its length, so that no two different rows give one text.
    pub fn hash_behind(&self, previous: &str) -> String {
        let Self {
            seq,
            created_at,
            actor_kind,
            actor_id,
            remote,
            request_id,
            client_org_id,
            action,
            target,
            result,
            details,
            hash: _,
        } = self;
        let mut hash = Sha256::new();
        let mut field = |text: Option<&str>| match text {
            Some(text) => {
                hash.update(format!("{}:", text.len()));
                hash.update(text);
            }
            None => hash.update("-"),
        };
        field(Some(previous));
        field(Some(&seq.to_string()));
        field(Some(&created_at.seconds().to_string()));
        field(Some(actor_kind.as_str()));
        field(Some(actor_id));
        field(remote.as_deref());
        field(request_id.as_deref());
        field(client_org_id.as_ref().map(OrganizationId::as_str));
        field(Some(action));
        field(Some(target));
        field(Some(result));
        field(Some(details));
        let nibbles = hash.finalize().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
        nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
    }
}

/// PostgreSQL refuses NUL, and nobody needs a name of a megabyte.
fn cut(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_TEXT_CHARACTERS).collect()
}
