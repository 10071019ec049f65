//! Pictures of every page of a seeded service, as PNG: `cargo xtask pictures`, which tells where they go.
//!
//! The first argument is the folder; with a second one, only the pictures of the documentation are taken.

use std::path::{Path, PathBuf};

use mai_tests::{
    chrome::Chrome,
    management, run,
    showcase::{ORGANIZATION, ORGANIZATION_PAGES, RESELLER_PAGES, Showcase},
};

/// The widths of a phone, a tablet and a desk.
const WIDTHS: [u32; 3] = [390, 768, 1440];
/// Colours and languages.
const LOOKS: [(&str, &str); 4] = [("light", "en"), ("dark", "pl"), ("light", "pl"), ("dark", "en")];

/// What the documentation shows: name, who looks, page, width, colours and language.
const SHOWN: [(&str, &str, &str, u32, &str, &str); 10] = [
    ("overview", "admin", "?range=90d", 1440, "light", "en"),
    ("overview-phone", "admin", "", 390, "dark", "pl"),
    ("users", "admin", "/users?range=90d", 1440, "light", "pl"),
    ("models", "admin", "/models?range=90d", 1440, "dark", "en"),
    ("limits", "admin", "/limits", 1440, "light", "en"),
    ("members", "admin", "/members", 768, "dark", "pl"),
    ("statements", "admin", "/statements", 1440, "light", "pl"),
    ("fleet", "reseller", "/organizations?range=90d", 1440, "dark", "en"),
    ("new-organization", "reseller", "/reseller/new-organization", 1440, "light", "en"),
    ("daily-runs", "reseller", "/reseller/runs", 1440, "light", "pl"),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("the folder of the pictures"));
    let is_for_docs = arguments.next().is_some();
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let house = Showcase::open(6, 40, 400);
    run(async {
        house.furnish().await;
        let chrome = Chrome::start(&house.gateway.base, true).await;
        if is_for_docs {
            take_shown(&chrome, &house, &folder).await;
        } else {
            take_all(&chrome, &house, &folder).await;
        }
        chrome.close().await;
    });
    assert!(house.gateway.stop().success(), "the service stops");
}

/// Signs somebody in; returns the pages that this one can open.
async fn enter(chrome: &Chrome, house: &Showcase, who: &str) -> Vec<String> {
    let user = match who {
        "member" => management::active_members(&house.database, ORGANIZATION).remove(0),
        other => other.to_owned(),
    };
    house.enter(chrome, &house.link(&user)).await;
    let own = format!("/organizations/{ORGANIZATION}");
    match who {
        "reseller" => RESELLER_PAGES.map(str::to_owned).into(),
        "admin" => ORGANIZATION_PAGES.map(|page| format!("{own}{page}")).into(),
        _ => vec![own.clone(), format!("{own}/pricing"), format!("{own}/users"), "/password".to_owned()],
    }
}

async fn look(chrome: &Chrome, theme: &str, language: &str) {
    chrome.open(&format!("/?theme={theme}&lang={language}")).await;
    chrome.find(&format!("html[lang={language}]")).await;
}

/// A picture of a page in a window of a size; the whole page where the window has no height.
async fn take(chrome: &Chrome, page: &str, (width, height): (u32, Option<u32>), file: &Path) {
    chrome.resize(width, height.unwrap_or(900)).await;
    chrome.open(page).await;
    chrome.find("h1").await;
    std::fs::write(file, chrome.picture(height.is_none()).await).expect("the picture can be written");
}

async fn take_all(chrome: &Chrome, house: &Showcase, folder: &Path) {
    for who in ["reseller", "admin", "member"] {
        let pages = enter(chrome, house, who).await;
        for (theme, language) in LOOKS {
            look(chrome, theme, language).await;
            for page in &pages {
                let name = page.replace(['/', '?', '=', '&'], "-").replace(ORGANIZATION, "o");
                for width in WIDTHS {
                    let file = folder.join(format!("{who}{name}-{width}-{theme}-{language}.png"));
                    take(chrome, page, (width, None), &file).await;
                }
            }
        }
    }
}

async fn take_shown(chrome: &Chrome, house: &Showcase, folder: &Path) {
    let mut inside = "";
    for (name, who, page, width, theme, language) in SHOWN {
        if inside != who {
            enter(chrome, house, who).await;
            inside = who;
        }
        look(chrome, theme, language).await;
        let page =
            if who == "reseller" { page.to_owned() } else { format!("/organizations/{ORGANIZATION}{page}") };
        let size = (width, Some(if width < 500 { 844 } else { 1_000 }));
        take(chrome, &page, size, &folder.join(format!("{name}.png"))).await;
    }
}
