//! The pages of the dashboard as they leave the server: what they show, and to whom.

use std::io::Read;

use flate2::read::GzDecoder;
use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::client_organization::{MemberForm, MemberRole, MemberSource, MemberTable};
use mai_primitives::{OrganizationId, SystemClock, Usd, UserId, display};
use mai_storage::{Storage, testing::TestDb};
use mai_tests::{
    gateway::Installation,
    on_each_database, run,
    statistics::book,
    visitor::{Page, Visitor, by_link, link},
};
use reqwest::header;
use serde_json::Value;

const PASSWORD: &str = "correct horse battery";
const TABS: [&str; 7] = ["", "/users", "/models", "/providers", "/subscription", "/pricing", "/exports"];
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

async fn register(storage: &Storage, organization: &str, id: &str, name: &str) {
    let form = MemberForm {
        user_id: UserId::new(id).unwrap(),
        name: Some(name.to_owned()),
        email: None,
        role: MemberRole::Member,
        source: MemberSource::Csv,
        is_active: true,
    };
    let members = MemberTable::new(storage.clone(), std::sync::Arc::new(SystemClock));
    members.upsert(&OrganizationId::new(organization).unwrap(), vec![form]).await.unwrap();
}

#[test]
fn one_signs_in_and_out_by_forms() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Ours");
    let link = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        let mut anna = Visitor::new(&gateway);
        let asked = anna.get("/organizations/ours/users?range=7d").await;
        let sign_in = "/sign-in?next=%2Forganizations%2Fours%2Fusers%3Frange%3D7d";
        assert_eq!((asked.status.as_u16(), asked.location.as_str()), (303, sign_in));
        assert!(anna.get(sign_in).await.text.contains("value=\"/organizations/ours/users?range=7d\""));

        // The whole link may be pasted.
        let pasted = format!("{}/sign-in/link#{link}", gateway.base);
        let opened = anna.post("/sign-in/link", &[("token", &pasted)]).await;
        assert_eq!((opened.status.as_u16(), opened.location.as_str()), (303, "/password"));
        let again = Visitor::new(&gateway).post("/sign-in/link", &[("token", &link)]).await;
        assert_eq!(again.status.as_u16(), 401);
        assert!(again.text.contains("used up"), "{}", again.text);
        let proof = anna.proof("/password").await;
        let unfit = anna.post("/password", &[("new", "short"), ("csrf_token", &proof)]).await;
        assert_eq!(unfit.status.as_u16(), 400);
        let saved = anna.post("/password", &[("new", PASSWORD), ("csrf_token", &proof)]).await;
        assert_eq!((saved.status.as_u16(), saved.location.as_str()), (303, "/"));
        assert_eq!(anna.get("/").await.location, "/organizations/ours");

        // Nothing is changed without the proof, and nothing by another site.
        assert_eq!(anna.post("/sign-out", &[]).await.status.as_u16(), 403);
        assert_eq!(anna.get("/organizations/ours").await.status.as_u16(), 200);
        let proof = anna.proof("/organizations/ours").await;
        let out = anna.post("/sign-out", &[("csrf_token", &proof)]).await;
        assert_eq!((out.status.as_u16(), out.location.as_str()), (303, "/sign-in"));
        assert_eq!(anna.get("/organizations/ours").await.status.as_u16(), 303);

        let wrong =
            anna.post("/sign-in", &[("email", "anna@ours.example"), ("password", "not it, no no")]).await;
        assert_eq!(wrong.status.as_u16(), 401);
        assert!(wrong.text.contains("value=\"anna@ours.example\"") && wrong.text.contains("role=\"alert\""));
        for (next, to) in
            [("/organizations/ours/models", "/organizations/ours/models"), ("//evil.example", "/")]
        {
            let form = [("email", "anna@ours.example"), ("password", PASSWORD), ("next", next)];
            let into = anna.post("/sign-in", &form).await;
            assert_eq!((into.status.as_u16(), into.location.as_str()), (303, to));
        }
        let foreign = anna
            .http
            .post(format!("{}/sign-in", gateway.base))
            .header(header::ORIGIN, "https://evil.example")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("email=a&password=b");
        assert_eq!(foreign.send().await.unwrap().status().as_u16(), 403);

        let mut other = Visitor::new(&gateway);
        other.post("/sign-in", &[("email", "anna@ours.example"), ("password", PASSWORD)]).await;
        let proof = other.proof("/organizations/ours").await;
        assert_eq!(other.post("/sign-out-everywhere", &[("csrf_token", &proof)]).await.location, "/sign-in");
        assert_eq!(anna.get("/organizations/ours").await.status.as_u16(), 303, "everywhere is everywhere");
    });
    // What was refused is in the audit log, and what was done is not there as refused.
    let exported = installation.run(&["audit", "export"]);
    let exported = String::from_utf8(exported.stdout).unwrap();
    let entries = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let told: Vec<_> = entries.map(|entry| (text(&entry, "action"), text(&entry, "result"))).collect();
    let refused = told.iter().filter(|(action, _)| action.starts_with("POST "));
    let refused: Vec<_> = refused.map(|(action, result)| (action.as_str(), result.as_str())).collect();
    assert_eq!(refused, [("POST /password", "invalid_field"), ("POST /sign-out", "csrf")]);
    assert!(told.iter().all(|(_, result)| result != "failed"), "{told:?}");
    assert!(gateway.stop().success());
}

#[test]
fn a_form_that_cannot_be_read_is_answered_with_a_page() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let gateway = installation.serve();
    run(async {
        let form = "application/x-www-form-urlencoded";
        let long = format!("email=a&password={}", "x".repeat(20_000));
        for (language, title) in [("en", "The form cannot be read"), ("pl", "Formularz jest nieczytelny")] {
            for (kind, body) in
                [(form, "email=a"), (form, long.as_str()), ("text/plain", "email=a&password=b")]
            {
                let visitor = Visitor::new(&gateway);
                let request = visitor.http.post(format!("{}/sign-in", gateway.base));
                let request = request.header(header::ACCEPT_LANGUAGE, language);
                let request = request.header(header::CONTENT_TYPE, kind).body(body.to_owned());
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status().as_u16(), 400, "{kind}");
                let shown = answer.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
                assert_eq!(shown, "text/html; charset=utf-8");
                let text = answer.text().await.unwrap();
                assert!(text.contains(&format!("<h1>{title}</h1>")), "{text}");
                assert!(text.contains("<code lang=\"en\">"), "what the service says is a labelled detail");
            }
        }
    });
    assert!(gateway.stop().success());
}

#[test]
fn the_reseller_makes_its_account_by_the_first_link() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock).with("MAI_ADMIN_TOKEN", "");
    installation.organization("Ours");
    let gateway = installation.serve();
    let link = gateway.printed.iter().find_map(|line| line.split_once("/sign-in/link#"));
    let link = link.expect("a link was printed").1.trim().to_owned();
    run(async {
        let mut boss = Visitor::new(&gateway);
        let opened = boss.post("/sign-in/link", &[("token", &link)]).await;
        assert_eq!(opened.location, "/account/new", "{}", opened.text);
        let proof = boss.proof("/account/new").await;
        let form = [("email", "boss@x.example"), ("name", "Boss"), ("new", PASSWORD), ("csrf_token", &proof)];
        let made = boss.post("/account/new", &form).await;
        assert_eq!((made.status.as_u16(), made.location.as_str()), (303, "/"), "{}", made.text);
        assert_eq!(boss.get("/").await.location, "/organizations");
        let list = boss.get("/organizations").await;
        assert_eq!(list.status.as_u16(), 200);
        assert!(list.text.contains("href=\"/organizations/ours\"") && list.text.contains("Boss"));
        assert_eq!(boss.get("/organizations/ours").await.status.as_u16(), 200);
        assert_eq!(boss.get("/organizations/none").await.status.as_u16(), 404);
    });
    assert!(gateway.stop().success());
}

#[test]
fn every_page_shows_what_was_booked() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let link = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
        let gateway = installation.serve();
        run(async {
            let booked = book(&database.storage, &ours.id, 600, 7).await;
            let mut anna = by_link(&gateway, &link).await;
            let range = format!("start_date={}&end_date={}", booked.from, booked.to);
            let cost = display::usd(Usd::from_nanos(booked.whole.cost));
            let requests = booked.whole.requests.to_string();
            for tab in TABS {
                let path = format!("/organizations/ours{tab}?{range}");
                let page = anna.get(&path).await;
                assert_eq!(page.status.as_u16(), 200, "{path}: {}", page.text);
                assert!(
                    page.policy.starts_with("default-src 'none'; script-src 'self'")
                        && !page.policy.contains("unsafe")
                );
                assert!(!page.text.contains("style=\"") && !page.text.contains(" onclick="), "{path}");
                // As it is rendered; what is transferred of it is measured below.
                assert!(page.text.len() < 180_000, "{path}: {} bytes", page.text.len());
                assert_eq!(page.text.matches("<h1>").count(), 1, "{path}");
                // Files and pages of our own only.
                for address in page.text.split("href=\"").chain(page.text.split("src=\"")).skip(1) {
                    assert!(
                        address.starts_with('/')
                            || address.starts_with('#')
                            || address.starts_with("<!doctype"),
                        "{path}: {}",
                        &address[..40]
                    );
                }
            }
            // The tile and the sums of the tables are the same to the last digit.
            let overview = anna.get(&format!("/organizations/ours?{range}")).await.text;
            assert!(overview.contains(&format!("<p class=\"figure\">{cost}</p>")), "{cost}");
            let sum = overview.split("id=\"days-total\"").nth(1).unwrap();
            assert!(sum[..200].contains(&cost), "{cost}: {}", &sum[..200]);
            for tab in ["/users", "/models", "/providers"] {
                let page = anna.get(&format!("/organizations/ours{tab}?{range}")).await.text;
                let sums = page.split("<tfoot>").nth(1).unwrap();
                assert!(sums.contains(&cost) && sums.contains(&format!(">{requests}<")), "{tab}: {sums}");
            }
            // The members are on two pages, and each on one of them.
            let first = anna.get(&format!("/organizations/ours/users?{range}&sort=name")).await.text;
            let second = anna.get(&format!("/organizations/ours/users?{range}&sort=name&page=2")).await.text;
            let rows = |page: &str| {
                page.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap().matches("<tr").count()
            };
            assert_eq!((rows(&first), rows(&second)), (50, booked.by_user.len() + booked.idle - 50));
            assert!(first.contains("rel=\"next\"") && second.contains("rel=\"prev\""));
            let found = anna.get(&format!("/organizations/ours/users?{range}&search=%C5%82ucja")).await.text;
            assert_eq!(rows(&found), 1, "a search does not look at the case");
            for wrong in ["?sort=x", "?range=x", "?page=0", "?order=x", "?start_date=x", "?activity=x"] {
                let page = anna.get(&format!("/organizations/ours/users{wrong}")).await;
                assert_eq!(page.status.as_u16(), 400, "{wrong}");
            }
            assert_eq!(anna.get("/organizations/ours/pricing?category=x").await.status.as_u16(), 400);
            // No rate is known of today, so that what it cost may change in PLN.
            for tab in ["", "/users", "/models", "/providers"] {
                let page = anna.get(&format!("/organizations/ours{tab}?{range}")).await.text;
                assert_eq!(
                    page.contains("<span aria-hidden=\"true\">~</span>"),
                    page.contains("class=\"pln\""),
                    "{tab}"
                );
                assert!(page.contains("Recorded up to"), "{tab}");
            }
            let unknown = anna.get("/nothing/here").await;
            assert_eq!(unknown.status.as_u16(), 404);
            assert!(unknown.text.contains("<h1>"));
        });
        assert!(gateway.stop().success());
    });
}

/// What travels of a page or a file: bytes as they are sent, and the text.
async fn transferred(visitor: &Visitor, path: &str) -> (usize, String) {
    let cookies: Vec<_> = visitor.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = visitor.http.get(format!("{}{path}", visitor.base));
    let request = request.header(header::COOKIE, cookies.join("; ")).header(header::ACCEPT_ENCODING, "gzip");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{path}");
    let named = |name| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert!(named(header::VARY).contains("Accept-Encoding"), "{path}");
    let encoding = named(header::CONTENT_ENCODING);
    let bytes = answer.bytes().await.unwrap();
    let mut text = String::new();
    if encoding == "gzip" {
        GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(std::str::from_utf8(&bytes).unwrap());
        assert!(bytes.len() < 1_024, "{path}: {} bytes as they are", bytes.len());
    }
    (bytes.len(), text)
}

#[test]
fn a_page_is_little_to_transfer() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Ours");
    let link = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        book(&database.storage, &ours.id, 900, 7).await;
        let anna = by_link(&gateway, &link).await;
        for path in
            ["?range=12m&group=model", "?range=30d&group=user", "/users?range=12m", "/pricing?list=all"]
        {
            let path = format!("/organizations/ours{path}");
            let (mut sum, page) = transferred(&anna, &path).await;
            assert!(page.ends_with("</html>\n") || page.ends_with("</html>"), "{path} is whole");
            let links = page.split("<link ").skip(1).filter_map(|link| link.split("href=\"").nth(1));
            let scripts = page.split("<script src=\"").skip(1);
            let files: Vec<_> = links.chain(scripts).filter_map(|rest| rest.split('"').next()).collect();
            assert!(files.len() >= 3 && files.iter().all(|file| file.starts_with("/assets/")), "{files:?}");
            for file in &files {
                sum += transferred(&anna, file).await.0;
            }
            assert!(files.len() < 8, "{path}: {} requests", files.len() + 1);
            assert!(sum < 120_000, "{path}: {sum} bytes");
        }
        // The length tells nothing of the proof, which is another text on each page, and each of them holds.
        let mut anna = anna;
        let first = anna.proof("/organizations/ours").await;
        let second = anna.proof("/organizations/ours").await;
        assert!(first != second && first[..64] != second[..64] && first[64..] != second[64..]);
        let out = anna.post("/sign-out", &[("csrf_token", &first)]).await;
        assert_eq!((out.status.as_u16(), out.location.as_str()), (303, "/sign-in"));
        // The API's answers are not compressed.
        let api = anna
            .http
            .get(format!("{}/api/openapi.json", gateway.base))
            .header(header::ACCEPT_ENCODING, "gzip");
        let api = api.send().await.unwrap();
        assert!(!api.headers().contains_key(header::CONTENT_ENCODING), "{:?}", api.headers());
    });
    assert!(gateway.stop().success());
}

#[test]
fn a_member_sees_its_own_usage_and_nobody_sees_another_organization() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let (ours, theirs) = (installation.organization("Ours"), installation.organization("Theirs"));
    let member = ["--role", "member", "--user", "user-1"];
    let member = link(&installation, &ours.id, "m@ours.example", &member);
    let foreign = link(&installation, &theirs.id, "a@theirs.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        let booked = book(&database.storage, &ours.id, 400, 3).await;
        let mut member = by_link(&gateway, &member).await;
        let mut foreign = by_link(&gateway, &foreign).await;
        let range = format!("start_date={}&end_date={}", booked.from, booked.to);
        let own = member.get(&format!("/organizations/ours?{range}")).await;
        assert_eq!(own.status.as_u16(), 200);
        let mine = display::usd(Usd::from_nanos(booked.by_user["user-1"].cost));
        let whole = display::usd(Usd::from_nanos(booked.whole.cost));
        assert!(own.text.contains(&format!("<p class=\"figure\">{mine}</p>")), "{mine}");
        assert!(!own.text.contains(&whole), "the organization's figures are not a member's");
        for tab in ["/users", "/models", "/providers", "/subscription", "/exports"] {
            assert!(!own.text.contains(&format!("/organizations/ours{tab}")), "{tab} is not offered");
            let refused = member.get(&format!("/organizations/ours{tab}")).await;
            assert_eq!(refused.status.as_u16(), 403, "{tab}");
            assert!(refused.text.contains("You do not have access to this page"));
            assert!(refused.text.contains("<a href=\"/organizations/ours/pricing\">"), "the tabs stay");
        }
        assert_eq!(member.get("/organizations/ours/pricing").await.status.as_u16(), 200);
        assert_eq!(member.get("/organizations").await.status.as_u16(), 403);
        let (mut pages, mut absent) = (Vec::new(), Vec::new());
        for tab in TABS {
            for visitor in [&mut member, &mut foreign] {
                let other = if visitor.get("/").await.location.ends_with("ours") { "theirs" } else { "ours" };
                pages.push(visitor.get(&format!("/organizations/{other}{tab}")).await);
                absent.push(visitor.get(&format!("/organizations/absent{tab}")).await);
            }
        }
        for (page, absent) in pages.iter().zip(&absent) {
            assert_eq!((page.status.as_u16(), absent.status.as_u16()), (404, 404));
            let shown = |page: &Page| {
                page.text.split("<main").nth(1).unwrap().split("</main>").next().unwrap().to_owned()
            };
            assert_eq!(shown(page), shown(absent), "whether it exists is not told");
        }
    });
    assert!(gateway.stop().success());
}

#[test]
fn what_strangers_write_is_shown_as_text() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let name = ["org", "create", "--name", HOSTILE, "--id", "ours", "--json"];
    installation.json(&name);
    let link = link(&installation, "ours", "anna@ours.example", &["--role", "admin", "--name", HOSTILE]);
    let gateway = installation.serve();
    run(async {
        book(&database.storage, "ours", 200, 3).await;
        for (id, name) in [("user-0", HOSTILE), ("user-1", "\"><script>alert(1)</script>"), (HOSTILE, "x")] {
            register(&database.storage, "ours", id, name).await;
        }
        let mut anna = by_link(&gateway, &link).await;
        let mut shown = 0;
        for tab in TABS {
            for query in [
                "?range=30d&group=user",
                "?search=%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
                "?month=%3Cscript%3E",
            ] {
                let page = anna.get(&format!("/organizations/ours{tab}{query}")).await;
                assert!(!page.text.contains("<img") && !page.text.contains("<script>alert"), "{tab}{query}");
                shown +=
                    page.text.matches("&#60;img src=x").count() + page.text.matches("&lt;img src=x").count();
            }
        }
        assert!(shown > 20, "{shown}: the names are on the pages");
    });
    assert!(gateway.stop().success());
}

#[test]
fn the_language_and_the_colours_are_kept() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Empty");
    let link = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        let mut anna = by_link(&gateway, &link).await;
        let page = anna.get("/organizations/empty").await.text;
        assert!(
            page.contains("<html lang=\"en\" data-theme=\"system\">")
                && page.contains("Nothing was used yet")
        );
        assert!(page.contains(&format!("{}/v1", gateway.base)), "how to begin");
        let switched = anna.get("/organizations/empty?range=7d&lang=pl&theme=dark").await;
        assert_eq!(
            (switched.status.as_u16(), switched.location.as_str()),
            (303, "/organizations/empty?range=7d")
        );
        let page = anna.get("/organizations/empty").await.text;
        assert!(
            page.contains("<html lang=\"pl\" data-theme=\"dark\">") && page.contains("Aktywni użytkownicy")
        );
        for tab in TABS {
            let page = anna.get(&format!("/organizations/empty{tab}")).await;
            assert_eq!(page.status.as_u16(), 200, "{tab}");
        }
        let unknown = anna.get("/organizations/none").await;
        assert!(unknown.text.contains("Nie ma takiej strony"));
    });
    assert!(gateway.stop().success());
}
