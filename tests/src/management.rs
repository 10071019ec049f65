//! The management API, as its callers use it.

use std::time::{Duration, Instant};

use mai_organization::client_organization::members::members_of;
use mai_storage::testing::TestDb;
use reqwest::Method;
use serde_json::Value;

use crate::{
    client::{Answer, Client, read},
    gateway::Gateway,
    reports::RESELLER,
};

/// How long something may take until it is so.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request to a route below `/api/v1/client-organizations`, with a bearer token.
pub async fn call(gateway: &Gateway, method: &str, route: &str, token: &str, body: &Value) -> Answer {
    let method: Method = method.parse().expect("a method");
    let url = format!("{}/api/v1/client-organizations/{route}", gateway.base);
    let mut request = reqwest::Client::new().request(method, url).bearer_auth(token);
    if !body.is_null() {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    read(request.send().await.expect("an answer")).await
}

/// The same as the reseller, who must get this status.
pub async fn reseller(gateway: &Gateway, method: &str, route: &str, body: &Value, status: u16) -> Value {
    let answer = call(gateway, method, route, RESELLER, body).await;
    let json = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{method} {route}: {json}");
    json
}

/// What the reseller reads at a route.
pub async fn get(gateway: &Gateway, route: &str) -> Value {
    reseller(gateway, "GET", route, &Value::Null, 200).await
}

/// The ids of an organization's active members.
pub fn active_members(database: &TestDb, organization: &str) -> Vec<String> {
    let organization = organization.parse().expect("an id");
    let members = database.storage.read_blocking(|conn| members_of(conn, &organization));
    let members = members.expect("members are read").into_iter();
    members.filter(|one| one.is_active).map(|one| one.user_id.to_string()).collect()
}

/// Waits until a call with this key gets this status.
pub async fn until_chat(client: &Client, status: u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.chat("mock/ok", false, 1).await.expect("an answer");
        if answer.status.as_u16() == status {
            return;
        }
        assert!(Instant::now() < deadline, "waited in vain for {status}: {:?}", answer.status);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
