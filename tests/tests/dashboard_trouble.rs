//! The dashboard in a browser when something is slow or away, and files that a browser saves.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{
    chrome::Chrome,
    database_url, exported,
    gateway::{Installation, free_port},
    run,
    statistics::{Figures, book},
    visitor::link,
};

/// How long a file may take to be saved.
const PATIENCE: Duration = Duration::from_secs(30);

/// Signs a browser in by a link.
async fn enter(chrome: &Chrome, link: &str) {
    chrome.open(&format!("/sign-in/link#{link}")).await;
    chrome.click("main form button").await;
    chrome.wait_for_path("/password").await;
}

#[test]
fn a_slow_database_is_told_and_can_be_asked_again() {
    let database = TestDb::postgres();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Ours");
    let link = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        book(&database.storage, &ours.id, 100, 3).await;
        let chrome = Chrome::start(&gateway.base, true).await;
        enter(&chrome, &link).await;
        chrome.open("/organizations/ours/pricing").await;
        // Whoever reads waits for whoever changes the table's form.
        let mut other = PgConnection::establish(&database_url(&database)).unwrap();
        other.batch_execute("BEGIN; LOCK TABLE client_user_daily_usage IN ACCESS EXCLUSIVE MODE").unwrap();
        chrome.click(".tabs a[href^='/organizations/ours/users']").await;
        chrome.wait_for_text("p.loading", "Loading usage data").await;
        assert_eq!(chrome.text("h1").await, "Model pricing", "what was shown stays");
        chrome.wait_for_text("h1", "The database takes long to answer").await;
        chrome.wait_for_text("main", "Usage is still recorded").await;
        other.batch_execute("ROLLBACK").unwrap();
        chrome.click("main a[href='/organizations/ours/users']").await;
        chrome.wait_for_text("h1", "By user").await;
        assert!(chrome.count("tbody tr").await > 10);
        chrome.close().await;
    });
    assert!(gateway.stop().success());
}

#[test]
fn a_server_that_comes_back_is_found_again() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let port = free_port();
    let installation = Installation::new(&database, &mock).with("MAI_LISTEN", &format!("127.0.0.1:{port}"));
    let ours = installation.organization("Ours");
    let link = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        let booked = book(&database.storage, &ours.id, 100, 3).await;
        let chrome = Chrome::start(&gateway.base, true).await;
        enter(&chrome, &link).await;
        chrome.open("/organizations/ours?range=30d").await;
        let before = chrome.text(".tile .figure").await;
        assert!(gateway.stop().success());
        // Whoever comes back to the window sees at once that its figures are old, and what was shown stays.
        let look = "document.dispatchEvent(new Event('visibilitychange'))";
        chrome.script(look).await;
        chrome.wait_for_text(".live", "Connection lost").await;
        assert_eq!(chrome.text(".tile .figure").await, before);
        let gateway = installation.serve();
        book(&database.storage, &ours.id, 100, 4).await;
        chrome.script("window.sameWindow = true").await;
        chrome.script(look).await;
        let begun = Instant::now();
        while chrome.text(".tile .figure").await == before {
            assert!(begun.elapsed() < PATIENCE, "the figures stay {before}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(chrome.text(".live").await, "");
        assert_eq!(chrome.script("return window.sameWindow").await, true, "nothing was loaded anew");
        assert!(booked.whole.requests > 0);
        chrome.close().await;
        assert!(gateway.stop().success());
    });
}

/// The file that is saved next, as soon as it is whole.
async fn saved(folder: &Path, extension: &str) -> Vec<u8> {
    let begun = Instant::now();
    loop {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let found: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|one| one == extension)).collect();
        if let [file] = &found[..] {
            return std::fs::read(file).unwrap();
        }
        assert!(begun.elapsed() < PATIENCE, "no {extension} was saved: {found:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn saved_files_have_the_sums_of_the_pages() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Ours");
    let link = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        let booked = book(&database.storage, &ours.id, 600, 7).await;
        let folder = tempfile::tempdir().unwrap();
        let chrome = Chrome::start(&gateway.base, true).await;
        chrome.save_files_in(folder.path()).await;
        enter(&chrome, &link).await;
        chrome
            .open(&format!("/organizations/ours/exports?start_date={}&end_date={}", booked.from, booked.to))
            .await;
        let wanted = booked.whole.without_raw_cost();
        for extension in ["csv", "xlsx"] {
            chrome.click(&format!("a[href*='kind=by-user&'][href*='format={extension}']")).await;
            let file = saved(folder.path(), extension).await;
            let rows = match extension {
                "csv" => exported::csv(&file, true),
                _ => exported::sheet(file),
            };
            let sum = Figures::sum(rows.iter().map(exported::figures)).without_raw_cost();
            assert_eq!(sum, wanted, "{extension}");
        }
        chrome.close().await;
    });
    assert!(gateway.stop().success());
}
