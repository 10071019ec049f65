//! Every endpoint of the API against every kind of caller, as the API's own description lists them.

use std::collections::BTreeMap;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::{
    audit_log::{AuditLogTable, AuditQuery},
    client_organization::revision,
};
use mai_primitives::SystemClock;
use mai_storage::testing::TestDb;
use mai_tests::{
    client::Client,
    gateway::{Gateway, Installation, Organization},
    management::{call, reseller},
    on_each_database, run,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// An operation of the description.
struct Operation {
    method: Method,
    path: String,
    access: String,
    /// Whether it names an organization, in the path or in the query.
    organization: Option<&'static str>,
    /// Whether the path names something else as well.
    names_more: bool,
    /// Query parameters that it cannot do without.
    required: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Nobody,
    Member,
    ForeignAdmin,
    Admin,
    Reseller,
}

const EVERYBODY: [Who; 5] = [Who::Nobody, Who::Member, Who::ForeignAdmin, Who::Admin, Who::Reseller];

async fn description(gateway: &Gateway) -> Vec<Operation> {
    let answer = reqwest::get(format!("{}/api/openapi.json", gateway.base)).await.unwrap();
    let document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let names = |place: &str, name: &str| {
                parameters.iter().any(|parameter| parameter["in"] == place && parameter["name"] == name)
            };
            let organization = ["client_id", "client_org_id"]
                .into_iter()
                .find(|name| names("path", name) || names("query", name));
            let required = parameters
                .iter()
                .filter(|one| one["in"] == "query" && one["required"] == true)
                .map(|one| one["name"].as_str().unwrap().to_owned());
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                access: operation["x-access"].as_str().unwrap().to_owned(),
                names_more: path.matches('{').count() > usize::from(path.contains("{client_")),
                path: path.clone(),
                organization,
                required: required.collect(),
            });
        }
    }
    operations
}

/// How many operations the checked-in description has.
fn described() -> usize {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let methods = document["paths"].as_object().unwrap().values();
    methods.map(|methods| methods.as_object().unwrap().len()).sum()
}

impl Operation {
    /// The same operation on an organization.
    fn url(&self, base: &str, organization: &str) -> String {
        let mut path =
            self.path.replace("{client_id}", organization).replace("{client_org_id}", organization);
        while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
            path.replace_range(start..=end, "unknown");
        }
        let mut query: BTreeMap<&str, &str> = self.required.iter().map(|name| (name.as_str(), "1")).collect();
        if let Some(name) = self.organization.filter(|name| !self.path.contains(&format!("{{{name}}}"))) {
            query.insert(name, organization);
        }
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{base}{path}?{}", query.join("&"))
    }

    fn is_allowed(&self, who: Who) -> bool {
        match self.access.as_str() {
            "member" => matches!(who, Who::Member | Who::Admin | Who::Reseller),
            "admin" => matches!(who, Who::Admin | Who::Reseller),
            "reseller" => who == Who::Reseller,
            other => panic!("{}: access {other}", self.path),
        }
    }

    /// What the status must be.
    fn check(&self, who: Who, status: StatusCode) -> Result<(), String> {
        let expected = match who {
            Who::Nobody => Some(StatusCode::UNAUTHORIZED),
            Who::ForeignAdmin if self.organization.is_some() => Some(StatusCode::NOT_FOUND),
            // It names no organization, so it is about the caller's own, or about nobody's.
            Who::ForeignAdmin if self.is_allowed(Who::Admin) => None,
            _ if !self.is_allowed(who) && who != Who::Reseller => Some(StatusCode::FORBIDDEN),
            _ => None,
        };
        let fits = match expected {
            Some(expected) => status == expected,
            // An empty body or an unknown id is refused, but not for who asks.
            None if self.method != Method::GET || self.names_more => {
                ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) && !is_defect(status)
            }
            None => status.is_success(),
        };
        if fits {
            Ok(())
        } else {
            Err(format!("{who:?} {} {}: {status}, not {expected:?}", self.method, self.path))
        }
    }
}

fn is_defect(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE
}

/// What every change would move: the revision of the directory, and the entries about what was done.
async fn changes(database: &TestDb) -> (i64, usize) {
    let revision = database.storage.read(revision).await.unwrap();
    let log = AuditLogTable::new(database.storage.clone(), std::sync::Arc::new(SystemClock));
    let entries = log.list(AuditQuery { limit: 10_000, ..AuditQuery::default() }).await.unwrap();
    (revision, entries.iter().filter(|entry| entry.result == "ok").count())
}

async fn status(
    operation: &Operation,
    base: &str,
    organization: &Organization,
    token: Option<&str>,
) -> StatusCode {
    let http = reqwest::Client::new();
    let mut request = http.request(operation.method.clone(), operation.url(base, &organization.id));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if operation.method != Method::GET {
        request = request.header("content-type", "application/json").body("{}");
    }
    request.send().await.unwrap().status()
}

#[test]
fn every_endpoint_knows_who_may_call_it() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let theirs = installation.organization("Theirs");
        let arguments =
            ["tokens", "create", "--org", &ours.id, "--role", "member", "--user", "anna", "--json"];
        let member = installation.json(&arguments)["token"].as_str().unwrap().to_owned();
        let gateway = installation.serve();
        run(async {
            let mut operations = description(&gateway).await;
            // Nobody gets in any more once the organization is inactive.
            operations.sort_by_key(|one| one.method == Method::DELETE && one.path.ends_with("/{client_id}"));
            // Every operation that the description at hand has, so that none is lost on the way.
            assert_eq!(operations.len(), described());
            let mut failures = Vec::new();
            // First whoever may not, so that nothing is changed before.
            for denied in [true, false] {
                let before = changes(database).await;
                for operation in operations.iter().filter(|operation| operation.access != "public") {
                    for who in EVERYBODY {
                        let is_denied = !operation.is_allowed(who)
                            || (who == Who::ForeignAdmin && operation.organization.is_some());
                        if is_denied != denied {
                            continue;
                        }
                        let token = match who {
                            Who::Nobody => None,
                            Who::Member => Some(member.as_str()),
                            Who::ForeignAdmin => Some(theirs.token.as_str()),
                            Who::Admin => Some(ours.token.as_str()),
                            Who::Reseller => Some("reseller-token-of-tests-0123456789"),
                        };
                        let status = status(operation, &gateway.base, &ours, token).await;
                        failures.extend(operation.check(who, status).err());
                    }
                }
                if denied {
                    assert_eq!(changes(database).await, before, "a refused request has changed something");
                }
            }
            assert!(failures.is_empty(), "{}", failures.join("\n"));
        });
    });
}

/// The ids of things of another organization, asked for below the own organization's path.
#[test]
fn the_ids_of_another_organization_are_unknown() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let (ours, theirs) = (installation.organization("Ours"), installation.organization("Theirs"));
        let gateway = installation.serve();
        run(async {
            let token =
                reseller(&gateway, "POST", "clients/theirs/api-tokens", &json!({ "name": "t" }), 201).await;
            let token = token["api_token"]["id"].as_str().unwrap().to_owned();
            let key =
                reseller(&gateway, "POST", "clients/theirs/gateway-keys", &json!({ "name": "k" }), 201).await;
            let key = key["gateway_key"]["id"].as_str().unwrap().to_owned();
            let hook = json!({ "client_org_id": "theirs", "channel": "email", "target": "a@b.example", "name": "n" });
            let hook = reseller(&gateway, "POST", "alert-destinations", &hook, 201).await;
            let hook = hook["destination"]["id"].as_str().unwrap().to_owned();
            reseller(&gateway, "POST", "clients/theirs/members", &json!({ "user_id": "tina" }), 201).await;
            reseller(&gateway, "PUT", "clients/theirs/members/tina/external-ids/t.ext", &Value::Null, 200)
                .await;
            // Its cost is not known, and cannot be looked up for an hour.
            let chat = Client::new(&gateway.base, &theirs.key)
                .post("/v1/chat/completions", &Client::chat_body("mock/no-usage", false))
                .header("x-mock-generation-delay-ms", "3600000");
            assert_eq!(chat.send().await.unwrap().status(), 200);
            let waiting = wait_for_pending(&gateway).await;

            let before = changes(database).await;
            let empty = json!({});
            for (method, route, body) in [
                ("DELETE", format!("clients/ours/api-tokens/{token}"), &Value::Null),
                ("PATCH", format!("clients/ours/gateway-keys/{key}"), &json!({ "name": "mine" })),
                ("POST", format!("clients/ours/gateway-keys/{key}/rotate"), &empty),
                ("DELETE", format!("clients/ours/gateway-keys/{key}"), &Value::Null),
                ("PATCH", format!("alert-destinations/{hook}"), &json!({ "name": "mine" })),
                ("DELETE", format!("alert-destinations/{hook}"), &Value::Null),
                ("POST", format!("alert-destinations/{hook}/rotate-secret"), &empty),
                ("POST", format!("alert-destinations/{hook}/test"), &empty),
                ("POST", format!("alert-destinations/{hook}/replay"), &json!({ "since": 0 })),
                ("GET", "clients/ours/members/tina".to_owned(), &Value::Null),
                ("PATCH", "clients/ours/members/tina".to_owned(), &json!({ "name": "mine" })),
                ("DELETE", "clients/ours/members/tina/external-ids/t.ext".to_owned(), &Value::Null),
                ("GET", "user-mappings/tina".to_owned(), &Value::Null),
                ("DELETE", "user-mappings/tina".to_owned(), &Value::Null),
                ("POST", format!("clients/ours/pending-generations/{waiting}/look-up"), &empty),
            ] {
                let answer = call(&gateway, method, &route, &ours.token, body).await;
                assert_eq!(answer.status.as_u16(), 404, "{method} {route}: {}", answer.json());
                assert_eq!(answer.json()["code"], "not_found", "{method} {route}");
            }
            assert_eq!(changes(database).await, before);
        });
        assert!(gateway.stop().success());
    });
}

/// The id of the generation of the other organization that waits.
async fn wait_for_pending(gateway: &Gateway) -> String {
    loop {
        let shown = reseller(gateway, "GET", "clients/theirs/pending-generations", &Value::Null, 200).await;
        if let Some(id) = shown["items"][0]["generation_id"].as_str() {
            return id.to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
