//! Entries as lines of JSON, so that the log can be kept and checked elsewhere.
//!
//! Each line has every column. `details` is the text of its JSON and not the JSON itself, because the
//! hash is that of the text. The hash is hex SHA-256 over the hash of the line before (empty for the
//! first) and then `seq`, `created_at`, `actor_kind`, `actor_id`, `remote`, `request_id`,
//! `client_org_id`, `action`, `target`, `result` and `details`, each as `{bytes}:{text}` in UTF-8, or
//! `-` where it is null.

use mai_primitives::{OrganizationId, UnixTime};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::entry::AuditEntryModel;

/// Why a line is no entry.
#[derive(Debug, Error)]
pub enum LineError {
    /// It is not the JSON of an entry.
    #[error("it is not an entry of an export")]
    Json(#[from] serde_json::Error),
    /// A field holds what no entry holds.
    #[error("{0}")]
    Field(String),
}

/// The fields of a line, in the order in which they are hashed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seq: i64,
    created_at: i64,
    actor_kind: String,
    actor_id: String,
    remote: Option<String>,
    request_id: Option<String>,
    client_org_id: Option<String>,
    action: String,
    target: String,
    result: String,
    details: String,
    hash: String,
}

/// An entry as a line, with its end.
pub fn line(entry: AuditEntryModel) -> Result<String, serde_json::Error> {
    let line = Line {
        seq: entry.seq,
        created_at: entry.created_at.seconds(),
        actor_kind: entry.actor_kind.as_str().to_owned(),
        actor_id: entry.actor_id,
        remote: entry.remote,
        request_id: entry.request_id,
        client_org_id: entry.client_org_id.map(|id| id.as_str().to_owned()),
        action: entry.action,
        target: entry.target,
        result: entry.result,
        details: entry.details,
        hash: entry.hash,
    };
    let mut text = serde_json::to_string(&line)?;
    text.push('\n');
    Ok(text)
}

/// The entry of a line.
pub fn parse(text: &str) -> Result<AuditEntryModel, LineError> {
    let line: Line = serde_json::from_str(text)?;
    let organization = line.client_org_id.map(OrganizationId::new).transpose();
    Ok(AuditEntryModel {
        seq: line.seq,
        created_at: UnixTime::from_seconds(line.created_at),
        actor_kind: line.actor_kind.parse().map_err(LineError::Field)?,
        actor_id: line.actor_id,
        remote: line.remote,
        request_id: line.request_id,
        client_org_id: organization.map_err(|error| LineError::Field(error.to_string()))?,
        action: line.action,
        target: line.target,
        result: line.result,
        details: line.details,
        hash: line.hash,
    })
}
