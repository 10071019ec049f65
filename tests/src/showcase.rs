//! A house with something to see on every page, and somebody of each kind to look at it with a browser.

use std::time::{Duration, Instant};

use mai_mock_openrouter::{Mock, MockSettings};
use mai_primitives::{Clock, OrganizationCalendar, SystemClock, UsageDate};
use mai_seed::SeedPlan;
use mai_storage::testing::TestDb;
use serde_json::json;

use crate::{
    chrome::Chrome,
    gateway::{Gateway, Installation},
    management,
};

/// The organization that is looked at.
pub const ORGANIZATION: &str = "org_seed1_1";

/// How long a month may take until it can be closed.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an administrator can open below `/organizations/{id}`.
pub const ORGANIZATION_PAGES: [&str; 22] = [
    "",
    "/users",
    "/models",
    "/providers",
    "/subscription",
    "/pricing",
    "/limits",
    "/keys",
    "/members",
    "/members/import",
    "/members/mappings",
    "/members/unassigned",
    "/members/accounts",
    "/statements",
    "/alerts",
    "/alerts?view=raised",
    "/alerts?view=deliveries",
    "/alerts?view=anomalies",
    "/exports",
    "/audit-log",
    "/settings",
    "/nothing",
];

/// What only the reseller can open, without what has an id of its own.
pub const RESELLER_PAGES: [&str; 14] = [
    "/organizations",
    "/reseller/new-organization",
    "/reseller/statements",
    "/reseller/generations",
    "/reseller/alerts",
    "/reseller/alerts?view=deliveries",
    "/reseller/runs",
    "/reseller/health",
    "/reseller/audit-log",
    "/reseller/access",
    "/reseller/access/tokens",
    "/reseller/settings",
    "/organizations/org_seed1_1/provider-key",
    "/organizations/org_seed1_1/settings",
];

/// A running service with a seeded database.
pub struct Showcase {
    /// The service.
    pub gateway: Gateway,
    /// How it is set up, and its command line.
    pub installation: Installation,
    /// Its database.
    pub database: TestDb,
    _mock: Mock,
}

fn today() -> UsageDate {
    let calendar = OrganizationCalendar::parse("Europe/Warsaw").expect("a zone");
    calendar.usage_date(SystemClock.now())
}

impl Showcase {
    /// Seeds organizations with members and days of usage until yesterday, and serves them.
    pub fn open(organizations: u64, users: u64, days: u64) -> Self {
        let database = TestDb::sqlite();
        let mock = Mock::start(MockSettings::default()).expect("the mock starts");
        let installation = Installation::new(&database, &mock);
        let plan = SeedPlan { seed: 1, organizations, users, days, end: today().minus_days(1) };
        mai_seed::seed(&database.storage, &plan, |_| ()).expect("it can be seeded");
        let gateway = installation.serve();
        Self { gateway, installation, database, _mock: mock }
    }

    /// Something for the pages of keys, limits, alerts, statements and runs.
    pub async fn furnish(&self) {
        let clients = "clients";
        let ours = format!("{clients}/{ORGANIZATION}");
        let seller = json!({ "seller_name": "Odsprzedaż Sp. z o.o.", "seller_address": "ul. Długa 1\n31-147 Kraków",
            "seller_tax_id": "676-000-00-00", "vat_rate_basis_points": 2300 });
        let buyer = json!({ "legal_name": "Pracownia Żuraw sp. z o.o.", "tax_id": "945-000-00-00" });
        for (method, route, body, status) in [
            (
                "PATCH",
                ours.clone(),
                json!({ "monthly_limit": 400, "openrouter_api_key": "sk-or-v1-showcase" }),
                200,
            ),
            (
                "POST",
                format!("{ours}/gateway-keys"),
                json!({ "name": "Open WebUI", "is_open_webui": true, "is_trusted_client": true }),
                201,
            ),
            (
                "POST",
                format!("{ours}/gateway-keys"),
                json!({ "name": "Skrypty księgowości", "requests_per_minute": 60 }),
                201,
            ),
            (
                "PUT",
                format!("{ours}/limits"),
                json!({ "scope": "model", "subject": "openai/o3", "monthly_limit": 200 }),
                200,
            ),
            (
                "PUT",
                format!("{ours}/limits"),
                json!({ "scope": "model", "subject": "openai/gpt-4o-mini", "monthly_limit": 50 }),
                200,
            ),
            (
                "POST",
                "alert-destinations".to_owned(),
                json!({ "client_org_id": ORGANIZATION, "channel": "email",
                "name": "Księgowość", "target": "faktury@pracownia-zuraw.example" }),
                201,
            ),
            ("POST", "billing-settings".to_owned(), seller, 200),
            ("PATCH", format!("{ours}/billing-profile"), buyer, 200),
        ] {
            management::reseller(&self.gateway, method, &route, &body, status).await;
        }
        let month = today().date().format("%Y-%m-01").to_string();
        let month = UsageDate::parse(&month).expect("a day").minus_days(1).date().format("%Y-%m").to_string();
        // The rates come with the first daily run.
        let begun = Instant::now();
        while !self.installation.run(&["close-month", "--month", &month, "--issue"]).status.success() {
            assert!(begun.elapsed() < PATIENCE, "{month} cannot be closed");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The link of an account of a role: `reseller`, or `admin` or a user id of [`ORGANIZATION`].
    pub fn link(&self, who: &str) -> String {
        let email = format!("{who}@showcase.example");
        let mut arguments = vec!["users", "create", "--json", "--email", &email, "--name", "Anna Żółw"];
        match who {
            "reseller" => arguments.extend(["--role", "reseller"]),
            "admin" => arguments.extend(["--role", "admin", "--org", ORGANIZATION]),
            user => arguments.extend(["--role", "member", "--org", ORGANIZATION, "--user", user]),
        }
        self.installation.json(&arguments)["token"].as_str().expect("a link").to_owned()
    }

    /// Signs the browser in by a link, in place of whoever was signed in.
    pub async fn enter(&self, chrome: &Chrome, link: &str) {
        chrome.driver.delete_all_cookies().await.expect("cookies can be deleted");
        chrome.open("/assets/none").await;
        chrome.open(&format!("/sign-in/link#{link}")).await;
        chrome.click("main form button").await;
        chrome.wait_for_path("/password").await;
    }
}
