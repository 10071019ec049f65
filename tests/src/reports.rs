//! Reports of usage from outside, as their senders make them.

use mai_mock_openrouter::Mock;
use mai_organization::ProcessedGenerationModel;
use mai_primitives::{Clock, SystemClock, UnixTime};
use mai_storage::testing::TestDb;
use serde_json::{Value, json};

use crate::{
    client::{Answer, read},
    gateway::{Gateway, Installation, Organization},
    ledger::rows,
};

/// The reseller's API token.
pub const RESELLER: &str = "reseller-token-of-tests-0123456789";
/// The usage webhook.
pub const WEBHOOK: &str = "webhook/openrouter-usage";
/// Usage by hand.
pub const MANUAL: &str = "usage/manual-record";
/// Look-ups at once.
pub const SYNC: &str = "sync/openrouter-usage";

/// Posts to a route below `/api/v1/usage-tracking`.
pub async fn post(
    gateway: &Gateway,
    route: &str,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> Answer {
    let mut request = reqwest::Client::new().post(format!("{}/api/v1/usage-tracking/{route}", gateway.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    read(request.body(body.into()).send().await.expect("an answer")).await
}

/// An event of the original's format, an hour old, with changes.
pub fn event(api_key: &str, changes: &Value) -> Value {
    let mut event = json!({
        "api_key": api_key, "model": "openai/o3", "tokens_used": 100, "cost": 0.01, "request_id": "req-1",
        "timestamp": now().seconds() - 3_600,
    });
    for (field, value) in changes.as_object().expect("changes") {
        event[field] = value.clone();
    }
    event
}

/// Sends an event to the usage webhook.
pub async fn send(gateway: &Gateway, event: &Value) -> Answer {
    post(gateway, WEBHOOK, &[], event.to_string()).await
}

/// Status and code of an answer; without a code its message.
pub fn verdict(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    let text = json["code"].as_str().or(json["message"].as_str()).unwrap_or_default().to_owned();
    assert_eq!(json["success"], answer.status.is_success(), "{json}");
    (answer.status.as_u16(), text)
}

/// The present.
pub fn now() -> UnixTime {
    UnixTime::from(SystemClock.now())
}

/// A service that waits for a busy database, so that every answer tells what became of the report.
pub fn installation(database: &TestDb, mock: &Mock) -> Installation {
    Installation::new(database, mock).with("MAI_REPORT_PATIENCE_MILLISECONDS", "60000")
}

/// A ledger row, which must be there.
pub fn row(database: &TestDb, organization: &Organization, id: &str) -> ProcessedGenerationModel {
    rows(&database.storage, &organization.id).remove(id).unwrap_or_else(|| panic!("{id} is not booked"))
}
