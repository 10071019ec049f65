//! A real browser, driven through chromedriver. Chromium and its driver are Debian's; `cargo xtask test` sees to
//! it that they are there.

use std::{
    io::Write as _,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use base64::Engine as _;
use thirtyfour::{By, ChromiumLikeCapabilities, DesiredCapabilities, WebDriver, WebElement};

use crate::gateway::free_port;

/// How long a page may take to become what a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The source of axe-core.
static AXE: OnceLock<String> = OnceLock::new();

/// A browser with one window.
pub struct Chrome {
    /// The window.
    pub driver: WebDriver,
    base: String,
    process: Child,
    port: u16,
}

impl Chrome {
    /// Starts a browser for the pages of a server, 1440 pixels wide.
    pub async fn start(base: &str, runs_script: bool) -> Self {
        crate::install_tls();
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("chromedriver is installed");
        let mut wanted = DesiredCapabilities::chrome();
        for argument in
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,1000"]
        {
            wanted.add_arg(argument).expect("an argument");
        }
        if !runs_script {
            let settings = serde_json::json!({ "profile.managed_default_content_settings.javascript": 2 });
            wanted.add_experimental_option("prefs", settings).expect("settings");
        }
        let begun = Instant::now();
        let driver = loop {
            match WebDriver::new(format!("http://127.0.0.1:{port}"), wanted.clone()).await {
                Ok(driver) => break driver,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "chromedriver does not answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Self { driver, base: base.to_owned(), process, port }
    }

    /// Opens a page of the server.
    pub async fn open(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.base)).await.expect("the page opens");
    }

    /// The path and the query of the page.
    pub async fn path(&self) -> String {
        let url = self.driver.current_url().await.expect("an address");
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// The first element that a CSS selector finds, as soon as there is one.
    pub async fn find(&self, css: &str) -> WebElement {
        let begun = Instant::now();
        loop {
            match self.driver.find(By::Css(css)).await {
                Ok(element) => return element,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{css}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The visible text of the first element that a CSS selector finds.
    pub async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.expect("a text")
    }

    /// How many elements a CSS selector finds now.
    pub async fn count(&self, css: &str) -> usize {
        self.driver.find_all(By::Css(css)).await.expect("elements").len()
    }

    /// Clicks on the first element that a CSS selector finds.
    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Types into a field.
    pub async fn type_into(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.expect("it can be cleared");
        field.send_keys(text).await.expect("it takes text");
    }

    /// Waits until the address is this one.
    pub async fn wait_for_path(&self, wanted: &str) {
        let begun = Instant::now();
        while self.path().await != wanted {
            assert!(begun.elapsed() < PATIENCE, "{} and not {wanted}", self.path().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the first element that a CSS selector finds shows this text.
    pub async fn wait_for_text(&self, css: &str, wanted: &str) {
        let begun = Instant::now();
        loop {
            // The element may be replaced while it is read.
            let shown = match self.driver.find(By::Css(css)).await {
                Ok(element) => element.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if shown.contains(wanted) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{css} shows {shown:?} and not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a script of the test returns.
    pub async fn script(&self, script: &str) -> serde_json::Value {
        let returned = self.driver.execute(script, Vec::new()).await.expect("the script runs");
        returned.json().clone()
    }

    /// Gives the window a size, which may be smaller than a window can be made.
    pub async fn resize(&self, width: u32, height: u32) {
        let size =
            serde_json::json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.driver.cdp().send_raw("Emulation.setDeviceMetricsOverride", size).await.expect("a size");
    }

    /// Saves files in a folder without asking.
    pub async fn save_files_in(&self, folder: &Path) {
        let place = serde_json::json!({ "behavior": "allow", "downloadPath": folder });
        self.driver.cdp().send_raw("Browser.setDownloadBehavior", place).await.expect("a folder");
    }

    /// A picture as PNG, of the whole page or of what the window shows.
    pub async fn picture(&self, is_whole: bool) -> Vec<u8> {
        let whole = serde_json::json!({ "captureBeyondViewport": is_whole });
        let taken = self.driver.cdp().send_raw("Page.captureScreenshot", whole).await.expect("a picture");
        let text = taken["data"].as_str().expect("its bytes");
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    }

    /// What axe-core finds wrong with the page, by the rules of WCAG 2.2 AA and of good practice, or by some rules only.
    pub async fn violations(&self, only: &[&str]) -> Vec<String> {
        let source = AXE.get_or_init(|| {
            let file = std::env::var("MAI_TEST_AXE")
                .expect("run the tests by `cargo xtask test`, which brings axe-core");
            std::fs::read_to_string(file).expect("axe-core can be read")
        });
        if self.script("return typeof axe").await != "object" {
            self.driver.execute(source.as_str(), Vec::new()).await.expect("axe-core runs");
        }
        let options = if only.is_empty() {
            serde_json::json!({ "resultTypes": ["violations"] })
        } else {
            serde_json::json!({ "runOnly": { "type": "rule", "values": only }, "resultTypes": ["violations"] })
        };
        let found = self
            .script(&format!(
                "return axe.run(document, {options}).then((found) => found.violations.flatMap((rule) => \
                 rule.nodes.map((node) => rule.id + ': ' + node.html.slice(0, 160) + ' (' + node.failureSummary + ')')))"
            ))
            .await;
        let found = found.as_array().expect("a list");
        found.iter().map(|one| one.as_str().expect("a text").to_owned()).collect()
    }

    /// Closes the browser.
    pub async fn close(self) {
        self.driver.clone().quit().await.expect("the browser closes");
    }
}

impl Drop for Chrome {
    /// Also where a test has failed: the browser would outlive a chromedriver that is only killed.
    fn drop(&mut self) {
        let _ = shut_down(self.port);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks chromedriver to close its browsers and to end.
fn shut_down(port: u16) -> std::io::Result<()> {
    let mut driver = TcpStream::connect(("127.0.0.1", port))?;
    driver.set_read_timeout(Some(PATIENCE))?;
    write!(driver, "GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    std::io::copy(&mut driver, &mut std::io::sink())?;
    Ok(())
}
