//! axe-core on every page, in both colours: nothing that keeps people out.

use mai_tests::{
    chrome::Chrome,
    management, run,
    showcase::{ORGANIZATION, ORGANIZATION_PAGES, RESELLER_PAGES, Showcase},
};

/// What is wrong with a page, in light and in dark colours.
async fn look(chrome: &Chrome, path: &str, wrong: &mut Vec<String>) {
    chrome.open(path).await;
    chrome.find("h1").await;
    chrome.script("document.documentElement.dataset.theme = 'light'").await;
    let light = chrome.violations(&[]).await;
    // Colours are all that differs.
    chrome.script("document.documentElement.dataset.theme = 'dark'").await;
    let dark = chrome.violations(&["color-contrast"]).await;
    wrong.extend(light.iter().map(|one| format!("{path}, light: {one}")));
    wrong.extend(dark.iter().map(|one| format!("{path}, dark: {one}")));
}

#[test]
fn no_page_keeps_anybody_out() {
    let house = Showcase::open(2, 12, 100);
    run(async {
        house.furnish().await;
        let chrome = Chrome::start(&house.gateway.base, true).await;
        let mut wrong = Vec::new();
        for path in ["/sign-in", "/sign-in/link", "/nothing/here"] {
            look(&chrome, path, &mut wrong).await;
        }
        let own = format!("/organizations/{ORGANIZATION}");
        house.enter(&chrome, &house.link("reseller")).await;
        for path in RESELLER_PAGES {
            look(&chrome, path, &mut wrong).await;
        }
        for page in ORGANIZATION_PAGES {
            look(&chrome, &format!("{own}{page}"), &mut wrong).await;
        }
        let member = management::active_members(&house.database, ORGANIZATION).remove(0);
        house.enter(&chrome, &house.link(&member)).await;
        for path in ["/password".to_owned(), own.clone(), format!("{own}/pricing"), format!("{own}/users")] {
            look(&chrome, &path, &mut wrong).await;
        }
        chrome.close().await;
        assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
    });
    assert!(house.gateway.stop().success());
}
