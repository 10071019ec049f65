//! No secret of a run is found afterwards in the database, the journal, the log or an answer that refuses.

use std::{fs, path::Path, process::Command};

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::{DatabaseUrl, testing::TestDb};
use mai_tests::{
    browser::{Browser, read},
    client::Client,
    database_url,
    gateway::{Gateway, Installation, provider_key},
    mail_server::{self, MailServer},
    on_each_database, run,
    webhook_receiver::WebhookReceiver,
};
use reqwest::Method;
use serde_json::{Value, json};

const RESELLER: &str = "reseller-token-of-tests-0123456789";
const PASSWORD: &str = "correct horse battery staple 7";
const WRONG_PASSWORD: &str = "quite another password 8";
const IDENTITY_SECRET: &str = "identity-secret-identity-secret-9-identity";
const BROADCAST_TOKEN: &str = "broadcast-token-of-this-test";
/// Whose address it is, is told to nobody who reads the log.
const MAIL_ADDRESS: &str = "hears-of-alerts@client.example";
const PROVISIONING_KEY: &str = "sk-or-v1-provisioning-of-tests";

/// What must not be found, each with a name for the failure.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, name: &'static str, secret: impl Into<String>) {
        let secret = secret.into();
        assert!(secret.len() > 11, "{name} is too short to be looked for");
        self.0.push((name, secret));
    }

    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        for (name, secret) in &self.0 {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} was found in {place}");
        }
    }
}

async fn call(gateway: &Gateway, token: &str, method: Method, path: &str, body: &Value) -> Value {
    let request = reqwest::Client::new().request(method, format!("{}{path}", gateway.base));
    read(request.bearer_auth(token).body(body.to_string())).await.body
}

/// Makes and uses every kind of secret, and returns the bodies of answers that refused.
async fn use_everything(gateway: &Gateway, organization: &str, secrets: &mut Secrets) -> Vec<u8> {
    let client = format!("/api/v1/client-organizations/clients/{organization}");
    let post = async |path: &str, body: Value| call(gateway, RESELLER, Method::POST, path, &body).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();

    let settings = json!({ "openrouter_provisioning_key": PROVISIONING_KEY });
    post("/api/v1/client-organizations/settings", settings).await;
    let key = json!({ "name": "k", "is_trusted_client": true, "identity_secret": IDENTITY_SECRET });
    let made = post(&format!("{client}/gateway-keys"), key).await;
    secrets.add("a gateway key", text(&made["key"]));
    let id = text(&made["gateway_key"]["id"]);
    let rotated = post(&format!("{client}/gateway-keys/{id}/rotate"), json!({})).await;
    secrets.add("a rotated gateway key", text(&rotated["key"]));
    let broadcast = "/api/v1/usage-tracking/webhook/openrouter-broadcast";
    let told = call(gateway, BROADCAST_TOKEN, Method::POST, broadcast, &json!({ "resourceSpans": [] })).await;
    assert_ne!(told["code"], "unauthorized", "{told}");
    let webhook = post(&format!("{client}/webhook-secret"), json!({})).await;
    let webhook = webhook.as_object().expect("an object").values().filter_map(Value::as_str);
    secrets.add("a webhook secret", webhook.max_by_key(|text| text.len()).expect("a secret"));
    let token = post(&format!("{client}/api-tokens"), json!({ "name": "t", "role": "admin" })).await;
    secrets.add("an API token", text(&token["token"]));

    alert(gateway, organization, secrets).await;

    let account =
        json!({ "email": "a@x.example", "name": "A", "role": "admin", "client_org_id": organization });
    let account = post("/api/v1/accounts", account).await;
    let id = text(&account["account"]["id"]);
    let link = post(&format!("/api/v1/accounts/{id}/link"), json!({})).await;
    let link = text(&link["token"]);
    secrets.add("a sign-in link", link.clone());
    let mut browser = Browser::new(&gateway.base);
    assert_eq!(browser.open_link(&link).await.status, 200);
    assert_eq!(browser.choose_password(PASSWORD).await.status, 200);
    let mut browser = Browser::new(&gateway.base);
    let refused = browser.sign_in("a@x.example", WRONG_PASSWORD).await;
    assert_eq!(refused.status, 401);
    assert_eq!(browser.sign_in("a@x.example", PASSWORD).await.status, 200);
    let cookie = browser.cookie.clone().expect("a cookie");
    secrets.add("a session", cookie.trim_start_matches("mai_session="));
    secrets.add("a proof against forged requests", browser.csrf_token.clone());

    let mut bodies = refused.body.to_string().into_bytes();
    for (path, body) in [
        (format!("{client}/gateway-keys"), json!({ "name": "", "identity_secret": IDENTITY_SECRET })),
        (format!("{client}/api-tokens"), json!({ "name": "t", "role": "boss", "secret": PASSWORD })),
        ("/api/v1/client-organizations/settings".to_owned(), json!({ "openrouter_provisioning_key": " " })),
        (
            "/api/v1/client-organizations/clients".to_owned(),
            json!({ "name": "Taken", "openrouter_api_key": provider_key("hidden") }),
        ),
        (
            "/api/v1/usage-tracking/webhook/openrouter-usage".to_owned(),
            json!({ "api_key": provider_key("hidden"), "model": "a/b" }),
        ),
    ] {
        let answer = post(&path, body).await;
        assert_eq!(answer["success"], false, "{path}: {answer}");
        bodies.extend(answer.to_string().into_bytes());
    }
    bodies
}

/// Makes, replaces and uses the secrets of alerts.
async fn alert(gateway: &Gateway, organization: &str, secrets: &mut Secrets) {
    let path = "/api/v1/client-organizations/alert-destinations";
    let receiver = WebhookReceiver::start();
    for (channel, target) in [("webhook", receiver.url().as_str()), ("email", MAIL_ADDRESS)] {
        let new = json!({ "client_org_id": organization, "channel": channel, "target": target, "name": "a" });
        let made = call(gateway, RESELLER, Method::POST, path, &new).await;
        let id = made["destination"]["id"].as_str().expect("an id");
        if let Some(secret) = made["secret"].as_str() {
            secrets.add("a secret of alerts", secret);
            let rotate = format!("{path}/{id}/rotate-secret");
            let rotated = call(gateway, RESELLER, Method::POST, &rotate, &json!({})).await;
            secrets.add("a rotated secret of alerts", rotated["secret"].as_str().expect("a secret"));
        }
        let test = format!("{path}/{id}/test");
        let tried = call(gateway, RESELLER, Method::POST, &test, &json!({})).await;
        assert_eq!(tried["delivery"]["state"], "delivered", "{tried}");
    }
}

/// Everything that a database has stored.
fn stored(database: &TestDb) -> Vec<u8> {
    match database.storage.url() {
        DatabaseUrl::Sqlite(path) => {
            let beside = ["", "-wal"].map(|end| format!("{}{end}", path.display()));
            beside.iter().filter_map(|file| fs::read(file).ok()).flatten().collect()
        }
        DatabaseUrl::Postgres(_) => {
            let url = database_url(database);
            let (server, options) = url.split_once("options=").expect("a schema of its own");
            let schema = options.rsplit("%3D").next().expect("its name");
            let dump = Command::new("pg_dump")
                .args(["--data-only", "--inserts", "--schema", schema, server.trim_end_matches(['?', '&'])])
                .output()
                .expect("pg_dump runs");
            assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
            dump.stdout
        }
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if entry.file_name().is_some_and(|name| name != "master-key") {
            found.push((entry.display().to_string(), fs::read(&entry).expect("a file")));
        }
    }
    found
}

#[test]
fn no_secret_is_found_where_it_does_not_belong() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock)
            .with("MAI_LOG", "debug")
            .with("MAI_WEBHOOKS_TO_PRIVATE_ADDRESSES", "true")
            .with("MAI_SMTP_URL", &MailServer::start().url())
            .with("MAI_SMTP_FROM", "usage@reseller.example")
            .with("MAI_BROADCAST_TOKEN", BROADCAST_TOKEN);
        let organization = installation.organization("Hidden");
        let mut secrets = Secrets::default();
        secrets.add("the reseller's token", RESELLER);
        secrets.add("a provider key", provider_key("hidden"));
        secrets.add("the provisioning key", PROVISIONING_KEY);
        secrets.add("the token of Broadcast", BROADCAST_TOKEN);
        secrets.add("an identity secret", IDENTITY_SECRET);
        secrets.add("a password", PASSWORD);
        secrets.add("the password of the mail server", mail_server::PASSWORD);
        secrets.add("the same in the URL", mail_server::PASSWORD_IN_URL);
        secrets.add("a wrong password", WRONG_PASSWORD);
        secrets.add("a key of the command line", organization.key.clone());
        secrets.add("a token of the command line", organization.token.clone());
        let gateway = installation.serve();
        let bodies = run(async {
            let answer = Client::new(&gateway.base, &organization.key).chat("openai/o3", true, 1).await;
            assert!(answer.expect("an answer").complete);
            use_everything(&gateway, &organization.id, &mut secrets).await
        });
        let master_key = fs::read_to_string(installation.data.path().join("master-key")).unwrap();
        secrets.add("the master key", master_key.trim());
        let log = gateway.log();
        assert!(log.contains("DEBUG"), "the log tells everything");
        // The journal, the snapshot and what is logged at the stop count as well.
        for (name, bytes) in files(installation.data.path()) {
            secrets.assert_absent(&name, &bytes);
        }
        assert!(gateway.stop().success());
        for (name, bytes) in files(installation.data.path()) {
            secrets.assert_absent(&name, &bytes);
        }
        secrets.assert_absent("the log", log.as_bytes());
        assert!(!log.contains(MAIL_ADDRESS), "an address of a person was found in the log");
        let config = installation.run(&["config"]);
        assert!(config.status.success());
        secrets.assert_absent("the settings", &config.stdout);
        secrets.assert_absent("answers that refuse", &bodies);
        let stored = stored(database);
        assert!(stored.windows(6).any(|window| window == b"Hidden"), "the database was read");
        secrets.assert_absent("the database", &stored);
    });
}
