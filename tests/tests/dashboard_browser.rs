//! The dashboard in a real browser: with script, and without. Each test starts one browser.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_primitives::{Usd, display};
use mai_storage::testing::TestDb;
use mai_tests::{
    chrome::Chrome,
    client::{Client, read},
    gateway::{Gateway, Installation},
    identity::{claims, signed},
    run,
    statistics::book,
};

const PASSWORD: &str = "correct horse battery";

/// The first link of an administrator of an organization.
fn link(installation: &Installation, organization: &str) -> String {
    let arguments = [
        "users",
        "create",
        "--email",
        "anna@ours.example",
        "--role",
        "admin",
        "--org",
        organization,
        "--json",
    ];
    installation.json(&arguments)["token"].as_str().unwrap().to_owned()
}

struct House {
    database: TestDb,
    gateway: Gateway,
    link: String,
    installation: Installation,
    _mock: Mock,
}

fn house() -> House {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Ours");
    let link = link(&installation, &ours.id);
    House { gateway: installation.serve(), database, link, installation, _mock: mock }
}

/// Signs in by the link, chooses a password, signs out and in again by it.
async fn come_in(chrome: &Chrome, link: &str, runs_script: bool) {
    if runs_script {
        chrome.open(&format!("/sign-in/link#{link}")).await;
        assert_eq!(chrome.path().await, "/sign-in/link", "the token stays in no history");
        let history = chrome.script("return location.hash").await;
        assert_eq!(history, "");
    } else {
        chrome.open("/sign-in/link").await;
        chrome.type_into("input[name=token]", link).await;
    }
    chrome.click("main form button").await;
    chrome.wait_for_path("/password").await;
    chrome.type_into("input[name=new]", PASSWORD).await;
    chrome.click("main form button").await;
    chrome.wait_for_path("/organizations/ours").await;
    chrome.click(".top .menu summary").await;
    chrome.click("form[action='/sign-out'] button").await;
    chrome.wait_for_path("/sign-in").await;
    chrome.type_into("input[name=email]", "anna@ours.example").await;
    chrome.type_into("input[name=password]", PASSWORD).await;
    chrome.click("main form button").await;
    chrome.wait_for_path("/organizations/ours").await;
}

#[test]
fn an_administrator_looks_at_everything() {
    let house = house();
    run(async {
        let chrome = Chrome::start(&house.gateway.base, true).await;
        come_in(&chrome, &house.link, true).await;
        chrome.wait_for_text("main", "Nothing was used yet").await;
        book(&house.database.storage, "ours", 900, 5).await;

        // A range keeps with the tabs, which swap the page without loading it anew.
        chrome.script("window.sameWindow = true").await;
        chrome.click(".range a[href*='30d']").await;
        chrome.wait_for_path("/organizations/ours?range=30d").await;
        for (tab, title) in [
            ("users", "By user"),
            ("models", "By model"),
            ("subscription", "Subscription"),
            ("pricing", "Model pricing"),
            ("exports", "Exports"),
        ] {
            chrome.click(&format!(".tabs a[href^='/organizations/ours/{tab}']")).await;
            chrome.wait_for_path(&format!("/organizations/ours/{tab}?range=30d")).await;
            chrome.wait_for_text("h1", title).await;
        }
        assert_eq!(chrome.script("return window.sameWindow").await, true);
        chrome.click(".tabs a[href^='/organizations/ours/models']").await;
        chrome.wait_for_text("h1", "By model").await;
        chrome.click("a[href='/organizations/ours/providers?range=30d']").await;
        chrome.wait_for_text("h1", "By provider").await;
        chrome.driver.back().await.unwrap();
        chrome.wait_for_text("h1", "By model").await;

        // Sort, search and page.
        chrome.click(".tabs a[href^='/organizations/ours/users']").await;
        chrome.wait_for_text("h1", "By user").await;
        chrome.click("thead a[href*='sort=tokens']").await;
        chrome.wait_for_path("/organizations/ours/users?range=30d&sort=tokens&order=desc").await;
        chrome.find("th[aria-sort=descending] a[href*='sort=tokens']").await;
        chrome.click("a[rel=next]").await;
        chrome.wait_for_text(".pager", "51–").await;
        chrome.type_into("#search", "user-1").await;
        chrome.click(".search button").await;
        chrome.find("#search[value='user-1']").await;
        assert!(chrome.path().await.contains("search=user-1") && !chrome.path().await.contains("page="));
        assert!((2..50).contains(&chrome.count("tbody tr").await));

        // The legend reads out the bar that the keyboard is at.
        chrome.click(".tabs a").await;
        chrome.wait_for_text("h1", "Overview").await;
        chrome.click("a[href*='group=provider']").await;
        chrome.wait_for_path("/organizations/ours?range=30d&group=provider").await;
        let whole = chrome.text(".legend-head strong").await;
        let last = "const bars = document.querySelectorAll('svg.wide .bar'); bars[0].focus(); \
                    bars[0].dispatchEvent(new KeyboardEvent('keydown', { key: 'End', bubbles: true })); \
                    return document.activeElement === bars[bars.length - 1]";
        assert_eq!(chrome.script(last).await, true);
        chrome.wait_for_text(".legend-head strong", "so far").await;
        chrome.script("document.activeElement.blur()").await;
        chrome.wait_for_text(".legend-head strong", &whole).await;

        // Nothing is wider than a phone.
        chrome.driver.set_window_rect(0, 0, 500, 900).await.unwrap();
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(chrome.script(overflow).await, 0);
        chrome.driver.set_window_rect(0, 0, 1440, 1000).await.unwrap();

        // Another language and other colours.
        chrome.click(".top .switch a[href*='lang=pl']").await;
        chrome.wait_for_text("h1", "Przegląd").await;
        assert_eq!(chrome.path().await, "/organizations/ours?range=30d&group=provider");
        chrome.click(".top .menu summary").await;
        chrome.click("a[href*='theme=dark']").await;
        chrome.find("html[data-theme=dark]").await;
        let background = chrome.script("return getComputedStyle(document.body).backgroundColor").await;
        assert_eq!(background, "rgb(15, 19, 25)");

        // A server that is gone is told, and what was shown stays.
        house.gateway.stop();
        chrome.click(".tabs a[href^='/organizations/ours/models']").await;
        chrome.wait_for_text("p.notice.bad", "Serwer jest nieosiągalny").await;
        assert_eq!(chrome.text("h1").await, "Przegląd");
        chrome.close().await;
    });
}

#[test]
fn everything_works_without_script() {
    let house = house();
    run(async {
        book(&house.database.storage, "ours", 900, 5).await;
        let chrome = Chrome::start(&house.gateway.base, false).await;
        come_in(&chrome, &house.link, false).await;
        for (tab, title) in [
            ("users", "By user"),
            ("models", "By model"),
            ("subscription", "Subscription"),
            ("pricing", "Model pricing"),
            ("exports", "Exports"),
        ] {
            chrome.click(&format!(".tabs a[href^='/organizations/ours/{tab}']")).await;
            chrome.wait_for_text("h1", title).await;
        }
        chrome.click(".tabs a[href^='/organizations/ours/users']").await;
        chrome.click(".range a[href*='30d']").await;
        chrome.wait_for_path("/organizations/ours/users?range=30d").await;
        chrome.click("thead a[href*='sort=name']").await;
        chrome.click("a[rel=next]").await;
        chrome.wait_for_path("/organizations/ours/users?range=30d&sort=name&order=asc&page=2").await;
        chrome.type_into("#search", "user-1").await;
        chrome.click(".search button").await;
        chrome.find("#search[value='user-1']").await;
        chrome.click(".range .menu summary").await;
        chrome.click(".range form button").await;
        chrome.wait_for_text(".range .menu summary", "–").await;
        chrome.click(".top .switch a[href*='lang=pl']").await;
        chrome.wait_for_text("h1", "Według użytkownika").await;
        chrome.click(".top .menu summary").await;
        chrome.click("form[action='/sign-out-everywhere'] button").await;
        chrome.wait_for_path("/sign-in").await;
        chrome.close().await;
    });
    assert!(house.gateway.stop().success());
}

#[test]
fn an_organization_is_made_and_its_first_call_is_metered() {
    let house = house();
    let reseller = ["users", "create", "--email", "boss@x.example", "--role", "reseller", "--json"];
    let reseller = house.installation.json(&reseller)["token"].as_str().unwrap().to_owned();
    run(async {
        let chrome = Chrome::start(&house.gateway.base, true).await;
        chrome.open(&format!("/sign-in/link#{reseller}")).await;
        chrome.click("main form button").await;
        chrome.wait_for_path("/password").await;
        chrome.open("/organizations").await;
        chrome.click("a[href='/reseller/new-organization']").await;
        chrome.wait_for_text("h1", "New organization").await;
        chrome.type_into("input[name=name]", "Nowa Spółka").await;
        chrome.type_into("input[name=id]", "nowa").await;
        chrome.type_into("input[name=markup]", "30").await;
        chrome.click("input[name=provider][value=paste]").await;
        chrome.type_into("input[name=provider_key]", "sk-or-v1-nowa").await;
        chrome.click("main form button[type=submit]").await;
        chrome.wait_for_text("h2", "Nowa Spółka").await;
        let (base, key) = (chrome.text("#base-url").await, chrome.text("#gateway-key").await);
        assert!(base == format!("{}/v1", house.gateway.base) && key.starts_with("sk-mai-"), "{base} {key}");

        // Open WebUI says who asks, signed with the secret among its settings.
        let secret = chrome.text("#webui-secret").await;
        let secret = secret.split_once('=').expect("a setting").1.to_owned();
        let body = Client::chat_body("openai/gpt-4o-mini", false);
        let asked = Client::new(&house.gateway.base, &key).post("/v1/chat/completions", &body);
        let asked = asked.header("X-OpenWebUI-User-Jwt", signed(&claims("zofia"), &secret));
        let answer = read(asked.send().await.unwrap()).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.json());
        let cost = answer.json()["usage"]["cost"].to_string();
        let price = Usd::from_nanos(Usd::parse(&cost).unwrap().nanos() * 13 / 10);

        chrome.open("/organizations/nowa").await;
        chrome.wait_for_text(".tiles", &display::usd(price)).await;
        chrome.open("/organizations/nowa/users").await;
        assert_eq!(chrome.count("tbody tr").await, 1);
        chrome.close().await;
    });
    assert!(house.gateway.stop().success());
}
